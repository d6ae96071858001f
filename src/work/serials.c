#include "work/serials.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DIGITS_MAX 18

/* A decimal number of at most 18 digits that stands before end. */
static bool
get_number(const char *p, const char *end, uint64_t *out)
{
	uint64_t v = 0;

	if (p >= end || end - p > DIGITS_MAX)
		return false;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9')
			return false;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	*out = v;
	return true;
}

/* "{first..last}": the two numbers and how many digits they have. */
static bool
get_range(const char *open, const char *close, struct mm_serials *s)
{
	const char *dots = strstr(open, "..");
	size_t a, b;

	if (dots == NULL || dots > close ||
	    !get_number(open + 1, dots, &s->first) ||
	    !get_number(dots + 2, close, &s->last))
		return false;
	a = (size_t)(dots - open - 1);
	b = (size_t)(close - dots - 2);
	s->digits = a == b ? (unsigned)a : 0;
	return (a == b || (a < b && open[1] != '0' && dots[2] != '0')) &&
	    s->first <= s->last;
}

/* The longest serial is the last; every other is of the same alphabet. */
static bool
is_device_id(const struct mm_serials *s)
{
	char text[2 * MM_DEVICE_ID_MAX + DIGITS_MAX + 3];

	snprintf(text, sizeof(text), "%s%0*" PRIu64 "%s", s->prefix,
	    (int)s->digits, s->last, s->suffix);
	return mm_device_id_valid(text);
}

/* see serials.h */
enum mm_err
mm_serials_parse(const char *text, struct mm_serials *out, struct mm_why *why)
{
	const char *open = strchr(text, '{');
	const char *close = open == NULL ? NULL : strchr(open, '}');
	struct mm_serials s = { 0 };

	if (close == NULL ||
	    !mm_text_copy(s.prefix, sizeof(s.prefix),
		(struct mm_bytes){ (const uint8_t *)text,
		    (size_t)(open - text) }) ||
	    !mm_text_copy(s.suffix, sizeof(s.suffix),
		mm_bytes_of(close + 1)) ||
	    !get_range(open, close, &s))
		return MM_FAIL(why, MM_EINPUT, "serials: want a run like "
		    "SN-{000001..005000}, the lower number first");
	if (!is_device_id(&s))
		return MM_FAIL(why, MM_EINPUT, "serials: a serial number is 1 "
		    "to %d of A-Z a-z 0-9 . _ -", MM_DEVICE_ID_MAX);
	if (mm_serials_count(&s) > MM_SERIALS_MAX)
		return MM_FAIL(why, MM_EINPUT, "serials: %" PRIu64
		    " of them, at most %" PRIu64, mm_serials_count(&s),
		    MM_SERIALS_MAX);
	*out = s;
	return MM_OK;
}

/* see serials.h */
void
mm_serials_text(const struct mm_serials *s, char *text)
{
	int n = snprintf(text, MM_SERIALS_TEXT,
	    "%s{%0*" PRIu64 "..%0*" PRIu64 "}%s", s->prefix, (int)s->digits,
	    s->first, (int)s->digits, s->last, s->suffix);

	MM_INVARIANT(n > 0 && n < MM_SERIALS_TEXT);
}

/* see serials.h */
uint64_t
mm_serials_count(const struct mm_serials *s)
{
	return s->last - s->first + 1;
}

/* see serials.h */
void
mm_serials_at(const struct mm_serials *s, uint64_t index, char *out)
{
	int n = snprintf(out, MM_DEVICE_ID_MAX + 1, "%s%0*" PRIu64 "%s",
	    s->prefix, (int)s->digits, s->first + index, s->suffix);

	MM_INVARIANT(index <= s->last - s->first && n <= MM_DEVICE_ID_MAX);
}

/* Whether a number is written as the run writes it. */
static bool
is_written_so(const struct mm_serials *s, const char *digits, size_t n)
{
	return s->digits != 0 ? n == s->digits : n == 1 || digits[0] != '0';
}

static bool
find(const struct mm_serials *s, const char *serial,
    int (*compare)(const char *a, const char *b, size_t n), uint64_t *index)
{
	size_t n = strlen(serial), head = strlen(s->prefix);
	size_t tail = strlen(s->suffix);
	uint64_t v;

	if (n <= head + tail || compare(serial, s->prefix, head) != 0 ||
	    compare(serial + n - tail, s->suffix, tail) != 0 ||
	    !get_number(serial + head, serial + n - tail, &v) ||
	    v < s->first || v > s->last ||
	    !is_written_so(s, serial + head, n - head - tail))
		return false;
	*index = v - s->first;
	return true;
}

/* see serials.h */
bool
mm_serials_find(const struct mm_serials *s, const char *serial,
    uint64_t *index)
{
	return find(s, serial, strncmp, index);
}

/* see serials.h */
bool
mm_serials_find_caseless(const struct mm_serials *s, const char *serial,
    uint64_t *index)
{
	return find(s, serial, strncasecmp, index);
}

/*
 * A run without padding may be cut where both halves' numbers have as many
 * digits, and these read the same with or without.
 */
static void
set_digits(struct mm_serials *s, unsigned digits)
{
	char first[24], last[24];

	s->digits = digits;
	snprintf(first, sizeof(first), "%" PRIu64, s->first);
	snprintf(last, sizeof(last), "%" PRIu64, s->last);
	if (digits == 0 && strlen(first) == strlen(last))
		s->digits = (unsigned)strlen(first);
}

/* see serials.h */
enum mm_err
mm_serials_cut(struct mm_serials *s, uint64_t n, struct mm_serials *part,
    struct mm_why *why)
{
	struct mm_serials front = *s;

	if (n == 0 || s->first > s->last || n > mm_serials_count(s))
		return MM_FAIL(why, MM_ECONFLICT,
		    "serials: fewer than %" PRIu64 " are left", n);
	front.last = s->first + n - 1;
	set_digits(&front, s->digits);
	s->first += n;
	set_digits(s, s->digits);
	*part = front;
	return MM_OK;
}

static const struct {
	unsigned bit;
	const char *text;
} misfits[] = {
	{ MM_MISFIT_AWS, "AWS IoT takes no dot in a thing's name" },
	{ MM_MISFIT_AZURE, "Azure's provisioning service wants a letter, "
	    "digit or hyphen at the end" },
	{ MM_MISFIT_MQTT, "MQTT servers need not take a client's name of more "
	    "than 23 bytes" },
};

/* see serials.h */
unsigned
mm_serial_misfits(const char *serial)
{
	size_t n = strlen(serial);
	char end = n == 0 ? '\0' : serial[n - 1];

	return (strchr(serial, '.') != NULL ? MM_MISFIT_AWS : 0U) |
	    (end == '.' || end == '_' ? MM_MISFIT_AZURE : 0U) |
	    (n > 23 ? MM_MISFIT_MQTT : 0U);
}

/* see serials.h */
const char *
mm_serial_misfit_text(unsigned bit)
{
	for (size_t i = 0; i < sizeof(misfits) / sizeof(misfits[0]); i++)
		if (misfits[i].bit == bit)
			return misfits[i].text;
	return NULL;
}
