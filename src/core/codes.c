#include "core/codes.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "core/production_priv.h"

enum { BODY_MAX = 256, LABEL_N = sizeof("mintmark code v1") - 1 };

/* see codes.h */
bool
mm_code_valid(struct mm_bytes code)
{
	if (code.n < MM_CODE_MIN || code.n > MM_CODE_MAX)
		return false;
	for (size_t i = 0; i < code.n; i++)
		if (code.p[i] <= ' ' || code.p[i] > '~')
			return false;
	return true;
}

/* HMAC-SHA256(salt, label || code), as much as a secret has; covers and
 * uncovers. */
static void
cover(const uint8_t salt[16], const char *code,
    const uint8_t in[MM_TOKEN_SECRET_N], uint8_t out[MM_TOKEN_SECRET_N])
{
	uint8_t text[LABEL_N + MM_CODE_MAX], pad[32];
	size_t n = strlen(code);

	memcpy(text, "mintmark code v1", LABEL_N);
	memcpy(text + LABEL_N, code, n);
	mm_hmac_sha256((struct mm_bytes){ salt, 16 },
	    (struct mm_bytes){ text, LABEL_N + n }, pad);
	for (size_t i = 0; i < MM_TOKEN_SECRET_N; i++)
		out[i] = in[i] ^ pad[i];
	mm_wipe(text, sizeof(text));
	mm_wipe(pad, sizeof(pad));
}

/* Devices are the same without case. */
static void
name_of(const char *device, char id[MM_DOC_ID_MAX + 1])
{
	size_t i = 0;

	for (; device[i] != '\0'; i++)
		id[i] = (char)(device[i] >= 'A' && device[i] <= 'Z'
		    ? device[i] + 32 : device[i]);
	id[i] = '\0';
}

static enum mm_err
parse(struct mm_bytes body, struct mm_code *out, struct mm_why *why)
{
	MM_OWN(mm_json_free)
	json_t *o = json_loadb((const char *)body.p, body.n, 0, NULL);
	const char *token, *salt, *covered;

	if (json_unpack(o, "{s:s,s:s,s:s}", "token", &token, "salt", &salt,
		"covered", &covered) != 0 ||
	    !mm_text_copy(out->token, sizeof(out->token),
		mm_bytes_of(token)) ||
	    mm_hex_parse(salt, strlen(salt), out->salt, sizeof(out->salt),
		NULL) != MM_OK ||
	    mm_hex_parse(covered, strlen(covered), out->covered,
		sizeof(out->covered), NULL) != MM_OK)
		return MM_FAIL(why, MM_ESYS, "a code's record cannot be read");
	return MM_OK;
}

/* see codes.h */
enum mm_err
mm_code_get(struct mm_store_reader *r, const char *device,
    struct mm_code *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(BODY_MAX);
	char id[MM_DOC_ID_MAX + 1];
	enum mm_err rc;

	name_of(device, id);
	rc = mm_get_doc(r, MM_DOC_CODE, id, &out->version, &body, NULL);
	if (rc == MM_ENOTFOUND)
		return rc;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	return parse(mm_buf_view(&body), out, why);
}

/* see codes.h */
enum mm_err
mm_code_put(struct mm_code *c, const char *device, const char *code,
    const uint8_t secret[MM_TOKEN_SECRET_N], struct mm_buf *body,
    struct mm_op_doc *out, struct mm_why *why)
{
	struct mm_json j = mm_json_over(body);

	MM_TRY(mm_salt_make(c->salt, why));
	cover(c->salt, code, secret, c->covered);
	mm_json_open(&j, '{');
	mm_json_str(&j, "token", c->token);
	mm_json_hex(&j, "salt", (struct mm_bytes){ c->salt,
	    sizeof(c->salt) });
	mm_json_hex(&j, "covered", (struct mm_bytes){ c->covered,
	    sizeof(c->covered) });
	mm_json_close(&j, '}');
	MM_TRY(mm_buf_ok(body, why));
	*out = (struct mm_op_doc){ .kind = MM_DOC_CODE,
		.expect = c->version, .body = mm_buf_view(body) };
	name_of(device, out->id);
	return MM_OK;
}

/* see codes.h */
void
mm_code_uncover(const struct mm_code *c, const char *code,
    uint8_t secret[MM_TOKEN_SECRET_N])
{
	cover(c->salt, code, c->covered, secret);
}

/* ---- who comes with one ---- */

