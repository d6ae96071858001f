#include "core/desk_schema.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/*
 * Schemas of products.  The document of a product's name holds
 * {"forced","schema"}: forced, there may be devices that do not fit.  That of
 * "<product>#index" says how far the index follows: {"schema": the other's
 * version, "done", "next"}.  They are two, so that indexing does not change
 * what If-Match compares.
 */

enum { LOOK_MOST = 20000, PIECE = 1000 };

MM_FREE_FN(json_free, json_t, json_decref)

/* see desk_schema.h */
void
mm_desk_schema_done(struct mm_desk_schema *s)
{
	mm_schema_free(&s->schema);
	mm_buf_done(&s->text);
	*s = (struct mm_desk_schema){ .version = 0 };
}

static enum mm_err
unpack(struct mm_desk_schema *s, struct mm_bytes body, struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = json_loadb((const char *)body.p, body.n,
	    0, NULL);
	const json_t *schema = json_object_get(o, "schema");
	char *text = json_dumps(schema, JSON_COMPACT);

	if (text == NULL)
		return MM_FAIL(why, MM_ESYS, "database: a schema is damaged");
	s->forced = json_is_true(json_object_get(o, "forced"));
	mm_buf_init(&s->text, MM_SCHEMA_MAX);
	mm_buf_text(&s->text, text);
	free(text);
	return mm_schema_parse(mm_buf_view(&s->text), &s->schema, why);
}

/* How far the index of this version goes; nothing is known: not at all. */
struct progress {
	bool done;
	char next[MM_DEVICE_ID_MAX + 1];
};

static void
progress_id(const char *product, char id[MM_DOC_ID_MAX + 1])
{
	snprintf(id, MM_DOC_ID_MAX + 1, "%.32s#index", product);
}

static enum mm_err
progress_load(struct mm_desk *d, const char *product, uint64_t version,
    struct progress *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(json_free) json_t *o = NULL;
	char id[MM_DOC_ID_MAX + 1];
	const char *next;
	uint64_t own;
	enum mm_err rc;

	*out = (struct progress){ .done = false };
	progress_id(product, id);
	rc = mm_get_doc(d->r, MM_DOC_SCHEMA, id, &own, &body, NULL);
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK :
		    MM_FAIL(why, rc, "the store cannot be read");
	o = json_loadb((const char *)body.p, body.n, 0, NULL);
	next = json_string_value(json_object_get(o, "next"));
	if ((uint64_t)json_integer_value(json_object_get(o, "schema")) !=
	    version || next == NULL)
		return MM_OK;
	out->done = json_is_true(json_object_get(o, "done"));
	snprintf(out->next, sizeof(out->next), "%s", next);
	return MM_OK;
}

static enum mm_err
progress_put(struct mm_desk *d, const char *product, uint64_t version,
    const char *next, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_op op = { .kind = MM_OP_DOC_PUT, .u.doc.expect = MM_DOC_ANY };
	struct mm_json j = mm_json_over(&body);

	mm_json_open(&j, '{');
	mm_json_int(&j, "schema", (int64_t)version);
	mm_json_bool(&j, "done", next[0] == '\0');
	mm_json_str(&j, "next", next);
	mm_json_close(&j, '}');
	MM_TRY(mm_buf_ok(&body, why));
	op.u.doc.kind = MM_DOC_SCHEMA;
	progress_id(product, op.u.doc.id);
	op.u.doc.body = mm_buf_view(&body);
	return mm_desk_write1(d, &op, why);
}

