#include "../base/rows.h"
#include "station/print.h"

/* Whose turn it is at the printer, and what a wait is the printer's fault. */
static void
whose_turn(void **state)
{
	static const struct mm_unit mine = { .serial = "SN-1" },
		other = { .serial = "SN-2" };
	static const struct {
		const char *what;
		const struct mm_unit *printed;
		enum mm_err is;
		int64_t retry_ms;
		bool want;
		int64_t from;
	} rows[] = {
		{ "nobody's", NULL, MM_OK, 0, true, 100 },
		{ "mine is printed", &mine, MM_OK, 0, true, 100 },
		{ "another's is printed", &other, MM_OK, 0, false, 5000 },
		{ "another's waits for a printer that is away", &other,
		    MM_EAGAIN, 0, false, 100 },
		{ "it was away a moment ago", NULL, MM_EAGAIN, 5500, false,
		    100 },
		{ "it was away, and is tried again", NULL, MM_EAGAIN, 5000,
		    true, 100 },
		{ "another's, and it was stopped", &other, MM_EPOLICY, 0,
		    false, 100 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct mm_print t = { .unit = rows[i].printed,
			.is = rows[i].is, .retry_ms = rows[i].retry_ms };
		int64_t from = 100;

		ROW(rows[i].what, mm_print_turn(&t, &mine, 5000, &from) ==
		    rows[i].want);
		ROW(rows[i].what, from == rows[i].from);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whose_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
