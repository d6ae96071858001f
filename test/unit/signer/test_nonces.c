#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "signer/nonces.h"

static const uint8_t one[MM_NONCE_N] = { 1 }, two[MM_NONCE_N] = { 2 };

static void
once(void **state)
{
	struct mm_nonces n = { .next = 0 };

	(void)state;
	mm_nonces_put(&n, "SN-1", one, 1000);
	assert_false(mm_nonces_take(&n, "SN-1", two, 1000));
	assert_true(mm_nonces_take(&n, "SN-1", one, 1000));
	assert_false(mm_nonces_take(&n, "SN-1", one, 1000));
}

static void
for_its_device(void **state)
{
	struct mm_nonces n = { .next = 0 };

	(void)state;
	mm_nonces_put(&n, "SN-1", one, 1000);
	assert_false(mm_nonces_take(&n, "SN-2", one, 1000));
	assert_false(mm_nonces_take(&n, "sn-1", one, 1000));
	assert_true(mm_nonces_take(&n, "SN-1", one, 1000));
}

static void
for_some_time(void **state)
{
	struct mm_nonces n = { .next = 0 };

	(void)state;
	mm_nonces_put(&n, "SN-1", one, 1000);
	mm_nonces_put(&n, "SN-1", two, 1000);
	assert_true(mm_nonces_take(&n, "SN-1", one, 999 + MM_NONCE_MS));
	assert_false(mm_nonces_take(&n, "SN-1", two, 1000 + MM_NONCE_MS));
	assert_false(mm_nonces_take(&n, "SN-1", two, 1000));
}

/* Zeros, which an empty place has, are no nonce. */
static void
nothing_is_nothing(void **state)
{
	const uint8_t none[MM_NONCE_N] = { 0 };
	struct mm_nonces n = { .next = 0 };

	(void)state;
	assert_false(mm_nonces_take(&n, "", none, -1));
	mm_nonces_put(&n, "SN-1", one, 1000);
	assert_true(mm_nonces_take(&n, "SN-1", one, 1000));
	assert_false(mm_nonces_take(&n, "SN-1", one, -1));
}

static void
the_oldest_go(void **state)
{
	uint8_t each[MM_NONCE_N] = { 0 };
	struct mm_nonces n = { .next = 0 };

	(void)state;
	for (unsigned i = 0; i < MM_NONCES + 5; i++) {
		each[0] = (uint8_t)i;
		mm_nonces_put(&n, "SN-1", each, 1000);
	}
	for (unsigned i = 0; i < MM_NONCES + 5; i++) {
		each[0] = (uint8_t)i;
		assert_int_equal(mm_nonces_take(&n, "SN-1", each, 1000),
		    i >= 5);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once),
		cmocka_unit_test(for_its_device),
		cmocka_unit_test(for_some_time),
		cmocka_unit_test(nothing_is_nothing),
		cmocka_unit_test(the_oldest_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
