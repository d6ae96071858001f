#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/secret.h"
#include "base/text.h"
#include "core/codes.h"
#include "core/production.h"
#include "server/attempts.h"
#include "server/rest.h"

/* Tokens: the secret is in the answer to POST and nowhere else. */

enum { BULK_MAX = 1000, URI_MAX = 512 };

/* What a caller says about a token. */
struct wish {
	struct mm_token_spec spec;
	char door[12];
	char code[MM_CODE_MAX + 2]; /* one that is too long is seen */
};
#define M(name, type, must, field)                                   \
	{ name, type, must, offsetof(struct wish, field),            \
	    sizeof(((struct wish *)0)->field) }

static const struct mm_member members[] = {
	M("device", MM_M_DEVICE, true, spec.device),
	M("product", MM_M_NAME, false, spec.product),
	M("profile", MM_M_NAME, false, spec.profile),
	M("ttl", MM_M_DURATION, false, spec.ttl_s),
	M("not_before", MM_M_TIME, false, spec.not_before_at),
	M("door", MM_M_TEXT, false, door),
	M("bound_spki_sha256", MM_M_SHA256, false, spec.bound_spki),
	M("code", MM_M_TEXT, false, code),
};

#undef M

static void
wish_wipe(struct wish *w)
{
	mm_wipe(w, sizeof(*w));
}

/* A code that is on a label opens the compatible door alone. */
static enum mm_err
read_code(const json_t *in, struct wish *w, struct mm_why *why)
{
	if (json_object_get(in, "code") == NULL)
		return MM_OK;
	if (w->door[0] != '\0' && strcmp(w->door, "bearer") != 0)
		return MM_FAIL(why, MM_EINPUT, "code: its door is \"bearer\"");
	if (!mm_code_valid(mm_bytes_of(w->code)))
		return MM_FAIL(why, MM_EINPUT, "code: want %d to %d printable "
		    "ASCII characters and no space", MM_CODE_MIN,
		    MM_CODE_MAX);
	strcpy(w->door, "bearer");
	strcpy(w->spec.code, w->code);
	return MM_OK;
}

static enum mm_err
read_spec(json_t *in, struct mm_token_spec *out, struct mm_why *why)
{
	MM_OWN(wish_wipe) struct wish w = { 0 };

	MM_TRY(mm_rest_members(in, members,
	    sizeof(members) / sizeof(members[0]), &w, why));
	MM_TRY(read_code(in, &w, why));
	/* Nothing given is the preset; nothing asked for is not. */
	if (w.spec.ttl_s == 0 && json_object_get(in, "ttl") != NULL)
		return MM_FAIL(why, MM_EINPUT, "ttl: 1 second to 10 years");
	w.spec.bearer = strcmp(w.door, "bearer") == 0;
	if (w.door[0] != '\0' && !w.spec.bearer &&
	    strcmp(w.door, "handshake") != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "door: want \"handshake\" or \"bearer\"");
	*out = w.spec;
	return MM_OK;
}

/* ---- answers ---- */

/* What devices connect to: host and port of devices_url. */
static const char *
server_name(const struct mm_rest *r)
{
	return r->s->config->set.devices_url + strlen("https://");
}

/* "mintmark:<token>?s=<host>:<port>&a=<base64url of the anchor's hash>" */
static void
put_uri(struct mm_rest *r, const char *token, const uint8_t anchor[32])
{
	struct mm_buf uri = MM_BUF_INIT(URI_MAX);
	const char *text;

	mm_buf_printf(&uri, "mintmark:%s?s=%s&a=", token, server_name(r));
	mm_base64url_put(&uri, (struct mm_bytes){ anchor, 32 });
	text = mm_buf_cstr(&uri);
	mm_rest_put_secret(r, "uri", text != NULL ? text : "");
	mm_buf_wipe(&uri);
}

static void
put_made(struct mm_rest *r, const struct mm_token_spec *spec,
    const struct mm_token_made *made)
{
	uint8_t anchor[32];

	mm_tls_anchor(r->s->tls, anchor);
	mm_json_str(&r->j, "id", made->id);
	if (spec->code[0] == '\0')
		mm_rest_put_secret(r, "token", made->text);
	mm_json_str(&r->j, "device", spec->device);
	mm_rest_put_time(&r->j, "expires", made->expires_at);
	mm_json_str(&r->j, "door", spec->bearer ? "bearer" : "handshake");
	if (spec->code[0] == '\0')
		put_uri(r, made->text, anchor);
	mm_json_str(&r->j, "server", server_name(r));
	mm_json_hex(&r->j, "anchor_sha256",
	    (struct mm_bytes){ anchor, sizeof(anchor) });
}

static void
put_error(struct mm_rest *r, const struct mm_token_spec *spec,
    const struct mm_token_made *made)
{
	struct mm_http_resp resp = { 0 };

	mm_http_problem(&resp, mm_err_http(made->result),
	    mm_err_slug(made->result), made->why.text,
	    mm_reason_text(made->reason), r->req->id);
	mm_json_str(&r->j, "device", spec->device);
	mm_json_raw(&r->j, "error", mm_buf_view(&resp.body));
	mm_buf_done(&resp.body);
}

