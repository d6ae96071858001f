#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "server/attempts.h"

/* The attempt log's memory, and its words. */

static void
every_reason_says_what_to_do(void **state)
{
	(void)state;
	for (unsigned i = 1; i < MM_REASON_COUNT; i++) {
		const char *text = mm_advice((enum mm_reason)i);

		if (strlen(text) < 20)
			fail_msg("%s has no advice",
			    mm_reason_text((enum mm_reason)i));
		/* it becomes a sentence of others': begins large, no stop */
		assert_true(text[0] >= 'A' && text[0] <= 'Z');
		assert_int_not_equal(text[strlen(text) - 1], '.');
	}
	assert_string_equal(mm_advice(MM_R_NONE), "");
	assert_string_equal(mm_advice(MM_REASON_COUNT), "");
}

static void
advice_names_the_device(void **state)
{
	static const struct {
		enum mm_reason reason;
		struct mm_advice_names names;
		const char *want;
	} rows[] = {
		{ MM_R_EXPIRED, { "SN-1", "", "" },
		    "Mint a new token: mintmark token create --device SN-1" },
		{ MM_R_EXPIRED, { "", "", "" },
		    "Mint a new token: mintmark token create --device "
		    "DEVICE" },
		{ MM_R_NONE, { "SN-1", "", "" }, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_buf b = MM_BUF_INIT(512);

		mm_advice_put(&b, rows[i].reason, &rows[i].names);
		assert_string_equal(mm_buf_cstr(&b), rows[i].want);
		mm_buf_done(&b);
	}
}

static void
note(struct mm_attempts *a, const char *device, const char *token)
{
	const struct in6_addr peer = IN6ADDR_LOOPBACK_INIT;

	mm_attempts_note(a, &(struct mm_attempt){ .door = MM_DOOR_HANDSHAKE,
				.reason = MM_R_CREDENTIAL,
				.device = device,
				.token = token,
				.peer = &peer,
				.text = "no" });
}

/* 10,000 refusals of made-up tokens, then of devices: memory stays, and the
 * first storm does not take the devices' room. */
static void
storms_are_bounded(void **state)
{
	struct mm_attempts *a = NULL;
	struct mm_attempts_stats st;
	char id[32];

	(void)state;
	assert_int_equal(mm_attempts_new(true, &a, NULL), MM_OK);
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(id, sizeof(id), "mm1-%020u", i);
		note(a, NULL, id);
	}
	mm_attempts_stats(a, &st);
	assert_int_equal(st.held, MM_ATTEMPTS_ROWS);
	assert_int_equal(st.noted, 10000);
	assert_int_equal(st.dropped, 10000 - MM_ATTEMPTS_ROWS);
	note(a, "SN-1", NULL);
	mm_attempts_stats(a, &st);
	assert_int_equal(st.held, MM_ATTEMPTS_ROWS + 1);
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(id, sizeof(id), "SN-%u", i);
		note(a, id, NULL);
	}
	mm_attempts_stats(a, &st);
	assert_int_equal(st.held, 2 * MM_ATTEMPTS_ROWS);
	mm_attempts_free(&a);
}

/* Ids are unique without case; the same again only counts. */
static void
one_device_is_one_row(void **state)
{
	struct mm_attempts *a = NULL;
	struct mm_attempts_stats st;

	(void)state;
	assert_int_equal(mm_attempts_new(true, &a, NULL), MM_OK);
	for (unsigned i = 0; i < 10000; i++)
		note(a, i % 2 ? "sn-1" : "SN-1", "mm1-x");
	note(a, NULL, NULL);
	note(a, "", "");
	mm_attempts_stats(a, &st);
	assert_int_equal(st.held, 1);
	assert_int_equal(st.dropped, 0);
	assert_int_equal(st.noted, 10000);
	mm_attempts_free(&a);
}

static void *
storm(void *arg)
{
	char id[32];

	for (unsigned i = 0; i < 5000; i++) {
		snprintf(id, sizeof(id), "SN-%u", i % 100);
		note(arg, id, NULL);
	}
	return NULL;
}

static void
threads_lose_nothing(void **state)
{
	struct mm_attempts *a = NULL;
	struct mm_attempts_stats st;
	pthread_t t[4];

	(void)state;
	assert_int_equal(mm_attempts_new(false, &a, NULL), MM_OK);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, storm, a), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	mm_attempts_stats(a, &st);
	assert_int_equal(st.held, 100);
	assert_int_equal(st.noted, 20000);
	assert_int_equal(st.dropped, 0);
	mm_attempts_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_says_what_to_do),
		cmocka_unit_test(advice_names_the_device),
		cmocka_unit_test(storms_are_bounded),
		cmocka_unit_test(one_device_is_one_row),
		cmocka_unit_test(threads_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
