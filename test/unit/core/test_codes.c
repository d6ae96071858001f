/* Printed codes, and those who guess them: core/codes.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/codes.h"

#define NOW INT64_C(1798761600)

static void
what_is_a_code(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "12345678", true },
		{ "1234567", false },
		{ "with:colon", true },
		{ "with space", false },
		{ "umlaut-\xc3\xa4-x", false },
		{ "tab\tinside", false },
		{ "delete\x7fxx", false },
		{ "0123456789012345678901234567890123456789012345678901234567"
		  "890123", true },
		{ "0123456789012345678901234567890123456789012345678901234567"
		  "8901234", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(mm_code_valid(mm_bytes_of(rows[i].text)),
		    rows[i].good);
}

static unsigned
tries(struct mm_guesses *g, const char *token, int64_t now_s)
{
	unsigned n = 0, wait;

	while (n < 100 && mm_guesses_take(g, token, now_s, &wait))
		n++;
	return n;
}

static void
some_tries_and_then_one_at_a_time(void **state)
{
	MM_OWN(mm_guesses_free) struct mm_guesses *g = NULL;
	unsigned wait = 0;

	(void)state;
	assert_int_equal(mm_guesses_new(&g, NULL), MM_OK);
	assert_int_equal(tries(g, "mm1-A", NOW), MM_CODE_TRIES);
	assert_false(mm_guesses_take(g, "mm1-A", NOW + 1, &wait));
	assert_int_equal(wait, MM_CODE_EVERY_S - 1);
	assert_int_equal(tries(g, "mm1-B", NOW + 1), MM_CODE_TRIES);
	assert_int_equal(tries(g, "mm1-A", NOW + MM_CODE_EVERY_S), 1);
	assert_int_equal(tries(g, "mm1-A", NOW + 4 * MM_CODE_EVERY_S), 3);
	assert_int_equal(tries(g, "mm1-A", NOW + 500 * MM_CODE_EVERY_S),
	    MM_CODE_TRIES);
	/* a clock that goes back holds nobody for longer */
	assert_false(mm_guesses_take(g, "mm1-A", NOW, &wait));
	assert_true(wait <= MM_CODE_EVERY_S);
	assert_int_equal(tries(g, "mm1-A", NOW + MM_CODE_EVERY_S), 1);
}

/* Right ones cost nothing. */
static void
right_ones_are_given_back(void **state)
{
	MM_OWN(mm_guesses_free) struct mm_guesses *g = NULL;
	unsigned wait;

	(void)state;
	assert_int_equal(mm_guesses_new(&g, NULL), MM_OK);
	for (unsigned i = 0; i < 2 * MM_CODE_ALL; i++) {
		assert_true(mm_guesses_take(g, "mm1-A", NOW, &wait));
		mm_guesses_back(g, "mm1-A");
	}
	assert_int_equal(tries(g, "mm1-A", NOW), MM_CODE_TRIES);
}

/* From device to device is no way around it. */
static void
all_devices_have_a_limit_too(void **state)
{
	MM_OWN(mm_guesses_free) struct mm_guesses *g = NULL;
	unsigned wait, n = 0;

	(void)state;
	assert_int_equal(mm_guesses_new(&g, NULL), MM_OK);
	for (unsigned i = 0; i < 100000; i++) {
		char token[MM_TOKEN_ID_TEXT];

		snprintf(token, sizeof(token), "mm1-%u", i);
		n += mm_guesses_take(g, token, NOW, &wait);
	}
	assert_int_equal(n, MM_CODE_ALL);
	assert_int_equal(wait, MM_CODE_ALL_EVERY_S);
	assert_int_equal(tries(g, "mm1-Z", NOW + 3 * MM_CODE_ALL_EVERY_S), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_a_code),
		cmocka_unit_test(some_tries_and_then_one_at_a_time),
		cmocka_unit_test(right_ones_are_given_back),
		cmocka_unit_test(all_devices_have_a_limit_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
