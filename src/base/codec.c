#include "base/text.h"

#include <string.h>

/* Bytes from 0x80 up have no entry in any table below. */
#define TABLE  128
#define BAD    0xff
#define PAD    0xfe
#define SPACE  0xfd
#define STRICT 0x40 /* a digit of base64 only */
#define URL    0x80 /* a digit of base64url only */

static const uint8_t hex_values[TABLE] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
	0x07, 0x08, 0x09, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a,
	0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a, 0x0b,
	0x0c, 0x0d, 0x0e, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};

/* A digit's value, with STRICT or URL where the two alphabets differ. */
static const uint8_t base64_values[TABLE] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfd, 0xfd,
	0xff, 0xff, 0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfd,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7e,
	0xff, 0xbe, 0xff, 0x7f, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a,
	0x3b, 0x3c, 0x3d, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0x00,
	0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
	0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16,
	0x17, 0x18, 0x19, 0xff, 0xff, 0xff, 0xff, 0xbf, 0xff, 0x1a, 0x1b,
	0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26,
	0x27, 0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f, 0x30, 0x31,
	0x32, 0x33, 0xff, 0xff, 0xff, 0xff, 0xff,
};

static const uint8_t base32_values[TABLE] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
	0x07, 0x08, 0x09, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a,
	0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x01, 0x12, 0x13, 0x01,
	0x14, 0x15, 0x00, 0x16, 0x17, 0x18, 0x19, 0x1a, 0xff, 0x1b, 0x1c,
	0x1d, 0x1e, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a, 0x0b,
	0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x01, 0x12, 0x13, 0x01, 0x14,
	0x15, 0x00, 0x16, 0x17, 0x18, 0x19, 0x1a, 0xff, 0x1b, 0x1c, 0x1d,
	0x1e, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff,
};

static const char hex_digits[] = "0123456789abcdef";
static const char base32_digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz"
				       "0123456789-_";

static inline uint8_t
look(const uint8_t table[TABLE], uint8_t c)
{
	/* Without a branch: a byte with its top bit set becomes BAD. */
	return table[c & (TABLE - 1)] | (uint8_t)-(c >> 7);
}

/* see text.h */
void
mm_hex_text(const uint8_t *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++) {
		*out++ = hex_digits[p[i] >> 4];
		*out++ = hex_digits[p[i] & 15];
	}
	*out = '\0';
}

/* see text.h */
void
mm_hex_put(struct mm_buf *b, struct mm_bytes v)
{
	/* A buffer always keeps a byte for a NUL behind its end. */
	uint8_t *room = mm_buf_room(b, v.n > SIZE_MAX / 2 ? SIZE_MAX : v.n * 2);

	if (room != NULL)
		mm_hex_text(v.p, v.n, (char *)room);
}

/* see text.h */
enum mm_err
mm_hex_parse(const char *s, size_t slen, uint8_t *out, size_t n,
    struct mm_why *why)
{
	uint8_t seen = 0;

	if (slen / 2 != n || slen % 2 != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "hex: %zu characters, want %zu", slen, n * 2);
	for (size_t i = 0; i < slen; i++)
		seen |= look(hex_values, (uint8_t)s[i]);
	if (seen > 15)
		return MM_FAIL(why, MM_EINPUT, "hex: not a digit");
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(hex_values[(uint8_t)s[2 * i]] << 4 |
		    hex_values[(uint8_t)s[2 * i + 1]]);
	return MM_OK;
}

/* n is 1 to 3 bytes; gives n + 1 digits. */
static char *
put_group(char *out, const uint8_t *p, size_t n, const char *digits)
{
	uint32_t v = (uint32_t)p[0] << 16 |
	    (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);

	for (size_t i = 0; i <= n; i++)
		*out++ = digits[v >> (18 - 6 * i) & 63];
	return out;
}

static char *
put_line(char *out, struct mm_bytes v)
{
	size_t i = 0;

	for (; v.n - i >= 3; i += 3)
		out = put_group(out, v.p + i, 3, base64_digits);
	if (i == v.n)
		return out;
	out = put_group(out, v.p + i, v.n - i, base64_digits);
	for (size_t pad = 3 - (v.n - i); pad > 0; pad--)
		*out++ = '=';
	return out;
}

/* see text.h */
void
mm_base64_put(struct mm_buf *b, struct mm_bytes v, unsigned wrap)
{
	size_t n = (v.n / 3 + (v.n % 3 != 0)) * 4;
	size_t step = wrap == 0 ? v.n : (size_t)wrap / 4 * 3;
	size_t lines = wrap == 0 ? 0 : n / wrap + (n % wrap != 0);
	char *out;

	MM_INVARIANT(wrap % 4 == 0);
	out = (char *)mm_buf_room(b, v.n > SIZE_MAX / 4 ? SIZE_MAX : n + lines);
	for (size_t i = 0; out != NULL && i < v.n; i += step) {
		size_t left = v.n - i;
		out = put_line(out, (struct mm_bytes){ v.p + i,
		    left < step ? left : step });
		if (wrap != 0)
			*out++ = '\n';
	}
}