/* ---- minting ---- */

struct bulk {
	struct mm_token_spec *spec;
	struct mm_token_made *made;
	size_t n;
};

static void
bulk_done(struct bulk *b)
{
	if (b->made != NULL)
		mm_wipe(b->made, b->n * sizeof(*b->made));
	if (b->spec != NULL)
		mm_wipe(b->spec, b->n * sizeof(*b->spec));
	free(b->made);
	free(b->spec);
}

static enum mm_err
bulk_room(struct bulk *b, size_t n, struct mm_why *why)
{
	if (n < 1 || n > BULK_MAX)
		return MM_FAIL(why, MM_EINPUT, "tokens: want 1 to %d",
		    BULK_MAX);
	b->spec = calloc(n, sizeof(*b->spec));
	b->made = calloc(n, sizeof(*b->made));
	b->n = n;
	return b->spec != NULL && b->made != NULL ? MM_OK
	    : MM_FAIL(why, MM_ENOMEM, "out of memory");
}

/* What a device could ask about afterwards: why it has no token. */
static void
note_refusals(struct mm_rest *r, const struct bulk *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->made[i].reason != MM_R_NONE)
			mm_attempts_note(r->s->attempts, &(struct mm_attempt){
			    .door = MM_DOOR_REST, .reason = b->made[i].reason,
			    .device = b->spec[i].device,
			    .peer = &r->req->peer,
			    .text = b->made[i].why.text });
}

static enum mm_err
mint(struct mm_rest *r, struct bulk *b, struct mm_why *why)
{
	for (size_t i = 0; i < b->n; i++)
		b->made[i].result = MM_EAGAIN;
	MM_TRY(mm_desk_tokens_mint(r->desk, &r->login, b->spec, b->n, b->made,
	    why));
	note_refusals(r, b);
	for (size_t i = 0; i < b->n; i++)
		r->minted += b->made[i].result == MM_OK;
	return MM_OK;
}

