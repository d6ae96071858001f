#include "core/devconf.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/devconf_priv.h"
#include "core/production.h"

/* Sets as documents: "product/thermo", "batch/spring", "device/sn-000123". */

MM_FREE_FN(json_free, json_t, json_decref)

/* see devconf.h */
const char *const mm_devconf_scope_words[MM_DEVCONF_SCOPES] = {
	[MM_DEVCONF_PRODUCT] = "product",
	[MM_DEVCONF_BATCH] = "batch",
	[MM_DEVCONF_DEVICE] = "device",
};

/* see devconf_priv.h */
void
mm_devconf_doc_id(enum mm_devconf_scope scope, const char *id,
    char out[MM_DOC_ID_MAX + 1])
{
	int n = snprintf(out, MM_DOC_ID_MAX + 1, "%s/%.64s",
	    mm_devconf_scope_words[scope], id);

	for (int i = 0; scope == MM_DEVCONF_DEVICE && i < n; i++)
		out[i] = (char)tolower((unsigned char)out[i]);
}

/* see devconf.h */
bool
mm_devconf_on(const struct mm_devconf *c)
{
	return c->version > 0 && !c->past[0].removed;
}

/* ---- reading ---- */

static bool
get_text(const json_t *o, const char *key, char *out, size_t n)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v != NULL && mm_text_copy(out, n, mm_bytes_of(v));
}

/* One that is not there is all zero. */
static bool
get_bytes(const json_t *o, const char *key, uint8_t *out, size_t n)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v == NULL ||
	    mm_hex_parse(v, strlen(v), out, n, NULL) == MM_OK;
}

/* see devconf_priv.h */
void
mm_devconf_detail(struct mm_devconf_change *c)
{
	char text[3 * 65 + 48], hex[3][65];
	const uint8_t *const all[] = { c->template, c->table, c->schema };

	for (int i = 0; i < 3; i++)
		mm_hex_text(all[i], 32, hex[i]);
	snprintf(text, sizeof(text), "template %s\ntable %s\nschema %s\n",
	    hex[0], hex[1], hex[2]);
	mm_salted_sha256(c->salt, mm_bytes_of(text), c->detail);
}

static bool
read_change(const json_t *o, struct mm_devconf_change *c)
{
	const char *at = json_string_value(json_object_get(o, "at"));

	*c = (struct mm_devconf_change){ .version = (uint64_t)
	    json_integer_value(json_object_get(o, "version")) };
	c->removed = json_is_true(json_object_get(o, "removed"));
	if (c->version == 0 || at == NULL ||
	    mm_time_parse(at, &c->at, NULL) != MM_OK ||
	    !get_text(o, "by", c->by, sizeof(c->by)) ||
	    !get_bytes(o, "template", c->template, 32) ||
	    !get_bytes(o, "table", c->table, 32) ||
	    !get_bytes(o, "schema", c->schema, 32) ||
	    !get_bytes(o, "salt", c->salt, MM_SALT_N))
		return false;
	mm_devconf_detail(c);
	return true;
}

static bool
read_set(const struct mm_doc *doc, const json_t *o, struct mm_devconf *c)
{
	const json_t *past = json_object_get(o, "past"), *item;
	int scope = 0;
	size_t i;

	if (!get_text(o, "product", c->product, sizeof(c->product)) ||
	    !get_text(o, "id", c->id, sizeof(c->id)) ||
	    json_array_size(past) == 0 ||
	    json_array_size(past) > MM_DEVCONF_PAST)
		return false;
	while (scope < MM_DEVCONF_SCOPES && strncmp(doc->id,
	    mm_devconf_scope_words[scope], strcspn(doc->id, "/")) != 0)
		scope++;
	c->scope = (enum mm_devconf_scope)scope;
	json_array_foreach(past, i, item)
		if (!read_change(item, &c->past[c->npast++]))
			return false;
	return scope < MM_DEVCONF_SCOPES && c->past[0].version == c->version;
}

