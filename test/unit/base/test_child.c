#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "rows.h"
#include "base/child.h"

enum { RUNS = 30, LIMIT_S = 60, WAIT_MS = 30000 };

static const struct {
	const char *what, *script, *said;
	int status;
} rows[] = {
	{ "says", "echo yes", "yes\n", 0 },
	{ "says nothing", "exit 3", "", 3 },
	{ "ends its output first", "echo a; exec >&-; exit 0", "a\n", 0 },
	/* It has its output still when the program is long gone. */
	{ "leaves a helper", "sleep 100 & echo b", "b\n", 0 },
	{ "leaves more than a page", "printf %9000d 1", NULL, 0 },
};

/* It is waited for by the wish alone, and once is enough. */
static enum mm_child_got
run(struct mm_child *c, const char *script, int *status)
{
	const struct mm_conf_list program = { .n = 3,
		.item = { "/bin/sh", "-c" } };
	struct mm_conf_list p = program;
	struct pollfd wish;

	snprintf(p.item[2], sizeof(p.item[2]), "%s", script);
	mm_child_begin(c, &p, LIMIT_S, mm_bytes_of("{}\n"));
	wish = mm_child_wish(c);
	assert_int_equal(poll(&wish, 1, WAIT_MS), 1);
	return mm_child_run(c, status);
}

static void
its_end_is_seen_when_it_comes(void **state)
{
	struct mm_child c;

	(void)state;
	mm_child_init(&c);
	for (unsigned n = 0; n < RUNS; n++)
		for (size_t i = 0; i < ROWS(rows); i++) {
			int status = -1;

			ROW(rows[i].what,
			    run(&c, rows[i].script, &status) == MM_CHILD_ENDED);
			ROW(rows[i].what, WIFEXITED(status));
			ROW(rows[i].what,
			    WEXITSTATUS(status) == rows[i].status);
			ROW(rows[i].what, mm_child_wish(&c).fd == -1);
			if (rows[i].said == NULL)
				ROW(rows[i].what, c.said.n == 9000);
			else
				ROW(rows[i].what,
				    mm_bytes_eq(mm_buf_view(&c.said),
					mm_bytes_of(rows[i].said)));
		}
	mm_child_done(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_end_is_seen_when_it_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
