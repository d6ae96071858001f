#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/round.h"

/* How many ops a round has where other nodes wait for its end. */

static const struct {
	const char *what;
	size_t most, n;
	int64_t ms;
	size_t next;
} rows[] = {
	{ "full and quick", 100, 100, 40, 200 },
	{ "quick, and nobody wanted more", 100, 3, 1, 100 },
	{ "neither quick nor slow", 400, 400, 800, 400 },
	{ "as many as take a second", 800, 800, 4000, 200 },
	{ "a wait for others is no reason to want less than the least", 100,
	    1, 2900, 100 },
	{ "a round that had more", 100, 1024, 3000, 100 },
	{ "it failed", 1024, 1024, MM_MS_FAILED, 100 },
	{ "no more than a round holds", MM_ROUND_OPS, MM_ROUND_OPS, 1,
	    MM_ROUND_OPS },
};

static void
a_round_is_as_large_as_a_second(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (mm_round_next(rows[i].most, rows[i].n, rows[i].ms) !=
		    rows[i].next)
			fail_msg("%s: %zu", rows[i].what, mm_round_next(
			    rows[i].most, rows[i].n, rows[i].ms));
}

/* A database that takes 5 ms for each of them: others have their turn. */
static void
nobody_waits_long(void **state)
{
	size_t most = MM_ROUND_LEAST;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		most = mm_round_next(most, most, (int64_t)most * 5);
		assert_in_range(most * 5, 0, 1000);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_round_is_as_large_as_a_second),
		cmocka_unit_test(nobody_waits_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
