#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/upstream_rest.h"
#include "core/upstream_wait.h"

/* Whom a CA that gives no answer is spared; times are made up. */

static int64_t
wait_of(const struct mm_rests *r, const char *device, int64_t now)
{
	int64_t at;

	return mm_rests_may(r, device, now, &at) ? 0 : at - now;
}

static void
one_device_holds_up_nobody_else(void **state)
{
	static const int64_t waits[] = { 1000, 2000, 4000, 8000, 16000, 32000,
		60000, 60000 };
	struct mm_rests r = { .silent = 0 };
	int64_t now = 5;

	(void)state;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		assert_int_equal(wait_of(&r, "bad", now), 0);
		mm_rests_ask(&r, now);
		mm_rests_silent(&r, "bad", now, now);
		assert_int_equal(wait_of(&r, "bad", now), waits[i]);
		assert_int_equal(wait_of(&r, "good", now), 0);
		now += waits[i];
	}
	/* another's answer is not its own */
	mm_rests_silent(&r, "bad", now, now);
	mm_rests_answered(&r, "good", now);
	assert_int_equal(wait_of(&r, "bad", now), 60000);
	mm_rests_answered(&r, "bad", now);
	assert_int_equal(wait_of(&r, "bad", now), 0);
}

/* A CA that answers in between is there, however many have their trouble. */
static void
so_many_in_a_row_hold_up_all(void **state)
{
	struct mm_rests r = { .silent = 0 };
	char name[16];

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "bad-%u", i);
		mm_rests_silent(&r, name, 0, 0);
		mm_rests_answered(&r, "good", 0);
	}
	assert_int_equal(wait_of(&r, "new", 0), 0);
	mm_rests_silent(&r, "bad-0", 0, 0);
	mm_rests_silent(&r, "bad-0", 0, 0);
	mm_rests_silent(&r, "bad-1", 0, 0);
	assert_int_equal(wait_of(&r, "new", 0), 0);
	mm_rests_silent(&r, "bad-2", 0, 0);
	assert_int_equal(wait_of(&r, "new", 0), 1000);
	mm_rests_answered(&r, "good", 0);
	assert_int_equal(wait_of(&r, "new", 0), 0);
}

/* It waits longer for itself than all do: so it is another that tries. */
static void
after_a_rest_another_tries_for_all(void **state)
{
	struct mm_rests r = { .silent = 0 };

	(void)state;
	mm_rests_silent(&r, "a", -1000, -1000);
	mm_rests_silent(&r, "a", 0, 0);
	mm_rests_silent(&r, "b", 0, 0);
	mm_rests_silent(&r, "c", 0, 0);
	assert_int_equal(wait_of(&r, "d", 999), 1);
	assert_int_equal(wait_of(&r, "d", 1000), 0);
	assert_int_equal(wait_of(&r, "a", 1000), 1000);
	mm_rests_ask(&r, 1000);
	assert_int_equal(wait_of(&r, "e", 1000), 1000);
	mm_rests_silent(&r, "d", 1500, 1500);
	assert_int_equal(wait_of(&r, "e", 1500), 2000);
	/* whoever it had been */
	mm_rests_silent(&r, NULL, 2000, 2000);
	assert_int_equal(wait_of(&r, "e", 2000), 4000);
}

static const uint8_t key[32] = { 1 }, other[32] = { 2 };
#define OF(name) (&(struct mm_wait_of){ name, key })

