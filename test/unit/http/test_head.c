/*
 * Rows of raw bytes and what the head parser says of them: the corpora of
 * request smuggling, and the habits of real clients.  Each row is also fed
 * byte by byte and cut at every place: the result must not change.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "http/parse.h"

#define GET  "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define POST "POST /p HTTP/1.1\r\n" HOST
#define B(s)                                        \
	{                                           \
		(const uint8_t *)(s), sizeof(s) - 1 \
	}

static const struct {
	const char *what;
	struct mm_bytes in;
	int want;
} rows[] = {
	{ "plain", B(GET HOST "\r\n"), 200 },
	{ "1.0 without Host", B("GET / HTTP/1.0\r\n\r\n"), 200 },
	{ "1.1 without Host (9112 3.2)", B(GET "\r\n"), 400 },
	{ "two Hosts", B(GET HOST HOST "\r\n"), 400 },
	{ "two Hosts in 1.0", B("GET / HTTP/1.0\r\n" HOST HOST "\r\n"), 400 },
	{ "empty Host", B(GET "Host:\r\n\r\n"), 200 },
	{ "Host with port", B(GET "Host: a.example:8443\r\n\r\n"), 200 },
	{ "Host v6", B(GET "Host: [::1]:8443\r\n\r\n"), 200 },
	{ "Host v6 open", B(GET "Host: [::1\r\n\r\n"), 400 },
	{ "Host v6 empty", B(GET "Host: []\r\n\r\n"), 400 },
	{ "Host v6 malformed", B(GET "Host: [:1]\r\n\r\n"), 400 },
	{ "Host list", B(GET "Host: a, b\r\n\r\n"), 400 },
	{ "Host with user", B(GET "Host: u@a\r\n\r\n"), 400 },
	{ "Host with path", B(GET "Host: a/b\r\n\r\n"), 400 },
	{ "Host with space", B(GET "Host: a b\r\n\r\n"), 400 },
	{ "Host port of letters", B(GET "Host: a:x\r\n\r\n"), 400 },
	{ "bare LF after request line", B("GET / HTTP/1.1\nHost: a\r\n\r\n"),
	    400 },
	{ "bare LF after field", B(GET "Host: a\n\r\n"), 400 },
	{ "bare LF at the end", B(GET HOST "\n"), 400 },
	{ "bare CR in value", B(GET HOST "A: b\rC: d\r\n\r\n"), 400 },
	{ "bare CR in name", B(GET HOST "A\r: b\r\n\r\n"), 400 },
	{ "CR CR LF", B(GET HOST "A: b\r\r\n\r\n"), 400 },
	{ "NUL in value", B(GET HOST "A: b\0c\r\n\r\n"), 400 },
	{ "NUL in name", B(GET HOST "A\0: b\r\n\r\n"), 400 },
	{ "NUL in target", B("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "NUL first", B("\0GET / HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "fold by space", B(GET HOST "A: b\r\n c\r\n\r\n"), 400 },
	{ "fold by tab", B(GET HOST "A: b\r\n\tc\r\n\r\n"), 400 },
	{ "space before first field", B(GET " Host: a\r\n\r\n"), 400 },
	{ "space before colon", B(GET "Host : a\r\n\r\n"), 400 },
	{ "tab before colon", B(POST "Content-Length\t: 1\r\n\r\n"), 400 },
	{ "no colon", B(GET HOST "abc\r\n\r\n"), 400 },
	{ "empty name", B(GET HOST ": a\r\n\r\n"), 400 },
	{ "name with slash", B(GET HOST "a/b: c\r\n\r\n"), 400 },
	{ "name with 8 bit", B(GET HOST "a\xe9: c\r\n\r\n"), 400 },
	{ "value with 8 bit", B(GET HOST "a: \xe9\r\n\r\n"), 200 },
	{ "value with tab inside", B(GET HOST "a: b\tc\r\n\r\n"), 200 },
	{ "value with DEL", B(GET HOST "a: \x7f\r\n\r\n"), 400 },
	{ "value with ESC", B(GET HOST "a: \x1b[0m\r\n\r\n"), 400 },
	{ "empty value", B(GET HOST "a:\r\n\r\n"), 200 },
	{ "no space after colon", B(GET "Host:a\r\n\r\n"), 200 },
	{ "length", B(POST "Content-Length: 5\r\n\r\n"), 200 },
	{ "length 0", B(POST "Content-Length: 0\r\n\r\n"), 200 },
	{ "length repeated, same",
	    B(POST "Content-Length: 5\r\n"
		   "Content-Length: 5\r\n\r\n"),
	    400 },
	{ "length repeated, other",
	    B(POST "Content-Length: 5\r\n"
		   "Content-Length: 6\r\n\r\n"),
	    400 },
	{ "length repeated, other case",
	    B(POST "Content-Length: 5\r\n"
		   "content-length: 5\r\n\r\n"),
	    400 },
	{ "length list", B(POST "Content-Length: 5, 5\r\n\r\n"), 400 },
	{ "length +", B(POST "Content-Length: +5\r\n\r\n"), 400 },
	{ "length -", B(POST "Content-Length: -5\r\n\r\n"), 400 },
	{ "length hex", B(POST "Content-Length: 0x5\r\n\r\n"), 400 },
	{ "length empty", B(POST "Content-Length:\r\n\r\n"), 400 },
	{ "length with letters", B(POST "Content-Length: 5a\r\n\r\n"), 400 },
	{ "length with inner space", B(POST "Content-Length: 5 0\r\n\r\n"),
	    400 },
	{ "length with point", B(POST "Content-Length: 5.0\r\n\r\n"), 400 },
	{ "length over 2^64",
	    B(POST "Content-Length: 18446744073709551621"
		   "\r\n\r\n"),
	    400 },
	{ "length and chunked",
	    B(POST "Content-Length: 5\r\n"
		   "Transfer-Encoding: chunked\r\n\r\n"),
	    400 },
	{ "chunked and length",
	    B(POST "Transfer-Encoding: chunked\r\n"
		   "Content-Length: 5\r\n\r\n"),
	    400 },
	{ "chunked", B(POST "Transfer-Encoding: chunked\r\n\r\n"), 200 },
	{ "Chunked", B(POST "transfer-encoding: Chunked\r\n\r\n"), 200 },
	{ "chunked twice",
	    B(POST "Transfer-Encoding: chunked\r\n"
		   "Transfer-Encoding: chunked\r\n\r\n"),
	    400 },
	{ "chunked, chunked",
	    B(POST "Transfer-Encoding: chunked, chunked"
		   "\r\n\r\n"),
	    400 },
	{ "gzip, chunked",
	    B(POST "Transfer-Encoding: gzip, chunked"
		   "\r\n\r\n"),
	    400 },
	{ "chunked, identity",
	    B(POST "Transfer-Encoding: chunked, identity"
		   "\r\n\r\n"),
	    400 },
	{ "identity", B(POST "Transfer-Encoding: identity\r\n\r\n"), 400 },
	{ "xchunked", B(POST "Transfer-Encoding: xchunked\r\n\r\n"), 400 },
	{ "chunked quoted", B(POST "Transfer-Encoding: \"chunked\"\r\n\r\n"),
	    400 },
	{ "chunked;q", B(POST "Transfer-Encoding: chunked;q=1\r\n\r\n"), 400 },
	{ "chunked with VT",
	    B(POST "Transfer-Encoding: \x0b"
		   "chunked"
		   "\r\n\r\n"),
	    400 },
	{ "coding empty", B(POST "Transfer-Encoding:\r\n\r\n"), 400 },
	{ "chunked folded", B(POST "Transfer-Encoding:\r\n chunked\r\n\r\n"),
	    400 },
	{ "chunked in 1.0",
	    B("POST / HTTP/1.0\r\n"
	      "Transfer-Encoding: chunked\r\n\r\n"),
	    400 },
	{ "Transfer_Encoding is not it",
	    B(POST "Transfer_Encoding: x\r\n"
		   "\r\n"),
	    200 },
	{ "expect", B(POST "Expect: 100-continue\r\n\r\n"), 200 },
	{ "Expect, other", B(POST "Expect: 200-ok\r\n\r\n"), 417 },
	{ "Expect, other, in 1.0", B("POST / HTTP/1.0\r\nExpect: x\r\n\r\n"),
	    200 },
	{ "Connection with empty options",
	    B(GET HOST "Connection: ,a, ,\r\n"
		       "\r\n"),
	    200 },
	{ "Connection of no tokens", B(GET HOST "Connection: close 5\r\n\r\n"),
	    400 },
	{ "two spaces after method", B("GET  / HTTP/1.1\r\n" HOST "\r\n"),
	    400 },
	{ "two spaces after target", B("GET /  HTTP/1.1\r\n" HOST "\r\n"),
	    400 },
	{ "tab after method", B("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "space first", B(" GET / HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "space last", B("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400 },
	{ "space in target", B("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "HTTP/0.9", B("GET /\r\n\r\n"), 400 },
	{ "HTTP/1.2", B("GET / HTTP/1.2\r\n" HOST "\r\n"), 400 },
	{ "HTTP/2.0", B("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400 },
	{ "HTTP/1.10", B("GET / HTTP/1.10\r\n" HOST "\r\n"), 400 },
	{ "http/1.1", B("GET / http/1.1\r\n" HOST "\r\n"), 400 },
	{ "HTTP/01.1", B("GET / HTTP/01.1\r\n" HOST "\r\n"), 400 },
	{ "method with brackets", B("G[T / HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "method empty", B(" / HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "method unknown", B("BREW / HTTP/1.1\r\n" HOST "\r\n"), 200 },
	{ "method small", B("get / HTTP/1.1\r\n" HOST "\r\n"), 200 },
	{ "one empty line first (9112 2.2)", B("\r\n" GET HOST "\r\n"), 200 },
	{ "two empty lines first", B("\r\n\r\n" GET HOST "\r\n"), 400 },
	{ "LF first", B("\n" GET HOST "\r\n"), 400 },
	{ "CONNECT", B("CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "asterisk", B("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "absolute", B("GET http://a/b HTTP/1.1\r\n" HOST "\r\n"), 200 },
	{ "absolute, user", B("GET http://u@a/b HTTP/1.1\r\n" HOST "\r\n"),
	    400 },
	{ "absolute, no host", B("GET http:///b HTTP/1.1\r\n" HOST "\r\n"),
	    400 },
	{ "absolute, NUL in host",
	    B("GET http://[:\0:1]/ HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "Host v6 with NUL", B(GET "Host: [:\0]\r\n\r\n"), 400 },
	{ "absolute, other scheme", B("GET ftp://a/b HTTP/1.1\r\n" HOST "\r\n"),
	    400 },
	{ "relative", B("GET a/b HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "fragment", B("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "dots", B("GET /a/../b HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "dots escaped", B("GET /a/%2e%2E/b HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "dots last", B("GET /a/.. HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "dot", B("GET /./b HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "dots inside a name", B("GET /a..b/.c/d... HTTP/1.1\r\n" HOST "\r\n"),
	    200 },
	{ "escaped NUL", B("GET /a%00 HTTP/1.1\r\n" HOST "\r\n"), 400 },
	/* the route says whether it may be: test_serve */
	{ "escaped slash", B("GET /a%2fb HTTP/1.1\r\n" HOST "\r\n"), 200 },
	{ "escaped LF", B("GET /a%0ab HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "escape cut", B("GET /a%4 HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "escape of letters", B("GET /a%zz HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "escape of an escape", B("GET /a%252e HTTP/1.1\r\n" HOST "\r\n"),
	    200 },
	{ "UTF-8", B("GET /%c3%a9 HTTP/1.1\r\n" HOST "\r\n"), 200 },
	{ "UTF-8 overlong", B("GET /%c0%af HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "raw 8 bit", B("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "backslash", B("GET /a\\b HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "query", B("GET /a?b=c&d=%20 HTTP/1.1\r\n" HOST "\r\n"), 200 },
	{ "query, bad escape", B("GET /a?b=%2 HTTP/1.1\r\n" HOST "\r\n"), 400 },
	{ "TLS to a plain port", B("\x16\x03\x01\x02\x00\x01"), 400 },
	{ "SSH to it", B("SSH-2.0-OpenSSH_9.2p1\r\n"), 400 },
	{ "not ready", B(GET HOST), 0 },
	{ "not begun", B(""), 0 },
	{ "curl",
	    B("POST /.well-known/est/simpleenroll HTTP/1.1\r\n"
	      "Host: localhost:8443\r\nUser-Agent: curl/7.88.1\r\n"
	      "Accept: */*\r\nContent-Type: application/pkcs10\r\n"
	      "Content-Length: 512\r\n\r\n"),
	    200 },
	{ "libest",
	    B("POST /.well-known/est/simpleenroll HTTP/1.1\r\n"
	      "User-Agent: Cisco EST client 1.0\r\nConnection: close\r\n"
	      "Host: 127.0.0.1:8085\r\nAccept: */*\r\n"
	      "Content-Type: application/pkcs10\r\n"
	      "Content-Transfer-Encoding: base64\r\n"
	      "Content-Length: 428\r\n\r\n"),
	    200 },
	{ "strongSwan",
	    B("POST /.well-known/est/simpleenroll HTTP/1.1\r\n"
	      "Host: localhost\r\nAccept: */*\r\n"
	      "Content-Type: application/pkcs10\r\n"
	      "Content-Transfer-Encoding: base64\r\n"
	      "Content-Length: 1232\r\nExpect: 100-continue\r\n\r\n"),
	    200 },
	{ "Go",
	    B("POST /.well-known/est/simpleenroll HTTP/1.1\r\n"
	      "Host: localhost:8443\r\nUser-Agent: Go-http-client/1.1\r\n"
	      "Transfer-Encoding: chunked\r\nAccept: application/pkcs7-mime\r\n"
	      "Content-Type: application/pkcs10\r\n"
	      "Accept-Encoding: gzip\r\n\r\n"),
	    200 },
};

#define NROWS (sizeof(rows) / sizeof(rows[0]))

/* Fed in two pieces, or byte by byte if cut is SIZE_MAX. */
static int
feed(struct mm_bytes in, size_t cut, struct mm_http_head *h, uint8_t *buf)
{
	int rc = 0;

	*h = (struct mm_http_head){ 0 };
	if (in.n > 0)
		memcpy(buf, in.p, in.n);
	if (cut == SIZE_MAX)
		for (size_t n = 0; n <= in.n; n++)
			rc = mm_http_head_feed(h, buf, n);
	else
		(void)mm_http_head_feed(h, buf, cut);
	if (cut != SIZE_MAX)
		rc = mm_http_head_feed(h, buf, in.n);
	return rc;
}

static void
same_at_every_cut(const char *what, struct mm_bytes in, int want)
{
	uint8_t *a = malloc(in.n + 1), *b = malloc(in.n + 1);
	struct mm_http_head whole, parts;

	if (feed(in, in.n, &whole, a) != want)
		fail_msg("%s: got %d (%s), want %d", what, whole.result,
		    whole.reason, want);
	for (size_t cut = 0; cut <= in.n + 1; cut++) {
		size_t at = cut <= in.n ? cut : SIZE_MAX;

		assert_int_equal(feed(in, at, &parts, b), want);
		if (want != 200)
			continue;
		assert_int_equal(parts.at, whole.at);
		assert_int_equal(parts.nfields, whole.nfields);
		assert_int_equal(parts.length, whole.length);
		assert_memory_equal(a, b, in.n);
	}
	free(a);
	free(b);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < NROWS; i++)
		same_at_every_cut(rows[i].what, rows[i].in, rows[i].want);
}

static void
test_meaning(void **state)
{
	static const struct mm_bytes in =
	    B("PUT /a%20b/c?x=%41 HTTP/1.0\r\n"
	      "Host: a\r\nCONNECTION: foo , Keep-Alive\r\nX: \t v w \t\r\n"
	      "content-length: 42\r\n\r\nGET");
	struct mm_http_head h;
	uint8_t buf[256];

	(void)state;
	assert_int_equal(feed(in, in.n, &h, buf), 200);
	assert_int_equal(h.method, MM_HTTP_PUT);
	assert_int_equal(h.minor, 0);
	assert_true(h.keeps && !h.closes && h.has_length && !h.chunked);
	assert_int_equal(h.length, 42);
	assert_int_equal(h.at, in.n - 3);
	assert_int_equal(h.path.n, 6);
	assert_memory_equal(buf + h.path.at, "/a b/c", 6);
	assert_int_equal(h.query.n, 5);
	assert_memory_equal(buf + h.query.at, "x=%41", 5);
	assert_int_equal(h.nfields, 4);
	assert_int_equal(h.fields[2].value.n, 3);
	assert_memory_equal(buf + h.fields[2].value.at, "v w", 3);
}

static const struct {
	const char *target, *path, *query;
} targets[] = {
	{ "/", "/", "" },
	{ "//", "//", "" },
	{ "/a?", "/a", "" },
	{ "/?a?b/c", "/", "a?b/c" },
	{ "http://h", "/", "" },
	{ "HTTPS://h:1?q", "/", "q" },
	{ "http://[::1]:1/x", "/x", "" },
	{ "http://h//x", "//x", "" },
	{ "/%7e/%C3%A9", "/~/\xc3\xa9", "" },
	{ "/a%252e", "/a%2e", "" },
	{ "/a+b", "/a+b", "" },
};

static void
test_targets(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct mm_http_head h = { 0 };
		size_t n = strlen(targets[i].target);
		uint8_t buf[64];

		memcpy(buf, targets[i].target, n);
		assert_int_equal(mm_http_target_read(&h, buf,
				     (struct mm_http_span){ 0, (uint16_t)n }),
		    0);
		assert_true(
		    mm_bytes_eq((struct mm_bytes){ buf + h.path.at, h.path.n },
			mm_bytes_of(targets[i].path)));
		assert_true(mm_bytes_eq(
		    (struct mm_bytes){ buf + h.query.at, h.query.n },
		    mm_bytes_of(targets[i].query)));
	}
}

/* n bytes of filler between two texts. */
static int
filled(const char *before, size_t n, const char *after)
{
	size_t b = strlen(before), a = strlen(after);
	uint8_t *in = malloc(b + n + a), *buf = malloc(b + n + a);
	struct mm_http_head h;
	int rc, one;

	memcpy(in, before, b);
	memset(in + b, 'x', n);
	memcpy(in + b + n, after, a);
	rc = feed((struct mm_bytes){ in, b + n + a }, b + n + a, &h, buf);
	one = feed((struct mm_bytes){ in, b + n + a }, SIZE_MAX, &h, buf);
	assert_int_equal(rc, one);
	free(in);
	free(buf);
	return rc;
}

static void
test_limits(void **state)
{
	static const char line[] = " HTTP/1.1\r\n" HOST "\r\n";
	const size_t fixed = sizeof("GET /") - 1 + sizeof(" HTTP/1.1") - 1;
	const size_t rest = sizeof(GET HOST "A: \r\n\r\n") - 1;

	(void)state;
	assert_int_equal(filled("GET /", MM_HTTP_LINE_MAX - fixed, line), 200);
	assert_int_equal(
	    filled("GET /", MM_HTTP_LINE_MAX - fixed + 1, line), 414);
	assert_int_equal(filled("GET /", 20000, ""), 414);
	assert_int_equal(filled("GET /", 8190, "\n"), 414);
	assert_int_equal(
	    filled(GET HOST "A: ", MM_HTTP_HEAD_MAX - rest, "\r\n\r\n"), 200);
	assert_int_equal(
	    filled(GET HOST "A: ", MM_HTTP_HEAD_MAX - rest + 1, "\r\n\r\n"),
	    431);
	assert_int_equal(filled(GET HOST "A: ", 20000, ""), 431);
}

static void
test_field_count(void **state)
{
	(void)state;
	for (int n = 62; n <= 64; n++) {
		struct mm_buf b = MM_BUF_INIT(4096);
		struct mm_http_head h = { 0 };

		mm_buf_text(&b, GET HOST);
		for (int i = 0; i < n; i++)
			mm_buf_text(&b, "A: b\r\n");
		mm_buf_text(&b, "\r\n");
		assert_int_equal(
		    mm_http_head_feed(&h, b.p, b.n), n < 64 ? 200 : 431);
		mm_buf_done(&b);
	}
}

/* RFC 9110 5.6.2, against the bitmap. */
static void
test_token(void **state)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		uint8_t b = (uint8_t)c;
		bool want =
		    (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z') ||
		    (c != 0 && c < 128 && strchr(marks, (int)c) != NULL);

		assert_int_equal(
		    mm_http_token_valid((struct mm_bytes){ &b, 1 }), want);
	}
	assert_false(mm_http_token_valid((struct mm_bytes){ 0 }));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_meaning),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_field_count),
		cmocka_unit_test(test_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
