#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <time.h>

#include <cmocka.h>

#include "base/time.h"
#include "signer/run.h"

#define LIMIT_MS 1000

static atomic_bool stop;

static void *
spin(void *unused)
{
	(void)unused;
	while (!stop)
		continue;
	return NULL;
}

static void *
wait_for_ever(void *lock)
{
	pthread_mutex_lock(lock);
	pthread_mutex_unlock(lock);
	return NULL;
}

/* Looked at until it is stuck, for twice the limit at most. */
static bool
gets_stuck(pthread_t thread, bool busy)
{
	const struct timespec nap = { .tv_nsec = 10 * 1000 * 1000 };
	int64_t end = mm_mono_ms() + (int64_t)2 * LIMIT_MS;
	struct mm_progress p = { 0 };

	while (mm_mono_ms() < end) {
		if (mm_progress_stuck(&p, thread, busy, LIMIT_MS))
			return true;
		(void)nanosleep(&nap, NULL);
	}
	return false;
}

static void
a_thread_that_computes_is_not_stuck(void **state)
{
	pthread_t t;

	(void)state;
	stop = false;
	assert_int_equal(pthread_create(&t, NULL, spin, NULL), 0);
	assert_false(gets_stuck(t, true));
	stop = true;
	pthread_join(t, NULL);
}

static void
a_thread_that_waits_for_a_lock_is(void **state)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_t t;

	(void)state;
	pthread_mutex_lock(&lock);
	assert_int_equal(pthread_create(&t, NULL, wait_for_ever, &lock), 0);
	assert_true(gets_stuck(t, true));
	assert_false(gets_stuck(t, false)); /* idle: it waits for work */
	pthread_mutex_unlock(&lock);
	pthread_join(t, NULL);
}

/* The very first look finds no time used, and cannot know for how long. */
static void
a_first_look_says_nothing(void **state)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct mm_progress p = { 0 };
	pthread_t t;

	(void)state;
	pthread_mutex_lock(&lock);
	assert_int_equal(pthread_create(&t, NULL, wait_for_ever, &lock), 0);
	assert_false(mm_progress_stuck(&p, t, true, LIMIT_MS));
	assert_true(p.since_ms > 0);
	pthread_mutex_unlock(&lock);
	pthread_join(t, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_that_computes_is_not_stuck),
		cmocka_unit_test(a_thread_that_waits_for_a_lock_is),
		cmocka_unit_test(a_first_look_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
