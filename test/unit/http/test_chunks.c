/* RFC 9112 7.1, each row at every cut. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "http/parse.h"

#define B(s)                                        \
	{                                           \
		(const uint8_t *)(s), sizeof(s) - 1 \
	}

/* The limit is 16 bytes of body. */
static const struct {
	const char *what;
	struct mm_bytes in;
	int want;
	const char *body;
	size_t left; /* bytes behind it */
} rows[] = {
	{ "empty", B("0\r\n\r\n"), 200, "", 0 },
	{ "one", B("3\r\nabc\r\n0\r\n\r\n"), 200, "abc", 0 },
	{ "two", B("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET"), 200, "abcde", 3 },
	{ "CRLF as data", B("4\r\n\r\n\r\n\r\n0\r\n\r\n"), 200, "\r\n\r\n", 0 },
	{ "leading zeros", B("0003\r\nabc\r\n000\r\n\r\n"), 200, "abc", 0 },
	{ "capitals", B("A\r\n0123456789\r\n0\r\n\r\n"), 200, "0123456789", 0 },
	{ "exactly the limit", B("10\r\n0123456789abcdef\r\n0\r\n\r\n"), 200,
	    "0123456789abcdef", 0 },
	{ "over it at once", B("11\r\n0"), 413, NULL, 0 },
	{ "over it later", B("f\r\n0123456789abcde\r\n2\r\na"), 413, NULL, 0 },
	{ "far over it", B("ffffffff\r\n0"), 413, NULL, 0 },
	{ "nine digits", B("000000003\r\nabc\r\n0\r\n\r\n"), 400, NULL, 0 },
	{ "no digits", B("\r\nabc"), 400, NULL, 0 },
	{ "0x", B("0x3\r\nabc\r\n0\r\n\r\n"), 400, NULL, 0 },
	{ "sign", B("+3\r\nabc\r\n0\r\n\r\n"), 400, NULL, 0 },
	{ "minus", B("-3\r\nabc\r\n0\r\n\r\n"), 400, NULL, 0 },
	{ "space before", B(" 3\r\nabc\r\n0\r\n\r\n"), 400, NULL, 0 },
	{ "space behind", B("3 \r\nabc\r\n0\r\n\r\n"), 400, NULL, 0 },
	{ "extension", B("3;a=b\r\nabc\r\n0;c=\"d\"\r\n\r\n"), 200, "abc", 0 },
	{ "NUL in extension", B("3;a\0\r\nabc\r\n0\r\n\r\n"), 400, NULL, 0 },
	{ "LF in extension (TERM.EXT)", B("3;\nabc\r\n0\r\n\r\n"), 400, NULL,
	    0 },
	{ "bare LF", B("3\nabc\r\n0\r\n\r\n"), 400, NULL, 0 },
	{ "bare LF after data", B("3\r\nabc\n0\r\n\r\n"), 400, NULL, 0 },
	{ "bare CR", B("3\rabc\r\n0\r\n\r\n"), 400, NULL, 0 },
	{ "overrun", B("3\r\nabcd\r\n0\r\n\r\n"), 400, NULL, 0 },
	{ "underrun", B("3\r\nab\r\n0\r\n\r\n"), 400, NULL, 0 },
	{ "trailer", B("0\r\nA: b\r\nC:\r\n\r\nX"), 200, "", 1 },
	{ "trailer's bare LF", B("0\r\nA: b\n\r\n"), 400, NULL, 0 },
	{ "trailer folded", B("0\r\nA: b\r\n c\r\n\r\n"), 400, NULL, 0 },
	{ "trailer without colon", B("0\r\nA\r\n\r\n"), 400, NULL, 0 },
	{ "trailer without name", B("0\r\n: b\r\n\r\n"), 400, NULL, 0 },
	{ "trailer with NUL", B("0\r\nA: \0\r\n\r\n"), 400, NULL, 0 },
	{ "end by bare LF", B("0\r\n\n"), 400, NULL, 0 },
	{ "end by CR and more", B("0\r\n\rX"), 400, NULL, 0 },
	{ "not ready", B("3\r\nabc\r\n0\r\n"), 0, NULL, 0 },
};

static int
feed(struct mm_bytes in, size_t step, struct mm_buf *out, size_t *used)
{
	struct mm_http_chunks c = { 0 };

	*used = 0;
	while (c.result == MM_HTTP_MORE && *used < in.n) {
		size_t n = step < in.n - *used ? step : in.n - *used, took;

		(void)mm_http_chunks_feed(
		    &c, (struct mm_bytes){ in.p + *used, n }, out, &took);
		*used += took;
		assert_true(took == n || c.result != MM_HTTP_MORE);
	}
	return c.result;
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t step = 1; step <= rows[i].in.n; step++) {
			struct mm_buf out = MM_BUF_INIT(16);
			size_t used;
			int rc = feed(rows[i].in, step, &out, &used);

			if (rc != rows[i].want)
				fail_msg("%s: %d, want %d", rows[i].what, rc,
				    rows[i].want);
			assert_true(rc == MM_HTTP_DONE || rows[i].body == NULL);
			if (rows[i].body != NULL) {
				assert_true(mm_bytes_eq(mm_buf_view(&out),
				    mm_bytes_of(rows[i].body)));
				assert_int_equal(
				    rows[i].in.n - used, rows[i].left);
			}
			mm_buf_done(&out);
		}
	}
}

static int
repeated(const char *before, const char *unit, unsigned times)
{
	struct mm_buf in = MM_BUF_INIT(1 << 20), out = MM_BUF_INIT(65536);
	size_t used;
	int rc;

	mm_buf_text(&in, before);
	while (times-- > 0)
		mm_buf_text(&in, unit);
	rc = feed(mm_buf_view(&in), in.n, &out, &used);
	mm_buf_done(&in);
	mm_buf_done(&out);
	return rc;
}

static void
test_bounds(void **state)
{
	(void)state;
	assert_int_equal(repeated("3;", "x", MM_HTTP_CHUNK_EXT_MAX), 0);
	assert_int_equal(repeated("3;", "x", MM_HTTP_CHUNK_EXT_MAX + 1), 400);
	assert_int_equal(
	    repeated("", "1;xx\r\na\r\n", MM_HTTP_CHUNK_EXT_MAX / 2 + 1), 400);
	assert_int_equal(repeated("0\r\n", "A: b\r\n", 600), 0);
	assert_int_equal(repeated("0\r\n", "A: b\r\n", 700), 400);
	assert_int_equal(repeated("0\r\nA:", "x", MM_HTTP_TRAILER_MAX), 400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