static enum mm_err
mint_one(struct mm_rest *r, struct bulk *b, struct mm_why *why)
{
	MM_TRY(mint(r, b, why));
	if (b->made[0].result != MM_OK) {
		r->reason = b->made[0].reason;
		*why = b->made[0].why;
		return b->made[0].result;
	}
	mm_json_open(&r->j, '{');
	put_made(r, &b->spec[0], &b->made[0]);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

static enum mm_err
create_one(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(bulk_done) struct bulk b = { 0 };

	MM_TRY(bulk_room(&b, 1, why));
	MM_TRY(read_spec(r->in, &b.spec[0], why));
	return mint_one(r, &b, why);
}

static enum mm_err
create_many(struct mm_rest *r, const json_t *list, struct mm_why *why)
{
	MM_OWN(bulk_done) struct bulk b = { 0 };

	if (!json_is_array(list) || json_object_size(r->in) != 1)
		return MM_FAIL(why, MM_EINPUT, "tokens: want a list alone");
	MM_TRY(bulk_room(&b, json_array_size(list), why));
	for (size_t i = 0; i < b.n; i++) {
		if (!json_is_object(json_array_get(list, i)))
			return MM_FAIL(why, MM_EINPUT,
			    "tokens[%zu]: want an object", i);
		MM_TRY(read_spec(json_array_get(list, i), &b.spec[i], why));
	}
	MM_TRY(mint(r, &b, why));
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	for (size_t i = 0; i < b.n; i++) {
		mm_json_open(&r->j, '{');
		if (b.made[i].result == MM_OK)
			put_made(r, &b.spec[i], &b.made[i]);
		else
			put_error(r, &b.spec[i], &b.made[i]);
		mm_json_close(&r->j, '}');
	}
	mm_json_close(&r->j, ']');
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* A station's units count in its batches; a token would count nowhere. */
static enum mm_err
not_a_stations(struct mm_rest *r, struct mm_why *why)
{
	struct mm_station s;
	enum mm_err rc = mm_station_of_key(r->reader, r->login.id, &s, NULL);

	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	return MM_FAIL(why, MM_EPOLICY, "the credential is station %s's: it "
	    "mints no tokens", s.id);
}

enum mm_err
mm_rest_token_create(struct mm_rest *r, struct mm_why *why)
{
	const json_t *list = json_object_get(r->in, "tokens");

	MM_TRY(not_a_stations(r, why));
	r->status = 201;
	return list != NULL ? create_many(r, list, why) : create_one(r, why);
}

/* ---- minting again ---- */

struct again_wish {
	char reason[MM_NAME_MAX + 1];
	int64_t ttl_s;
};
static const struct mm_member again_members[] = {
	{ "reason", MM_M_NAME, false, offsetof(struct again_wish, reason),
	    MM_NAME_MAX + 1 },
	{ "ttl", MM_M_DURATION, false, offsetof(struct again_wish, ttl_s),
	    sizeof(int64_t) },
};

/* What was lost, ran out or was cancelled before anybody came with it. */
static enum mm_err
may_again(struct mm_rest *r, const struct mm_token_row *t,
    struct mm_why *why)
{
	char authority[MM_AUTHORITY_TEXT] = "token:";
	struct mm_claim claim;
	enum mm_err rc;

	strcat(authority, t->id);
	rc = mm_get_claim(r->reader, authority, &claim, NULL);
	if (rc == MM_OK)
		return MM_FAIL(why, MM_ECONFLICT, "token %s: a device has "
		    "claimed it: make another one", t->id);
	return rc == MM_ENOTFOUND ? MM_OK :
	    MM_FAIL(why, rc, "the store cannot be read");
}

/* The old one is cancelled first: never are two of them good. */
enum mm_err
mm_rest_token_remint(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(bulk_done) struct bulk b = { 0 };
	struct again_wish in = { .ttl_s = 0 };
	char id[MM_TOKEN_ID_TEXT];
	struct mm_token_row t;

	MM_TRY(not_a_stations(r, why));
	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_rest_members(r->in, again_members, 2, &in, why));
	MM_TRY(mm_get_token(r->reader, id, &t, why));
	MM_TRY(may_again(r, &t, why));
	MM_TRY(bulk_room(&b, 1, why));
	strcpy(b.spec[0].device, t.device);
	strcpy(b.spec[0].profile, t.profile);
	b.spec[0].ttl_s = in.ttl_s;
	b.spec[0].bearer = t.bearer;
	memcpy(b.spec[0].bound_spki, t.bound_spki, 32);
	MM_TRY(mm_desk_token_cancel(r->desk, &r->login, id, in.reason, why));
	r->status = 201;
	return mint_one(r, &b, why);
}

/* ---- rows ---- */

static void
put_token(struct mm_json *j, const void *row)
{
	const struct mm_token_row *t = row;

	mm_json_str(j, "id", t->id);
	mm_json_str(j, "device", t->device);
	mm_json_str(j, "product", t->product);
	mm_json_str(j, "profile", t->profile);
	mm_json_str(j, "state", mm_token_state_name(t->state));
	mm_json_str(j, "door", t->bearer ? "bearer" : "handshake");
	mm_rest_put_time(j, "created", t->created_at);
	mm_rest_put_time(j, "not_before", t->not_before_at);
	mm_rest_put_time(j, "expires", t->expires_at);
	mm_rest_put_sha256(j, "bound_spki_sha256", t->bound_spki);
}

static const char *
state_name(unsigned i)
{
	return mm_token_state_name((enum mm_token_state)i);
}

enum mm_err
mm_rest_tokens(struct mm_rest *r, struct mm_why *why)
{
	struct mm_page p;

	MM_TRY(mm_page_read(r, " device product profile state ", &p, why));
	MM_TRY(mm_page_state(r, &p.list.state, state_name, MM_TOKEN_STATES,
	    why));
	return mm_page_put(r, &p, mm_list_tokens, put_token, why);
}

static enum mm_err
answer_token(struct mm_rest *r, const char *id, struct mm_why *why)
{
	struct mm_token_row t;

	MM_TRY(mm_get_token(r->reader, id, &t, why));
	mm_json_open(&r->j, '{');
	put_token(&r->j, &t);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_token(struct mm_rest *r, struct mm_why *why)
{
	char id[MM_TOKEN_ID_TEXT];

	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	return answer_token(r, id, why);
}

struct change_wish {
	char reason[MM_NAME_MAX + 1];
	bool keep;
	uint8_t spki[32];
};
#define M(name, type, field)                                      \
	{ name, type, false, offsetof(struct change_wish, field), \
	    sizeof(((struct change_wish *)0)->field) }
static const struct mm_member change_members[] = {
	M("reason", MM_M_NAME, reason),
	M("keep", MM_M_BOOL, keep), /* this and below: of thawing */
	M("rebind_spki_sha256", MM_M_SHA256, spki),
};
#undef M

enum mm_err
mm_rest_token_cancel(struct mm_rest *r, struct mm_why *why)
{
	struct change_wish in = { .keep = false };
	char id[MM_TOKEN_ID_TEXT];

	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_rest_members(r->in, change_members, 1, &in, why));
	MM_TRY(mm_desk_token_cancel(r->desk, &r->login, id, in.reason, why));
	return answer_token(r, id, why);
}

/* {"keep":true}: the first key stays; else the named key may come. */
enum mm_err
mm_rest_token_thaw(struct mm_rest *r, struct mm_why *why)
{
	static const uint8_t none[32];
	struct change_wish in = { .keep = false };
	char id[MM_TOKEN_ID_TEXT];
	bool rebind;

	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_rest_members(r->in, change_members, 3, &in, why));
	rebind = memcmp(in.spki, none, sizeof(none)) != 0;
	if (in.keep == rebind)
		return MM_FAIL(why, MM_EINPUT, "want either \"keep\":true or "
		    "\"rebind_spki_sha256\"");
	MM_TRY(mm_desk_token_thaw(r->desk, &r->login, id,
	    rebind ? in.spki : NULL, in.reason, why));
	return answer_token(r, id, why);
}
