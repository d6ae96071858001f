#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/group.h"
#include "core/production_priv.h"

/* Groups, their members and their credentials, as documents. */

#define N(a) (sizeof(a) / sizeof((a)[0]))

const char *const mm_group_kind_words[MM_GROUP_KINDS] = {
	[MM_GROUP_CA] = "ca",
	[MM_GROUP_CERTIFICATES] = "certificates",
	[MM_GROUP_NONE] = "none",
	[MM_GROUP_CLAIM] = "claim",
};
const char *const mm_member_words[MM_MEMBER_STATES] = {
	[MM_MEMBER_NONE] = "none",
	[MM_MEMBER_LISTED] = "listed",
	[MM_MEMBER_APPROVED] = "approved",
	[MM_MEMBER_REFUSED] = "refused",
	[MM_MEMBER_ISSUED] = "issued",
};

/* ---- members of an object ---- */

static bool
text_in(const json_t *o, const char *name, char *out, size_t n)
{
	const json_t *v = json_object_get(o, name);

	return json_is_string(v) &&
	       mm_text_copy(out, n,
		   (struct mm_bytes){ (const uint8_t *)json_string_value(v),
		       json_string_length(v) });
}

/* Absent is "". */
static bool
maybe_in(const json_t *o, const char *name, char *out, size_t n)
{
	out[0] = '\0';
	return json_object_get(o, name) == NULL || text_in(o, name, out, n);
}

static bool
time_in(const json_t *o, const char *name, int64_t *out)
{
	char text[MM_TIME_TEXT];

	*out = 0;
	return json_object_get(o, name) == NULL ||
	       (text_in(o, name, text, sizeof(text)) &&
		   mm_time_parse(text, out, NULL) == MM_OK);
}

static bool
hash_in(const json_t *o, const char *name, uint8_t out[32])
{
	char hex[65];

	memset(out, 0, 32);
	return json_object_get(o, name) == NULL ||
	       (text_in(o, name, hex, sizeof(hex)) &&
		   mm_hex_parse(hex, strlen(hex), out, 32, NULL) == MM_OK);
}

static bool
word_in(const json_t *o, const char *name, const char *const *words, size_t n,
    int *out)
{
	const char *text = json_string_value(json_object_get(o, name));

	*out = text == NULL ? -1 : mm_work_word(words, n, text);
	return *out >= 0;
}

static int64_t
number_in(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static void
put_hash(struct mm_json *j, const char *name, const uint8_t v[32])
{
	if (!mm_zero(v, 32))
		mm_json_hex(j, name, (struct mm_bytes){ v, 32 });
}

static void
put_text(struct mm_json *j, const char *name, const char *v)
{
	if (v[0] != '\0')
		mm_json_str(j, name, v);
}

static enum mm_err
cannot(const char *what, const struct mm_doc *doc, struct mm_why *why)
{
	return MM_FAIL(why, MM_ESYS, "%s %.90s: its record cannot be read",
	    what, doc->id);
}

/* Appends the body; MM_ENOTFOUND, without words. */
static enum mm_err
doc_get(struct mm_store_reader *r, enum mm_doc_kind kind, const char *id,
    struct mm_doc *out, struct mm_buf *body, struct mm_why *why)
{
	enum mm_err rc;

	*out = (struct mm_doc){ .version = 0 };
	if (!mm_text_copy(out->id, sizeof(out->id), mm_bytes_of(id)))
		return MM_ENOTFOUND;
	rc = mm_get_doc(r, kind, id, &out->version, body, NULL);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	out->body = mm_buf_view(body);
	return rc;
}

/* ---- a group ---- */

/* see group.h */
bool
mm_group_id_valid(const char *id)
{
	return mm_name_valid(id) && strlen(id) <= MM_GROUP_ID_MAX;
}

/* see group.h */
void
mm_group_plan(const struct mm_group *g, struct mm_buf *out)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_str(&j, "kind", mm_group_kind_words[g->kind]);
	mm_json_str(&j, "product", g->product);
	put_text(&j, "profile", g->profile);
	put_text(&j, "range", g->range);
	mm_json_time(&j, "until", g->until_ms);
	mm_json_int(&j, "most", g->most);
	mm_json_int(&j, "conflicts", g->conflicts_most);
	mm_json_int(&j, "forgiven", g->forgiven);
	mm_json_int(&j, "waiting", g->waiting_most);
	mm_json_bool(&j, "accept_expired", g->accept_expired);
	mm_json_bool(&j, "names", g->names);
	if (g->bearer)
		mm_json_bool(&j, "bearer", true);
	if (g->legacy)
		mm_json_bool(&j, "legacy", true);
	put_text(&j, "secret", g->secret);
	mm_json_open_key(&j, "credentials", '[');
	for (size_t i = 0; i < g->ncredentials; i++)
		mm_json_hex(&j, NULL,
		    (struct mm_bytes){ g->credential[i], 32 });
	mm_json_close(&j, ']');
	if (g->closed_at != 0)
		mm_json_time(&j, "closed", g->closed_at);
	mm_json_str(&j, "note", g->note);
	mm_json_str(&j, "salt", g->salt);
	mm_json_close(&j, '}');
}

