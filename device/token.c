#include "mmd_codec.h"
#include "mmd_token.h"
#include "priv.h"

/*
 * Crockford base32: no I, L, O, U.  The four fields stand one after another
 * in digits, each padded with zero bits to a whole digit.
 */
static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#define ID_DIGITS     20
#define SECRET_DIGITS 32
#define ANCHOR_DIGITS 16
#define CHECK_DIGITS  4
#define ALL_DIGITS \
	(ID_DIGITS + SECRET_DIGITS + ANCHOR_DIGITS + CHECK_DIGITS)
#define CHECK_BITS 20

static int
value(uint8_t c)
{
	c = mmd_lower(c);
	if (c == 'o')
		return 0;
	if (c == 'i' || c == 'l')
		return 1;
	for (int i = 0; i < 32; i++)
		if (mmd_lower((uint8_t)digits[i]) == c)
			return i;
	return -1;
}

static bool
is_filler(uint8_t c)
{
	return c == '-' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The values of all digits after "mm1", exactly ALL_DIGITS of them. */
static enum mmd_rc
collect(struct mmd_bytes text, uint8_t v[ALL_DIGITS])
{
	size_t n = 0;

	for (; text.n > 0 && is_filler(*text.p); text.n--)
		text.p++;
	if (text.n < 3 || mmd_lower(text.p[0]) != 'm' ||
	    mmd_lower(text.p[1]) != 'm' || text.p[2] != '1')
		return MMD_EINPUT;
	for (size_t i = 3; i < text.n; i++) {
		int d = value(text.p[i]);

		if (is_filler(text.p[i]))
			continue;
		if (d < 0 || n == ALL_DIGITS)
			return MMD_EINPUT;
		v[n++] = (uint8_t)d;
	}
	return n == ALL_DIGITS ? MMD_OK : MMD_EINPUT;
}

/* n bytes from their digits; the padding bits that are left over. */
static unsigned
unpack(const uint8_t *v, uint8_t *out, size_t n)
{
	uint32_t acc = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < n; i++) {
		for (; bits < 8; bits += 5)
			acc = acc << 5 | *v++;
		bits -= 8;
		out[i] = (uint8_t)(acc >> bits);
	}
	return acc & ((1U << bits) - 1);
}

static void
pack(const uint8_t *p, size_t n, char *out)
{
	uint32_t acc = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < n; i++) {
		acc = acc << 8 | p[i];
		for (bits += 8; bits >= 5; *out++ = digits[acc >> bits & 31])
			bits -= 5;
	}
	if (bits > 0)
		*out++ = digits[acc << (5 - bits) & 31];
	*out = '\0';
}

static enum mmd_rc
check(const struct mmd_crypto *crypto, const struct mmd_token *t,
    const uint8_t v[CHECK_DIGITS])
{
	const struct mmd_bytes parts[] = {
		MMD_BYTES("mintmark token check v1"),
		{ t->id, sizeof(t->id) },
		{ t->secret, sizeof(t->secret) },
		{ t->anchor, MMD_TOKEN_ANCHOR },
	};
	uint8_t h[MMD_HASH];
	uint32_t want, have = 0;
	enum mmd_rc rc;

	rc = crypto->hash(crypto->ctx, parts, MMD_COUNT(parts), h);
	if (rc != MMD_OK)
		return rc;
	want = (uint32_t)h[0] << 12 | (uint32_t)h[1] << 4 | h[2] >> 4;
	for (size_t i = 0; i < CHECK_DIGITS; i++)
		have = have << 5 | v[i];
	return have == want ? MMD_OK : MMD_ECHECKSUM;
}

static enum mmd_rc
read_text(const struct mmd_crypto *crypto, struct mmd_bytes text,
    struct mmd_token *t)
{
	uint8_t v[ALL_DIGITS];
	const uint8_t *at = v;
	enum mmd_rc rc = collect(text, v);

