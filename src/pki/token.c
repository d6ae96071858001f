#include "pki/token.h"

#include <ctype.h>
#include <string.h>

#include "base/own.h"
#include "pki/priv.h"

#define ID_DIGITS     20
#define SECRET_DIGITS 32
#define ANCHOR_DIGITS 16
#define CHECK_DIGITS  4
#define ALL_DIGITS (ID_DIGITS + SECRET_DIGITS + ANCHOR_DIGITS + CHECK_DIGITS)

/* The first 20 bits of the sum, as digits. */
static void
check_digits(const struct mm_token *t, char out[CHECK_DIGITS + 1])
{
	static const char label[] = "mintmark token check v1";
	uint8_t all[sizeof(label) - 1 + MM_TOKEN_ID_N + MM_TOKEN_SECRET_N +
	    MM_TOKEN_ANCHOR_N];
	uint8_t *p = all, sum[32];
	char text[6];

	p = mempcpy(p, label, sizeof(label) - 1);
	p = mempcpy(p, t->id, sizeof(t->id));
	p = mempcpy(p, t->secret, sizeof(t->secret));
	memcpy(p, t->anchor, sizeof(t->anchor));
	mm_sha256((struct mm_bytes){ all, sizeof(all) }, sum);
	mm_base32_text(sum, 3, text);
	memcpy(out, text, CHECK_DIGITS);
	out[CHECK_DIGITS] = '\0';
	mm_wipe(all, sizeof(all));
}

/* see token.h */
void
mm_token_id_text(const uint8_t id[MM_TOKEN_ID_N], char out[MM_TOKEN_ID_TEXT])
{
	memcpy(out, "mm1-", 4);
	mm_base32_text(id, MM_TOKEN_ID_N, out + 4);
}

/* see token.h */
void
mm_token_secret_text(const uint8_t secret[MM_TOKEN_SECRET_N], char out[33])
{
	mm_base32_text(secret, MM_TOKEN_SECRET_N, out);
}

/* see token.h */
void
mm_token_text(const struct mm_token *t, char out[MM_TOKEN_TEXT])
{
	char *p = out + MM_TOKEN_ID_TEXT - 1;

	mm_token_id_text(t->id, out);
	*p++ = '-';
	mm_base32_text(t->secret, sizeof(t->secret), p);
	p += SECRET_DIGITS;
	*p++ = '-';
	mm_base32_text(t->anchor, sizeof(t->anchor), p);
	p += ANCHOR_DIGITS;
	*p++ = '-';
	check_digits(t, p);
}

/* A person's copy without what separates the groups: exactly n digits. */
static bool
squeeze(struct mm_bytes text, char *out, size_t n)
{
	size_t have = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (memchr("- \t\r\n", text.p[i], 5) != NULL)
			continue;
		if (have == n)
			return false;
		out[have++] = (char)text.p[i];
	}
	return have == n;
}

/* As base32's parser reads a digit: either case, O as 0, I and L as 1. */
static char
fold(char c)
{
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'O')
		return '0';
	return c == 'I' || c == 'L' ? '1' : c;
}

static bool
check_holds(const struct mm_token *t, const char *typed)
{
	char want[CHECK_DIGITS + 1];

	check_digits(t, want);
	for (size_t i = 0; i < CHECK_DIGITS; i++)
		if (fold(typed[i]) != want[i])
			return false;
	return true;
}

