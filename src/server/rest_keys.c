#include <string.h>

#include "base/secret.h"
#include "base/time.h"
#include "core/credential.h"
#include "server/metrics.h"
#include "server/rest.h"

/* Operators' credentials: API keys, shown once, and certificates. */

enum { PEM_MAX = 16384 };

struct wish {
	char name[65], roles[65];
	char description[129];
	char products[MM_SCOPE_TEXT], batches[MM_SCOPE_TEXT];
	char sources[MM_SOURCES_TEXT];
	char certificate[PEM_MAX];
	int64_t expires_at, ttl_s;
};
#define M(name, type, must, field)                                   \
	{ name, type, must, offsetof(struct wish, field),            \
	    sizeof(((struct wish *)0)->field) }

static const struct mm_member members[] = {
	M("name", MM_M_TEXT, true, name),
	M("roles", MM_M_NAMES, true, roles),
	M("description", MM_M_TEXT, false, description),
	M("products", MM_M_NAMES, false, products),
	M("batches", MM_M_NAMES, false, batches),
	M("sources", MM_M_NAMES, false, sources),
	M("certificate", MM_M_TEXT, false, certificate),
	M("expires", MM_M_TIME, false, expires_at),
	M("ttl", MM_M_DURATION, false, ttl_s),
};

static void
put_roles(struct mm_json *j, unsigned roles)
{
	mm_json_open_key(j, "roles", '[');
	for (unsigned bit = 1; bit <= MM_ROLE_LAST; bit <<= 1)
		if ((roles & bit) != 0)
			mm_json_str(j, NULL, mm_role_name(bit));
	mm_json_close(j, ']');
}

/* The items of one kind of a scope's text, or of sources. */
static void
put_items(struct mm_json *j, const char *key, const char *text,
    const char *kind)
{
	size_t skip = strlen(kind), n;

	mm_json_open_key(j, key, '[');
	for (; *text != '\0'; text += n + (text[n] == ',')) {
		n = strcspn(text, ",");
		if (strncmp(text, kind, skip) == 0)
			mm_json_strn(j, NULL, (struct mm_bytes){
			    (const uint8_t *)text + skip, n - skip });
	}
	mm_json_close(j, ']');
}

static const char *
kind_name(enum mm_operator_kind kind)
{
	static const char *const names[MM_OPERATOR_KINDS] = {
		[MM_OPERATOR_KEY] = "key",
		[MM_OPERATOR_CERTIFICATE] = "certificate",
		[MM_OPERATOR_RECOVERY] = "recovery",
	};

	return (unsigned)kind < MM_OPERATOR_KINDS ? names[kind] : "unknown";
}

/* All but what names a person. */
static void
put_limits(struct mm_json *j, const struct mm_operator *o)
{
	unsigned roles = 0;

	(void)!mm_roles_parse(o->roles, &roles, NULL);
	mm_json_str(j, "kind", kind_name(o->kind));
	put_roles(j, roles);
	put_items(j, "products", o->scope, "product:");
	put_items(j, "batches", o->scope, "batch:");
	put_items(j, "sources", o->sources, "");
	mm_rest_put_sha256(j, "spki_sha256", o->spki_sha256);
	mm_rest_put_time(j, "created", o->created_at);
	mm_rest_put_time(j, "expires", o->expires_at);
}

static void
put_key(struct mm_json *j, const void *row)
{
	const struct mm_operator *o = row;

	mm_json_str(j, "id", o->id);
	mm_json_str(j, "name", o->name);
	mm_json_str(j, "description", o->description);
	put_limits(j, o);
	mm_rest_put_time(j, "revoked", o->revoked_at);
	mm_rest_put_time(j, "used", o->used_at);
	mm_rest_put_time(j, "renewed", o->renewed_at);
	mm_rest_put_sha256(j, "next_spki_sha256", o->next_spki);
	mm_rest_put_time(j, "next_expires", o->next_expires_at);
}

