/* If-None-Match, RFC 9110 13.1.2 and 8.8.3: what proxies and caches send. */
#include "../base/rows.h"

#include "http/http.h"

static const struct {
	const char *field;
	bool listed;
} rows[] = {
	{ "\"ab\"", true },
	{ "W/\"ab\"", true },
	{ "*", true },
	{ "\"x\", \"ab\"", true },
	{ "W/\"x\",W/\"ab\",\"y\"", true },
	{ ", ,\t\"x\" ,, \"ab\" ,", true },
	{ "\"a,b\", \"ab\"", true },
	{ "\"x\"", false },
	{ "", false },
	{ "ab", false },
	{ "\"ab", false },
	{ "w/\"ab\"", false },
	{ "\"abc\", \"a\"", false },
	{ "\"AB\"", false },
	{ "\"a\"b\"\"", false },
	{ "W/", false },
	{ "\"", false },
	{ "**", false },
	{ "junk, \"ab\"", false },
};

static void
lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ROW(rows[i].field, mm_http_tag_listed(
		    mm_bytes_of(rows[i].field), "\"ab\"") == rows[i].listed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lists) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