static bool
read_credentials(const json_t *list, struct mm_group *g)
{
	const json_t *v;
	size_t i;

	if (json_array_size(list) > MM_GROUP_CREDENTIALS)
		return false;
	json_array_foreach(list, i, v)
		if (!json_is_string(v) ||
		    mm_hex_parse(json_string_value(v), json_string_length(v),
			g->credential[g->ncredentials++], 32, NULL) != MM_OK)
			return false;
	return true;
}

static bool
read_plan(const json_t *plan, struct mm_group *g)
{
	g->most = number_in(plan, "most");
	g->conflicts_most = number_in(plan, "conflicts");
	g->forgiven = number_in(plan, "forgiven");
	g->waiting_most = number_in(plan, "waiting");
	g->accept_expired = json_is_true(
	    json_object_get(plan, "accept_expired"));
	g->names = json_is_true(json_object_get(plan, "names"));
	g->bearer = json_is_true(json_object_get(plan, "bearer"));
	g->legacy = json_is_true(json_object_get(plan, "legacy"));
	return word_in(plan, "kind", mm_group_kind_words, MM_GROUP_KINDS,
		   &g->kind) &&
	       text_in(plan, "product", g->product, sizeof(g->product)) &&
	       maybe_in(plan, "profile", g->profile, sizeof(g->profile)) &&
	       maybe_in(plan, "range", g->range, sizeof(g->range)) &&
	       maybe_in(plan, "secret", g->secret, sizeof(g->secret)) &&
	       time_in(plan, "until", &g->until_ms) &&
	       time_in(plan, "closed", &g->closed_at) &&
	       text_in(plan, "note", g->note, sizeof(g->note)) &&
	       text_in(plan, "salt", g->salt, sizeof(g->salt)) &&
	       read_credentials(json_object_get(plan, "credentials"), g);
}

/* see group.h */
enum mm_err
mm_group_parse(
    const struct mm_doc *doc, struct mm_group *out, struct mm_why *why)
{
	MM_OWN(mm_json_free)
	json_t *o = json_loadb((const char *)doc->body.p, doc->body.n, 0, NULL);

	memset(out, 0, sizeof(*out));
	if (!mm_text_copy(out->id, sizeof(out->id), mm_bytes_of(doc->id)) ||
	    !word_in(o, "state", mm_work_state_words, MM_WORK_STATE_COUNT,
		&out->state) ||
	    !time_in(o, "created", &out->created_at) ||
	    !read_plan(json_object_get(o, "plan"), out))
		return cannot("group", doc, why);
	out->version = doc->version;
	return MM_OK;
}

/* see group.h */
enum mm_err
mm_group_get(struct mm_store_reader *r, const char *id, struct mm_group *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	enum mm_err rc = MM_ENOTFOUND;
	struct mm_doc doc;

	if (mm_group_id_valid(id))
		rc = doc_get(r, MM_DOC_GROUP, id, &doc, &body, why);
	if (rc == MM_ENOTFOUND)
		return MM_FAIL(why, rc, "no such group");
	MM_TRY(rc);
	return mm_group_parse(&doc, out, why);
}

static const bool may_become[MM_WORK_STATE_COUNT][MM_WORK_STATE_COUNT] = {
	[MM_WORK_OPEN] = { [MM_WORK_OPEN] = true, [MM_WORK_PAUSED] = true,
	    [MM_WORK_CLOSED] = true },
	[MM_WORK_PAUSED] = { [MM_WORK_OPEN] = true, [MM_WORK_CLOSED] = true },
};

/* see group.h; an open one that its conflicts have halted is opened, too */
enum mm_err
mm_group_become(struct mm_group *g, int state, struct mm_why *why)
{
	if (!may_become[g->state][state])
		return MM_FAIL(why, MM_ECONFLICT, "group %s is %s", g->id,
		    mm_work_state_words[g->state]);
	g->state = state;
	if (state == MM_WORK_CLOSED)
		g->closed_at = mm_now_ms();
	return MM_OK;
}