/* No signer has made a token of that version. */
static void
nobodys(struct mm_authority *a)
{
	char name[MM_DOC_ID_MAX + 1];
	uint8_t hash[32];

	name_of(a->device, name);
	mm_sha256(mm_bytes_of(name), hash);
	hash[0] = 0x7f;
	mm_token_id_text(hash, a->token);
}

/* see codes.h */
enum mm_err
mm_code_open(struct mm_store_reader *r, struct mm_authority *a,
    struct mm_why *why)
{
	struct mm_code c = { .version = 0 };
	enum mm_err rc = mm_code_get(r, a->device, &c, why);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return rc;
	if (rc == MM_OK)
		memcpy(a->token, c.token, sizeof(a->token));
	else
		nobodys(a);
	cover(c.salt, a->code, c.covered, a->secret);
	mm_wipe(a->code, sizeof(a->code));
	return MM_OK;
}

/* ---- wrong ones ---- */

/*
 * Sets of a few, by a hash that is made anew at each start.  A newcomer takes
 * the place of the one with the fewest tries; what that loses, the count of
 * all has.
 */
enum { SETS = 1024, WAYS = 4 };
struct tried {
	char token[MM_TOKEN_ID_TEXT];
	unsigned n;
	int64_t at_s; /* of which n is */
};
struct mm_guesses {
	uint8_t salt[16];
	struct tried all;
	struct tried place[SETS][WAYS];
};

/* see codes.h */
enum mm_err
mm_guesses_new(struct mm_guesses **out, struct mm_why *why)
{
	struct mm_guesses *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	if (mm_salt_make(g->salt, why) != MM_OK) {
		free(g);
		return MM_ECRYPTO;
	}
	*out = g;
	return MM_OK;
}

/* see codes.h */
void
mm_guesses_free(struct mm_guesses **owner)
{
	free(*owner);
	*owner = NULL;
}

static struct tried *
set_of(struct mm_guesses *g, const char *token)
{
	uint8_t hash[32];

	mm_sha256_2((struct mm_bytes){ g->salt, sizeof(g->salt) },
	    mm_bytes_of(token), hash);
	return g->place[(hash[0] << 8 | hash[1]) % SETS];
}

/* One is forgotten each time that every_s has gone by. */
static void
forget(struct tried *t, int64_t now_s, int64_t every_s)
{
	int64_t steps = (now_s - t->at_s) / every_s;

	if (now_s < t->at_s || t->n == 0) /* the clock was set back */
		t->at_s = now_s;
	else if (steps > 0) {
		t->n = steps < t->n ? t->n - (unsigned)steps : 0;
		t->at_s += steps * every_s;
	}
}

static struct tried *
find(struct mm_guesses *g, const char *token)
{
	struct tried *t = set_of(g, token);

	for (unsigned i = 0; i < WAYS; i++, t++)
		if (t->n > 0 && strcmp(t->token, token) == 0)
			return t;
	return NULL;
}

static struct tried *
newcomer(struct mm_guesses *g, const char *token, int64_t now_s)
{
	struct tried *t = set_of(g, token), *least = t;

	for (unsigned i = 0; i < WAYS; i++, t++) {
		forget(t, now_s, MM_CODE_EVERY_S);
		if (t->n < least->n)
			least = t;
	}
	*least = (struct tried){ .at_s = now_s };
	strcpy(least->token, token);
	return least;
}

static bool
has_room(struct tried *t, unsigned most, int64_t every_s, int64_t now_s,
    unsigned *wait_s)
{
	forget(t, now_s, every_s);
	if (t->n < most)
		return true;
	*wait_s = (unsigned)(t->at_s + every_s - now_s);
	return false;
}

/* see codes.h */
bool
mm_guesses_take(struct mm_guesses *g, const char *token, int64_t now_s,
    unsigned *wait_s)
{
	struct tried *t = find(g, token);

	if (t == NULL)
		t = newcomer(g, token, now_s);
	if (!has_room(t, MM_CODE_TRIES, MM_CODE_EVERY_S, now_s, wait_s) ||
	    !has_room(&g->all, MM_CODE_ALL, MM_CODE_ALL_EVERY_S, now_s,
	    wait_s))
		return false;
	t->n++;
	g->all.n++;
	return true;
}

/* see codes.h */
void
mm_guesses_back(struct mm_guesses *g, const char *token)
{
	struct tried *t = find(g, token);

	if (t != NULL)
		t->n--;
	if (g->all.n > 0)
		g->all.n--;
}