	if (rc != MMD_OK)
		return rc;
	if (unpack(at, t->id, sizeof(t->id)) != 0)
		rc = MMD_EINPUT;
	at += ID_DIGITS;
	(void)unpack(at, t->secret, sizeof(t->secret));
	at += SECRET_DIGITS;
	(void)unpack(at, t->anchor, MMD_TOKEN_ANCHOR);
	at += ANCHOR_DIGITS;
	t->anchor_n = MMD_TOKEN_ANCHOR;
	if (rc == MMD_OK)
		rc = check(crypto, t, at);
	mmd_wipe(v, sizeof(v));
	return rc;
}

/* see mmd_token.h */
enum mmd_rc
mmd_token_parse_text(const struct mmd_crypto *crypto, struct mmd_bytes text,
    struct mmd_token *out)
{
	struct mmd_token t;
	enum mmd_rc rc;

	memset(&t, 0, sizeof(t));
	rc = read_text(crypto, text, &t);
	if (rc == MMD_OK)
		*out = t;
	mmd_wipe(&t, sizeof(t));
	return rc;
}

/* see mmd_token.h */
bool
mmd_token_is_test(const struct mmd_token *t)
{
	return (t->id[0] & 0x80) != 0;
}

/* see mmd_token.h */
void
mmd_token_identity(const struct mmd_token *t, char out[MMD_TOKEN_IDENTITY])
{
	memcpy(out, "mm1-", 4);
	pack(t->id, sizeof(t->id), out + 4);
}

/* see mmd_token.h */
void
mmd_token_password(const struct mmd_token *t, char out[MMD_TOKEN_PASSWORD])
{
	pack(t->secret, sizeof(t->secret), out);
}

/* RFC 5869 2.2 and 2.3; one block of output is all that is asked for. */
static enum mmd_rc
hkdf(const struct mmd_crypto *crypto, struct mmd_bytes ikm,
    struct mmd_bytes info, uint8_t out[MMD_HASH])
{
	static const uint8_t no_salt[MMD_HASH];
	const struct mmd_bytes expand[] = { info, MMD_BYTES("\x01") };
	uint8_t prk[MMD_HASH];
	enum mmd_rc rc;

	rc = crypto->hmac(crypto->ctx,
	    (struct mmd_bytes){ no_salt, sizeof(no_salt) }, &ikm, 1, prk);
	if (rc == MMD_OK)
		rc = crypto->hmac(crypto->ctx,
		    (struct mmd_bytes){ prk, sizeof(prk) }, expand,
		    MMD_COUNT(expand), out);
	mmd_wipe(prk, sizeof(prk));
	return rc;
}

/* see mmd_token.h */
enum mmd_rc
mmd_token_psk(const struct mmd_crypto *crypto, const struct mmd_token *t,
    unsigned version, uint8_t out[MMD_HASH])
{
	static const struct mmd_bytes infos[2][2] = {
		{ MMD_BYTES("mintmark token tls12 v1"),
		    MMD_BYTES("mintmark token tls13 sha256 v1") },
		{ MMD_BYTES("mintmark test token tls12 v1"),
		    MMD_BYTES("mintmark test token tls13 sha256 v1") },
	};

	if (version != 12 && version != 13)
		return MMD_EINPUT;
	return hkdf(crypto, (struct mmd_bytes){ t->secret, sizeof(t->secret) },
	    infos[mmd_token_is_test(t)][version - 12], out);
}

/* see mmd_token.h */
enum mmd_rc
mmd_token_anchor_check(const struct mmd_crypto *crypto,
    const struct mmd_token *t, struct mmd_bytes spki)
{
	uint8_t h[MMD_HASH];
	enum mmd_rc rc = crypto->hash(crypto->ctx, &spki, 1, h);

	if (rc != MMD_OK)
		return rc;
	return memcmp(h, t->anchor, t->anchor_n) == 0 ? MMD_OK : MMD_EANCHOR;
}
