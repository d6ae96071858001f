/* What a person sees of something long, on a terminal of 80 columns or less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cmd.h"

static int columns = 80;
static char shown[512];

/* help.c's, without a terminal */
int
mm_term_width(FILE *f)
{
	assert_ptr_equal(f, stderr);
	return columns;
}

/* 90 are done, and it began ms ago. A stall of a few s among 45 changes
 * nothing. */
static struct mm_progress
begun(const struct mm_cli *cli, unsigned long long total, long long ms)
{
	struct mm_progress p;

	mm_progress_begin(&p, cli, "tokens", total);
	p.began_ms -= ms;
	mm_progress_step(&p, 90);
	return p;
}

/* What run puts on standard error. */
static const char *
see(void (*run)(void))
{
	int kept = dup(STDERR_FILENO), end[2];
	ssize_t n;

	fflush(stderr);
	assert_int_equal(pipe(end), 0);
	assert_true(dup2(end[1], STDERR_FILENO) >= 0);
	run();
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	close(kept);
	close(end[1]);
	n = read(end[0], shown, sizeof(shown) - 1);
	close(end[0]);
	assert_true(n >= 0);
	shown[n] = '\0';
	return shown;
}

static const struct mm_cli person = { .tty = true };

static void
one_look(void)
{
	(void)begun(&person, 100, 45000);
}

static void
one_without_an_end(void)
{
	(void)begun(&person, 0, 45000);
}

static void
short_ones(void)
{
	static const struct mm_cli program = { .tty = false },
		quiet = { .tty = true, .quiet = true };
	struct mm_progress p = begun(&person, 100, 0);

	mm_progress_end(&p);
	(void)begun(&program, 100, 45000);
	(void)begun(&quiet, 100, 45000);
}

static void
often(void)
{
	struct mm_progress p = begun(&person, 100, 45000);

	for (int i = 0; i < 50; i++)
		mm_progress_step(&p, 91);
}

static void
to_the_end(void)
{
	struct mm_progress p = begun(&person, 1000000, 45000);

	p.done = 1000000;
	mm_progress_end(&p);
}

static void
rate_and_time_left(void **state)
{
	(void)state;
	assert_string_equal(see(one_look),
	    "\rtokens [#####################...] 90/100  2/s  5 s left");
	assert_string_equal(see(one_without_an_end), "\rtokens 90  2/s  45 s");
}

static void
narrow(void **state)
{
	(void)state;
	columns = 44;
	assert_string_equal(see(one_look),
	    "\rtokens [##########..] 90/100  2/s  5 s left");
	columns = 20;
	assert_string_equal(see(one_look), "\rtokens 90/100  2/s  5 s left");
	columns = 80;
}

/* Below a second, in a pipe, or unasked for. */
static void
nothing(void **state)
{
	(void)state;
	assert_string_equal(see(short_ones), "");
}

static void
ten_times_a_second(void **state)
{
	const char *line = see(often);

	(void)state;
	assert_non_null(strchr(line, '\r'));
	assert_null(strchr(line + 1, '\r'));
}

/* Nothing of a longer line stays when it is drawn over. */
static void
drawn_over(void **state)
{
	const char *first = see(to_the_end), *second = strchr(first + 1, '\r');
	size_t n;

	(void)state;
	assert_non_null(second);
	n = (size_t)(second - first);
	assert_true(strlen(second) > n);
	assert_non_null(strstr(second, "1000000/1000000"));
	assert_non_null(strstr(second, "  0 s left"));
	assert_int_equal(second[strlen(second) - 1], '\n');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rate_and_time_left),
		cmocka_unit_test(narrow),
		cmocka_unit_test(nothing),
		cmocka_unit_test(ten_times_a_second),
		cmocka_unit_test(drawn_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
