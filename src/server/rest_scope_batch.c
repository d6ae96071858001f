#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "core/production.h"
#include "server/rest.h"

/*
 * Credentials that are limited to batches.  What a batch is to make is in its
 * order, what it made is on record as its units; a device that got another
 * product since, which may be another owner's, is none of it any more.
 */
enum {
	UNITS = 32, /* of one read */
	CERTS = 32, /* of a device, its first ones: renewals come later */
};

/* see scope.h */
enum mm_err
mm_scope_batch_product(struct mm_store_reader *reader, const char *batch,
    char product[MM_NAME_MAX + 1])
{
	MM_OWN(mm_production_free) struct mm_production *b = NULL;

	MM_TRY(mm_production_get(reader, batch, &b, NULL));
	strcpy(product, b->order->product);
	return MM_OK;
}

/* ---- what is seen ---- */

/* product: the batch's, "" not known yet; none: there is no such batch.  It is
 * asked for first: most of what a reader comes by is of another. */
static enum mm_err
is_of(struct mm_store_reader *reader, const char *batch,
    char product[MM_NAME_MAX + 1], bool *none, const struct mm_scoped *o,
    bool *yes)
{
	struct mm_made made;
	enum mm_err rc = product[0] != '\0' || *none ? MM_OK :
	    mm_scope_batch_product(reader, batch, product);

	*yes = false;
	*none = *none || rc == MM_ENOTFOUND;
	if (*none || rc != MM_OK || strcmp(product, o->product) != 0)
		return *none ? MM_OK : rc;
	rc = mm_made_get(reader, batch, o->device, &made, NULL);
	*yes = rc == MM_OK;
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

/* see scope.h */
enum mm_err
mm_scope_owns(struct mm_store_reader *reader, const struct mm_scope *s,
    struct mm_scope_memo *memo, const struct mm_scoped *o, bool *yes,
    struct mm_why *why)
{
	struct mm_scope_memo none;

	*yes = !s->on;
	if (!s->on || !mm_scope_has_product(s, o->product))
		return MM_OK;
	*yes = s->nbatches == 0 || (o->device[0] == '\0' &&
	    mm_scope_sees(s, o->product, o->batch));
	if (memo == NULL)
		*(memo = &none) = (struct mm_scope_memo){ .product = { "" } };
	for (unsigned i = 0; o->device[0] != '\0' && i < s->nbatches && !*yes;
	    i++) {
		enum mm_err rc = is_of(reader, s->batch[i], memo->product[i],
		    &memo->none[i], o, yes);

		if (rc != MM_OK)
			return MM_FAIL(why, rc, "batch %s: its record cannot "
			    "be read", s->batch[i]);
	}
	return MM_OK;
}

/* ---- what may be made ---- */

/* see rest.h */
enum mm_err
mm_scope_is_to_be(struct mm_rest *r, const char *product, const char *device,
    bool open, bool *yes, struct mm_why *why)
{
	const struct mm_scope *s = &r->login.scope;
	const struct mm_production *b;
	const struct mm_roll *roll;
	uint64_t index;
	enum mm_err rc;

	*yes = false;
	for (unsigned i = 0; i < s->nbatches && !*yes; i++) {
		rc = mm_desk_batch(r->desk, s->batch[i], &b, &roll, NULL);
		if (rc != MM_OK && rc != MM_ENOTFOUND)
			return MM_FAIL(why, rc, "the store cannot be read");
		*yes = rc == MM_OK && mm_scope_has_product(s, product) &&
		    (!open || b->state == MM_WORK_OPEN) &&
		    strcmp(b->order->product, product) == 0 &&
		    mm_roll_find(roll, device, &index);
	}
	return MM_OK;
}

/* ---- what was counted ---- */

struct counted {
	uint64_t entry[CERTS]; /* of its certificates' issuance */
	unsigned n;
};

static enum mm_err
note_cert(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *cert = row;
	struct counted *c = ctx;

	(void)next, (void)why;
	if (cert->state != MM_CERT_ORPHANED && c->n < CERTS)
		c->entry[c->n++] = cert->entry;
	return MM_OK;
}

static enum mm_err
names_batch(struct mm_store_reader *reader, uint64_t entry, const char *batch,
    bool *yes)
{
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(MM_ENTRY_MAX);
	struct mm_entry_view v;
	enum mm_err rc = mm_get_entry(reader, entry, &json, NULL);

	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK : rc;
	mm_entry_look(mm_buf_view(&json), &v);
	*yes = v.batch.n == strlen(batch) &&
	    memcmp(v.batch.p, batch, v.batch.n) == 0;
	return MM_OK;
}

/* A report writes a unit's record like an issuance does, so the record alone
 * proves none; what is scrapped gave its quota back. */
static enum mm_err
is_counted(struct mm_rest *r, const char *batch, const struct mm_scoped *o,
    const struct counted *c, bool *yes)
{
	char product[MM_NAME_MAX + 1] = "";
	struct mm_made made;
	bool none = false;

	MM_TRY(is_of(r->reader, batch, product, &none, o, yes));
	if (!*yes)
		return MM_OK;
	*yes = false;
	MM_TRY(mm_made_get(r->reader, batch, o->device, &made, NULL));
	if (made.result == MM_UNIT_SCRAPPED ||
	    made.result == MM_UNIT_QUARANTINED)
		return MM_OK;
	for (unsigned i = 0; i < c->n && !*yes; i++)
		MM_TRY(names_batch(r->reader, c->entry[i], batch, yes));
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_scope_counted(struct mm_rest *r, const struct mm_scoped *o,
    struct mm_why *why)
{
	const struct mm_scope *s = &r->login.scope;
	const struct mm_list l = { .most = CERTS, .state = -1,
		.device = o->device };
	struct counted c = { .n = 0 };
	bool yes = s->nbatches == 0;
	enum mm_err rc;

	if (yes)
		return MM_OK;
	MM_TRY(mm_list_certs(r->reader, &l, note_cert, &c, why));
	for (unsigned i = 0; i < s->nbatches && !yes; i++) {
		rc = is_counted(r, s->batch[i], o, &c, &yes);
		if (rc != MM_OK)
			return MM_FAIL(why, rc, "the store cannot be read");
	}
	return yes ? MM_OK : MM_FAIL(why, MM_EPOLICY, "%s: no certificate of "
	    "it counts in a batch of this credential", o->device);
}

/* ---- lists ---- */

static enum mm_err
not_a_key(struct mm_why *why)
{
	return MM_FAIL(why, MM_EINPUT, "after: not a key of this list");
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* see rest.h */
enum mm_err
mm_scope_batch_products(struct mm_rest *r, struct mm_scope *out,
    struct mm_why *why)
{
	const struct mm_scope *s = &r->login.scope;
	char product[MM_NAME_MAX + 1];
	enum mm_err rc;

	*out = (struct mm_scope){ .on = true };
	for (unsigned i = 0; i < s->nbatches; i++) {
		rc = mm_scope_batch_product(r->reader, s->batch[i], product);
		if (rc == MM_ENOTFOUND)
			continue;
		if (rc != MM_OK)
			return MM_FAIL(why, rc, "the store cannot be read");
		if (!mm_scope_has_product(s, product) || (out->nproducts > 0 &&
		    mm_scope_has_product(out, product)))
			continue;
		strcpy(out->product[out->nproducts++], product);
	}
	qsort(out->product, out->nproducts, sizeof(out->product[0]), by_name);
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_scope_batch_after(const struct mm_scope *s, const char *after,
    unsigned *at, struct mm_why *why)
{
	size_t n = strcspn(after, "/");

	*at = 0;
	if (after[0] == '\0')
		return MM_OK;
	while (*at < s->nbatches && (strlen(s->batch[*at]) != n ||
	    memcmp(s->batch[*at], after, n) != 0))
		++*at;
	return *at < s->nbatches && after[n] == '/' ? MM_OK :
	    not_a_key(why);
}

struct walk {
	struct mm_rest *r;
	mm_list_fn *list;
	const struct mm_list *l;
	struct mm_scope_meter *m;
	char product[MM_NAME_MAX + 1]; /* the batch's */
	char inner[MM_PAGE_AFTER];     /* of the first unit; "" it is done */
	int64_t until_ms;
};

/* A device that a batch made, as long as it is the batch's. */
static enum mm_err
rows_of_unit(struct walk *w, const struct mm_made_key *u, struct mm_why *why)
{
	struct mm_list part = *w->l;
	struct mm_device d;
	enum mm_err rc = mm_get_device(w->r->reader, u->made.serial, &d, why);

	if (rc != MM_OK || strcmp(d.product, w->product) != 0)
		return rc == MM_ENOTFOUND ? MM_OK : rc;
	if (!mm_text_copy(part.after, sizeof(part.after),
	    mm_bytes_of(w->inner)))
		return not_a_key(why);
	w->m->of = u->id;
	w->m->product = d.product;
	part.device = d.id;
	part.product = NULL;
	return mm_scope_pass_rows(w->r, w->list, &part, w->m, why);
}

/* One page of units; *unit becomes the last, *more: it was full. */
static enum mm_err
rows_of_some(struct walk *w, const char *batch, char unit[MM_DOC_ID_MAX + 1],
    bool *more, struct mm_why *why)
{
	struct mm_made_key page[UNITS];
	unsigned n = UNITS;

	MM_TRY(mm_made_page(w->r->reader, batch, "", unit, page, &n, why));
	*more = n == UNITS;
	for (unsigned i = 0; i < n && w->m->left > 0; i++) {
		MM_TRY(rows_of_unit(w, &page[i], why));
		w->inner[0] = '\0';
		strcpy(unit, page[i].id);
		if (mm_mono_ms() >= w->until_ms) {
			*more = *more || i + 1 < n;
			return MM_OK;
		}
	}
	return MM_OK;
}

/* Where a page began in the midst of a unit, that one is first. */
static enum mm_err
rows_of_first(struct walk *w, const char *batch, const char *unit,
    struct mm_why *why)
{
	const char *device = strchr(unit, '/');
	struct mm_made_key u;
	enum mm_err rc = MM_ENOTFOUND;

	if (w->inner[0] == '\0')
		return MM_OK;
	strcpy(u.id, unit);
	if (device != NULL)
		rc = mm_made_get(w->r->reader, batch, device + 1, &u.made,
		    NULL);
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? not_a_key(why) :
		    MM_FAIL(why, rc, "the store cannot be read");
	strcpy(u.made.serial, device + 1);
	MM_TRY(rows_of_unit(w, &u, why));
	w->inner[0] = '\0';
	return MM_OK;
}

static enum mm_err
rows_of_batch(struct walk *w, const char *batch,
    char unit[MM_DOC_ID_MAX + 1], bool *more, struct mm_why *why)
{
	enum mm_err rc = mm_scope_batch_product(w->r->reader, batch,
	    w->product);

	*more = false;
	if (rc == MM_ENOTFOUND || (rc == MM_OK && (!mm_scope_has_product(
	    &w->r->login.scope, w->product) || (w->l->product != NULL &&
	    strcmp(w->l->product, w->product) != 0)))) /* no row had it */
		return w->inner[0] == '\0' ? MM_OK : not_a_key(why);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	MM_TRY(rows_of_first(w, batch, unit, why));
	do {
		MM_TRY(rows_of_some(w, batch, unit, more, why));
	} while (*more && w->m->left > 0 && mm_mono_ms() < w->until_ms);
	return MM_OK;
}

/* "batch/device" and, in the midst of it, "/" and the list's own key. */
static enum mm_err
split(const char *after, char unit[MM_DOC_ID_MAX + 1],
    char inner[MM_PAGE_AFTER], struct mm_why *why)
{
	size_t n = strcspn(after, "/");

	n += after[n] == '/' ? 1 + strcspn(after + n + 1, "/") : 0;
	if (!mm_text_copy(unit, MM_DOC_ID_MAX + 1, (struct mm_bytes){
	    (const uint8_t *)after, n }))
		return not_a_key(why);
	strcpy(inner, after[n] == '/' ? after + n + 1 : "");
	return MM_OK;
}

/* One device by name: its own list, with that list's keys. */
static enum mm_err
rows_of_one(struct walk *w, const char *after, struct mm_why *why)
{
	struct mm_scoped o = { .device = "" };
	struct mm_list part = *w->l;
	struct mm_device d;
	enum mm_err rc = mm_get_device(w->r->reader, w->l->device, &d, why);
	bool yes;

	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK : rc;
	strcpy(o.device, d.id);
	strcpy(o.product, d.product);
	MM_TRY(mm_scope_owns(w->r->reader, &w->r->login.scope, NULL, &o, &yes,
	    why));
	if (!yes)
		return MM_OK;
	if (!mm_text_copy(part.after, sizeof(part.after), mm_bytes_of(after)))
		return not_a_key(why);
	return w->list(w->r->reader, &part, w->m->fn, w->m->ctx, why);
}

static enum mm_err
row_of_key(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	struct mm_scoped o = { .device = "" };
	struct walk *w = ctx;
	struct mm_device d;
	enum mm_err rc;
	bool yes;

	w->m->rows++;
	snprintf(w->m->last, sizeof(w->m->last), "%s", next);
	if (w->m->left == 0)
		return MM_OK;
	rc = mm_get_device(w->r->reader, c->device, &d, why);
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK : rc;
	strcpy(o.device, d.id);
	strcpy(o.product, d.product);
	MM_TRY(mm_scope_owns(w->r->reader, &w->r->login.scope, NULL, &o, &yes,
	    why));
	if (!yes || (w->l->product != NULL &&
	    strcmp(w->l->product, d.product) != 0))
		return MM_OK;
	w->m->left--;
	return w->m->fn(w->m->ctx, row, next, why);
}

/* Certificates of one key are few, and the store has an index of them: they
 * lead, and not the units.  Keys are those of that list. */
static enum mm_err
rows_of_key(struct walk *w, const char *after, struct mm_why *why)
{
	struct mm_list part = *w->l;

	part.product = NULL;
	if (!mm_text_copy(part.after, sizeof(part.after), mm_bytes_of(after)))
		return not_a_key(why);
	do {
		w->m->rows = 0;
		MM_TRY(w->list(w->r->reader, &part, row_of_key, w, why));
		memcpy(part.after, w->m->last, sizeof(part.after));
	} while (w->m->rows == part.most && w->m->left > 0);
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_scope_batch_rows(struct mm_rest *r, mm_list_fn *list,
    const struct mm_list *l, const char *after, struct mm_scope_meter *m,
    char next[MM_PAGE_AFTER], struct mm_why *why)
{
	const struct mm_scope *s = &r->login.scope;
	struct walk w = { .r = r, .list = list, .l = l, .m = m,
		.until_ms = mm_mono_ms() + MM_REST_LOOK_MS };
	char unit[MM_DOC_ID_MAX + 1];
	bool more = false;
	unsigned i;

	if (l->device != NULL)
		return rows_of_one(&w, after, why);
	if (l->spki_sha256 != NULL)
		return rows_of_key(&w, after, why);
	MM_TRY(mm_scope_batch_after(s, after, &i, why));
	MM_TRY(split(after, unit, w.inner, why));
	for (; i < s->nbatches && m->left > 0; i++) {
		MM_TRY(rows_of_batch(&w, s->batch[i], unit, &more, why));
		if (m->left > 0 && mm_mono_ms() >= w.until_ms)
			break;
		unit[0] = w.inner[0] = '\0';
	}
	if (m->left > 0 && more)
		snprintf(next, MM_PAGE_AFTER, "%s", unit);
	else if (m->left > 0 && i + 1 < s->nbatches)
		snprintf(next, MM_PAGE_AFTER, "%s/", s->batch[i + 1]);
	return MM_OK;
}
