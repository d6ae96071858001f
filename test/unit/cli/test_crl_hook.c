/* What "crl sync --on-change" runs. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/rows.h"

#include "base/time.h"
#include "cli/crl_hook.h"

static const struct {
	const char *command;
	enum mm_err want;
	const char *why;
} rows[] = {
	{ "true", MM_OK, "" },
	{ "exit 3", MM_ESYS, "status 3" },
	{ "kill -KILL $$", MM_ESYS, "signal 9" },
	{ "no-such-program-here 2>/dev/null", MM_ESYS, "status 127" },
	{ "trap '' TERM; while :; do sleep 600; done", MM_ESYS, "running" },
};

static void
ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_why why = { 0 };
		enum mm_err rc = mm_crl_hook_run(rows[i].command,
		    i + 1 < ROWS(rows) ? 60 : 1, NULL, &why);

		ROW(rows[i].command, rc == rows[i].want);
		ROW(rows[i].command, strstr(why.text, rows[i].why) != NULL);
	}
}

/* Its children hold the pipe: its end is that none is left. */
static void
with_its_children(void **state)
{
	char command[96], byte;
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	snprintf(command, sizeof(command), "sleep 600 & sleep 600; : %d", p[1]);
	assert_int_equal(mm_crl_hook_run(command, 1, NULL, NULL), MM_ESYS);
	close(p[1]);
	assert_int_equal(read(p[0], &byte, 1), 0);
	close(p[0]);
}

static void
not_beyond_a_signal(void **state)
{
	struct mm_stop stop;
	int64_t begun_ms = mm_mono_ms();

	(void)state;
	mm_stop_begin(&stop);
	assert_int_equal(raise(SIGHUP), 0);
	assert_int_equal(mm_crl_hook_run("sleep 600", 500, &stop, NULL),
	    MM_EAGAIN);
	assert_true(mm_mono_ms() - begun_ms < 500 * 1000);
	assert_int_equal(stop.caught, SIGHUP);
	stop.caught = 0; /* it is not to end us */
	mm_stop_end(&stop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends),
		cmocka_unit_test(with_its_children),
		cmocka_unit_test(not_beyond_a_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
