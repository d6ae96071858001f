#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mmd_est.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OK       "HTTP/1.1 200 OK\r\n"
#define P7       OK "Content-Type: application/pkcs7-mime\r\n"
#define DATE     "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static const struct row {
	const char *what, *in;
	enum mmd_rc rc;
	int status;
	const char *body;
	int32_t retry_s;
} rows[] = {
	{ "as libest's server writes it",
	    OK "Status: 200 OK\r\nContent-Type: application/pkcs7-mime\r\n"
	    "Content-Transfer-Encoding: base64\r\nContent-Length: 12\r\n\r\n"
	    "Zm9v\nYmFy\n\n\n", MMD_OK, 200, "foobar", -1 },
	{ "a wrapped answer",
	    P7 "Content-Transfer-Encoding: base64\r\n"
	    "Content-Length: 10\r\n\r\nZm9v\nYmFy\n", MMD_OK, 200, "foobar",
	    -1 },
	{ "an unwrapped answer with parameters",
	    OK "content-type: Application/PKCS7-Mime; smime-type=certs-only"
	    "\r\ncontent-length:8\r\n\r\nZm9vYmFy", MMD_OK, 200, "foobar",
	    -1 },
	{ "in chunks",
	    P7 "Transfer-Encoding: chunked\r\n\r\n"
	    "3;x=y\r\nZm9\r\n5\r\nvYmFy\r\n0\r\nX: y\r\n\r\n", MMD_OK, 200,
	    "foobar", -1 },
	{ "100-continue before it",
	    "HTTP/1.1 100 Continue\r\n\r\n" P7
	    "Content-Length: 4\r\n\r\nZm9v", MMD_OK, 200, "foo", -1 },
	{ "a reason", "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n"
	    "Content-Type: text/plain\r\n\r\nnever", MMD_OK, 403, "never",
	    -1 },
	{ "nothing", "HTTP/1.1 204 No Content\r\n\r\n", MMD_OK, 204, "", -1 },
	{ "busy, seconds", "HTTP/1.1 503 Busy\r\nRetry-After: 17\r\n"
	    "Content-Length: 0\r\n\r\n", MMD_OK, 503, "", 17 },
	{ "busy, a date", "HTTP/1.1 503 Busy\r\n" DATE
	    "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n"
	    "Content-Length: 0\r\n\r\n", MMD_OK, 503, "", 60 },
	{ "busy for ages", "HTTP/1.1 429 No\r\nRetry-After: 999999999\r\n"
	    "Content-Length: 0\r\n\r\n", MMD_OK, 429, "", 604800 },
	{ "no reason phrase", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n",
	    MMD_OK, 404, "", -1 },
	{ "another type", OK "Content-Type: text/html\r\n"
	    "Content-Length: 4\r\n\r\nZm9v", MMD_EINPUT, 0, "", -1 },
	{ "no type", OK "Content-Length: 4\r\n\r\nZm9v", MMD_EINPUT, 0, "",
	    -1 },
	{ "cut base64", P7 "Content-Length: 3\r\n\r\nZm9", MMD_EINPUT, 0, "",
	    -1 },
	{ "two lengths", P7 "Content-Length: 4\r\nContent-Length: 4\r\n\r\n"
	    "Zm9v", MMD_EINPUT, 0, "", -1 },
	{ "length and chunks", P7 "Content-Length: 4\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n", MMD_EINPUT, 0, "", -1 },
	{ "another coding", P7 "Transfer-Encoding: gzip, chunked\r\n\r\n",
	    MMD_EINPUT, 0, "", -1 },
	{ "no framing", P7 "\r\nZm9v", MMD_EINPUT, 0, "", -1 },
	{ "negative length", P7 "Content-Length: -1\r\n\r\n", MMD_EINPUT, 0,
	    "", -1 },
	{ "length past the cap", P7 "Content-Length: 131073\r\n\r\n",
	    MMD_ESPACE, 0, "", -1 },
	{ "chunk past the cap", P7 "Transfer-Encoding: chunked\r\n\r\n"
	    "20001\r\n", MMD_ESPACE, 0, "", -1 },
	{ "more than the buffer", P7 "Content-Length: 400\r\n\r\n%400A",
	    MMD_ESPACE, 0, "", -1 },
	{ "bare LF", "HTTP/1.1 200 OK\n", MMD_EINPUT, 0, "", -1 },
	{ "folded header", OK "A: b\r\n c\r\n", MMD_EINPUT, 0, "", -1 },
	{ "space before the colon", OK "Content-Length : 4\r\n", MMD_EINPUT,
	    0, "", -1 },
	{ "not HTTP", "SSH-2.0-OpenSSH_9.2\r\n", MMD_EINPUT, 0, "", -1 },
	{ "switching protocols", "HTTP/1.1 101 Other\r\n", MMD_EINPUT, 0, "",
	    -1 },
	{ "body of a 204", "HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\n",
	    MMD_EINPUT, 0, "", -1 },
	{ "not there yet", P7 "Content-Length: 4\r\n\r\nZm9", MMD_MORE, 0, "",
	    -1 },
	{ "chunk without its end", P7 "Transfer-Encoding: chunked\r\n\r\n"
	    "4\r\nZm9vX\r\n", MMD_EINPUT, 0, "", -1 },
	{ "endless headers", OK "%9000A", MMD_ESPACE, 0, "", -1 },
};