/* see desk_schema.h */
enum mm_err
mm_desk_schema_load(struct mm_desk *d, const char *product,
    struct mm_desk_schema *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct progress progress;
	enum mm_err rc;

	*out = (struct mm_desk_schema){ .version = 0, .whole = true };
	rc = mm_get_doc(d->r, MM_DOC_SCHEMA, product, &out->version, &body,
	    NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	MM_TRY(progress_load(d, product, out->version, &progress, why));
	out->whole = progress.done;
	return unpack(out, mm_buf_view(&body), why);
}

/* see core.h */
enum mm_err
mm_desk_schema_get(struct mm_desk *d, const char *product,
    struct mm_buf *json, uint64_t *version, bool *whole, struct mm_why *why)
{
	MM_OWN(mm_desk_schema_done) struct mm_desk_schema s = { .version = 0 };
	struct mm_product p;

	MM_TRY(mm_get_product(d->r, product, &p, why));
	MM_TRY(mm_desk_schema_load(d, product, &s, why));
	if (s.schema == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "product %s: it has no "
		    "schema", product);
	mm_buf_bytes(json, mm_buf_view(&s.text));
	*version = s.version;
	*whole = s.whole;
	return mm_buf_ok(json, why);
}

/* ---- do the devices fit? ---- */

struct look {
	const struct mm_schema *schema;
	struct mm_fit *fit;
	mm_unfit_fn *fn;
	void *ctx;
	unsigned n; /* rows of this page */
};

static enum mm_err
look_at(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct look *l = ctx;
	const struct mm_device *dev = row;
	char column[MM_SCHEMA_COLUMN];
	struct mm_why because = { 0 };

	(void)why;
	l->n++;
	l->fit->looked++;
	strcpy(l->fit->next, next);
	if (dev->state != MM_DEVICE_ACTIVE || l->schema == NULL ||
	    mm_schema_check(l->schema, dev->attributes, column, &because) ==
	    MM_OK)
		return MM_OK;
	l->fit->unfit++;
	return l->fn(l->ctx, dev->id, column, because.text);
}

static enum mm_err
look_at_devices(struct mm_desk *d, const char *product, const char *after,
    struct look *l, struct mm_why *why)
{
	struct mm_list page = { .most = PIECE, .state = -1,
		.product = product };

	snprintf(l->fit->next, sizeof(l->fit->next), "%s", after);
	do {
		l->n = 0;
		strcpy(page.after, l->fit->next);
		MM_TRY(mm_list_devices(d->r, &page, look_at, l, why));
	} while (l->n == PIECE && l->fit->looked < LOOK_MOST);
	if (l->n < PIECE)
		l->fit->next[0] = '\0';
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_desk_schema_fit(struct mm_desk *d, const char *product,
    const char *schema, const char *after, struct mm_fit *fit,
    mm_unfit_fn *fn, void *ctx, struct mm_why *why)
{
	MM_OWN(mm_desk_schema_done) struct mm_desk_schema s = { .version = 0 };
	struct look l = { .fit = fit, .fn = fn, .ctx = ctx };
	struct mm_product p;

	*fit = (struct mm_fit){ 0 };
	MM_TRY(mm_get_product(d->r, product, &p, why));
	if (schema == NULL)
		MM_TRY(mm_desk_schema_load(d, product, &s, why));
	else
		MM_TRY(mm_schema_parse(mm_bytes_of(schema), &s.schema, why));
	l.schema = s.schema;
	return look_at_devices(d, product, after, &l, why);
}

struct first {
	char device[MM_DEVICE_ID_MAX + 1];
	char text[100];
};

static enum mm_err
note_first(void *ctx, const char *device, const char *column,
    const char *why_not)
{
	struct first *f = ctx;

	(void)column;
	if (f->device[0] != '\0')
		return MM_OK;
	snprintf(f->device, sizeof(f->device), "%s", device);
	snprintf(f->text, sizeof(f->text), "%.80s", why_not);
	return MM_OK;
}

/* ---- putting one ---- */

static bool
same_index(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}


static void
put_body(struct mm_buf *body, const char *schema, bool forced)
{
	struct mm_json j = mm_json_over(body);

	if (schema[0] == '\0')
		return;
	mm_json_open(&j, '{');
	mm_json_bool(&j, "forced", forced);
	mm_json_raw(&j, "schema", mm_bytes_of(schema));
	mm_json_close(&j, '}');
}

static void
schema_entry(struct mm_papers *p, const struct mm_login *by,
    const char *product, const char *schema)
{
	struct mm_entry e = { .type = MM_E_PRODUCT_CHANGED };
	uint8_t hash[32];
	char hex[65];

	mm_sha256(mm_bytes_of(schema), hash);
	mm_hex_text(hash, 32, hex);
	e.field[MM_F_ACTOR] = by->id;
	e.field[MM_F_PRODUCT] = product;
	e.field[MM_F_REASON] = schema[0] != '\0' ? "schema" : "schema removed";
	e.field[MM_F_DETAIL_SHA256] = hex;
	mm_papers_add(p, &e);
}

struct change {
	const char *product, *schema;
	bool force, reindex;
	uint64_t expect, version; /* version: of what was put */
};

static enum mm_err
put_schema(struct mm_desk *d, const struct mm_login *by,
    struct change *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_op op = { .kind = MM_OP_DOC_PUT,
		.u.doc.expect = c->expect };
	struct mm_why own = { 0 };
	enum mm_err rc;

	put_body(&body, c->schema, c->force);
	MM_TRY(mm_buf_ok(&body, why));
	op.u.doc.kind = MM_DOC_SCHEMA;
	strcpy(op.u.doc.id, c->product);
	op.u.doc.body = mm_buf_view(&body);
	schema_entry(&p, by, c->product, c->schema);
	rc = mm_desk_run(d, &p, &op, &own);
	c->version = op.u.doc.version;
	if (rc == MM_ECONFLICT ||
	    (rc == MM_ENOTFOUND && c->expect != MM_DOC_ANY))
		rc = MM_ESTALE;
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}

static enum mm_err
check_change(struct mm_desk *d, struct change *c,
    const struct mm_desk_schema *old, struct mm_fit *fit, struct mm_why *why)
{
	MM_OWN(mm_schema_free) struct mm_schema *s = NULL;
	struct first first = { .device = "" };
	struct look l = { .fit = fit, .fn = note_first, .ctx = &first };

	if (c->schema[0] != '\0')
		MM_TRY(mm_schema_parse(mm_bytes_of(c->schema), &s, why));
	l.schema = s;
	MM_TRY(look_at_devices(d, c->product, "", &l, why));
	if (fit->unfit > 0 && !c->force)
		return MM_FAIL(why, MM_ECONFLICT, "%llu of %llu devices "
		    "looked at do not fit; the first is %.64s: %.60s",
		    (unsigned long long)fit->unfit,
		    (unsigned long long)fit->looked, first.device,
		    first.text);
	c->reindex = fit->looked > 0 && (!old->whole || !same_index(
	    mm_schema_indexed(s), mm_schema_indexed(old->schema)));
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_desk_schema_put(struct mm_desk *d, const struct mm_login *by,
    const char *product, const char *schema, const uint64_t *if_version,
    bool force, struct mm_fit *fit, struct mm_why *why)
{
	MM_OWN(mm_desk_schema_done) struct mm_desk_schema old = { 0 };
	struct change c = { .product = product, .schema = schema,
		.force = force };
	struct mm_fit indexed;
	struct mm_product p;

	*fit = (struct mm_fit){ 0 };
	MM_TRY(mm_get_product(d->r, product, &p, why));
	MM_TRY(mm_desk_schema_load(d, product, &old, why));
	c.expect = if_version != NULL ? *if_version : MM_DOC_ANY;
	MM_TRY(check_change(d, &c, &old, fit, why));
	MM_TRY(put_schema(d, by, &c, why));
	return c.reindex ? mm_desk_schema_index(d, product, &indexed, why) :
	    progress_put(d, product, c.version, "", why);
}

/* ---- the index ---- */

/* see core.h */
enum mm_err
mm_desk_schema_index(struct mm_desk *d, const char *product,
    struct mm_fit *out, struct mm_why *why)
{
	MM_OWN(mm_desk_schema_done) struct mm_desk_schema s = { .version = 0 };
	struct mm_op op = { .kind = MM_OP_DEVICES_INDEX };
	struct mm_op_index *x = &op.u.index;
	struct progress progress;
	struct mm_product p;

	*out = (struct mm_fit){ 0 };
	MM_TRY(mm_get_product(d->r, product, &p, why));
	MM_TRY(mm_desk_schema_load(d, product, &s, why));
	MM_TRY(progress_load(d, product, s.version, &progress, why));
	if (progress.done)
		return MM_OK;
	strcpy(x->product, product);
	strcpy(x->after, progress.next);
	x->most = PIECE;
	x->indexed = mm_schema_indexed(s.schema);
	x->schema = s.version;
	do {
		MM_TRY(mm_desk_write1(d, &op, why));
		out->looked += x->done;
		strcpy(x->after, x->next);
	} while (x->next[0] != '\0' && out->looked < LOOK_MOST);
	strcpy(out->next, x->next);
	return progress_put(d, product, s.version, x->next, why);
}
