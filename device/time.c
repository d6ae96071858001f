#include "mmd_codec.h"
#include "priv.h"

enum { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, FIELDS };

#define UNREAD UINT16_MAX /* out of every range, also with a century added */

static uint32_t
days_in(uint32_t year, uint32_t month)
{
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	if (month == 2)
		return leap ? 29 : 28;
	/* July and August, side by side, have 31 both. */
	return 30 + ((month + (month >> 3)) & 1);
}

/* A leap second cannot be told in Unix time: 60 counts as the next minute. */
static bool
valid(const uint32_t c[FIELDS])
{
	static const struct {
		uint16_t least, most;
	} ranges[FIELDS] = { { 1950, 9999 }, { 1, 12 }, { 1, 31 }, { 0, 23 },
		{ 0, 59 }, { 0, 60 } };

	for (size_t i = 0; i < FIELDS; i++)
		if (c[i] < ranges[i].least || c[i] > ranges[i].most)
			return false;
	return c[DAY] <= days_in(c[YEAR], c[MONTH]);
}

/* Days since 1970-01-01, with March as the year's first month. */
static enum mmd_rc
unix_s(const uint32_t c[FIELDS], int64_t *at_s)
{
	uint32_t y, m;
	int32_t day;

	if (!valid(c))
		return MMD_EINPUT;
	y = c[MONTH] <= 2 ? c[YEAR] - 1 : c[YEAR];
	m = (c[MONTH] + 9) % 12;
	day = (int32_t)(365 * y + y / 4 - y / 100 + y / 400 +
	    (153 * m + 2) / 5 + c[DAY]) - 719469;
	*at_s = (int64_t)day * 86400 +
	    (c[HOUR] * 60 + c[MINUTE]) * 60 + c[SECOND];
	return MMD_OK;
}

/* Exactly n decimal digits at p. */
static uint32_t
number(const uint8_t *p, size_t n)
{
	uint32_t x = 0;

	for (; n > 0; n--, p++) {
		if (*p < '0' || *p > '9')
			return UNREAD;
		x = x * 10 + (uint32_t)(*p - '0');
	}
	return x;
}

/* see mmd_codec.h */
enum mmd_rc
mmd_time_asn1(uint8_t tag, struct mmd_bytes v, int64_t *at_s)
{
	uint32_t c[FIELDS];
	size_t year = tag == MMD_DER_UTCTIME ? 2 : 4;
	const uint8_t *p = v.p;

	/* RFC 5280 4.1.2.5: seconds always, Z always, no fractions. */
	if ((tag != MMD_DER_UTCTIME && tag != MMD_DER_GENTIME) ||
	    v.n != year + 11 || p[v.n - 1] != 'Z')
		return MMD_EINPUT;
	c[YEAR] = number(p, year);
	if (year == 2)
		c[YEAR] += c[YEAR] < 50 ? 2000 : 1900;
	p += year;
	for (size_t i = MONTH; i < FIELDS; i++, p += 2)
		c[i] = number(p, 2);
	return unix_s(c, at_s);
}

/* 0: no month has this name. */
static uint32_t
month_of(const uint8_t *p)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (uint32_t i = 0; i < 12; i++)
		if (memcmp(p, names + 3 * i, 3) == 0)
			return i + 1;
	return 0;
}

/* see mmd_codec.h */
enum mmd_rc
mmd_time_http(struct mmd_bytes v, int64_t *at_s)
{
	/* x: a field's, or the day of the week; the rest is itself. */
	static const char form[] = "xxx, xx xxx xxxx xx:xx:xx GMT";
	static const uint8_t at[FIELDS] = { 12, 8, 5, 17, 20, 23 };
	uint32_t c[FIELDS];

	if (v.n != sizeof(form) - 1)
		return MMD_EINPUT;
	for (size_t i = 0; i < v.n; i++)
		if (form[i] != 'x' && v.p[i] != (uint8_t)form[i])
			return MMD_EINPUT;
	for (size_t i = 0; i < FIELDS; i++)
		c[i] = i == MONTH ? month_of(v.p + at[i])
		    : number(v.p + at[i], i == YEAR ? 4 : 2);
	return unix_s(c, at_s);
}
