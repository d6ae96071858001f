#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "server/monitor.h"

#define LIMIT_S 10

/* Looks every second, for so many of them. */
static bool
lost_after(struct mm_pulse *p, int seconds)
{
	bool lost = false;

	for (int i = 0; i < seconds; i++) {
		mm_pulse_pass(p, MM_PULSE_EVERY_MS);
		lost = mm_pulse_lost(p, LIMIT_S);
	}
	return lost;
}

static void
silence_is_counted_from_the_last_beat(void **state)
{
	struct mm_pulse p;

	(void)state;
	mm_pulse_begin(&p);
	mm_pulse_beat(&p);
	assert_false(lost_after(&p, LIMIT_S));
	mm_pulse_beat(&p);
	assert_false(lost_after(&p, LIMIT_S));
	assert_true(lost_after(&p, 1));
}

static void
a_start_has_more_time(void **state)
{
	struct mm_pulse p;

	(void)state;
	mm_pulse_begin(&p);
	assert_false(lost_after(&p, LIMIT_S * MM_PULSE_START));
	assert_true(lost_after(&p, 1));
}

/* Stopped for an hour, and started again: the children were too. */
static void
the_monitors_own_absence_does_not_count(void **state)
{
	struct mm_pulse p;

	(void)state;
	mm_pulse_begin(&p);
	mm_pulse_beat(&p);
	mm_pulse_pass(&p, 3600 * 1000);
	assert_false(mm_pulse_lost(&p, LIMIT_S));
}

static void
nobody_is_watched_without_a_limit(void **state)
{
	struct mm_pulse p;

	(void)state;
	mm_pulse_begin(&p);
	mm_pulse_beat(&p);
	(void)lost_after(&p, 100000);
	assert_false(mm_pulse_lost(&p, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_is_counted_from_the_last_beat),
		cmocka_unit_test(a_start_has_more_time),
		cmocka_unit_test(the_monitors_own_absence_does_not_count),
		cmocka_unit_test(nobody_is_watched_without_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