static enum mm_err
read_digits(const char *d, struct mm_token *t, struct mm_why *why)
{
	if (mm_base32_parse(d, ID_DIGITS, t->id, MM_TOKEN_ID_N, NULL) !=
	    MM_OK || mm_base32_parse(d + ID_DIGITS, SECRET_DIGITS, t->secret,
	    MM_TOKEN_SECRET_N, NULL) != MM_OK ||
	    mm_base32_parse(d + ID_DIGITS + SECRET_DIGITS, ANCHOR_DIGITS,
	    t->anchor, MM_TOKEN_ANCHOR_N, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT,
		    "token: a digit is not Crockford base32");
	if (!check_holds(t, d + ALL_DIGITS - CHECK_DIGITS))
		return MM_FAIL(why, MM_EINPUT,
		    "token: the check digits differ: mistyped");
	return MM_OK;
}

/* see token.h */
enum mm_err
mm_token_parse(struct mm_bytes text, struct mm_token *out, struct mm_why *why)
{
	struct mm_token t;
	char d[ALL_DIGITS];
	enum mm_err rc;

	while (text.n > 0 && memchr(" \t\r\n", text.p[0], 4) != NULL) {
		text.p++;
		text.n--;
	}
	if (text.n < 3 || (text.p[0] | 0x20) != 'm' ||
	    (text.p[1] | 0x20) != 'm' || text.p[2] != '1')
		return MM_FAIL(why, MM_EINPUT, "token: does not begin with mm1");
	text.p += 3;
	text.n -= 3;
	rc = squeeze(text, d, sizeof(d)) ? read_digits(d, &t, why) :
	    MM_FAIL(why, MM_EINPUT, "token: want %d digits after mm1",
		ALL_DIGITS);
	if (rc == MM_OK)
		*out = t;
	mm_wipe(d, sizeof(d));
	mm_wipe(&t, sizeof(t));
	return rc;
}

/* see token.h */
enum mm_err
mm_token_id_parse(struct mm_bytes text, uint8_t out[MM_TOKEN_ID_N],
    struct mm_why *why)
{
	if (text.n != 4 + ID_DIGITS || memcmp(text.p, "mm1-", 4) != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "token id: want mm1- and %d digits", ID_DIGITS);
	return mm_base32_parse((const char *)text.p + 4, ID_DIGITS, out,
	    MM_TOKEN_ID_N, why);
}

/* see token.h */
enum mm_err
mm_token_secret_parse(struct mm_bytes text, uint8_t out[MM_TOKEN_SECRET_N],
    struct mm_why *why)
{
	char d[SECRET_DIGITS];
	enum mm_err rc;

	if (!squeeze(text, d, sizeof(d)))
		return MM_FAIL(why, MM_EINPUT, "token secret: want %d digits",
		    SECRET_DIGITS);
	rc = mm_base32_parse(d, sizeof(d), out, MM_TOKEN_SECRET_N, why);
	mm_wipe(d, sizeof(d));
	return rc;
}

/* see token.h */
void
mm_token_derive(struct mm_bytes master, const uint8_t id[MM_TOKEN_ID_N],
    uint8_t secret[MM_TOKEN_SECRET_N])
{
	static const char label[] = "mintmark token secret v1";
	uint8_t data[sizeof(label) - 1 + MM_TOKEN_ID_N], mac[32];

	memcpy(mempcpy(data, label, sizeof(label) - 1), id, MM_TOKEN_ID_N);
	mm_hmac_sha256(master, (struct mm_bytes){ data, sizeof(data) }, mac);
	memcpy(secret, mac, MM_TOKEN_SECRET_N);
	mm_wipe(mac, sizeof(mac));
}

/* see token.h; RFC 5869 2.2, 2.3: one block of output needs no loop */
void
mm_token_psk(const uint8_t id[MM_TOKEN_ID_N],
    const uint8_t secret[MM_TOKEN_SECRET_N], enum mm_token_use use,
    uint8_t psk[MM_TOKEN_PSK_N])
{
	/* RFC 9257 4: a key of its own for every use */
	static const char *const info[2][2] = {
		[0][MM_TOKEN_TLS13] = "mintmark token tls13 sha256 v1",
		[0][MM_TOKEN_TLS12] = "mintmark token tls12 v1",
		[1][MM_TOKEN_TLS13] = "mintmark test token tls13 sha256 v1",
		[1][MM_TOKEN_TLS12] = "mintmark test token tls12 v1",
	};
	static const uint8_t no_salt[32];
	struct mm_bytes label =
	    mm_bytes_of(info[(id[0] & MM_TOKEN_TEST) != 0][use]);
	uint8_t prk[32], data[64];

	MM_INVARIANT(label.n < sizeof(data));
	memcpy(data, label.p, label.n);
	data[label.n] = 1;
	mm_hmac_sha256((struct mm_bytes){ no_salt, sizeof(no_salt) },
	    (struct mm_bytes){ secret, MM_TOKEN_SECRET_N }, prk);
	mm_hmac_sha256((struct mm_bytes){ prk, sizeof(prk) },
	    (struct mm_bytes){ data, label.n + 1 }, psk);
	mm_wipe(prk, sizeof(prk));
}

/* ---- pairing ---- */

static void
pairing_text(const uint8_t v[5], char out[MM_PAIRING_TEXT])
{
	char digits[9];

	mm_base32_text(v, 5, digits);
	memcpy(out, digits, 4);
	out[4] = '-';
	memcpy(out + 5, digits + 4, 5);
}

/* see token.h */
void
mm_pairing_code(const char *device, const uint8_t spki_sha256[32],
    char out[MM_PAIRING_TEXT])
{
	static const char head[] = "mintmark pairing code v1\n";
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(256);
	uint8_t hash[32];

	mm_buf_text(&b, head);
	for (const char *p = device; *p != '\0'; p++)
		mm_buf_u8(&b, (uint8_t)tolower((unsigned char)*p));
	mm_buf_text(&b, "\n");
	mm_buf_put(&b, spki_sha256, 32);
	MM_INVARIANT(b.err == MM_OK);
	mm_sha256(mm_buf_view(&b), hash);
	pairing_text(hash, out);
}

/* see token.h */
enum mm_err
mm_pairing_parse(const char *text, char out[MM_PAIRING_TEXT],
    struct mm_why *why)
{
	char digits[9];
	size_t n = 0;
	uint8_t v[5];

	for (; *text != '\0' && n < sizeof(digits); text++)
		if (*text != '-' && *text != ' ')
			digits[n++] = *text;
	if (n != 8 || mm_base32_parse(digits, n, v, 5, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "code: want 8 digits, like "
		    "7K2M-Q4XD");
	pairing_text(v, out);
	return MM_OK;
}
