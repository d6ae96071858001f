#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "server/priv.h"

#define ID     "0123456789abcdefghjk"
#define SECRET "ABCD-EFGH-JKMN-PQRS"

static const struct {
	const char *what, *in, *want;
} rows[] = {
	{ "nothing secret", "/api/v1/devices/mm12/x", "/api/v1/devices/mm12/x" },
	{ "a token's name", "/t/mm1-" ID, "/t/mm1-" ID },
	{ "a token", "/t/mm1-" ID "-" SECRET, "/t/mm1-" ID "*" },
	{ "what follows stays", "/t/mm1-" ID "-" SECRET "/cancel",
	    "/t/mm1-" ID "*/cancel" },
	{ "in groups", "/t/mm1-01234-56789-abcde-fghjk-" SECRET,
	    "/t/mm1-01234-56789-abcde-fghjk*" },
	{ "in capitals", "/t/MM1-" ID SECRET, "/t/MM1-" ID "*" },
	{ "escaped", "/t/mm1%2D" ID SECRET, "/t/mm1%2D0123456789abcdefgh*" },
	{ "not at the front", "/t/xmm1-" ID SECRET, "/t/xmm1-" ID "*" },
	{ "two", "/mmk_0123456789abcdef_s/mm1-" ID "s",
	    "/mmk_0123456789abcdef*/mm1-" ID "*" },
	{ "a key's name", "/mmk_0123456789abcdef", "/mmk_0123456789abcdef" },
	{ "no more than its head", "/mm1-", "/mm1-" },
	{ "at the end", "/mm1", "/mm1" },
	{ "empty", "", "" },
};

static void
secrets_in_a_path_are_masked(void **state)
{
	char out[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		mm_answer_path(mm_bytes_of(rows[i].in), out, sizeof(out));
		if (strcmp(out, rows[i].want) != 0)
			fail_msg("%s: %s", rows[i].what, out);
	}
}

/* Wherever the log's line ends, what it has is the beginning of the whole. */
static void
a_long_path_is_cut(void **state)
{
	static const char in[] = "/aaaa/mm1-" ID "-" SECRET "/mmk_0123456789"
	    "abcdef_secret/b";
	char whole[256], out[256];

	(void)state;
	mm_answer_path(mm_bytes_of(in), whole, sizeof(whole));
	for (size_t n = 1; n <= sizeof(in); n++) {
		memset(out, 'x', sizeof(out));
		mm_answer_path(mm_bytes_of(in), out, n);
		assert_true(strlen(out) < n);
		assert_int_equal(strncmp(out, whole, strlen(out)), 0);
		assert_int_equal(out[n], 'x');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_in_a_path_are_masked),
		cmocka_unit_test(a_long_path_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
