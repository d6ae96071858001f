#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/hist.h"

/* A value belongs to the first bucket whose bound it does not pass. */
static void
values_find_their_bucket(void **state)
{
	static const struct {
		const struct mm_hist_shape *shape;
		uint64_t v;
		size_t bucket;
	} rows[] = {
		{ &mm_hist_time, 0, 0 },
		{ &mm_hist_time, 250, 0 },
		{ &mm_hist_time, 251, 1 },
		{ &mm_hist_time, 10000000, 13 },
		{ &mm_hist_time, 10000001, 14 },
		{ &mm_hist_time, UINT64_MAX, 14 },
		{ &mm_hist_size, 1, 0 },
		{ &mm_hist_size, 3, 2 },
		{ &mm_hist_size, 1024, 10 },
		{ &mm_hist_size, 1025, 11 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_hist h = { 0 }, all = { 0 };

		mm_hist_add(&h, rows[i].shape, rows[i].v);
		mm_hist_merge(&h, &all);
		mm_hist_merge(&h, &all);
		for (size_t k = 0; k <= MM_HIST_MAX; k++)
			assert_int_equal(
			    all.bucket[k], k == rows[i].bucket ? 2 : 0);
		assert_int_equal(h.sum, rows[i].v);
	}
}

static void
shapes_grow(void **state)
{
	const struct mm_hist_shape *const shapes[] = { &mm_hist_time,
		&mm_hist_size };

	(void)state;
	for (size_t s = 0; s < 2; s++) {
		assert_in_range(shapes[s]->n, 1, MM_HIST_MAX);
		for (size_t i = 1; i < shapes[s]->n; i++)
			assert_true(
			    shapes[s]->bound[i] > shapes[s]->bound[i - 1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_find_their_bucket),
		cmocka_unit_test(shapes_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
