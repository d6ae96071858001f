#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/twice.h"

/* Over several pieces, and a last one that is not full. */
enum { ROWS = 100001, SEEN_MOST = 16 };

struct seen {
	unsigned n;
	struct {
		unsigned long long row, first;
		char id[65];
	} one[SEEN_MOST];
};

static void
see(void *ctx, const struct mm_twice_row *row, unsigned long long first)
{
	struct seen *s = ctx;

	assert_true(s->n < SEEN_MOST);
	s->one[s->n].row = row->number;
	s->one[s->n].first = first;
	strcpy(s->one[s->n++].id, row->id);
}

static void
add(struct mm_twice *t, unsigned long long number, const char *id,
    uint8_t content)
{
	struct mm_twice_row row = { .number = number };

	snprintf(row.id, sizeof(row.id), "%s", id);
	memset(row.digest, content, sizeof(row.digest));
	assert_int_equal(mm_twice_add(t, &row, NULL), MM_OK);
}

/* Which row stands for which device; the others are each their own. */
static const struct {
	unsigned long long row;
	const char *id;
	uint8_t content;
} planted[] = {
	{ 1, "TWO", 1 },     /* in the first piece and in the last */
	{ 40000, "two", 1 }, /* the same: fine */
	{ 99999, "Two", 2 },
	{ 100000, "tWO", 1 }, /* as the first one */
	{ 32768, "EDGE", 5 }, /* a piece's last, and the next one's first */
	{ 32769, "edge", 6 },
	{ 50, "NEAR", 7 }, /* in one piece */
	{ 60, "NEAR", 8 },
	{ 70, "NEAR", 8 },
	{ 100001, "LAST", 1 },
};

static const struct {
	unsigned long long row, first;
} wanted[] = { { 32769, 32768 }, { 60, 50 }, { 70, 50 }, { 99999, 1 } };

static void
far_apart(void **state)
{
	struct mm_twice t;
	struct seen s = { 0 };
	const size_t n = sizeof(planted) / sizeof(planted[0]);

	(void)state;
	assert_int_equal(mm_twice_init(&t, NULL), MM_OK);
	for (unsigned long long i = 1; i <= ROWS; i++) {
		size_t k = 0;
		char id[32];

		while (k < n && planted[k].row != i)
			k++;
		/* in no order that a sort would like */
		snprintf(id, sizeof(id), "D-%llu", i * 7919 % 1000003);
		add(&t, i, k < n ? planted[k].id : id,
		    k < n ? planted[k].content : (uint8_t)i);
	}
	assert_int_equal(mm_twice_each(&t, see, &s, NULL), MM_OK);
	mm_twice_done(&t);
	assert_int_equal(s.n, sizeof(wanted) / sizeof(wanted[0]));
	for (unsigned i = 0; i < s.n; i++) {
		assert_int_equal(s.one[i].row, wanted[i].row);
		assert_int_equal(s.one[i].first, wanted[i].first);
	}
	assert_string_equal(s.one[3].id, "Two");
}

static void
few(void **state)
{
	struct mm_twice t;
	struct seen s = { 0 };

	(void)state;
	assert_int_equal(mm_twice_init(&t, NULL), MM_OK);
	assert_int_equal(mm_twice_each(&t, see, &s, NULL), MM_OK);
	add(&t, 3, "a", 1);
	add(&t, 2, "A", 2);
	add(&t, 1, "b", 2);
	assert_int_equal(mm_twice_each(&t, see, &s, NULL), MM_OK);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.one[0].row, 3);
	assert_int_equal(s.one[0].first, 2);
	mm_twice_done(&t);
	mm_twice_done(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(far_apart),
		cmocka_unit_test(few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
