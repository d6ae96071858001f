#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <string.h>

#include "http/priv.h"

static const struct {
	const char *pattern, *path;
	bool want;
	const char *first, *rest; /* ":" number 0; "*" */
} rows[] = {
	{ "/", "/", true, NULL, NULL },
	{ "/", "//", false, NULL, NULL },
	{ "/", "/a", false, NULL, NULL },
	{ "/a", "/a", true, NULL, NULL },
	{ "/a", "/a/", false, NULL, NULL },
	{ "/a", "/A", false, NULL, NULL },
	{ "/a", "/ab", false, NULL, NULL },
	{ "/a/b", "/a", false, NULL, NULL },
	{ "/a/b", "/a//b", false, NULL, NULL },
	{ "/a/:", "/a/x", true, "x", NULL },
	{ "/a/:", "/a/", false, NULL, NULL },
	{ "/a/:", "/a/x/", false, NULL, NULL },
	{ "/a/:/b", "/a/x/b", true, "x", NULL },
	{ "/a/:/b", "/a//b", false, NULL, NULL },
	{ "/:/:", "/x/y", true, "x", NULL },
	{ "/t/*", "/t/a/b", true, NULL, "a/b" },
	{ "/t/*", "/t/", true, NULL, "" },
	{ "/t/*", "/t", false, NULL, NULL },
	{ "/t/*", "/t//a", false, NULL, NULL },
	{ "/t/*", "/t/a//b", false, NULL, NULL },
	{ "/:/*", "/x/y/z", true, "x", "y/z" },
};

static void
test_match(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_bytes path = mm_bytes_of(rows[i].path);
		struct mm_bytes first = { 0 }, rest = { 0 };
		bool got =
		    mm_http_route_match(rows[i].pattern, path, 0, &first);

		if (got != rows[i].want)
			fail_msg("%s on %s", rows[i].pattern, rows[i].path);
		assert_int_equal(
		    mm_http_route_match(rows[i].pattern, path, UINT_MAX, &rest),
		    got);
		if (rows[i].first != NULL)
			assert_true(
			    mm_bytes_eq(first, mm_bytes_of(rows[i].first)));
		if (rows[i].rest != NULL)
			assert_true(
			    mm_bytes_eq(rest, mm_bytes_of(rows[i].rest)));
	}
}

static const struct mm_http_route table[] = {
	{ .method = MM_HTTP_GET, .pattern = "/a" },
	{ .method = MM_HTTP_POST, .pattern = "/a" },
	{ .method = MM_HTTP_POST, .pattern = "/a/:" },
	{ .method = MM_HTTP_GET, .pattern = "/a/b" },
	{ .method = MM_HTTP_GET, .pattern = "/a/:" },
};

static const struct {
	enum mm_http_method method;
	const char *path;
	int want; /* index, or -1 */
	const char *allow;
} finds[] = {
	{ MM_HTTP_GET, "/a", 0, NULL },
	{ MM_HTTP_HEAD, "/a", 0, NULL },
	{ MM_HTTP_POST, "/a", 1, NULL },
	{ MM_HTTP_PUT, "/a", -1, "GET, HEAD, POST" },
	{ MM_HTTP_METHODS, "/a", -1, "GET, HEAD, POST" },
	{ MM_HTTP_GET, "/a/b", 3, NULL },
	{ MM_HTTP_GET, "/a/c", 4, NULL },
	{ MM_HTTP_POST, "/a/b", 2, NULL },
	{ MM_HTTP_GET, "/b", -1, "" },
	{ MM_HTTP_METHODS, "/b", -1, "" },
};

static void
test_find(void **state)
{
	const struct mm_http_listener_conf conf = { .routes = table,
		.nroutes = sizeof(table) / sizeof(table[0]) };

	(void)state;
	for (size_t i = 0; i < sizeof(finds) / sizeof(finds[0]); i++) {
		char allow[ALLOW_TEXT] = "?";
		const struct mm_http_route *r = mm_http_route_find(
		    &conf, finds[i].method, mm_bytes_of(finds[i].path), allow);

		assert_ptr_equal(
		    r, finds[i].want < 0 ? NULL : &table[finds[i].want]);
		if (r == NULL)
			assert_string_equal(allow, finds[i].allow);
	}
}

