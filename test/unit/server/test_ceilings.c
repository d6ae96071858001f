#include "../base/rows.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "server/ceilings.h"

/* What is used up outlives who counts it, and only what was made is. */
#define T0 INT64_C(1795392000) /* a day's and a minute's first second */

struct bench {
	struct mm_profile profile[2];
	struct mm_config c;
	char folder[32], file[64];
	struct mm_ceilings *all;
};

static void
open_it(struct bench *b)
{
	struct mm_why why = { 0 };

	mm_ceilings_free(&b->all);
	if (mm_ceilings_open(b->folder, &b->c, &b->all, &why) != MM_OK)
		fail_msg("%s", why.text);
}

static enum mm_err
spend(struct bench *b, int64_t now_s)
{
	return mm_ceilings_spend(b->all, &b->profile[0], now_s, NULL);
}

static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	strcpy(b->profile[0].name, "thermo");
	b->profile[0].per_minute = 2;
	b->profile[0].per_day = 3;
	strcpy(b->profile[1].name, "free");
	b->c.profile = b->profile;
	b->c.nprofile = 2;
	strcpy(b->folder, "/tmp/ceilings-XXXXXX");
	assert_non_null(mkdtemp(b->folder));
	snprintf(b->file, sizeof(b->file), "%s/used.json", b->folder);
	open_it(b);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	mm_ceilings_free(&b->all);
	(void)unlink(b->file);
	assert_int_equal(rmdir(b->folder), 0);
	free(b);
	return 0;
}

static void
test_a_minute_and_a_day_have_an_end(void **state)
{
	struct bench *b = *state;

	assert_int_equal(spend(b, T0), MM_OK);
	assert_int_equal(spend(b, T0 + 59), MM_OK);
	assert_int_equal(spend(b, T0 + 59), MM_EPOLICY);
	assert_int_equal(spend(b, T0 + 60), MM_OK);
	assert_int_equal(spend(b, T0 + 120), MM_EPOLICY);
	assert_int_equal(spend(b, T0 + 86400), MM_OK);
}

static void
test_a_new_beginning_begins_no_ceiling(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 2; i++) {
		open_it(b);
		assert_int_equal(spend(b, T0 + 1), MM_OK);
	}
	open_it(b);
	assert_int_equal(spend(b, T0 + 2), MM_EPOLICY);
	assert_int_equal(spend(b, T0 + 60), MM_OK);
	open_it(b);
	assert_int_equal(spend(b, T0 + 120), MM_EPOLICY);
}

/* A slow no of the minute before makes no room in this one. */
static void
test_a_window_that_is_over(void **state)
{
	struct bench *b = *state;

	assert_int_equal(spend(b, T0), MM_OK);
	while (spend(b, T0 + 60) == MM_OK)
		;
	mm_ceilings_give_back(b->all, &b->profile[0], T0);
	assert_int_equal(spend(b, T0 + 61), MM_EPOLICY);
}

static void
test_what_was_not_made_is_given_back(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 10; i++) {
		assert_int_equal(spend(b, T0), MM_OK);
		mm_ceilings_give_back(b->all, &b->profile[0], T0 + 5);
		open_it(b);
	}
	assert_int_equal(spend(b, T0), MM_OK);
	/* the minute is over; the day is not */
	mm_ceilings_give_back(b->all, &b->profile[0], T0 + 61);
	assert_int_equal(spend(b, T0 + 61), MM_OK);
	assert_int_equal(spend(b, T0 + 62), MM_OK);
	assert_int_equal(spend(b, T0 + 62), MM_EPOLICY);
	/* nothing to give back to in another day */
	mm_ceilings_give_back(b->all, &b->profile[0], T0 + 86400);
	assert_int_equal(spend(b, T0 + 200), MM_OK);
	assert_int_equal(spend(b, T0 + 201), MM_EPOLICY);
}

static void
test_a_clock_set_back_begins_nothing(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(spend(b, T0 + 86400 + 60 * i), MM_OK);
	assert_int_equal(spend(b, T0), MM_EPOLICY);
	assert_int_equal(spend(b, T0 + 3600), MM_EPOLICY);
	/* nor does it last until the day that it thought it was */
	assert_int_equal(spend(b, T0 + 86400), MM_OK);
}

static void
test_a_profile_without_ceilings_is_not_counted(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 100; i++)
		assert_int_equal(mm_ceilings_spend(b->all, &b->profile[1], T0,
		    NULL), MM_OK);
	mm_ceilings_give_back(b->all, &b->profile[1], T0);
	assert_int_not_equal(access(b->file, F_OK), 0);
}

static void
test_a_file_that_cannot_be_read_is_no_fresh_one(void **state)
{
	static const char *const bad[] = { "", "{", "[]", "{\"thermo\":1}",
		"{\"thermo\":{\"day\":1,\"in_day\":2}}",
		"{\"thermo\":{\"minute\":1,\"in_minute\":-1,\"day\":1,"
		"\"in_day\":2}}",
		"{\"thermo\":{\"minute\":1,\"in_minute\":1,\"day\":\"1\","
		"\"in_day\":2}}" };
	struct bench *b = *state;

	mm_ceilings_free(&b->all);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(mm_file_replace(b->file, mm_bytes_of(bad[i]),
		    0600, NULL), MM_OK);
		assert_int_equal(mm_ceilings_open(b->folder, &b->c, &b->all,
		    NULL), MM_EINPUT);
	}
}

/* What is not on the disk is not spent, and so nobody is asked. */
static void
test_what_cannot_be_written_is_refused(void **state)
{
	struct bench *b = *state;

	assert_int_equal(rmdir(b->folder), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(spend(b, T0), MM_ENOTFOUND);
	assert_non_null(strcpy(b->folder, "/tmp/ceilings-XXXXXX"));
	assert_non_null(mkdtemp(b->folder));
	snprintf(b->file, sizeof(b->file), "%s/used.json", b->folder);
	open_it(b);
	assert_int_equal(spend(b, T0), MM_OK);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_minute_and_a_day_have_an_end),
		T(test_a_new_beginning_begins_no_ceiling),
		T(test_a_window_that_is_over),
		T(test_what_was_not_made_is_given_back),
		T(test_a_clock_set_back_begins_nothing),
		T(test_a_profile_without_ceilings_is_not_counted),
		T(test_a_file_that_cannot_be_read_is_no_fresh_one),
		T(test_what_cannot_be_written_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
