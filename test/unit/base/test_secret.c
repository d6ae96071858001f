#include "rows.h"

#include <sys/resource.h>
#include <unistd.h>

#include "base/secret.h"

static enum mm_err
through_a_pipe(const char *text, size_t n, struct mm_secret **out)
{
	enum mm_err err;
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], text, n), n);
	close(fd[1]);
	err = mm_secret_from_fd(fd[0], out, NULL);
	close(fd[0]);
	return err;
}

static void
reads_one_line(void **state)
{
	static const struct {
		const char *what, *text, *want; /* NULL: refused */
	} rows[] = {
		{ "a line", "secret\n", "secret" },
		{ "no end", "secret", "secret" },
		{ "CR LF", "secret\r\n", "secret" },
		{ "first of two", "one\ntwo\n", "one" },
		{ "spaces are kept", " a b \n", " a b " },
		{ "empty line", "\nx", NULL },
		{ "CR alone", "\r\n", NULL },
		{ "nothing", "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_secret *s = NULL;
		enum mm_err err = through_a_pipe(rows[i].text,
		    strlen(rows[i].text), &s);
		ROW(rows[i].what, (err == MM_OK) == (rows[i].want != NULL));
		ROW(rows[i].what, (s != NULL) == (err == MM_OK));
		if (s != NULL)
			ROW(rows[i].what, mm_bytes_eq(mm_secret_view(s),
			    mm_bytes_of(rows[i].want)));
		mm_secret_free(&s);
	}
}

static void
a_passphrase_has_a_longest(void **state)
{
	static char text[2000];
	struct mm_secret *s = NULL;

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(through_a_pipe(text, 1024, &s), MM_OK);
	assert_int_equal(mm_secret_view(s).n, 1024);
	mm_secret_free(&s);
	assert_int_equal(through_a_pipe(text, 1025, &s), MM_ELIMIT);
	assert_int_equal(through_a_pipe(text, 2000, &s), MM_ELIMIT);
	assert_null(s);
}

static void
a_refused_lock_is_no_failure(void **state)
{
	const struct rlimit none = { 0, 0 };
	struct mm_secret *s[50] = { NULL };

	(void)state;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &none), 0);
	for (size_t i = 0; i < ROWS(s); i++) {
		assert_int_equal(mm_secret_new(100000, &s[i], NULL), MM_OK);
		memset(s[i]->p, 1, s[i]->n);
	}
	for (size_t i = 0; i < ROWS(s); i++)
		mm_secret_free(&s[i]);
	assert_null(s[0]);
	mm_secret_free(&s[0]);
}

static void
no_file_is_not_found(void **state)
{
	struct mm_secret *s = NULL;
	struct mm_why why = { 0 };

	(void)state;
	assert_int_equal(mm_secret_from_file("/nonexistent/file", &s, &why),
	    MM_ENOTFOUND);
	assert_non_null(strstr(why.text, "/nonexistent/file"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_one_line),
		cmocka_unit_test(a_passphrase_has_a_longest),
		cmocka_unit_test(a_refused_lock_is_no_failure),
		cmocka_unit_test(no_file_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