static const struct {
	const char *query, *name;
	enum mm_err want;
	const char *value;
} queries[] = {
	{ "a=b", "a", MM_OK, "b" },
	{ "x=1&a=b%20c+d&y", "a", MM_OK, "b c d" },
	{ "x=1&y", "y", MM_OK, "" },
	{ "a=b", "b", MM_ENOTFOUND, NULL },
	{ "", "a", MM_ENOTFOUND, NULL },
	{ "ab=1", "a", MM_ENOTFOUND, NULL },
	{ "a=1&a=1", "a", MM_EINPUT, NULL },
	{ "a=%00", "a", MM_EINPUT, NULL },
	{ "a=%4", "a", MM_EINPUT, NULL },
	{ "a=%FF", "a", MM_EINPUT, "" },
	{ "a=%C3", "a", MM_EINPUT, "" },
	{ "a=%C3%A4", "a", MM_OK, "\xc3\xa4" },
	{ "a=12345678", "a", MM_ELIMIT, NULL },
	{ "a=%31%32%33%34567", "a", MM_OK, "1234567" },
};

static void
test_query(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		struct mm_http_req req = { .query =
					       mm_bytes_of(queries[i].query) };
		char out[8] = "before";

		assert_int_equal(mm_http_query(&req, queries[i].name, out,
				     sizeof(out), NULL),
		    queries[i].want);
		assert_string_equal(out,
		    queries[i].value != NULL ? queries[i].value : "before");
	}
}

static void
test_resp_header(void **state)
{
	struct mm_http_resp resp = { 0 };
	char big[512];

	(void)state;
	memset(big, 'x', sizeof(big));
	big[511] = '\0';
	mm_http_resp_header(&resp, "A", "b");
	mm_http_resp_header(&resp, "C", "d\r\nSet-Cookie: e");
	mm_http_resp_header(&resp, "D", big);
	mm_http_resp_header(&resp, "E", "f");
	assert_string_equal(resp.extra, "A: b\r\nE: f\r\n");
}

/* Every pair of states; "-" may not be. */
static void
test_edges(void **state)
{
	static const char *const want[CONN_STATES] = {
		[CONN_DELAY] = "YS------D",
		[CONN_HANDSHAKE] = "--I-----D",
		[CONN_IDLE] = "---H----D",
		[CONN_HEAD] = "----BAW-D",
		[CONN_BODY] = "-----AW-D",
		[CONN_WAIT] = "------W-D",
		[CONN_WRITE] = "--IH--WLD",
		[CONN_LINGER] = "--------D",
		[CONN_DEAD] = "---------",
	};

	(void)state;
	for (unsigned from = 0; from < CONN_STATES; from++)
		for (unsigned to = 0; to < CONN_STATES; to++)
			assert_int_equal(mm_http_conn_may((enum conn_state)from,
					     (enum conn_state)to),
			    want[from][to] != '-');
}

static struct in6_addr
address(const char *bytes)
{
	struct in6_addr a;

	memcpy(&a, bytes, sizeof(a));
	return a;
}

/* An IPv4 address counts alone, an IPv6 one with its /64. */
static void
test_sources(void **state)
{
	struct sources s = { .salt = 42 };
	struct in6_addr v4a = address("\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4");
	struct in6_addr v4b = address("\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\5");
	struct in6_addr v6a = address("\x20\1\0\0\0\0\0\1\0\0\0\0\0\0\0\1");
	struct in6_addr v6b = address("\x20\1\0\0\0\0\0\1\0\0\0\0\0\0\0\2");
	struct source *a, *b, *c;

	(void)state;
	a = mm_http_source_take(&s, &v4a, 1);
	assert_non_null(a);
	assert_null(mm_http_source_take(&s, &v4a, 1));
	b = mm_http_source_take(&s, &v4b, 1);
	c = mm_http_source_take(&s, &v6a, 1);
	assert_true(b != NULL && c != NULL);
	assert_null(mm_http_source_take(&s, &v6b, 1));
	mm_http_source_drop(&s, a);
	a = mm_http_source_take(&s, &v4a, 1);
	assert_non_null(a);
	mm_http_source_drop(&s, a);
	mm_http_source_drop(&s, b);
	mm_http_source_drop(&s, c);
	for (unsigned i = 0; i < SOURCE_BUCKETS; i++)
		assert_null(s.bucket[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_resp_header),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
