#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "signer/record.h"
#include "signer/state.h"

/*
 * Ceilings at given times.  What was not signed after all is given back to the
 * minute and the day that it was spent in, and to no other.
 */
#define DAY    INT64_C(86400)
#define MORN   (20000 * DAY)      /* a minute and a day begin */
#define SECOND (MORN + 60)
enum { PER_MINUTE = 2, PER_DAY = 3 };

struct fx {
	char dir[32];
	struct mm_record *r;
};

static int
open_it(void **state)
{
	static const struct mm_state none;
	static struct fx f;
	char path[64];
	uint64_t cut;
	FILE *journal;

	snprintf(f.dir, sizeof(f.dir), "/tmp/mm-ceilings-XXXXXX");
	assert_non_null(mkdtemp(f.dir));
	assert_int_equal(mm_state_write(f.dir, &none, NULL), MM_OK);
	snprintf(path, sizeof(path), "%s/journal.jsonl", f.dir);
	journal = fopen(path, "w");
	assert_non_null(journal);
	fclose(journal);
	assert_int_equal(
	    mm_record_open(f.dir, false, &f.r, &cut, NULL), MM_OK);
	*state = &f;
	return 0;
}

static int
close_it(void **state)
{
	struct fx *f = *state;
	char command[64];

	mm_record_close(&f->r);
	snprintf(command, sizeof(command), "rm -r %s", f->dir);
	return system(command);
}

static enum mm_err
spend(struct fx *f, int64_t day, int64_t now_s)
{
	return mm_record_spend(f->r, "thermo", PER_MINUTE, day, now_s, NULL);
}

static void
test_a_minute(void **state)
{
	struct fx *f = *state;

	for (unsigned i = 0; i < PER_MINUTE; i++)
		assert_int_equal(spend(f, 0, MORN), MM_OK);
	assert_int_equal(spend(f, 0, MORN), MM_EPOLICY);
	mm_record_give_back(f->r, "thermo", MORN + 59);
	assert_int_equal(spend(f, 0, MORN), MM_OK);
	assert_int_equal(spend(f, 0, MORN), MM_EPOLICY);
}

static void
test_a_minute_that_is_over(void **state)
{
	struct fx *f = *state;

	assert_int_equal(spend(f, 0, MORN), MM_OK);
	for (unsigned i = 0; i < PER_MINUTE; i++)
		assert_int_equal(spend(f, 0, SECOND), MM_OK);
	mm_record_give_back(f->r, "thermo", MORN);
	assert_int_equal(spend(f, 0, SECOND), MM_EPOLICY);
}

static void
test_a_day(void **state)
{
	struct fx *f = *state;

	for (unsigned i = 0; i < PER_DAY; i++)
		assert_int_equal(spend(f, PER_DAY, MORN + 60 * i), MM_OK);
	assert_int_equal(spend(f, PER_DAY, MORN + 600), MM_EPOLICY);
	mm_record_give_back(f->r, "thermo", MORN);
	assert_int_equal(spend(f, PER_DAY, MORN + 600), MM_OK);
	assert_int_equal(spend(f, PER_DAY, MORN + 660), MM_EPOLICY);
}

static void
test_a_day_that_is_over(void **state)
{
	struct fx *f = *state;

	assert_int_equal(spend(f, PER_DAY, MORN), MM_OK);
	for (unsigned i = 0; i < PER_DAY; i++)
		assert_int_equal(
		    spend(f, PER_DAY, MORN + DAY + 60 * i), MM_OK);
	mm_record_give_back(f->r, "thermo", MORN);
	assert_int_equal(spend(f, PER_DAY, MORN + DAY + 600), MM_EPOLICY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_minute, open_it,
		    close_it),
		cmocka_unit_test_setup_teardown(test_a_minute_that_is_over,
		    open_it, close_it),
		cmocka_unit_test_setup_teardown(test_a_day, open_it, close_it),
		cmocka_unit_test_setup_teardown(test_a_day_that_is_over,
		    open_it, close_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
