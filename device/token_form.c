#include "mmd_codec.h"
#include "mmd_token.h"
#include "priv.h"

/* The URI and JSON forms: a text form and what it says beside it. */

#define DEPTH_MAX 16 /* of JSON that is skipped */

static int
hex(uint8_t c)
{
	c = mmd_lower(c);
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Printable ASCII only, "%41" being "A" where asked; with a NUL. */
static enum mmd_rc
copy(struct mmd_bytes v, bool percent, char *out, size_t outn)
{
	size_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		int c = v.p[i];

		if (percent && c == '%') {
			if (v.n - i < 3 || hex(v.p[i + 1]) < 0 ||
			    hex(v.p[i + 2]) < 0)
				return MMD_EINPUT;
			c = hex(v.p[i + 1]) << 4 | hex(v.p[i + 2]);
			i += 2;
		}
		if (c <= ' ' || c > '~' || n + 1 >= outn)
			return MMD_EINPUT;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return MMD_OK;
}

/* The anchor's whole hash, which must continue the one in the text form. */
static enum mmd_rc
set_anchor(struct mmd_token *t, const uint8_t full[MMD_HASH])
{
	if (memcmp(full, t->anchor, MMD_TOKEN_ANCHOR) != 0)
		return MMD_EINPUT;
	memcpy(t->anchor, full, MMD_HASH);
	t->anchor_n = MMD_HASH;
	return MMD_OK;
}

/* RFC 4648 5, without padding: 43 characters. */
static enum mmd_rc
anchor_base64url(struct mmd_token *t, struct mmd_bytes v)
{
	struct mmd_base64 s = { 0 };
	uint8_t text[44], full[MMD_HASH];
	size_t n = 0;

	if (v.n != 43)
		return MMD_EINPUT;
	for (size_t i = 0; i < 43; i++)
		text[i] = v.p[i] == '-' ? '+' : v.p[i] == '_' ? '/'
		    : v.p[i] == '+' || v.p[i] == '/' ? '.' : v.p[i];
	text[43] = '=';
	if (mmd_base64_decode(&s, (struct mmd_bytes){ text, sizeof(text) },
	    full, sizeof(full), &n) != MMD_OK || n != sizeof(full))
		return MMD_EINPUT;
	return set_anchor(t, full);
}

static enum mmd_rc
anchor_hex(struct mmd_token *t, struct mmd_bytes v)
{
	uint8_t full[MMD_HASH];

	if (v.n != 2 * MMD_HASH)
		return MMD_EINPUT;
	for (size_t i = 0; i < MMD_HASH; i++) {
		int hi = hex(v.p[2 * i]), lo = hex(v.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return MMD_EINPUT;
		full[i] = (uint8_t)(hi << 4 | lo);
	}
	return set_anchor(t, full);
}

/* v up to the first c; what follows c stays in *rest. */
static struct mmd_bytes
cut(struct mmd_bytes *rest, uint8_t c)
{
	struct mmd_bytes v = { rest->p, 0 };

	while (v.n < rest->n && v.p[v.n] != c)
		v.n++;
	rest->p += v.n;
	rest->n -= v.n;
	if (rest->n > 0) {
		rest->p++;
		rest->n--;
	}
	return v;
}

static struct mmd_bytes
trim_end(struct mmd_bytes v)
{
	while (v.n > 0 && (v.p[v.n - 1] == '\n' || v.p[v.n - 1] == '\r' ||
	    v.p[v.n - 1] == ' '))
		v.n--;
	return v;
}

/* mintmark:<text>?s=<host>:<port>&a=<hash>, in any order. */
static enum mmd_rc
parse_uri(const struct mmd_crypto *crypto, struct mmd_bytes uri,
    struct mmd_token *t)
{
	struct mmd_bytes rest = trim_end(uri);
	enum mmd_rc rc;

	(void)cut(&rest, ':');
	rc = mmd_token_parse_text(crypto, cut(&rest, '?'), t);
	while (rc == MMD_OK && rest.n > 0) {
		struct mmd_bytes v = cut(&rest, '&');
		struct mmd_bytes key = cut(&v, '=');

		if (mmd_bytes_eq(key, MMD_TEXT("s")))
			rc = copy(v, true, t->server, sizeof(t->server));
		else if (mmd_bytes_eq(key, MMD_TEXT("a")))
			rc = anchor_base64url(t, v);
	}
	return rc;
}

static void
skip_space(struct mmd_bytes *r)
{
	while (r->n > 0 && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r' ||
	    *r->p == '\n')) {
		r->p++;
		r->n--;
	}
}

static bool
eat(struct mmd_bytes *r, uint8_t c)
{
	skip_space(r);
	if (r->n == 0 || *r->p != c)
		return false;
	r->p++;
	r->n--;
	return true;
}

/* A string's characters as they stand, escapes included. */
static enum mmd_rc
json_string(struct mmd_bytes *r, struct mmd_bytes *v)
{
	size_t n = 0;

	if (!eat(r, '"'))
		return MMD_EINPUT;
	while (n < r->n && r->p[n] != '"') {
		if (r->p[n] < ' ')
			return MMD_EINPUT;
		n += r->p[n] == '\\' ? 2 : 1;
	}
	if (n >= r->n)
		return MMD_EINPUT;
	*v = (struct mmd_bytes){ r->p, n };
	r->p += n + 1;
	r->n -= n + 1;
	return MMD_OK;
}

/* Any value, to the comma or brace after it; only its extent is read. */
static enum mmd_rc
json_skip(struct mmd_bytes *r)
{
	struct mmd_bytes ignored;
	unsigned depth = 0;

	for (;;) {
		skip_space(r);
		if (r->n == 0)
			return MMD_EINPUT;
		if (*r->p == '"') {
			if (json_string(r, &ignored) != MMD_OK)
				return MMD_EINPUT;
			continue;
		}
		if (depth == 0 && (*r->p == ',' || *r->p == '}'))
			return MMD_OK;
		if (*r->p == '{' || *r->p == '[')
			depth++;
		else if ((*r->p == '}' || *r->p == ']') && depth-- == 0)
			return MMD_EINPUT;
		if (depth > DEPTH_MAX)
			return MMD_EINPUT;
		r->p++;
		r->n--;
	}
}

enum member { TOKEN, SERVER, ANCHOR, DEVICE, MEMBERS };

static const struct mmd_bytes members[MEMBERS] = {
	[TOKEN] = MMD_BYTES("token"),
	[SERVER] = MMD_BYTES("server"),
	[ANCHOR] = MMD_BYTES("anchor_sha256"),
	[DEVICE] = MMD_BYTES("device"),
};

/* One member; a known one twice is refused, since parsers differ there. */
static enum mmd_rc
json_member(struct mmd_bytes *r, struct mmd_bytes found[MEMBERS])
{
	struct mmd_bytes key;
	size_t i = 0;

	if (json_string(r, &key) != MMD_OK || !eat(r, ':'))
		return MMD_EINPUT;
	while (i < MEMBERS && !mmd_bytes_eq(key, members[i]))
		i++;
	if (i == MEMBERS)
		return json_skip(r);
	return found[i].p != NULL ? MMD_EINPUT : json_string(r, &found[i]);
}

static enum mmd_rc
json_object(struct mmd_bytes *r, struct mmd_bytes found[MEMBERS])
{
	if (!eat(r, '{'))
		return MMD_EINPUT;
	do {
		if (json_member(r, found) != MMD_OK)
			return MMD_EINPUT;
	} while (eat(r, ','));
	if (!eat(r, '}'))
		return MMD_EINPUT;
	skip_space(r);
	return r->n == 0 ? MMD_OK : MMD_EINPUT;
}

static enum mmd_rc
parse_json(const struct mmd_crypto *crypto, struct mmd_bytes json,
    struct mmd_token *t)
{
	struct mmd_bytes found[MEMBERS] = { { NULL, 0 } };
	enum mmd_rc rc = json_object(&json, found);

	if (rc == MMD_OK)
		rc = mmd_token_parse_text(crypto, found[TOKEN], t);
	if (rc == MMD_OK && found[ANCHOR].p != NULL)
		rc = anchor_hex(t, found[ANCHOR]);
	if (rc == MMD_OK)
		rc = copy(found[SERVER], false, t->server, sizeof(t->server));
	if (rc == MMD_OK)
		rc = copy(found[DEVICE], false, t->device, sizeof(t->device));
	return rc;
}

static enum mmd_rc
parse_any(const struct mmd_crypto *crypto, struct mmd_bytes text,
    struct mmd_token *t)
{
	static const char scheme[] = "mintmark:";
	size_t n = 0;

	skip_space(&text);
	if (text.n > 0 && *text.p == '{')
		return parse_json(crypto, text, t);
	while (n < text.n && n < sizeof(scheme) - 1 &&
	    mmd_lower(text.p[n]) == (uint8_t)scheme[n])
		n++;
	if (n == sizeof(scheme) - 1)
		return parse_uri(crypto, text, t);
	return mmd_token_parse_text(crypto, text, t);
}

/* see mmd_token.h */
enum mmd_rc
mmd_token_parse(const struct mmd_crypto *crypto, struct mmd_bytes text,
    struct mmd_token *out)
{
	struct mmd_token t;
	enum mmd_rc rc = parse_any(crypto, text, &t);

	if (rc == MMD_OK)
		*out = t;
	mmd_wipe(&t, sizeof(t));
	return rc;
}
