/* Prefer: wait, RFC 7240 4.3. */
#include "../base/rows.h"

#include "http/http.h"

static const struct {
	const char *field;
	unsigned s;
} rows[] = {
	{ "wait=20", 20 },
	{ "wait=0", 0 },
	{ "wait=999", 999 },
	{ "wait=007", 7 },
	{ "respond-async, wait=10", 10 },
	{ "respond-async,wait=10 , x", 10 },
	{ "  wait=5\t", 5 },
	{ "wait=3; why=so, x", 3 },
	{ "foo; bar=\"x\", wait=4", 4 },
	{ "wait=x, wait=6", 6 },
	{ "", 0 },
	{ "wait", 0 },
	{ "wait=", 0 },
	{ "wait=1000", 0 },
	{ "wait=-1", 0 },
	{ "wait=5s", 0 },
	{ "wait=\"5\"", 0 },
	{ "await=5", 0 },
	{ "x wait=5", 0 },
	{ ",,,", 0 },
};

static void
waits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ROW(rows[i].field, mm_http_prefer_wait(
		    mm_bytes_of(rows[i].field)) == rows[i].s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(waits) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
