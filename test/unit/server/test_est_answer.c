#include "../base/rows.h"

#include "server/registrar.h"

/* What an EST server's answers mean: nothing but what says so has made
 * nothing. */

static void
test_status(void **state)
{
	(void)state;
	for (long s = 0; s < 1000; s++) {
		enum mm_forwarded how = mm_est_meaning(s);

		assert_int_equal(how == MM_FORWARD_MADE, s == 200);
		assert_int_equal(how == MM_FORWARD_PENDING, s == 202);
		assert_int_equal(how == MM_FORWARD_AWAY, s == 429 || s == 503);
		if (how == MM_FORWARD_REFUSED)
			assert_true((s >= 400 && s < 500) || s == 307 ||
			    s == 308 || s == 501);
		assert_int_not_equal(how, MM_FORWARD_WRONG);
	}
	assert_int_equal(mm_est_meaning(401), MM_FORWARD_REFUSED);
	assert_int_equal(mm_est_meaning(408), MM_FORWARD_LOST);
	assert_int_equal(mm_est_meaning(500), MM_FORWARD_LOST);
}

/* A CA's clock may be wrong, and so may who set it up. */
static void
test_wait(void **state)
{
	static const struct {
		enum mm_forwarded how;
		int64_t said;
		uint64_t want;
	} rows[] = {
		{ MM_FORWARD_PENDING, 0, 60 }, { MM_FORWARD_PENDING, 7, 7 },
		{ MM_FORWARD_PENDING, 1 << 30, 86400 },
		{ MM_FORWARD_AWAY, 0, 0 }, { MM_FORWARD_AWAY, -5, 0 },
		{ MM_FORWARD_AWAY, 120, 120 }, { MM_FORWARD_AWAY, 3600, 3600 },
		{ MM_FORWARD_AWAY, INT64_MAX, 3600 },
		{ MM_FORWARD_REFUSED, 9, 0 }, { MM_FORWARD_LOST, 9, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(mm_est_wait_s(rows[i].how, rows[i].said),
		    rows[i].want);
}

/* RFC 8446 6: closure and what is said of records says nothing of the
 * request. */
static void
test_silence(void **state)
{
	static const struct {
		bool sent;
		unsigned alert;
		enum mm_forwarded want;
	} rows[] = {
		{ false, 0, MM_FORWARD_AWAY }, { false, 80, MM_FORWARD_AWAY },
		{ true, 0, MM_FORWARD_LOST }, { true, 20, MM_FORWARD_LOST },
		{ true, 80, MM_FORWARD_LOST }, { true, 90, MM_FORWARD_LOST },
		{ true, 42, MM_FORWARD_AWAY }, { true, 48, MM_FORWARD_AWAY },
		{ true, 116, MM_FORWARD_AWAY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(mm_est_silence(rows[i].sent, rows[i].alert),
		    rows[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