/* RFC 7030 4.2.3 */
static void
so_many_wait_to_be_decided_about(void **state)
{
	struct mm_waits w = { .n = 0 };
	char name[16];

	(void)state;
	assert_int_equal(mm_waits_until(&w, OF("a")), 0);
	mm_waits_end(&w, OF("a"));
	for (unsigned i = 0; i < MM_WAITS_MOST; i++) {
		snprintf(name, sizeof(name), "d-%u", i);
		assert_true(mm_waits_put(&w, OF(name), 1000 + i, 1));
	}
	assert_true(mm_waits_put(&w, OF("d-7"), 90000, 1));
	assert_int_equal(mm_waits_until(&w, OF("d-7")), 90000);
	/* another key under its name is another's matter */
	assert_int_equal(mm_waits_until(&w, &(struct mm_wait_of){ "d-7",
	    other }), 0);
	/* who would have come first has lost its place */
	assert_false(mm_waits_put(&w, OF("more"), 5000, 2));
	assert_int_equal(mm_waits_until(&w, OF("more")), 5000);
	assert_int_equal(mm_waits_until(&w, OF("d-0")), 0);
	assert_int_equal(mm_waits_until(&w, OF("d-1")), 1001);
	/* whose time has come has none to lose */
	assert_true(mm_waits_put(&w, OF("next"), 6000, 1500));
	assert_int_equal(mm_waits_until(&w, OF("d-500")), 0);
	assert_int_equal(mm_waits_until(&w, OF("d-501")), 1501);
	assert_int_equal(w.n, MM_WAITS_MOST - 500 + 1 + 1);
	mm_waits_end(&w, OF("d-7"));
	assert_int_equal(mm_waits_until(&w, OF("d-7")), 0);
	mm_waits_done(&w);
}

/* RFC 9110 15.6.4: nobody asks until then, and afterwards it is as ever. */
static void
who_says_when_is_left_alone_until_then(void **state)
{
	struct mm_rests r = { .silent = 0 };

	(void)state;
	mm_rests_pause(&r, 1000, 121000);
	assert_int_equal(wait_of(&r, "a", 1000), 120000);
	assert_int_equal(wait_of(&r, "b", 1000), 120000);
	/* what was asked before says nothing new, and none shortens it */
	mm_rests_silent(&r, "b", 500, 1500);
	mm_rests_pause(&r, 1500, 31500);
	assert_int_equal(wait_of(&r, "c", 1500), 119500);
	assert_int_equal(wait_of(&r, "c", 121000), 0);
	/* one tries for all, and they wait for it a second, not two minutes */
	mm_rests_ask(&r, 121000);
	assert_int_equal(wait_of(&r, "d", 121000), 1000);
	mm_rests_silent(&r, "c", 121000, 121500);
	assert_int_equal(wait_of(&r, "d", 121500), 2000);
	mm_rests_pause(&r, 122000, 182000);
	mm_rests_answered(&r, "e", 121900);
	assert_int_equal(wait_of(&r, "d", 122000), 60000);
	mm_rests_answered(&r, "e", 182000);
	assert_int_equal(wait_of(&r, "d", 182001), 0);
	assert_int_equal(r.silent, 0);
}

/* Two are asked; one is told to wait, and then the other is answered. */
static void
an_answer_from_before_ends_no_pause(void **state)
{
	struct mm_rests r = { .silent = 0 };

	(void)state;
	mm_rests_silent(&r, "b", 100, 200);
	mm_rests_ask(&r, 1000);
	mm_rests_silent(&r, "a", 1000, 1500);
	mm_rests_pause(&r, 1500, 601500);
	mm_rests_answered(&r, "b", 1500);
	assert_int_equal(wait_of(&r, "b", 1600), 599900);
	assert_int_equal(wait_of(&r, "c", 1600), 599900);
	/* nor one that comes when it is over: another tries for all */
	mm_rests_answered(&r, "b", 1499);
	mm_rests_ask(&r, 601500);
	assert_int_equal(wait_of(&r, "c", 601500), 1000);
	mm_rests_answered(&r, "d", 601500);
	assert_int_equal(wait_of(&r, "c", 601501), 0);
}