/* see text.h */
void
mm_base64url_put(struct mm_buf *b, struct mm_bytes v)
{
	size_t n = v.n / 3 * 4 + (v.n % 3 == 0 ? 0 : v.n % 3 + 1);
	char *out = (char *)mm_buf_room(b,
	    v.n > SIZE_MAX / 4 ? SIZE_MAX : n);

	for (size_t i = 0; out != NULL && i < v.n; i += 3)
		out = put_group(out, v.p + i, v.n - i < 3 ? v.n - i : 3,
		    base64url_digits);
}

/*
 * Counts digits and padding; false if a character is of neither alphabet
 * nor white space, or if a digit follows padding.
 */
static bool
count_digits(struct mm_bytes text, uint8_t refuse, size_t *digits,
    size_t *pads)
{
	size_t nd = 0, np = 0;

	for (size_t i = 0; i < text.n; i++) {
		uint8_t v = look(base64_values, text.p[i]);
		if ((v & refuse) == 0 && np == 0)
			nd++;
		else if (v == PAD && refuse == URL)
			np++;
		else if (v != SPACE || refuse != URL)
			return false;
	}
	*digits = nd;
	*pads = np;
	return true;
}

/* Four digits in a row, as nearly all are; false if one is white space. */
static inline bool
decode_group(const uint8_t *p, uint8_t *out)
{
	uint8_t a = base64_values[p[0]], b = base64_values[p[1]];
	uint8_t c = base64_values[p[2]], d = base64_values[p[3]];
	uint32_t v = (uint32_t)(a & 63) << 18 | (uint32_t)(b & 63) << 12 |
	    (uint32_t)(c & 63) << 6 | (d & 63);

	if (a == SPACE || b == SPACE || c == SPACE || d == SPACE)
		return false;
	out[0] = (uint8_t)(v >> 16);
	out[1] = (uint8_t)(v >> 8);
	out[2] = (uint8_t)v;
	return true;
}

/*
 * Decodes what count_digits has seen: the first `digits` digits of text.
 * Gives the bits left over, which must be zero.
 */
static uint32_t
decode(struct mm_bytes text, size_t digits, uint8_t *out)
{
	uint32_t acc = 0;
	unsigned bits = 0;

	for (size_t i = 0; digits > 0; i++) {
		uint8_t v = base64_values[text.p[i]];
		if (bits == 0 && digits >= 4 && decode_group(text.p + i, out)) {
			out += 3;
			digits -= 4;
			i += 3;
			continue;
		}
		if (v == SPACE)
			continue;
		digits--;
		acc = acc << 6 | (v & 63);
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		*out++ = (uint8_t)(acc >> bits);
	}
	return acc & ((1U << bits) - 1);
}

static enum mm_err
parse64(struct mm_bytes text, uint8_t refuse, struct mm_buf *out,
    struct mm_why *why)
{
	size_t digits, pads, start = out->n;
	bool padded = refuse == URL;
	uint8_t *room;

	if (!count_digits(text, refuse, &digits, &pads))
		return MM_FAIL(why, MM_EINPUT, "base64: not of the alphabet");
	if (digits % 4 == 1 || pads > 2 || (padded && (digits + pads) % 4 != 0))
		return MM_FAIL(why, MM_EINPUT, "base64: cut or badly padded");
	room = mm_buf_room(out, digits / 4 * 3 + digits % 4 * 3 / 4);
	if (room == NULL)
		return mm_buf_ok(out, why);
	if (decode(text, digits, room) != 0) {
		out->n = start;
		return MM_FAIL(why, MM_EINPUT, "base64: leftover bits");
	}
	return MM_OK;
}

/* see text.h */
enum mm_err
mm_base64_parse(struct mm_bytes text, struct mm_buf *out, struct mm_why *why)
{
	return parse64(text, URL, out, why);
}

/* see text.h */
enum mm_err
mm_base64url_parse(struct mm_bytes text, struct mm_buf *out,
    struct mm_why *why)
{
	return parse64(text, STRICT, out, why);
}

/* see text.h */
void
mm_base32_text(const uint8_t *p, size_t n, char *out)
{
	uint32_t acc = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < n; i++) {
		acc = acc << 8 | p[i];
		for (bits += 8; bits >= 5; bits -= 5)
			*out++ = base32_digits[acc >> (bits - 5) & 31];
	}
	if (bits > 0)
		*out++ = base32_digits[acc << (5 - bits) & 31];
	*out = '\0';
}

/* The leftover bits, or BAD if a character is not a digit. */
static uint32_t
check32(const char *s, size_t slen)
{
	size_t spare = slen * 5 % 8;
	uint8_t v = 0;

	for (size_t i = 0; i < slen; i++) {
		v = look(base32_values, (uint8_t)s[i]);
		if (v == BAD)
			return BAD;
	}
	return v & ((1U << spare) - 1);
}

/* see text.h */
enum mm_err
mm_base32_parse(const char *s, size_t slen, uint8_t *out, size_t n,
    struct mm_why *why)
{
	uint32_t acc = 0;
	unsigned bits = 0;

	if (n > SIZE_MAX / 8 - 1 || slen != (8 * n + 4) / 5)
		return MM_FAIL(why, MM_EINPUT, "base32: %zu characters", slen);
	if (check32(s, slen) != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "base32: not a digit, or leftover bits");
	for (size_t i = 0; i < slen; i++) {
		acc = acc << 5 | base32_values[(uint8_t)s[i]];
		bits += 5;
		if (bits < 8)
			continue;
		bits -= 8;
		*out++ = (uint8_t)(acc >> bits);
	}
	return MM_OK;
}
