#include "base/time.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400
/* Days from 0000-03-01 to 1970-01-01, and in 400 Gregorian years. */
#define EPOCH_DAY 719468
#define ERA_DAYS  146097

static int64_t
read_clock(clockid_t clock, int64_t per_s)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * per_s + t.tv_nsec / (1000000000 / per_s);
}

/* see time.h */
int64_t
mm_now_ms(void)
{
	return read_clock(CLOCK_REALTIME, 1000);
}

/* see time.h */
int64_t
mm_now_s(void)
{
	return read_clock(CLOCK_REALTIME, 1);
}

/* see time.h */
int64_t
mm_mono_ms(void)
{
	return read_clock(CLOCK_MONOTONIC, 1000);
}

/* see time.h */
int64_t
mm_boot_ms(void)
{
	return read_clock(CLOCK_BOOTTIME, 1000);
}

/* see time.h */
int64_t
mm_mono_us(void)
{
	return read_clock(CLOCK_MONOTONIC, 1000000);
}

/*
 * Days are counted from 1 March of year 0, so that the leap day is the last
 * of its year and a month's first day is (153 * m + 2) / 5 with March as 0.
 */
static int64_t
days_of(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = y / 400, yoe = y % 400;
	int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 +
	    day - 1;

	return era * ERA_DAYS + yoe * 365 + yoe / 4 - yoe / 100 + doy -
	    EPOCH_DAY;
}

/* see time.h */
int64_t
mm_time_from_civil(struct mm_civil c)
{
	return days_of(c.year, c.month, c.day) * DAY_S + c.hour * 3600 +
	    c.minute * 60 + c.second;
}

/* see time.h */
struct mm_civil
mm_time_civil(int64_t at_s)
{
	int64_t second = ((at_s % DAY_S) + DAY_S) % DAY_S;
	int64_t day = (at_s - second) / DAY_S + EPOCH_DAY;
	int64_t era = day / ERA_DAYS, doe = day % ERA_DAYS;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t m = (5 * doy + 2) / 153;
	int month = (int)(m < 10 ? m + 3 : m - 9);

	return (struct mm_civil){
		.year = (int)(yoe + era * 400) + (month <= 2),
		.month = month,
		.day = (int)(doy - (153 * m + 2) / 5 + 1),
		.hour = (int)(second / 3600),
		.minute = (int)(second / 60 % 60),
		.second = (int)(second % 60),
	};
}

static char *
put_digits(char *out, int v, int width)
{
	for (int i = width; i > 0; i--, v /= 10)
		out[i - 1] = (char)('0' + v % 10);
	return out + width;
}

/* The form has four digits for the year: outside 1..9999 it is clamped. */
static int64_t
clamp(int64_t at_s)
{
	const int64_t first = -INT64_C(62135596800);

	if (at_s < first)
		return first;
	return at_s > MM_TIME_FOREVER_S ? MM_TIME_FOREVER_S : at_s;
}

static char *
put_seconds(char *out, int64_t at_s)
{
	struct mm_civil c = mm_time_civil(clamp(at_s));
	const struct {
		int v, width;
		char end;
	} part[] = {
		{ c.year, 4, '-' }, { c.month, 2, '-' }, { c.day, 2, 'T' },
		{ c.hour, 2, ':' }, { c.minute, 2, ':' }, { c.second, 2, '.' },
	};

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		out = put_digits(out, part[i].v, part[i].width);
		*out++ = part[i].end;
	}
	return out;
}

/* see time.h */
void
mm_time_text(int64_t at_ms, char out[MM_TIME_TEXT])
{
	int64_t ms = ((at_ms % 1000) + 1000) % 1000;
	/* downwards, and without leaving what an int64_t can hold */
	char *end = put_seconds(out, at_ms / 1000 - (at_ms % 1000 < 0));

	end = put_digits(end, (int)ms, 3);
	memcpy(end, "Z", 2);
}

/* see time.h */
void
mm_time_text_s(int64_t at_s, char out[MM_TIME_TEXT])
{
	char *end = put_seconds(out, at_s);

	memcpy(end - 1, "Z", 2);
}

/* Reads exactly width digits; -1 and no movement if they are not there. */
static int
get_digits(const char **s, int width)
{
	int v = 0;

	for (int i = 0; i < width; i++) {
		char c = (*s)[i];
		if (c < '0' || c > '9')
			return -1;
		v = v * 10 + (c - '0');
	}
	*s += width;
	return v;
}

static bool
get_number(const char **s, int width, int least, int most, int *out)
{
	*out = get_digits(s, width);
	return *out >= least && *out <= most;
}

static bool
get_char(const char **s, const char *want)
{
	if (**s == '\0' || strchr(want, **s) == NULL)
		return false;
	(*s)++;
	return true;
}

static int
month_days(int year, int month)
{
	return (int)(days_of(year + month / 12, month % 12 + 1, 1) -
	    days_of(year, month, 1));
}

/* RFC 3339 5.6: full-date "T" partial-time without the fraction. */
static bool
get_date_time(const char **s, struct mm_civil *c)
{
	return get_number(s, 4, 1970, 9999, &c->year) && get_char(s, "-") &&
	    get_number(s, 2, 1, 12, &c->month) && get_char(s, "-") &&
	    get_number(s, 2, 1, month_days(c->year, c->month), &c->day) &&
	    get_char(s, "Tt") && get_number(s, 2, 0, 23, &c->hour) &&
	    get_char(s, ":") && get_number(s, 2, 0, 59, &c->minute) &&
	    get_char(s, ":") && get_number(s, 2, 0, 59, &c->second);
}

/* RFC 3339 5.6: time-secfrac; what is finer than a millisecond is cut. */
static bool
get_fraction(const char **s, int *ms)
{
	int n = 0;

	*ms = 0;
	if (!get_char(s, "."))
		return true;
	for (int d; n < 9 && (d = get_digits(s, 1)) >= 0; n++)
		if (n < 3)
			*ms = *ms * 10 + d;
	for (int i = n; i < 3; i++)
		*ms *= 10;
	return n > 0;
}

/* RFC 3339 5.6: time-offset, in minutes east of UTC. */
static bool
get_offset(const char **s, int *minutes)
{
	int sign = **s == '-' ? -1 : 1, h, m;

	*minutes = 0;
	if (get_char(s, "Zz"))
		return true;
	if (!get_char(s, "+-") || !get_number(s, 2, 0, 23, &h) ||
	    !get_char(s, ":") || !get_number(s, 2, 0, 59, &m))
		return false;
	*minutes = sign * (h * 60 + m);
	return true;
}

/* see time.h */
enum mm_err
mm_time_parse(const char *s, int64_t *at_ms, struct mm_why *why)
{
	struct mm_civil c = { 0 };
	int ms, minutes;
	int64_t at_s;

	if (!get_date_time(&s, &c) || !get_fraction(&s, &ms) ||
	    !get_offset(&s, &minutes) || *s != '\0')
		return MM_FAIL(why, MM_EINPUT,
		    "time: want RFC 3339, like 2026-11-23T05:00:00Z");
	at_s = mm_time_from_civil(c) - minutes * 60;
	if (at_s < 0 || at_s > MM_TIME_FOREVER_S)
		return MM_FAIL(why, MM_EINPUT,
		    "time: want a year from 1970 to 9999");
	*at_ms = at_s * 1000 + ms;
	return MM_OK;
}
