#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "core/production.h"
#include "server/event.h"
#include "server/rest.h"

/*
 * Credentials that are limited to products or batches: what is outside does
 * not exist for them.  What is a device's is where the device is now: tokens,
 * certificates and entries go with it when it gets another product.  What of
 * it has to do with batches is in rest_scope_batch.c.
 */

/* All of a product: of a batch is only what has a device. */
static bool
sees(const struct mm_rest *r, const char *product)
{
	return mm_scope_sees(&r->login.scope, product, "");
}

/* As the store says it of what is not there. */
static enum mm_err
absent(const char *noun, struct mm_why *why)
{
	return MM_FAIL(why, MM_ENOTFOUND, "no such %s", noun);
}

/* see rest.h */
enum mm_err
mm_scope_check(struct mm_rest *r, struct mm_why *why)
{
	const struct mm_rest_call *c = r->req->route->data;

	if (!r->login.scope.on)
		return MM_OK;
	if (c->scope == NULL)
		return MM_FAIL(why, MM_EPOLICY, "a credential that is limited "
		    "to products or batches may not do this");
	return c->scope(r, why);
}

/* see rest.h */
enum mm_err
mm_scope_open(struct mm_rest *r, struct mm_why *why)
{
	(void)r, (void)why;
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_scope_list(struct mm_rest *r, struct mm_why *why)
{
	(void)r, (void)why;
	return MM_OK;
}

/* ---- what an object is of, by its key; MM_ENOTFOUND ---- */

typedef enum mm_err owner_fn(struct mm_store_reader *r, const char *key,
    struct mm_scoped *out);

static enum mm_err
of_device(struct mm_store_reader *r, const char *key, struct mm_scoped *out)
{
	struct mm_device d;

	MM_TRY(mm_get_device(r, key, &d, NULL));
	*out = (struct mm_scoped){ .device = "" };
	strcpy(out->device, d.id);
	strcpy(out->product, d.product);
	return MM_OK;
}

static enum mm_err
of_token(struct mm_store_reader *r, const char *key, struct mm_scoped *out)
{
	struct mm_token_row t;

	MM_TRY(mm_get_token(r, key, &t, NULL));
	return of_device(r, t.device, out);
}

static enum mm_err
of_cert(struct mm_store_reader *r, const char *key, struct mm_scoped *out)
{
	struct mm_cert_row c;
	uint8_t serial[16];
	enum mm_err rc;

	if (mm_hex_parse(key, strlen(key), serial, 16, NULL) != MM_OK)
		return MM_ENOTFOUND;
	MM_TRY(mm_get_cert(r, serial, &c, NULL));
	rc = of_device(r, c.device, out);
	if (rc != MM_ENOTFOUND)
		return rc;
	*out = (struct mm_scoped){ .device = "" }; /* an orphan's may be none */
	strcpy(out->product, c.product);
	return MM_OK;
}

static enum mm_err
of_batch(struct mm_store_reader *r, const char *key, struct mm_scoped *out)
{
	*out = (struct mm_scoped){ .device = "" };
	if (!mm_text_copy(out->batch, sizeof(out->batch), mm_bytes_of(key)))
		return MM_ENOTFOUND;
	return mm_scope_batch_product(r, key, out->product);
}

/* The device's own product, or, of one that is not there, the body's. */
static enum mm_err
find_owner(struct mm_rest *r, const char *id, const char *product,
    struct mm_scoped *o, bool *there, struct mm_why *why)
{
	enum mm_err rc = of_device(r->reader, id, o);

	if (there != NULL)
		*there = rc == MM_OK;
	if (rc == MM_OK)
		return MM_OK;
	if (rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	*o = (struct mm_scoped){ .device = "" };
	if (product == NULL || strlen(product) > MM_NAME_MAX ||
	    strlen(id) > MM_DEVICE_ID_MAX)
		return absent("device", why);
	strcpy(o->device, id);
	strcpy(o->product, product);
	return MM_OK;
}

/* ---- objects named by the path ---- */

static enum mm_err
owned(struct mm_rest *r, const struct mm_scoped *o, const char *noun,
    struct mm_why *why)
{
	bool yes;

	MM_TRY(mm_scope_owns(r->reader, &r->login.scope, NULL, o, &yes, why));
	return yes ? MM_OK : absent(noun, why);
}

/* Whoever makes a device registers it first, looks at what is there by that
 * name, and enrols it: no more than that of what is yet to be made. */
static enum mm_err
owned_or_to_be(struct mm_rest *r, const struct mm_scoped *o,
    struct mm_why *why)
{
	bool yes;

	MM_TRY(mm_scope_owns(r->reader, &r->login.scope, NULL, o, &yes, why));
	if (!yes)
		MM_TRY(mm_scope_is_to_be(r, o->product, o->device, false,
		    &yes, why));
	return yes ? MM_OK : absent("device", why);
}

static enum mm_err
in_scope(struct mm_rest *r, owner_fn *owner_of, const char *key,
    const char *noun, struct mm_why *why)
{
	struct mm_scoped o;
	enum mm_err rc = owner_of(r->reader, key, &o);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	return rc == MM_OK ? owned(r, &o, noun, why) : absent(noun, why);
}

static enum mm_err
in_path(struct mm_rest *r, owner_fn *owner_of, const char *noun,
    struct mm_why *why)
{
	char key[MM_DEVICE_ID_MAX + 1];

	MM_TRY(mm_rest_segment(r, 0, key, sizeof(key), why));
	return in_scope(r, owner_of, key, noun, why);
}

static enum mm_err
counted_in_path(struct mm_rest *r, owner_fn *owner_of, const char *noun,
    struct mm_why *why)
{
	char key[MM_DEVICE_ID_MAX + 1];
	struct mm_scoped o;
	enum mm_err rc;

	MM_TRY(in_path(r, owner_of, noun, why));
	MM_TRY(mm_rest_segment(r, 0, key, sizeof(key), why));
	rc = owner_of(r->reader, key, &o);
	return rc == MM_OK ? mm_scope_counted(r, &o, why) :
	    MM_FAIL(why, rc, "the store cannot be read");
}

/* see rest.h */
enum mm_err
mm_scope_device_row(struct mm_rest *r, const struct mm_device *d,
    struct mm_why *why)
{
	struct mm_scoped o = { .device = "" };

	strcpy(o.device, d->id);
	strcpy(o.product, d->product);
	return owned(r, &o, "device", why);
}

/* see rest.h */
enum mm_err
mm_scope_product(struct mm_rest *r, struct mm_why *why)
{
	char name[MM_NAME_MAX + 1];

	MM_TRY(mm_rest_segment(r, 0, name, sizeof(name), why));
	return sees(r, name) ? MM_OK : absent("product", why);
}

/* see rest.h */
enum mm_err
mm_scope_product_itself(struct mm_rest *r, struct mm_why *why)
{
	struct mm_scope products;
	char name[MM_NAME_MAX + 1];

	if (r->login.scope.nbatches == 0)
		return mm_scope_product(r, why);
	MM_TRY(mm_rest_segment(r, 0, name, sizeof(name), why));
	MM_TRY(mm_scope_batch_products(r, &products, why));
	return products.nproducts > 0 && mm_scope_has_product(&products,
	    name) ? MM_OK : absent("product", why);
}

/* see rest.h */
enum mm_err
mm_scope_batch(struct mm_rest *r, struct mm_why *why)
{
	return in_path(r, of_batch, "batch", why);
}

/* see rest.h */
enum mm_err
mm_scope_device(struct mm_rest *r, struct mm_why *why)
{
	return in_path(r, of_device, "device", why);
}

/* see rest.h */
enum mm_err
mm_scope_device_named(struct mm_rest *r, struct mm_why *why)
{
	char key[MM_DEVICE_ID_MAX + 1];
	struct mm_scoped o;

	MM_TRY(mm_rest_segment(r, 0, key, sizeof(key), why));
	MM_TRY(find_owner(r, key, NULL, &o, NULL, why));
	return owned_or_to_be(r, &o, why);
}

/* see rest.h */
enum mm_err
mm_scope_token(struct mm_rest *r, struct mm_why *why)
{
	return in_path(r, of_token, "token", why);
}

/* see rest.h */
enum mm_err
mm_scope_device_counted(struct mm_rest *r, struct mm_why *why)
{
	return counted_in_path(r, of_device, "device", why);
}

/* see rest.h */
enum mm_err
mm_scope_token_counted(struct mm_rest *r, struct mm_why *why)
{
	return counted_in_path(r, of_token, "token", why);
}

/* see rest.h */
enum mm_err
mm_scope_cert(struct mm_rest *r, struct mm_why *why)
{
	uint8_t serial[MM_SERIAL_N];
	char key[33];
	enum mm_err rc = mm_rest_serial(r, serial, NULL);

	if (rc == MM_ESYS || rc == MM_EAGAIN)
		return MM_FAIL(why, rc, "the store cannot be read");
	if (rc != MM_OK) /* of two of that number either may be another's */
		return absent("certificate", why);
	mm_hex_text(serial, sizeof(serial), key);
	return in_scope(r, of_cert, key, "certificate", why);
}

/* ---- objects named by the body ---- */

/* What is there may be named again; what is new, a batch that is open has to
 * want. */
static enum mm_err
may_register(struct mm_rest *r, const struct mm_scoped *o, bool there,
    struct mm_why *why)
{
	bool yes;

	if (there)
		return owned_or_to_be(r, o, why);
	MM_TRY(mm_scope_is_to_be(r, o->product, o->device, true, &yes, why));
	if (yes)
		return MM_OK;
	MM_TRY(mm_scope_is_to_be(r, o->product, o->device, false, &yes, why));
	return yes ? MM_FAIL(why, MM_EPOLICY, "%s: no batch that is to make "
	    "it is open", o->device) : absent("device", why);
}

/* NULL: not there, or of another form, which is the call's to refuse before
 * it looks anything up. */
static enum mm_err
may_make_it(void *ctx, const char *id, const char *product,
    struct mm_why *why)
{
	struct mm_rest *r = ctx;
	struct mm_scoped o;
	bool there;

	if (product != NULL && !mm_scope_has_product(&r->login.scope, product))
		return absent("product", why);
	if (id == NULL)
		return MM_OK;
	MM_TRY(find_owner(r, id, product, &o, &there, why));
	return r->login.scope.nbatches == 0 ? owned(r, &o, "device", why) :
	    may_register(r, &o, there, why);
}

static enum mm_err
may_make(struct mm_rest *r, const json_t *spec, const char *device,
    struct mm_why *why)
{
	return may_make_it(r,
	    json_string_value(json_object_get(spec, device)),
	    json_string_value(json_object_get(spec, "product")), why);
}

/* see rest.h */
enum mm_err
mm_scope_new_device(struct mm_rest *r, struct mm_why *why)
{
	return may_make(r, r->in, "id", why);
}

/* see rest.h */
enum mm_err
mm_scope_change(struct mm_rest *r, struct mm_why *why)
{
	const char *product = json_string_value(
	    json_object_get(r->in, "product"));
	char id[MM_DEVICE_ID_MAX + 1];
	struct mm_scoped o;

	MM_TRY(mm_scope_device(r, why));
	if (product == NULL)
		return MM_OK;
	if (r->login.scope.nbatches == 0)
		return sees(r, product) ? MM_OK : absent("product", why);
	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	/* a batch's: it stays */
	MM_TRY(find_owner(r, id, NULL, &o, NULL, why));
	return strcmp(product, o.product) == 0 ? MM_OK :
	    absent("product", why);
}

/* What is limited to batches makes nothing beside their quota. */
enum mm_err
mm_scope_enrol(struct mm_rest *r, struct mm_why *why)
{
	const char *batch = json_string_value(json_object_get(r->in, "batch"));
	const struct mm_scope *s = &r->login.scope;
	unsigned i = 0;

	if (s->nbatches == 0)
		return mm_scope_device(r, why);
	if (batch == NULL)
		return MM_FAIL(why, MM_EPOLICY, "a credential that is limited "
		    "to batches enrols in one of them: name it");
	while (i < s->nbatches && strcmp(s->batch[i], batch) != 0)
		i++;
	if (i == s->nbatches)
		return absent("batch", why);
	return mm_scope_device_named(r, why);
}

/* All or none: one that may not be named ends the request. */
static enum mm_err
each_of(struct mm_rest *r, const json_t *list,
    enum mm_err (*may)(struct mm_rest *r, const json_t *spec,
	struct mm_why *why), struct mm_why *why)
{
	const json_t *item;
	enum mm_err rc = MM_OK;
	size_t i;

	mm_desk_batches_hold(r->desk, true);
	json_array_foreach(list, i, item)
		if ((rc = may(r, item, why)) != MM_OK)
			break;
	mm_desk_batches_hold(r->desk, false);
	return rc;
}

static enum mm_err
may_import(struct mm_rest *r, const json_t *spec, struct mm_why *why)
{
	return may_make(r, spec, "id", why);
}

/* see rest.h; rows that were cut out are looked at where they stand */
enum mm_err
mm_scope_new_devices(struct mm_rest *r, struct mm_why *why)
{
	enum mm_err rc = MM_OK;
	bool read;

	if (r->rows.n > 0) {
		mm_desk_batches_hold(r->desk, true);
		read = mm_rest_rows_names(&r->rows, may_make_it, r, &rc, why);
		mm_desk_batches_hold(r->desk, false);
		if (read)
			return rc;
		if (why != NULL)
			*why = (struct mm_why){ .code = MM_OK };
		MM_TRY(mm_rest_import_whole(r, why));
	}
	return each_of(r, json_object_get(r->in, "rows"), may_import, why);
}

/* A token enrols beside a batch's quota: only for what was counted in it. */
static enum mm_err
may_mint(struct mm_rest *r, const json_t *spec, struct mm_why *why)
{
	const char *id = json_string_value(json_object_get(spec, "device"));
	struct mm_scoped o;

	if (r->login.scope.nbatches == 0 || id == NULL)
		return may_make(r, spec, "device", why);
	MM_TRY(find_owner(r, id, NULL, &o, NULL, why));
	MM_TRY(owned(r, &o, "device", why));
	return mm_scope_counted(r, &o, why);
}

/* see rest.h */
enum mm_err
mm_scope_new_tokens(struct mm_rest *r, struct mm_why *why)
{
	const json_t *list = json_object_get(r->in, "tokens");

	return list == NULL ? may_mint(r, r->in, why) :
	    each_of(r, list, may_mint, why);
}

/* ---- lists ---- */

/* see rest.h */
enum mm_err
mm_scope_after(const struct mm_scope *s, const char **after, unsigned *at,
    struct mm_why *why)
{
	size_t n = strcspn(*after, "/");
	unsigned i = 0;

	*at = 0;
	if (**after == '\0')
		return MM_OK;
	while (i < s->nproducts && (strlen(s->product[i]) != n ||
	    memcmp(s->product[i], *after, n) != 0))
		i++;
	if (i == s->nproducts || (*after)[n] != '/')
		return MM_FAIL(why, MM_EINPUT, "after: not a key of this "
		    "list");
	*at = i;
	*after += n + 1;
	return MM_OK;
}

/* A token stays of the product that it was minted for, its device may be
 * elsewhere by now. */
static enum mm_err
is_elsewhere(const struct mm_scope_meter *m, const void *row, bool *yes,
    struct mm_why *why)
{
	const struct mm_token_row *t = row;
	struct mm_scoped o;
	enum mm_err rc;

	*yes = false;
	if (!m->tokens)
		return MM_OK;
	rc = of_device(m->r->reader, t->device, &o);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	*yes = strcmp(o.product, m->product) != 0;
	return MM_OK;
}

/* Hands on what is the product's, and counts it. */
static enum mm_err
pass(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	char key[MM_PAGE_AFTER];
	struct mm_scope_meter *m = ctx;
	bool elsewhere;

	m->rows++;
	snprintf(m->last, sizeof(m->last), "%s", next);
	if (m->left == 0)
		return MM_OK;
	MM_TRY(is_elsewhere(m, row, &elsewhere, why));
	if (elsewhere)
		return MM_OK;
	m->left--;
	snprintf(key, sizeof(key), "%s/%s", m->of, next);
	return m->fn(m->ctx, row, key, why);
}

static enum mm_err
product_rows(struct mm_rest *r, const char *after, struct mm_scope_meter *m,
    struct mm_why *why)
{
	struct mm_scope s = r->login.scope;
	struct mm_product p;
	enum mm_err rc;

	if (s.nbatches > 0)
		MM_TRY(mm_scope_batch_products(r, &s, why));
	for (unsigned i = 0; i < s.nproducts && m->left > 0; i++) {
		if (strcmp(s.product[i], after) <= 0)
			continue;
		rc = mm_get_product(r->reader, s.product[i], &p, why);
		if (rc == MM_ENOTFOUND)
			continue;
		MM_TRY(rc);
		m->left--;
		MM_TRY(m->fn(m->ctx, &p, p.name, why));
	}
	return MM_OK;
}

/* A page of the store's may be of tokens that have gone elsewhere. */
enum mm_err
mm_scope_pass_rows(struct mm_rest *r, mm_list_fn *list, struct mm_list *part,
    struct mm_scope_meter *m, struct mm_why *why)
{
	do {
		m->rows = 0;
		MM_TRY(list(r->reader, part, pass, m, why));
		memcpy(part->after, m->last, sizeof(part->after));
	} while (m->rows == part->most && m->left > 0);
	return MM_OK;
}

static enum mm_err
rows_of_products(struct mm_rest *r, mm_list_fn *list,
    const struct mm_list *l, const char *after, struct mm_scope_meter *m,
    struct mm_why *why)
{
	const struct mm_scope *s = &r->login.scope;
	struct mm_list part = *l;
	unsigned i;

	MM_TRY(mm_scope_after(s, &after, &i, why));
	if (!mm_text_copy(part.after, sizeof(part.after),
	    mm_bytes_of(after)))
		return MM_FAIL(why, MM_EINPUT, "after: not a key of this "
		    "list");
	for (; i < s->nproducts && m->left > 0; i++) {
		m->of = m->product = part.product = s->product[i];
		if (m->tokens && l->device != NULL)
			part.product = l->product; /* pass looks */
		if (l->product == NULL ||
		    strcmp(l->product, s->product[i]) == 0)
			MM_TRY(mm_scope_pass_rows(r, list, &part, m, why));
		part.after[0] = '\0';
	}
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_scope_rows(struct mm_rest *r, mm_list_fn *list, const struct mm_list *l,
    const char *after, mm_row_fn *fn, void *ctx, char next[MM_PAGE_AFTER],
    struct mm_why *why)
{
	static mm_list_fn *const limited[] = { mm_list_devices,
		mm_list_tokens, mm_list_certs };
	struct mm_scope_meter m = { .r = r, .fn = fn, .ctx = ctx,
		.left = l->most, .tokens = list == mm_list_tokens };

	if (list == mm_list_products)
		return product_rows(r, after, &m, why);
	for (size_t i = 0; i < sizeof(limited) / sizeof(limited[0]); i++)
		if (limited[i] == list)
			return r->login.scope.nbatches > 0 ?
			    mm_scope_batch_rows(r, list, l, after, &m, next,
			    why) :
			    rows_of_products(r, list, l, after, &m, why);
	return MM_FAIL(why, MM_EPOLICY, "this list cannot be limited to "
	    "products");
}

/* ---- entries ---- */

/* Of neither a device nor what is a device's. */
static enum mm_err
of_names(const struct mm_entry_view *v, struct mm_scoped *out)
{
	*out = (struct mm_scoped){ .device = "" };
	if (v->product.n > 0 &&
	    !mm_text_copy(out->product, sizeof(out->product), v->product))
		out->product[0] = '\0';
	if (v->batch.n > 0 &&
	    !mm_text_copy(out->batch, sizeof(out->batch), v->batch))
		out->batch[0] = '\0';
	return out->product[0] != '\0' || out->batch[0] != '\0' ? MM_OK :
	    MM_ENOTFOUND;
}

/* see rest.h */
enum mm_err
mm_scope_entry_owner(struct mm_store_reader *reader,
    const struct mm_entry_view *v, struct mm_scoped *out)
{
	const struct {
		struct mm_bytes key;
		owner_fn *owner_of;
	} rows[] = {
		{ v->device, of_device }, { v->token, of_token },
		{ v->serial, of_cert },
	};
	char key[MM_DEVICE_ID_MAX + 1];
	enum mm_err rc = MM_ENOTFOUND;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) &&
	    rc == MM_ENOTFOUND; i++)
		if (rows[i].key.n > 0 &&
		    mm_text_copy(key, sizeof(key), rows[i].key))
			rc = rows[i].owner_of(reader, key, out);
	return rc == MM_ENOTFOUND ? of_names(v, out) : rc;
}

static enum mm_err
sees_entry(struct mm_rest *r, uint64_t index, bool *yes, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(MM_ENTRY_MAX);
	struct mm_event e = { .index = index, .reader = r->reader };
	enum mm_err rc = mm_get_entry(r->reader, index, &json, NULL);

	*yes = false;
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	mm_entry_look(mm_buf_view(&json), &e.v);
	return mm_event_may_see(&r->login, NULL, &e, yes, why);
}

/* see rest.h; in the words of an index that is not there */
enum mm_err
mm_scope_entry(struct mm_rest *r, struct mm_why *why)
{
	char text[24];
	int64_t index;
	bool yes;

	MM_TRY(mm_rest_segment(r, 0, text, sizeof(text), why));
	if (mm_int_parse(text, &index, NULL) != MM_OK || index < 0)
		return absent("entry", why);
	MM_TRY(sees_entry(r, (uint64_t)index, &yes, why));
	return yes ? MM_OK : MM_FAIL(why, MM_ENOTFOUND, "no entry %lld",
	    (long long)index);
}