/* "%400A" stands for 400 times A. */
static char *
expand(const char *in, size_t *n)
{
	const char *mark = strstr(in, "%");
	size_t head = mark == NULL ? strlen(in) : (size_t)(mark - in);
	size_t many = mark == NULL ? 0 : (size_t)atoi(mark + 1);
	char *out = malloc(head + many + 1);

	assert_non_null(out);
	memcpy(out, in, head);
	memset(out + head, 'A', many);
	*n = head + many;
	return out;
}

static void
send_all(struct mmd_est *e)
{
	while (mmd_est_output(e).n > 0)
		mmd_est_sent(e, 7);
}

static enum mmd_rc
feed(struct mmd_est *e, const char *in, size_t n, size_t step)
{
	enum mmd_rc rc = MMD_MORE;

	for (size_t at = 0; rc == MMD_MORE && at < n; at += step)
		rc = mmd_est_input(e, (struct mmd_bytes){
		    (const uint8_t *)in + at, n - at < step ? n - at : step });
	return rc;
}

static void
check_row(const struct row *r, size_t step)
{
	uint8_t buf[256];
	const struct mmd_est_conf conf = { .host = "ca:8443", .buf = buf,
		.cap = sizeof(buf) };
	struct mmd_est e;
	size_t n;
	char *in = expand(r->in, &n);

	mmd_est_init(&e, &conf);
	assert_int_equal(mmd_est_start(&e, MMD_EST_CACERTS,
	    (struct mmd_bytes){ NULL, 0 }), MMD_OK);
	send_all(&e);
	assert_int_equal(feed(&e, in, n, step), r->rc);
	free(in);
	if (r->rc != MMD_OK)
		return;
	assert_int_equal(e.http.status, r->status);
	assert_int_equal(e.http.retry_s, r->retry_s);
	assert_int_equal(e.body.n, strlen(r->body));
	assert_memory_equal(e.body.p, r->body, e.body.n);
}

/* RFC 9112, RFC 7030 4; any split of the bytes gives the same answer. */
static void
answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		print_message("%s\n", rows[i].what);
		check_row(&rows[i], 1);
		check_row(&rows[i], 7);
		check_row(&rows[i], 10000);
	}
}

/* Nothing was asked for that could be behind the answer. */
static void
bytes_after(void **state)
{
	static const char in[] = P7 "Content-Length: 4\r\n\r\nZm9vX";
	uint8_t buf[256];
	const struct mmd_est_conf conf = { .host = "ca:8443", .buf = buf,
		.cap = sizeof(buf) };
	struct mmd_est e;

	(void)state;
	mmd_est_init(&e, &conf);
	assert_int_equal(mmd_est_start(&e, MMD_EST_CACERTS,
	    (struct mmd_bytes){ NULL, 0 }), MMD_OK);
	send_all(&e);
	assert_int_equal(feed(&e, in, sizeof(in) - 1, sizeof(in)),
	    MMD_EINPUT);
	mmd_est_init(&e, &conf);
	assert_int_equal(mmd_est_start(&e, MMD_EST_CACERTS,
	    (struct mmd_bytes){ NULL, 0 }), MMD_OK);
	send_all(&e);
	assert_int_equal(feed(&e, in, sizeof(in) - 2, 1), MMD_OK);
	assert_int_equal(feed(&e, "X", 1, 1), MMD_ESTATE);
}