/* see devconf.h */
enum mm_err
mm_devconf_parse(const struct mm_doc *doc, struct mm_devconf *out,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = json_loadb((const char *)doc->body.p,
	    doc->body.n, 0, NULL);
	struct mm_devconf c = { .version = doc->version };

	if (o == NULL || !read_set(doc, o, &c))
		return MM_FAIL(why, MM_ESYS, "configuration of %.72s: its "
		    "record cannot be read", doc->id);
	*out = c;
	return MM_OK;
}

/* see devconf.h */
enum mm_err
mm_devconf_get(struct mm_store_reader *r, enum mm_devconf_scope scope,
    const char *id, struct mm_devconf *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_doc doc = { .version = 0 };
	enum mm_err rc;

	mm_devconf_doc_id(scope, id, doc.id);
	rc = mm_get_doc(r, MM_DOC_DEVCONF, doc.id, &doc.version, &body, NULL);
	if (rc == MM_ENOTFOUND) {
		*out = (struct mm_devconf){ .scope = scope };
		(void)!mm_text_copy(out->id, sizeof(out->id),
		    mm_bytes_of(id));
		return MM_OK;
	}
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	doc.body = mm_buf_view(&body);
	return mm_devconf_parse(&doc, out, why);
}

/* see devconf.h */
void
mm_devconf_papers_done(struct mm_devconf_papers *p)
{
	mm_buf_wipe(&p->template);
	mm_buf_wipe(&p->table);
	mm_buf_done(&p->schema);
}

static enum mm_err
read_paper(struct mm_store_reader *r, const uint8_t sha256[32],
    struct mm_buf *out, struct mm_why *why)
{
	return mm_zero(sha256, 32) ? MM_OK
	    : mm_paper_get(r, sha256, out, why);
}

/* see devconf.h */
enum mm_err
mm_devconf_papers(struct mm_store_reader *r, const struct mm_devconf *c,
    struct mm_devconf_papers *out, struct mm_why *why)
{
	if (!mm_devconf_on(c))
		return MM_OK;
	MM_TRY(read_paper(r, c->past[0].template, &out->template, why));
	MM_TRY(read_paper(r, c->past[0].table, &out->table, why));
	return read_paper(r, c->past[0].schema, &out->schema, why);
}

/* ---- writing ---- */

static void
put_bytes(struct mm_json *j, const char *key, struct mm_bytes v)
{
	if (!mm_zero(v.p, v.n))
		mm_json_hex(j, key, v);
}

static void
put_hash(struct mm_json *j, const char *key, const uint8_t v[32])
{
	put_bytes(j, key, (struct mm_bytes){ v, 32 });
}

static void
put_body(const struct mm_devconf *c, struct mm_buf *body)
{
	struct mm_json j = mm_json_over(body);

	mm_json_open(&j, '{');
	mm_json_str(&j, "id", c->id);
	mm_json_str(&j, "product", c->product);
	mm_json_open_key(&j, "past", '[');
	for (size_t i = 0; i < c->npast; i++) {
		const struct mm_devconf_change *p = &c->past[i];

		mm_json_open(&j, '{');
		mm_json_int(&j, "version", (int64_t)p->version);
		mm_json_time(&j, "at", p->at);
		mm_json_str(&j, "by", p->by);
		mm_json_bool(&j, "removed", p->removed);
		put_hash(&j, "template", p->template);
		put_hash(&j, "table", p->table);
		put_hash(&j, "schema", p->schema);
		put_bytes(&j, "salt", (struct mm_bytes){ p->salt,
		    sizeof(p->salt) });
		mm_json_close(&j, '}');
	}
	mm_json_close(&j, ']');
	mm_json_close(&j, '}');
}

static enum mm_err
keep_paper(struct mm_desk *d, struct mm_bytes text, uint8_t sha256[32],
    struct mm_why *why)
{
	if (text.n == 0)
		return MM_OK;
	mm_sha256(text, sha256);
	return mm_desk_paper_put(d, text, sha256, why);
}

