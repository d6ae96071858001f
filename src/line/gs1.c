/*
 * GS1 application identifiers: how many digits an AI has goes by its first
 * two, and so does whether its value has a length of its own (General
 * Specifications figure 7.8.5-2) or ends at a separator.
 */
#include <stdio.h>
#include <string.h>

#include "line/scan.h"

#define GS 0x1d

struct family {
	uint8_t from, to; /* first two digits */
	uint8_t ai;       /* digits of the AI */
	uint8_t fixed;    /* digits of the value; 0: up to a separator */
	uint8_t most;     /* characters of the value */
	bool checked;     /* its last digit is a check digit */
};

static const struct family families[] = {
	{ 0, 0, 2, 18, 18, true },
	{ 1, 2, 2, 14, 14, true },
	{ 3, 3, 2, 14, 14, true },
	{ 4, 4, 2, 16, 16, false },
	{ 10, 10, 2, 0, 20, false },
	{ 11, 19, 2, 6, 6, false },
	{ 20, 20, 2, 2, 2, false },
	{ 21, 22, 2, 0, 20, false },
	{ 23, 23, 3, 0, 28, false },
	{ 24, 25, 3, 0, 30, false },
	{ 30, 30, 2, 0, 8, false },
	{ 31, 36, 4, 6, 6, false },
	{ 37, 37, 2, 0, 8, false },
	{ 39, 39, 4, 0, 18, false },
	{ 40, 40, 3, 0, 30, false },
	{ 41, 41, 3, 13, 13, true },
	{ 42, 42, 3, 0, 20, false },
	{ 43, 43, 4, 0, 90, false },
	{ 70, 70, 4, 0, 90, false },
	{ 71, 71, 3, 0, 20, false },
	{ 72, 72, 4, 0, 30, false },
	{ 80, 82, 4, 0, 90, false },
	{ 90, 90, 2, 0, 30, false },
	{ 91, 99, 2, 0, 90, false },
};

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* see scan.h; General Specifications 7.9.1 */
bool
mm_gs1_checked(struct mm_bytes d)
{
	unsigned sum = 0;

	for (size_t i = 0; i < d.n; i++) {
		if (!is_digit(d.p[i]))
			return false;
		sum += (unsigned)(d.p[i] - '0') *
		    ((d.n - 1 - i) % 2 == 0 ? 1 : 3);
	}
	return d.n > 1 && sum % 10 == 0;
}

static const struct family *
family_of(struct mm_bytes at)
{
	unsigned two;

	if (at.n < 2 || !is_digit(at.p[0]) || !is_digit(at.p[1]))
		return NULL;
	two = (unsigned)(at.p[0] - '0') * 10 + (unsigned)(at.p[1] - '0');
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (two >= families[i].from && two <= families[i].to)
			return &families[i];
	return NULL;
}

/* Character set 82 (figure 7.11-1), which is what an element may hold. */
static bool
in_set(uint8_t c)
{
	return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
	    (c != '\0' && strchr("!\"%&'()*+,-./:;<=>?_", c) != NULL);
}

static enum mm_err
check_value(const struct family *f, const struct mm_gs1 *e,
    struct mm_why *why)
{
	if (e->value.n == 0 || e->value.n > f->most ||
	    (f->fixed != 0 && e->value.n != f->fixed))
		return MM_FAIL(why, MM_EINPUT, "the label's AI %s has %zu "
		    "characters", e->ai, e->value.n);
	for (size_t i = 0; i < e->value.n; i++)
		if (!in_set(e->value.p[i]) ||
		    (f->fixed != 0 && !is_digit(e->value.p[i])))
			return MM_FAIL(why, MM_EINPUT, "the label's AI %s has "
			    "a character that it may not have", e->ai);
	if (f->checked && !mm_gs1_checked(e->value))
		return MM_FAIL(why, MM_EINPUT,
		    "the label's AI %s has a wrong check digit", e->ai);
	return MM_OK;
}

static void
skip(struct mm_bytes *b, size_t n)
{
	b->p += n;
	b->n -= n;
}

/* What goes up to the character, or to the end. */
static size_t
run(struct mm_bytes b, uint8_t end)
{
	const uint8_t *at = b.n > 0 ? memchr(b.p, end, b.n) : NULL;

	return at != NULL ? (size_t)(at - b.p) : b.n;
}

/* The printed form: a value goes up to the next "(" that an AI follows. */
static size_t
printed_run(struct mm_bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] == '(') {
			struct mm_bytes ai = { b.p + i + 1, b.n - i - 1 };
			const struct family *f = family_of(ai);

			if (f != NULL && ai.n > f->ai && ai.p[f->ai] == ')')
				return i;
		}
	return b.n;
}

static size_t
value_run(const struct family *f, struct mm_bytes b, bool printed)
{
	if (printed)
		return printed_run(b);
	if (f->fixed != 0)
		return b.n < f->fixed ? b.n : f->fixed;
	return run(b, GS);
}

/* see scan.h */
enum mm_err
mm_gs1_next(struct mm_bytes *rest, bool printed, struct mm_gs1 *out,
    struct mm_why *why)
{
	struct mm_bytes b = *rest;
	const struct family *f;
	struct mm_gs1 e = { 0 };

	while (!printed && b.n > 0 && b.p[0] == GS)
		skip(&b, 1);
	if (b.n == 0)
		return MM_ENOTFOUND;
	if (printed && b.p[0] != '(')
		return MM_FAIL(why, MM_EINPUT, "the label has no AI in "
		    "parentheses where one is due");
	skip(&b, printed);
	f = family_of(b);
	if (f == NULL || b.n < f->ai || (f->ai > 2 && !is_digit(b.p[2])) ||
	    (f->ai > 3 && !is_digit(b.p[3])))
		return MM_FAIL(why, MM_EINPUT,
		    "the label has no AI where one is due");
	memcpy(e.ai, b.p, f->ai);
	skip(&b, f->ai);
	if (printed && (b.n == 0 || b.p[0] != ')'))
		return MM_FAIL(why, MM_EINPUT, "the label's AI %s is not in "
		    "parentheses", e.ai);
	skip(&b, printed);
	e.value = (struct mm_bytes){ b.p, value_run(f, b, printed) };
	MM_TRY(check_value(f, &e, why));
	skip(&b, e.value.n);
	*rest = b;
	*out = e;
	return MM_OK;
}
