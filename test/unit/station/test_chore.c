#include <unistd.h>

#include "../base/rows.h"
#include "station/chore.h"

/* What is done beside the line's thread. */
struct job {
	int from; /* a pipe that it waits for */
	unsigned n;
};

static void
reads(void *arg)
{
	struct job *j = arg;
	char c;

	j->n += read(j->from, &c, 1) == 1;
}

static void
ends(struct mm_chore *c)
{
	for (int i = 0; i < 10000 && mm_chore_busy(c); i++)
		(void)usleep(1000);
	assert_false(mm_chore_busy(c));
}

static bool
is_ready(struct mm_chore *c)
{
	struct pollfd p = mm_chore_wish(c);

	return poll(&p, 1, 0) == 1;
}

/* Whoever looked before it ended, and waits then, is woken; and once. */
static void
its_end_is_heard(void **state)
{
	struct mm_chore *c = NULL;
	struct job j = { .n = 0 };
	int ends_of[2];

	(void)state;
	assert_int_equal(pipe(ends_of), 0);
	j.from = ends_of[0];
	assert_int_equal(mm_chore_new(&c, NULL), MM_OK);
	assert_false(mm_chore_busy(c));
	for (unsigned i = 1; i <= 3; i++) {
		assert_false(is_ready(c));
		mm_chore_begin(c, reads, &j);
		assert_true(mm_chore_busy(c));
		assert_false(is_ready(c));
		assert_int_equal(write(ends_of[1], "x", 1), 1);
		ends(c);
		assert_int_equal(j.n, i);
		assert_true(is_ready(c));
	}
	assert_false(is_ready(c));
	assert_true(mm_chore_free(&c, 10000));
	assert_null(c);
	assert_int_equal(close(ends_of[0]), 0);
	assert_int_equal(close(ends_of[1]), 0);
}

/* What was begun is done before it ends. */
static void
nothing_is_dropped(void **state)
{
	struct mm_chore *c = NULL;
	struct job j = { .n = 0 };
	int ends_of[2];

	(void)state;
	assert_int_equal(pipe(ends_of), 0);
	j.from = ends_of[0];
	assert_int_equal(write(ends_of[1], "x", 1), 1);
	assert_int_equal(mm_chore_new(&c, NULL), MM_OK);
	mm_chore_begin(c, reads, &j);
	assert_true(mm_chore_free(&c, 10000));
	assert_int_equal(j.n, 1);
	assert_true(mm_chore_free(&c, 0));
	assert_int_equal(close(ends_of[0]), 0);
	assert_int_equal(close(ends_of[1]), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_end_is_heard),
		cmocka_unit_test(nothing_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