static enum mm_err
fill_change(struct mm_desk *d, const struct mm_devconf_text *t,
    struct mm_devconf_change *c, struct mm_why *why)
{
	c->removed = t == NULL;
	MM_TRY(mm_salt_make(c->salt, why));
	if (t != NULL) {
		MM_TRY(keep_paper(d, t->template, c->template, why));
		MM_TRY(keep_paper(d, t->table, c->table, why));
		MM_TRY(keep_paper(d, t->schema, c->schema, why));
	}
	mm_devconf_detail(c);
	return MM_OK;
}

static enum mm_err
store(struct mm_desk *d, const struct mm_devconf *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_op_doc doc = { .kind = MM_DOC_DEVCONF,
		.expect = c->version - 1 };
	char version[24], hex[65];
	struct mm_entry e = { .type = c->past[0].removed
	    ? MM_E_CONFIG_REMOVED : MM_E_CONFIG_SET };

	mm_devconf_doc_id(c->scope, c->id, doc.id);
	put_body(c, &body);
	MM_TRY(mm_buf_ok(&body, why));
	doc.body = mm_buf_view(&body);
	snprintf(version, sizeof(version), "%llu",
	    (unsigned long long)c->version);
	mm_hex_text(c->past[0].detail, 32, hex);
	e.field[MM_F_ACTOR] = c->past[0].by;
	e.field[MM_F_SCOPE] = doc.id;
	e.field[MM_F_PRODUCT] = c->product;
	if (c->scope == MM_DEVCONF_BATCH)
		e.field[MM_F_BATCH] = c->id;
	if (c->scope == MM_DEVCONF_DEVICE)
		e.field[MM_F_DEVICE] = c->id;
	e.field[MM_F_CONFIG_VERSION] = version;
	e.field[MM_F_DETAIL_SHA256] = hex;
	return mm_desk_doc_put(d, &doc, &e, 1, why);
}

/* The newest before the others, of which the oldest goes. */
static void
push(struct mm_devconf *c, const struct mm_devconf_change *now)
{
	size_t keep = c->npast < MM_DEVCONF_PAST ? c->npast
	    : MM_DEVCONF_PAST - 1;

	memmove(&c->past[1], &c->past[0], keep * sizeof(c->past[0]));
	c->past[0] = *now;
	c->npast = keep + 1;
	c->version = now->version;
}

/* see devconf.h */
enum mm_err
mm_desk_devconf_put(struct mm_desk *d, const struct mm_login *by,
    const struct mm_devconf_put *p, uint64_t *version, struct mm_why *why)
{
	struct mm_devconf_change now = { .at = mm_now_ms() };
	struct mm_why own = { 0 };
	struct mm_devconf c;
	enum mm_err rc;

	MM_TRY(mm_devconf_get(d->r, p->scope, p->id, &c, why));
	if (p->if_version != NULL && *p->if_version !=
	    (mm_devconf_on(&c) ? c.version : 0))
		return MM_FAIL(why, MM_ESTALE, "the configuration is at "
		    "version %llu", (unsigned long long)c.version);
	if (p->text == NULL && !mm_devconf_on(&c))
		return MM_FAIL(why, MM_ENOTFOUND, "there is no configuration");
	now.version = c.version + 1;
	strcpy(now.by, by->id);
	MM_TRY(fill_change(d, p->text, &now, why));
	push(&c, &now);
	(void)!mm_text_copy(c.id, sizeof(c.id), mm_bytes_of(p->id));
	strcpy(c.product, p->product);
	rc = store(d, &c, &own);
	*version = c.version;
	if (rc == MM_ECONFLICT || rc == MM_ESTALE)
		return MM_FAIL(why, p->if_version != NULL ? MM_ESTALE
		    : MM_ECONFLICT, "somebody changed it at the same time");
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}
