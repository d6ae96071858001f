#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "work/serials.h"

/*
 * Which serials two runs have in common, without making them.  A run is cut
 * into pieces of one length each: of a piece all serials are the same but for
 * the digits in a window.  Where two pieces are as long, what stands in one's
 * window only is fixed by the other's text; what stands in both windows is a
 * number, and its bounds follow from both ranges.  So "SN-{1..5000}",
 * "SN-1{000..999}" and "sn-{0500..0999}" are compared as what they are.
 */
struct piece {
	char text[MM_DEVICE_ID_MAX + 1]; /* of one of them, in lower case */
	size_t n, at, end;               /* the window */
	uint64_t lo, hi;
};
struct span { /* of places; of numbers */
	uint64_t lo, hi;
};

static uint64_t
ten_to(size_t n)
{
	uint64_t v = 1;

	while (n-- > 0)
		v *= 10;
	return v;
}

static size_t
digits_of(uint64_t v)
{
	size_t n = 1;

	for (; v > 9; v /= 10)
		n++;
	return n;
}

static void
make_piece(const struct mm_serials *s, uint64_t lo, uint64_t hi,
    struct piece *p)
{
	mm_serials_at(s, lo - s->first, p->text);
	for (char *c = p->text; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	p->n = strlen(p->text);
	p->at = strlen(s->prefix);
	p->end = p->n - strlen(s->suffix);
	p->lo = lo;
	p->hi = hi;
}

/* The piece that begins with the number from. */
static void
cut_piece(const struct mm_serials *s, uint64_t from, struct piece *p)
{
	uint64_t hi = s->last, most;

	if (s->digits == 0) {
		most = ten_to(digits_of(from)) - 1;
		hi = hi < most ? hi : most;
	}
	make_piece(s, from, hi, p);
}

/* Each character that one has fixed can be the other's. */
static bool
texts_agree(const struct piece *a, const struct piece *b)
{
	for (size_t i = 0; i < a->n; i++) {
		bool in_a = i >= a->at && i < a->end;
		bool in_b = i >= b->at && i < b->end;

		if ((in_a && !in_b && !isdigit((unsigned char)b->text[i])) ||
		    (in_b && !in_a && !isdigit((unsigned char)a->text[i])) ||
		    (!in_a && !in_b && a->text[i] != b->text[i]))
			return false;
	}
	return true;
}

static uint64_t
number_at(const char *text, size_t from, size_t to)
{
	uint64_t v = 0;

	for (size_t i = from; i < to; i++)
		v = v * 10 + (uint64_t)(text[i] - '0');
	return v;
}

/* What p's number is where that of the places both.lo to both.hi is zero, and
 * what one of that is worth. */
static uint64_t
base_of(const struct piece *p, const struct piece *other, struct span both,
    uint64_t *worth)
{
	*worth = ten_to(p->end - both.hi);
	return number_at(other->text, p->at, both.lo) *
	    ten_to(p->end - both.lo) +
	    number_at(other->text, both.hi, p->end);
}

/* Narrows z, the number in both windows, to what p's range allows. */
static bool
narrow(const struct piece *p, const struct piece *other, struct span both,
    struct span *z)
{
	uint64_t worth, base = base_of(p, other, both, &worth);
	uint64_t lo, hi;

	if (base > p->hi)
		return false;
	lo = p->lo <= base ? 0 : (p->lo - base + worth - 1) / worth;
	hi = (p->hi - base) / worth;
	z->lo = lo > z->lo ? lo : z->lo;
	z->hi = hi < z->hi ? hi : z->hi;
	return z->lo <= z->hi;
}

/* Windows that do not meet have an empty one in common, behind each. */
static struct span
common(const struct piece *p, const struct piece *other)
{
	struct span both = { p->at > other->at ? p->at : other->at,
		p->end < other->end ? p->end : other->end };

	return both.lo < both.hi ? both : (struct span){ p->end, p->end };
}

/* *number: the lowest of a's that is b's too. */
static bool
pieces_meet(const struct piece *a, const struct piece *b, uint64_t *number)
{
	struct span at, bt, z;
	uint64_t worth, base;

	if (a->n != b->n || !texts_agree(a, b))
		return false;
	at = common(a, b);
	bt = common(b, a);
	z = (struct span){ 0, ten_to(at.hi - at.lo) - 1 };
	if (!narrow(a, b, at, &z) || !narrow(b, a, bt, &z))
		return false;
	base = base_of(a, b, at, &worth);
	*number = base + z.lo * worth;
	return true;
}

/* see serials.h */
bool
mm_serials_overlap(const struct mm_serials *a, const struct mm_serials *b,
    uint64_t *index)
{
	struct piece x, y;

	for (uint64_t i = a->first; i <= a->last; i = x.hi + 1) {
		cut_piece(a, i, &x);
		for (uint64_t k = b->first; k <= b->last; k = y.hi + 1) {
			uint64_t number;

			cut_piece(b, k, &y);
			if (!pieces_meet(&x, &y, &number))
				continue;
			*index = number - a->first;
			return true;
		}
	}
	return false;
}

/* see serials.h; in one piece between its ends stand also longer ones */
bool
mm_serials_ends(const struct mm_serials *s, uint64_t *from, char *low,
    char *high)
{
	struct piece p;

	if (*from >= mm_serials_count(s))
		return false;
	cut_piece(s, s->first + *from, &p);
	mm_serials_at(s, p.lo - s->first, low);
	mm_serials_at(s, p.hi - s->first, high);
	*from = p.hi - s->first + 1;
	return true;
}
