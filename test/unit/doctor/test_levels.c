#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

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
		cmocka_unit_test(disks_fill),
		cmocka_unit_test(the_worst_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
