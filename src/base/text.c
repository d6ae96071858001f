#include "base/text.h"

#include <string.h>

/*
 * RFC 3629 4, as a first byte's range, the number of bytes that follow and
 * the range of the first of them; no surrogates, nothing overlong.
 */
static const struct {
	uint8_t least, most, follow, next_least, next_most;
} utf8_rows[] = {
	{ 0xc2, 0xdf, 1, 0x80, 0xbf }, { 0xe0, 0xe0, 2, 0xa0, 0xbf },
	{ 0xe1, 0xec, 2, 0x80, 0xbf }, { 0xed, 0xed, 2, 0x80, 0x9f },
	{ 0xee, 0xef, 2, 0x80, 0xbf }, { 0xf0, 0xf0, 3, 0x90, 0xbf },
	{ 0xf1, 0xf3, 3, 0x80, 0xbf }, { 0xf4, 0xf4, 3, 0x80, 0x8f },
};

/* Length of the character of two bytes or more at p, or 0. */
static size_t
wide(const uint8_t *p, size_t left)
{
	size_t row = 0, most = sizeof(utf8_rows) / sizeof(utf8_rows[0]);

	while (row < most && p[0] > utf8_rows[row].most)
		row++;
	if (row == most || p[0] < utf8_rows[row].least ||
	    left <= utf8_rows[row].follow || p[1] < utf8_rows[row].next_least ||
	    p[1] > utf8_rows[row].next_most)
		return 0;
	for (size_t i = 2; i <= utf8_rows[row].follow; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return utf8_rows[row].follow + 1U;
}

/* How many of the next bytes are ASCII for sure: 8, 1 or 0. */
static inline size_t
ascii(const uint8_t *p, size_t left)
{
	uint64_t eight;

	if (left >= sizeof(eight)) {
		memcpy(&eight, p, sizeof(eight));
		if ((eight & UINT64_C(0x8080808080808080)) == 0)
			return sizeof(eight);
	}
	return p[0] < 0x80;
}

/* see text.h */
bool
mm_utf8_valid(struct mm_bytes text)
{
	for (size_t i = 0, n; i < text.n; i += n) {
		n = ascii(text.p + i, text.n - i);
		if (n == 0)
			n = wide(text.p + i, text.n - i);
		if (n == 0)
			return false;
	}
	return true;
}

static bool
made_of(const char *s, size_t most, bool upper)
{
	size_t n = 0;

	for (; s[n] != '\0'; n++) {
		char c = s[n];
		bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    c == '.' || c == '_' || c == '-' ||
		    (upper && c >= 'A' && c <= 'Z');
		if (!good || n >= most)
			return false;
	}
	/* RFC 3986 5.2.4: "." and ".." vanish from a path */
	return s[strspn(s, ".")] != '\0';
}

/* see text.h */
bool
mm_device_id_valid(const char *s)
{
	return made_of(s, MM_DEVICE_ID_MAX, true);
}

/* see text.h */
bool
mm_name_valid(const char *s)
{
	return made_of(s, MM_NAME_MAX, false);
}

/* see text.h */
bool
mm_text_copy(char *out, size_t outn, struct mm_bytes v)
{
	out[0] = '\0';
	if (v.n >= outn || (v.n > 0 && memchr(v.p, '\0', v.n) != NULL))
		return false;
	if (v.n > 0)
		memcpy(out, v.p, v.n);
	out[v.n] = '\0';
	return true;
}

/* see text.h */
enum mm_err
mm_int_parse(const char *s, int64_t *out, struct mm_why *why)
{
	bool minus = *s == '-';
	const char *d = s + minus;
	int64_t v = 0;
	bool good = *d != '\0' && (*d != '0' || d[1] == '\0') &&
	    !(minus && *d == '0');

	for (; good && *d != '\0'; d++)
		good = *d >= '0' && *d <= '9' &&
		    !__builtin_mul_overflow(v, 10, &v) &&
		    !__builtin_sub_overflow(v, *d - '0', &v);
	if (!good || (!minus && v == INT64_MIN))
		return MM_FAIL(why, MM_EINPUT,
		    "\"%.40s\" is not a whole number in decimal without leading zeros", s);
	*out = minus ? v : -v;
	return MM_OK;
}

static const struct {
	char letter;
	int64_t seconds;
} units[] = {
	{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
	{ 'y', INT64_C(365) * 86400 },
};

/* see text.h */
enum mm_err
mm_duration_parse(const char *s, int64_t *seconds, struct mm_why *why)
{
	char digits[20];
	size_t n = strlen(s);
	int64_t unit = 1, v;

	for (size_t i = 0; n > 0 && i < sizeof(units) / sizeof(units[0]); i++) {
		if (s[n - 1] != units[i].letter)
			continue;
		unit = units[i].seconds;
		n--;
		break;
	}
	if (!mm_text_copy(digits, sizeof(digits),
		(struct mm_bytes){ (const uint8_t *)s, n }) ||
	    mm_int_parse(digits, &v, NULL) != MM_OK || v < 0 ||
	    __builtin_mul_overflow(v, unit, &v))
		return MM_FAIL(why, MM_EINPUT,
		    "\"%.40s\" is not a duration like 90s, 15m, 72h, 30d, 2y",
		    s);
	*seconds = v;
	return MM_OK;
}
