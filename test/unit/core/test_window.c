/* When a certificate is to be renewed: core/window.h, and a fleet by it. */
#include <stdio.h>
#include <stdlib.h>

#include "../base/rows.h"
#include "base/time.h"
#include "core/window.h"
#include "fleet.h"

#define DAY 86400
#define LIFE (365 * DAY)
#define PERIOD (LIFE / 100 * 66 * 2 / 3)
/* 2027-01-01T00:00:00Z */
#define BORN INT64_C(1798761600)

static struct mm_window_of
of_place(uint8_t a, uint8_t b)
{
	return (struct mm_window_of){ .now_s = BORN, .not_before_s = BORN,
		.not_after_s = BORN + LIFE, .life_s = LIFE, .percent = 66,
		.place = { a, 1, 2, 3, b, 5, 6, 7 } };
}

static struct mm_window
find(const struct mm_window_of *of)
{
	struct mm_window w;

	mm_window_find(of, &w);
	return w;
}

/* The first place is in the second period of its life, wherever it is. */
static void
places(void **state)
{
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		struct mm_window_of of = of_place((uint8_t)i, 0);
		struct mm_window w = find(&of);
		int64_t age = w.start_s - BORN;

		assert_int_equal(w.why, MM_WINDOW_PLACE);
		assert_in_range(age, PERIOD / 8 * 7 - DAY,
		    PERIOD / 8 * 15 + DAY);
		assert_in_range(w.end_s - w.start_s, 1, DAY);
		assert_int_equal(w.again_s, DAY);
		least = age < least ? age : least;
		most = age > most ? age : most;
		/* who asks again hears the same */
		of.now_s = w.start_s - 100;
		assert_int_equal(find(&of).start_s, w.start_s);
		assert_int_equal(find(&of).again_s, 100);
		of.now_s = w.end_s;
		assert_int_equal(find(&of).end_s, w.end_s);
	}
	assert_true(most - least > PERIOD / 100 * 97);
}

/* Renewed a little late, the next one is at the same place all the same. */
static void
keeps_its_place(void **state)
{
	struct mm_window_of of = of_place(99, 0);
	struct mm_window w = find(&of), next;

	(void)state;
	for (unsigned i = 1; i < 20; i++) {
		of.not_before_s = w.end_s + i * 3600 - 3600;
		of.not_after_s = of.not_before_s + LIFE - i * DAY / 4;
		of.now_s = of.not_before_s;
		next = find(&of);
		assert_int_equal(next.start_s - w.start_s, PERIOD);
		w = next;
	}
}

/* Whatever a life is, the end is never near, and a pull is before it. */
static void
lives(void **state)
{
	static const int64_t life[] = { 60, 3600, DAY, 7 * DAY, 90 * DAY,
		LIFE, 10 * (int64_t)LIFE, 100 * (int64_t)LIFE };
	static const unsigned percent[] = { 1, 10, 50, 66, 75, 99 };

	(void)state;
	for (size_t i = 0; i < ROWS(life); i++)
		for (unsigned k = 0; k < ROWS(percent) * 64; k++) {
			struct mm_window_of of = of_place((uint8_t)(k * 4), 0);
			struct mm_window w;

			of.not_after_s = BORN + life[i];
			of.life_s = life[i];
			of.percent = percent[k % ROWS(percent)];
			w = find(&of);
			assert_in_range(w.end_s, w.start_s,
			    BORN + life[i] / 10 * 9 + life[i] / 512 + 1);
			assert_true(w.start_s >= BORN);
			assert_in_range(w.again_s, 60, DAY);
		}
}

static void
missed(void **state)
{
	struct mm_window_of of = of_place(10, 128);
	struct mm_window w = find(&of), again;

	(void)state;
	of.now_s = w.end_s + 1;
	again = find(&of);
	assert_int_equal(again.why, MM_WINDOW_MISSED);
	assert_in_range(again.start_s, of.now_s - 2 * DAY / 32,
	    of.now_s + 2 * DAY);
	/* within it, it stays; after it, there is another one */
	of.now_s = again.end_s;
	assert_int_equal(find(&of).start_s, again.start_s);
	of.now_s = again.end_s + 1;
	assert_int_equal(find(&of).start_s, again.start_s + 2 * DAY);
	/* but not for ever */
	of.now_s = BORN + LIFE / 10 * 9 + 5;
	w = find(&of);
	assert_int_equal(w.why, MM_WINDOW_LAST);
	assert_int_equal(w.start_s, of.now_s);
	assert_int_equal(w.end_s, of.now_s);
	/* and over is over: it is told to come at once */
	of.now_s = BORN + 2 * LIFE;
	assert_int_equal(find(&of).start_s, of.now_s);
}

static void
pulls(void **state)
{
	struct mm_window_of of = of_place(64, 0);
	struct mm_window w;

	(void)state;
	of.pull_from_s = BORN + DAY;
	of.pull_until_s = BORN + 4 * DAY;
	w = find(&of);
	assert_int_equal(w.why, MM_WINDOW_PULLED);
	assert_in_range(w.start_s, of.pull_from_s, of.pull_until_s);
	/* who heard of it too late comes soon after */
	of.now_s = BORN + 5 * DAY;
	w = find(&of);
	assert_int_equal(w.why, MM_WINDOW_PULLED);
	assert_in_range(w.start_s, of.now_s - DAY, of.now_s + DAY);
	/* what has no end is renewed if it is pulled, and else never */
	of.not_after_s = MM_TIME_FOREVER_S;
	assert_int_equal(find(&of).why, MM_WINDOW_PULLED);
	of.pull_until_s = 0;
	assert_int_equal(find(&of).why, MM_WINDOW_NEVER);
	assert_int_equal(find(&of).start_s, 0);
	/* a pull that comes later than its own time changes nothing */
	of = of_place(64, 0);
	of.pull_from_s = BORN + 2 * (int64_t)LIFE;
	of.pull_until_s = of.pull_from_s + DAY;
	assert_int_equal(find(&of).why, MM_WINDOW_PLACE);
}

/* A fleet made in one week: what test/bench/renewal plots for a million. */
static void
flat(void **state)
{
	const struct fleet_of of = { .devices = 60000, .life_s = 40 * DAY,
		.made_s = 7 * DAY };
	struct fleet_load load;
	struct fleet *f = fleet_new(&of);

	(void)state;
	assert_non_null(f);
	fleet_run(f, 20 * DAY, NULL);
	fleet_run(f, 40 * DAY, &load);
	printf("%.1f requests a minute, at most %.2f of it in an hour\n",
	    load.mean, load.peak_hour / load.mean);
	assert_true(load.renewals > 2 * of.devices);
	assert_true(load.peak_hour < 1.5 * load.mean);
	assert_int_equal(load.expired, 0);
	fleet_load_done(&load);
	fleet_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),
		cmocka_unit_test(keeps_its_place),
		cmocka_unit_test(lives),
		cmocka_unit_test(missed),
		cmocka_unit_test(pulls),
		cmocka_unit_test(flat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