static enum mm_err
count(struct mm_store_reader *r, const char *what, const char *group,
    int64_t *n, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(64);
	char id[MM_DOC_ID_MAX + 1];
	struct mm_doc doc;
	enum mm_err rc;

	snprintf(id, sizeof(id), "%s:%s", what, group);
	rc = doc_get(r, MM_DOC_COUNT, id, &doc, &body, why);
	*n = rc == MM_OK ? (int64_t)doc.version : 0;
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

/* see group.h */
enum mm_err
mm_group_counts(struct mm_store_reader *r, const struct mm_group *g,
    struct mm_group_counts *out, struct mm_why *why)
{
	char prefix[MM_GROUP_ID_MAX + 2];

	snprintf(prefix, sizeof(prefix), "%s/", g->id);
	MM_TRY(count(r, "group", g->id, &out->made, why));
	MM_TRY(count(r, "conflicts", g->id, &out->conflicts, why));
	MM_TRY(count(r, "listed", g->id, &out->listed, why));
	return mm_count_docs(r, MM_DOC_WAITING, prefix,
	    (unsigned)g->waiting_most, &out->waiting, why);
}

/* ---- a member ---- */

/* see group.h */
void
mm_member_id(const char *group, const char *device, char id[MM_DOC_ID_MAX + 1])
{
	snprintf(id, MM_DOC_ID_MAX + 1, "%s/%s", group, device);
	for (char *p = id + strlen(group); *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
}

/* see group.h */
void
mm_group_authority(
    const char *group, const char *device, char out[MM_AUTHORITY_TEXT])
{
	char id[MM_DOC_ID_MAX + 1];

	mm_member_id(group, device, id);
	snprintf(out, MM_AUTHORITY_TEXT, "%s%.*s", MM_GROUP_AUTHORITY,
	    MM_GROUP_ID_MAX + 1 + MM_DEVICE_ID_MAX, id);
}

/* see group.h */
void
mm_member_hardware(const char *device, const char *id, uint8_t out[32])
{
	static const char head[] = "mintmark group hardware\n";
	char text[sizeof(head) + 2 * MM_DEVICE_ID_MAX + 2];
	int n = snprintf(text, sizeof(text), "%s%s/", head, device);

	for (int i = 0; i < n; i++)
		text[i] = (char)tolower((unsigned char)text[i]);
	snprintf(text + n, sizeof(text) - (size_t)n, "%s", id);
	mm_sha256(mm_bytes_of(text), out);
}

/* see group.h */
void
mm_member_put(const struct mm_group_member *m, struct mm_buf *body)
{
	struct mm_json j = mm_json_over(body);

	mm_json_open(&j, '{');
	mm_json_str(&j, "device", m->device);
	mm_json_str(&j, "state", mm_member_words[m->state]);
	mm_json_time(&j, "at", m->at);
	put_text(&j, "by", m->by);
	put_hash(&j, "spki_sha256", m->spki);
	put_hash(&j, "key", m->key);
	put_hash(&j, "hardware", m->hardware);
	put_hash(&j, "certificate", m->certificate);
	put_text(&j, "address", m->address);
	put_text(&j, "note", m->note);
	put_text(&j, "salt", m->salt);
	mm_json_close(&j, '}');
}

/* see group.h */
enum mm_err
mm_member_parse(
    const struct mm_doc *doc, struct mm_group_member *out, struct mm_why *why)
{
	MM_OWN(mm_json_free)
	json_t *o = json_loadb((const char *)doc->body.p, doc->body.n, 0, NULL);

	memset(out, 0, sizeof(*out));
	if (!text_in(o, "device", out->device, sizeof(out->device)) ||
	    !word_in(o, "state", mm_member_words, MM_MEMBER_STATES,
		&out->state) ||
	    !time_in(o, "at", &out->at) ||
	    !maybe_in(o, "by", out->by, sizeof(out->by)) ||
	    !hash_in(o, "spki_sha256", out->spki) ||
	    !hash_in(o, "key", out->key) ||
	    !hash_in(o, "hardware", out->hardware) ||
	    !hash_in(o, "certificate", out->certificate) ||
	    !maybe_in(o, "address", out->address, sizeof(out->address)) ||
	    !maybe_in(o, "note", out->note, sizeof(out->note)) ||
	    !maybe_in(o, "salt", out->salt, sizeof(out->salt)))
		return cannot("member", doc, why);
	out->version = doc->version;
	return MM_OK;
}

/* see group.h */
enum mm_err
mm_member_get(struct mm_store_reader *r, const char *group,
    const char *device, struct mm_group_member *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	char id[MM_DOC_ID_MAX + 1];
	struct mm_doc doc;
	enum mm_err rc;

	mm_member_id(group, device, id);
	rc = doc_get(r, MM_DOC_MEMBER, id, &doc, &body, why);
	if (rc == MM_ENOTFOUND) {
		memset(out, 0, sizeof(*out));
		return MM_OK;
	}
	MM_TRY(rc);
	return mm_member_parse(&doc, out, why);
}

/* ---- who came ---- */

/* see group.h */
void
mm_caller_put(const struct mm_caller *c, struct mm_buf *body)
{
	struct mm_json j = mm_json_over(body);

	mm_json_open(&j, '{');
	mm_json_str(&j, "device", c->device);
	put_hash(&j, "spki_sha256", c->spki);
	put_hash(&j, "credential", c->credential);
	put_text(&j, "peer", c->peer);
	put_text(&j, "reason", c->reason);
	mm_json_time(&j, "at", c->at);
	mm_json_close(&j, '}');
}

/* see group.h */
enum mm_err
mm_caller_parse(
    const struct mm_doc *doc, struct mm_caller *out, struct mm_why *why)
{
	MM_OWN(mm_json_free)
	json_t *o = json_loadb((const char *)doc->body.p, doc->body.n, 0, NULL);

	memset(out, 0, sizeof(*out));
	if (!text_in(o, "device", out->device, sizeof(out->device)) ||
	    !hash_in(o, "spki_sha256", out->spki) ||
	    !hash_in(o, "credential", out->credential) ||
	    !maybe_in(o, "peer", out->peer, sizeof(out->peer)) ||
	    !maybe_in(o, "reason", out->reason, sizeof(out->reason)) ||
	    !time_in(o, "at", &out->at))
		return cannot("claim", doc, why);
	out->version = doc->version;
	return MM_OK;
}

/* see group.h */
enum mm_err
mm_caller_get(struct mm_store_reader *r, enum mm_doc_kind kind,
    const char *group, const char *device, struct mm_caller *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	char id[MM_DOC_ID_MAX + 1];
	struct mm_doc doc;

	mm_member_id(group, device, id);
	MM_TRY(doc_get(r, kind, id, &doc, &body, why));
	return mm_caller_parse(&doc, out, why);
}

/* ---- a credential ---- */

/* see group.h */
void
mm_credential_done(struct mm_credential *c)
{
	mm_buf_done(&c->der);
}

/* see group.h */
void
mm_credential_id(enum mm_credential_kind kind, const uint8_t sha256[32],
    char id[MM_DOC_ID_MAX + 1])
{
	static const char *const heads[MM_CREDENTIAL_KINDS] = {
		[MM_CREDENTIAL_CERT] = "cert/",
		[MM_CREDENTIAL_CA] = MM_CREDENTIAL_CAS,
		[MM_CREDENTIAL_SECRET] = MM_CREDENTIAL_SECRETS,
		[MM_CREDENTIAL_NOTHING] = MM_CREDENTIAL_NOTHINGS,
	};

	strcpy(id, heads[kind]);
	mm_hex_text(sha256, 32, id + strlen(id));
}

/* see group.h */
enum mm_err
mm_credential_parse(
    const struct mm_doc *doc, struct mm_credential *out, struct mm_why *why)
{
	MM_OWN(mm_json_free)
	json_t *o = json_loadb((const char *)doc->body.p, doc->body.n, 0, NULL);
	const json_t *list = json_object_get(o, "groups"), *v;
	const char *der = json_string_value(json_object_get(o, "certificate"));
	size_t i;

	out->n = 0;
	mm_buf_reset(&out->der);
	if (!json_is_array(list) ||
	    json_array_size(list) > MM_CREDENTIAL_GROUPS)
		return cannot("credential", doc, why);
	json_array_foreach(list, i, v)
		if (!json_is_string(v) ||
		    !mm_text_copy(out->group[out->n++], MM_GROUP_ID_MAX + 1,
			mm_bytes_of(json_string_value(v))))
			return cannot("credential", doc, why);
	if (der != NULL &&
	    mm_base64_parse(mm_bytes_of(der), &out->der, NULL) != MM_OK)
		return cannot("credential", doc, why);
	if (!hash_in(o, "crl", out->crl))
		return cannot("credential", doc, why);
	out->has_crl = !mm_zero(out->crl, 32);
	out->version = doc->version;
	return MM_OK;
}

/* see group.h */
enum mm_err
mm_credential_get(struct mm_store_reader *r, enum mm_credential_kind kind,
    const uint8_t sha256[32], struct mm_credential *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	char id[MM_DOC_ID_MAX + 1];
	struct mm_doc doc;

	mm_credential_id(kind, sha256, id);
	MM_TRY(doc_get(r, MM_DOC_CREDENTIAL, id, &doc, &body, why));
	return mm_credential_parse(&doc, out, why);
}
