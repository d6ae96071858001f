#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "doctor/doctor.h"

#define DAY 86400
#define GIB ((uint64_t)1 << 30)

static void
certificates_end(void **state)
{
	static const struct {
		int64_t left_s;
		enum mm_level want;
	} rows[] = {
		{ -1, MM_LEVEL_FAIL },
		{ 0, MM_LEVEL_FAIL },
		{ 3 * DAY - 1, MM_LEVEL_FAIL },
		{ 3 * DAY, MM_LEVEL_WARN },
		{ 30 * DAY - 1, MM_LEVEL_WARN },
		{ 30 * DAY, MM_LEVEL_OK },
		{ INT64_MAX, MM_LEVEL_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    mm_doctor_end_level(rows[i].left_s), rows[i].want);
}

#define ISSUER(more) "issuer \"a\" { certificate = \"a\" key = \"b\" }\n" more \
	"profile \"p\" { issuer = \"a\"\nlifetime = \"100d\"\n" \
	"subject = { \"CN={device}\" } }\n"
#define NEXT(from) "issuer \"b\" { certificate = \"c\" key = \"d\"\n" \
	"follows = \"a\"\n" from "}\n"
#define FAR "follows_from = \"2099-01-01T00:00:00Z\"\n"

/* Nothing outlives its issuer: it is told before that cuts anything short. */
static void
issuers_cut_short(void **state)
{
	static const struct {
		const char *text;
		int64_t left_s;
		int want; /* -1: nothing is said */
	} rows[] = {
		{ ISSUER(""), 200 * DAY, -1 },
		{ ISSUER(""), 126 * DAY, -1 },
		{ ISSUER(""), 124 * DAY, MM_LEVEL_WARN },
		{ ISSUER(""), 101 * DAY, MM_LEVEL_WARN },
		{ ISSUER(""), 99 * DAY, MM_LEVEL_FAIL },
		{ ISSUER(NEXT("")), 99 * DAY, -1 }, /* it issues nothing */
		{ ISSUER(NEXT(FAR)), 99 * DAY, MM_LEVEL_FAIL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		MM_OWN(mm_config_free) struct mm_config *c = NULL;
		struct mm_findings f = { .n = 0 };

		assert_int_equal(mm_config_parse(mm_bytes_of(rows[i].text),
		    "/x/y.conf", &c, NULL), MM_OK);
		mm_doctor_life(c, &c->issuer[0], mm_now_s() + rows[i].left_s,
		    &f);
		assert_int_equal(f.n, rows[i].want >= 0);
		if (rows[i].want >= 0)
			assert_int_equal(f.f[0].level, rows[i].want);
	}
}

/* A tenth of a large disk is much; 10 GiB of a small one is all of it. */
static void
disks_fill(void **state)
{
	static const struct {
		uint64_t free_, all;
		enum mm_level want;
	} rows[] = {
		{ 0, 0, MM_LEVEL_OK }, /* a file system that does not say */
		{ 0, 100 * GIB, MM_LEVEL_FAIL },
		{ GIB - 1, 100 * GIB, MM_LEVEL_FAIL },
		{ GIB, 100 * GIB, MM_LEVEL_WARN },
		{ 5 * GIB, 100 * GIB, MM_LEVEL_OK },
		{ 20 * GIB, 4000 * GIB, MM_LEVEL_OK },
		{ GIB / 2, 2 * GIB, MM_LEVEL_OK },
		{ GIB / 10, 2 * GIB, MM_LEVEL_WARN },
		{ GIB / 100, 2 * GIB, MM_LEVEL_FAIL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(mm_doctor_space_level(
				     rows[i].free_, rows[i].all, 5 * GIB, GIB),
		    rows[i].want);
	/* inodes: by share alone */
	assert_int_equal(mm_doctor_space_level(1, 100, UINT64_MAX, UINT64_MAX),
	    MM_LEVEL_FAIL);
	assert_int_equal(mm_doctor_space_level(9, 100, UINT64_MAX, UINT64_MAX),
	    MM_LEVEL_WARN);
}

static void
the_worst_counts(void **state)
{
	static struct mm_findings f;

	(void)state;
	assert_int_equal(mm_findings_worst(&f), MM_LEVEL_OK);
	for (unsigned i = 0; i < 2 * MM_FINDINGS_MAX; i++)
		mm_find(&f, MM_CHECK_DISK, MM_LEVEL_OK, "do", "%u", i);
	assert_int_equal(f.n, MM_FINDINGS_MAX);
	assert_string_equal(f.f[0].todo, "");
	f.n = 1;
	mm_find(&f, MM_CHECK_DISK, MM_LEVEL_WARN, "do", "w");
	assert_int_equal(mm_findings_worst(&f), MM_LEVEL_WARN);
	mm_find(&f, MM_CHECK_DISK, MM_LEVEL_FAIL, "do", "w");
	mm_find(&f, MM_CHECK_DISK, MM_LEVEL_OK, NULL, "w");
	assert_int_equal(mm_findings_worst(&f), MM_LEVEL_FAIL);
	assert_string_equal(f.f[2].todo, "do");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificates_end),
		cmocka_unit_test(issuers_cut_short),
		cmocka_unit_test(disks_fill),
		cmocka_unit_test(the_worst_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
