#include "mmd_codec.h"
#include "priv.h"

struct civil {
	int year, month, day, hour, minute, second;
};

static int
days_in(int year, int month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
		30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* A leap second cannot be told in Unix time: 60 counts as the next minute. */
static bool
valid(const struct civil *c)
{
	return c->year >= 1950 && c->month >= 1 && c->month <= 12 &&
	    c->day >= 1 && c->day <= days_in(c->year, c->month) &&
	    c->hour < 24 && c->minute < 60 && c->second <= 60;
}

/* Days since 1970-01-01, with March as the year's first month. */
static int64_t
unix_s(const struct civil *c)
{
	int64_t y = c->month <= 2 ? c->year - 1 : c->year;
	int64_t m = (c->month + 9) % 12;
	int64_t day = 365 * y + y / 4 - y / 100 + y / 400 +
	    (153 * m + 2) / 5 + c->day - 1 - 719468;

	return ((day * 24 + c->hour) * 60 + c->minute) * 60 + c->second;
}

/* Exactly n decimal digits at v[*at], or -1. */
static int
number(struct mmd_bytes v, size_t *at, size_t n)
{
	int x = 0;

	for (size_t end = *at + n; *at < end; (*at)++) {
		if (*at >= v.n || v.p[*at] < '0' || v.p[*at] > '9')
			return -1;
		x = x * 10 + (v.p[*at] - '0');
	}
	return x;
}

/* see mmd_codec.h */
enum mmd_rc
mmd_time_asn1(uint8_t tag, struct mmd_bytes v, int64_t *at_s)
{
	struct civil c;
	size_t at = 0, year = tag == MMD_DER_UTCTIME ? 2 : 4;
	int *fields[] = { &c.month, &c.day, &c.hour, &c.minute, &c.second };

	/* RFC 5280 4.1.2.5: seconds always, Z always, no fractions. */
	if ((tag != MMD_DER_UTCTIME && tag != MMD_DER_GENTIME) ||
	    v.n != year + 11 || v.p[v.n - 1] != 'Z')
		return MMD_EINPUT;
	c.year = number(v, &at, year);
	if (c.year >= 0 && tag == MMD_DER_UTCTIME)
		c.year += c.year < 50 ? 2000 : 1900;
	for (size_t i = 0; i < MMD_COUNT(fields); i++) {
		*fields[i] = number(v, &at, 2);
		if (*fields[i] < 0)
			return MMD_EINPUT;
	}
	if (!valid(&c))
		return MMD_EINPUT;
	*at_s = unix_s(&c);
	return MMD_OK;
}

static int
month_of(const uint8_t *p)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (memcmp(p, names + 3 * i, 3) == 0)
			return i + 1;
	return 0;
}

/* see mmd_codec.h */
enum mmd_rc
mmd_time_http(struct mmd_bytes v, int64_t *at_s)
{
	/* x: anything; the rest stands for itself or for a number. */
	static const char form[] = "xxx, 00 xxx 0000 00:00:00 GMT";
	struct civil c;
	size_t at;

	if (v.n != sizeof(form) - 1)
		return MMD_EINPUT;
	for (size_t i = 0; i < v.n; i++)
		if (form[i] == '0' ? v.p[i] < '0' || v.p[i] > '9'
		    : form[i] != 'x' && v.p[i] != (uint8_t)form[i])
			return MMD_EINPUT;
	c.day = number(v, (at = 5, &at), 2);
	c.month = month_of(v.p + 8);
	c.year = number(v, (at = 12, &at), 4);
	c.hour = number(v, (at = 17, &at), 2);
	c.minute = number(v, (at = 20, &at), 2);
	c.second = number(v, (at = 23, &at), 2);
	if (!valid(&c))
		return MMD_EINPUT;
	*at_s = unix_s(&c);
	return MMD_OK;
}