static enum mm_err
answer_key(struct mm_rest *r, const char *id, struct mm_why *why)
{
	struct mm_operator o;

	MM_TRY(mm_get_operator(r->reader, id, &o, why));
	mm_json_open(&r->j, '{');
	put_key(&r->j, &o);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_whoami(struct mm_rest *r, struct mm_why *why)
{
	struct mm_operator o;

	MM_TRY(mm_get_operator(r->reader, r->login.id, &o, why));
	mm_json_open(&r->j, '{');
	put_key(&r->j, &o);
	mm_rest_put_time(&r->j, "renewable_until",
	    mm_operator_renewal_end(r->desk, &o));
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_keys(struct mm_rest *r, struct mm_why *why)
{
	struct mm_page p;

	MM_TRY(mm_page_read(r, " ", &p, why));
	return mm_page_put(r, &p, mm_list_operators, put_key, why);
}

/* ---- making ---- */

static void
put_scope(struct mm_buf *b, const char *kind, const char *names)
{
	for (size_t n; *names != '\0'; names += n + (names[n] == ',')) {
		n = strcspn(names, ",");
		mm_buf_printf(b, "%s%s%.*s", b->n > 0 ? "," : "", kind, (int)n,
		    names);
	}
}

static enum mm_err
read_certificate(const char *pem, struct mm_buf *der, struct mm_why *why)
{
	struct mm_bytes rest = mm_bytes_of(pem);

	if (rest.n == 0)
		return MM_OK;
	return mm_pem_next(&rest, "CERTIFICATE", der, NULL) == MM_OK ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "certificate: want PEM");
}

/* The stored answer lacks the key, and the name, which can be erased. */
static void
put_made(struct mm_rest *r, const struct mm_operator *row, const char *key)
{
	r->status = 201;
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "id", row->id);
	if (key[0] != '\0')
		mm_rest_put_secret(r, "key", key);
	mm_rest_put_secret(r, "name", row->name);
	mm_rest_put_secret(r, "description", row->description);
	put_limits(&r->j, row);
	mm_json_close(&r->j, '}');
}

static enum mm_err
create(struct mm_rest *r, const struct wish *w, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_buf_done) struct mm_buf scope =
	    MM_BUF_INIT(4 * MM_SCOPE_TEXT);
	struct mm_operator_spec spec = { .name = w->name,
		.description = w->description, .sources = w->sources,
		.expires_at = w->expires_at };
	struct mm_operator row;
	char text[80];

	if (w->expires_at != 0 && w->ttl_s != 0)
		return MM_FAIL(why, MM_EINPUT, "expires, ttl: want one");
	if (w->expires_at != 0 && w->expires_at <= mm_now_ms())
		return MM_FAIL(why, MM_EINPUT, "expires: want a time to come");
	if (w->ttl_s != 0)
		spec.expires_at = mm_now_ms() + w->ttl_s * 1000;
	put_scope(&scope, "product:", w->products);
	put_scope(&scope, "batch:", w->batches);
	MM_TRY(mm_buf_ok(&scope, why));
	spec.scope = mm_buf_cstr(&scope);
	MM_TRY(mm_roles_parse(w->roles, &spec.roles, why));
	MM_TRY(read_certificate(w->certificate, &der, why));
	spec.certificate = mm_buf_view(&der);
	MM_TRY(mm_desk_operator_create(r->desk, &r->login, &spec, text, &row,
	    why));
	put_made(r, &row, text);
	mm_wipe(text, sizeof(text));
	return MM_OK;
}

enum mm_err
mm_rest_key_create(struct mm_rest *r, struct mm_why *why)
{
	struct wish w = { .name = "" };

	MM_TRY(mm_rest_members(r->in, members,
	    sizeof(members) / sizeof(members[0]), &w, why));
	return create(r, &w, why);
}

/* ---- ending ---- */

enum mm_err
mm_rest_key_revoke(struct mm_rest *r, struct mm_why *why)
{
	char id[17];

	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_desk_operator_revoke(r->desk, &r->login, id, why));
	mm_scrapers_tidy(r->s->scrapers, r->reader);
	return answer_key(r, id, why);
}

enum mm_err
mm_rest_key_erase(struct mm_rest *r, struct mm_why *why)
{
	char id[17];

	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_desk_operator_erase(r->desk, &r->login, id, why));
	return answer_key(r, id, why);
}

/* ---- its own certificate's next ---- */

enum mm_err
mm_rest_key_renew(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	static const struct mm_member wants[] = {
		M("certificate", MM_M_TEXT, true, certificate),
	};
	struct wish w = { .name = "" };
	struct mm_operator row;

	MM_TRY(mm_rest_members(r->in, wants, 1, &w, why));
	MM_TRY(read_certificate(w.certificate, &der, why));
	MM_TRY(mm_desk_operator_renew(r->desk, &r->login, mm_buf_view(&der),
	    &row, why));
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "id", row.id);
	put_limits(&r->j, &row);
	mm_rest_put_time(&r->j, "renewed", row.renewed_at);
	mm_rest_put_sha256(&r->j, "next_spki_sha256", row.next_spki);
	mm_rest_put_time(&r->j, "next_expires", row.next_expires_at);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
