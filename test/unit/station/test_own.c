#include <sys/timex.h>

#include "../base/rows.h"
#include "station/own_priv.h"

/* What entries say of the clock that they go by. */

static void
only_what_the_kernel_says_is_set(void **state)
{
	static const struct {
		const char *what;
		int kernel;
		const char *want;
	} rows[] = {
		{ "set", TIME_OK, "system" },
		{ "a leap second comes", TIME_INS, "system" },
		{ "one is left out", TIME_DEL, "system" },
		{ "it is now", TIME_OOP, "system" },
		{ "it was", TIME_WAIT, "system" },
		{ "nothing sets it", TIME_ERROR, "unsynchronised" },
		{ "not to be asked", -1, "unsynchronised" },
		{ "what nobody knows", TIME_ERROR + 1, "unsynchronised" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ROW(rows[i].what, strcmp(mm_own_time_source(rows[i].kernel),
		    rows[i].want) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_the_kernel_says_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