static void
requests(void **state)
{
	static const struct {
		enum mmd_est_op op;
		const char *label, *user, *der, *want, *more;
	} want[] = {
		{ MMD_EST_CACERTS, NULL, NULL, "",
		    "GET /.well-known/est/cacerts HTTP/1.1\r\n"
		    "Host: ca:8443\r\n\r\n" },
		{ MMD_EST_CSRATTRS, "thermo", NULL, "",
		    "GET /.well-known/est/thermo/csrattrs HTTP/1.1\r\n"
		    "Host: ca:8443\r\n\r\n" },
		{ MMD_EST_ENROLL, NULL, "u", "foobar",
		    "POST /.well-known/est/simpleenroll HTTP/1.1\r\n"
		    "Host: ca:8443\r\nAuthorization: Basic dTpw\r\n"
		    "Content-Type: application/pkcs10\r\n"
		    "Content-Length: 8\r\n\r\nZm9vYmFy" },
		{ MMD_EST_ENROLL, NULL, NULL, "foo",
		    "POST /.well-known/est/simpleenroll HTTP/1.1\r\n"
		    "Host: ca:8443\r\nMintmark-Replaces: 0a0b\r\n"
		    "Content-Type: application/pkcs10\r\n"
		    "Content-Length: 4\r\n\r\nZm9v",
		    "Mintmark-Replaces: 0a0b\r\n" },
		{ MMD_EST_CACERTS, NULL, NULL, "",
		    "GET /.well-known/est/cacerts HTTP/1.1\r\n"
		    "Host: ca:8443\r\n\r\n",
		    "Mintmark-Replaces: 0a0b\r\n" },
		{ MMD_EST_REENROLL, NULL, NULL, "foo",
		    "POST /.well-known/est/simplereenroll HTTP/1.1\r\n"
		    "Host: ca:8443\r\nContent-Type: application/pkcs10\r\n"
		    "Content-Length: 4\r\n\r\nZm9v" },
		{ MMD_EST_CONFIRM, "thermo", NULL, "",
		    "POST /.well-known/mintmark/confirm HTTP/1.1\r\n"
		    "Host: ca:8443\r\nContent-Length: 0\r\n\r\n" },
	};
	uint8_t buf[256];

	(void)state;
	for (size_t i = 0; i < COUNT(want); i++) {
		const struct mmd_est_conf conf = { "ca:8443", want[i].label,
			want[i].user, "p", buf, sizeof(buf),
			want[i].more };
		struct mmd_est e;
		struct mmd_bytes out;

		mmd_est_init(&e, &conf);
		assert_int_equal(mmd_est_start(&e, want[i].op,
		    (struct mmd_bytes){ (const uint8_t *)want[i].der,
		    strlen(want[i].der) }), MMD_OK);
		out = mmd_est_output(&e);
		assert_int_equal(out.n, strlen(want[i].want));
		assert_memory_equal(out.p, want[i].want, out.n);
		assert_int_equal(mmd_est_start(&e, want[i].op,
		    (struct mmd_bytes){ NULL, 0 }), MMD_ESTATE);
	}
}

/* A password does not stay in memory once it is sent. */
static void
password_is_wiped(void **state)
{
	uint8_t buf[256] = { 0 };
	const struct mmd_est_conf conf = { .host = "ca", .user = "user",
		.password = "password", .buf = buf, .cap = sizeof(buf) };
	struct mmd_est e;

	(void)state;
	mmd_est_init(&e, &conf);
	assert_int_equal(mmd_est_start(&e, MMD_EST_ENROLL,
	    (struct mmd_bytes){ (const uint8_t *)"foo", 3 }), MMD_OK);
	send_all(&e);
	for (size_t i = 0; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0);
}

static void
small_buffer(void **state)
{
	uint8_t buf[64];
	const struct mmd_est_conf conf = { .host = "ca:8443", .buf = buf,
		.cap = sizeof(buf) };
	struct mmd_est e;

	(void)state;
	mmd_est_init(&e, &conf);
	assert_int_equal(mmd_est_start(&e, MMD_EST_ENROLL,
	    (struct mmd_bytes){ (const uint8_t *)"foo", 3 }), MMD_ESPACE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(bytes_after),
		cmocka_unit_test(requests),
		cmocka_unit_test(password_is_wiped),
		cmocka_unit_test(small_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