/* All that were asked before say one thing together: it does not answer. */
static void
a_round_that_fails_counts_once(void **state)
{
	struct mm_rests r = { .silent = 0 };
	char name[16];

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		const int64_t asked = 1000 * round, now = asked + 500;
		const int64_t third = now + (round == 0 ? 2 : 0);

		for (unsigned i = 0; i < 20; i++) {
			snprintf(name, sizeof(name), "d-%u", i);
			mm_rests_silent(&r, name, asked + i, now + i);
			mm_rests_silent(&r, name, asked + i, now + i);
		}
		assert_int_equal(wait_of(&r, "new", third), 1000 << round);
		assert_int_equal(wait_of(&r, name, now + 19), 1000 << round);
		mm_rests_silent(&r, NULL, asked, now + 20);
		assert_int_equal(wait_of(&r, "new", third), 1000 << round);
	}
}

/* As for a CA whose answers are wrong. */
static void
longer_than_a_minute(void **state)
{
	struct mm_rests r = { .most_ms = 100000 };
	int64_t now = 1;

	(void)state;
	for (unsigned i = 0; i < 7; i++, now += 100000)
		mm_rests_silent(&r, "a", now, now);
	assert_int_equal(wait_of(&r, "a", now - 100000), 64000);
	for (unsigned i = 0; i < 2; i++)
		mm_rests_silent(&r, "a", now + i, now + i);
	assert_int_equal(wait_of(&r, "a", now + 1), 100000);
	mm_rests_answered(&r, "a", now);
	assert_int_equal(r.most_ms, 100000);
}

/* Else another rest of an hour follows what said nothing. */
static void
a_trial_that_proves_nothing_holds_up_nobody(void **state)
{
	struct mm_rests r = { .first_ms = 60000, .most_ms = 3600000 };

	(void)state;
	mm_rests_silent(&r, "a", 0, 0);
	mm_rests_silent(&r, "b", 0, 0);
	/* one that was asked before the rest has tried nothing for all */
	mm_rests_ask(&r, 1);
	mm_rests_silent(&r, "c", 0, 2);
	mm_rests_unproved(&r, 2);
	assert_int_equal(wait_of(&r, "d", 2), 60000);
	mm_rests_ask(&r, 60002);
	assert_int_equal(wait_of(&r, "d", 60003), 59999);
	mm_rests_unproved(&r, 60002);
	assert_int_equal(wait_of(&r, "d", 60003), 0);
	/* and one that did prove it holds them up, whatever ends then */
	mm_rests_ask(&r, 60004);
	mm_rests_silent(&r, "d", 60004, 60005);
	mm_rests_unproved(&r, 60004);
	assert_int_equal(wait_of(&r, "e", 60005), 120000);
	mm_rests_answered(&r, "e", 60004);
	mm_rests_unproved(&r, 60004);
	assert_int_equal(wait_of(&r, "e", 60005), 0);
}

static void
more_devices_than_places(void **state)
{
	struct mm_rests r = { .silent = 0 };
	char name[16];

	(void)state;
	for (unsigned i = 0; i < 4 * MM_REST_DEVICES; i++) {
		snprintf(name, sizeof(name), "d-%u", i);
		mm_rests_silent(&r, name, i, i);
		assert_true(wait_of(&r, name, i) > 0);
	}
	/* the oldest have no places any more, the newest do */
	mm_rests_answered(&r, "none", 200);
	assert_int_equal(wait_of(&r, "d-0", 200), 0);
	assert_true(wait_of(&r, name, 200) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_device_holds_up_nobody_else),
		cmocka_unit_test(so_many_in_a_row_hold_up_all),
		cmocka_unit_test(after_a_rest_another_tries_for_all),
		cmocka_unit_test(so_many_wait_to_be_decided_about),
		cmocka_unit_test(who_says_when_is_left_alone_until_then),
		cmocka_unit_test(an_answer_from_before_ends_no_pause),
		cmocka_unit_test(a_round_that_fails_counts_once),
		cmocka_unit_test(longer_than_a_minute),
		cmocka_unit_test(a_trial_that_proves_nothing_holds_up_nobody),
		cmocka_unit_test(more_devices_than_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
