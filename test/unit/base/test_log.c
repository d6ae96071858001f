#include "rows.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

/* What one line says after its time. */
static void
capture(enum mm_log_level level, const char *value, char *out, size_t n)
{
	int saved = dup(STDERR_FILENO), pipefd[2];
	ssize_t got;
	const char *rest;

	assert_int_equal(pipe(pipefd), 0);
	dup2(pipefd[1], STDERR_FILENO);
	close(pipefd[1]);
	MM_LOG(level, "test.event", MM_S("v", value), MM_I("n", -7));
	dup2(saved, STDERR_FILENO);
	close(saved);
	got = read(pipefd[0], out, n - 1);
	close(pipefd[0]);
	assert_true(got >= 0);
	out[got] = '\0';
	rest = strchr(out, ' ');
	if (rest != NULL)
		memmove(out, rest, strlen(rest) + 1);
}

#define HEAD " level=warn program=tested event=test.event v="

static void
a_value_cannot_forge_a_line(void **state)
{
	static const struct {
		const char *what, *value, *want;
	} rows[] = {
		{ "plain", "SN-1", HEAD "SN-1 n=-7\n" },
		{ "space", "a b", HEAD "\"a b\" n=-7\n" },
		{ "empty", "", HEAD "\"\" n=-7\n" },
		{ "equals", "a=b", HEAD "\"a=b\" n=-7\n" },
		{ "line", "a\nb", HEAD "\"a\\x0ab\" n=-7\n" },
		{ "quote", "a\"b\\", HEAD "\"a\\\"b\\\\\" n=-7\n" },
		{ "terminal escape", "\x1b[2J", HEAD "\"\\x1b[2J\" n=-7\n" },
		{ "C1 in UTF-8", "\xc2\x9b", HEAD "\"\\xc2\\x9b\" n=-7\n" },
	};
	char got[8192];

	(void)state;
	mm_log_open("tested", MM_LOG_WARN);
	for (size_t i = 0; i < ROWS(rows); i++) {
		capture(MM_LOG_WARN, rows[i].value, got, sizeof(got));
		ROW(rows[i].what, strcmp(got, rows[i].want) == 0);
	}
	capture(MM_LOG_INFO, "x", got, sizeof(got));
	assert_string_equal(got, "");
}

static void
a_long_value_is_cut_within_one_line(void **state)
{
	static char value[10000];
	char got[8192];

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	capture(MM_LOG_ERROR, value, got, sizeof(got));
	assert_true(strlen(got) > 3900 && strlen(got) <= 4096);
	assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_cannot_forge_a_line),
		cmocka_unit_test(a_long_value_is_cut_within_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
