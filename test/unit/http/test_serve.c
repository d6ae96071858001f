/* What handlers and callbacks see, with a blocking client in the process. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/time.h"
#include "fixture.h"

static int
dial(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Everything that the peer says to a request that ends the connection. */
static void
talk(uint16_t port, const char *request, char *answer, size_t n)
{
	int fd = dial(port);
	size_t at = 0;
	ssize_t got;

	assert_int_equal(
	    send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
	while ((got = recv(fd, answer + at, n - at - 1, 0)) > 0)
		at += (size_t)got;
	answer[at] = '\0';
	close(fd);
}

static void
on_tell(struct mm_http_req *req, void *ctx)
{
	struct mm_http_resp resp = {
		.status = 200, .content_type = "x/y", .body = MM_BUF_INIT(1024)
	};
	bool more;

	(void)ctx;
	mm_buf_printf(&resp.body, "%s|", mm_http_listener_name(req->listener));
	mm_buf_bytes(&resp.body, mm_http_segment(req, 0));
	mm_buf_text(&resp.body, "|");
	mm_buf_bytes(&resp.body, mm_http_segment(req, 1));
	mm_buf_text(&resp.body, "|");
	mm_buf_bytes(&resp.body, req->rest);
	mm_buf_text(&resp.body, "|");
	mm_buf_bytes(&resp.body, mm_http_header(req, "x-ONE", &more));
	mm_buf_printf(&resp.body, "%d|", more);
	mm_buf_bytes(&resp.body, mm_http_header(req, "X-Two", &more));
	mm_buf_printf(&resp.body, "%d|%zu|%d", more,
	    mm_http_header(req, "X-None", NULL).n,
	    IN6_IS_ADDR_V4MAPPED(&req->peer));
	mm_http_resp_header(&resp, "Cache-Control", "max-age=1");
	mm_http_answer(mm_http_of(req->loop), req->ref, &resp);
	/* A second answer to the same request finds nobody. */
	resp = (struct mm_http_resp){ .status = 503 };
	mm_http_answer(mm_http_of(req->loop), req->ref, &resp);
}

static const struct mm_http_route tell[] = {
	{ MM_HTTP_GET, "/t/:/u/:/*", 0, 0, on_tell, NULL },
};

static void
test_request_seen(void **state)
{
	static struct fixture f;
	struct mm_http_counters n;
	char answer[2048];

	(void)state;
	fixture_init(&f, 1);
	f.listeners[1].routes = tell;
	f.listeners[1].nroutes = 1;
	fixture_start(&f);
	talk(mm_http_port(f.http, 1),
	    "GET /t/a%20b/u/c/d/e HTTP/1.1\r\n"
	    "Host: a\r\nX-One:  1 \r\nX-Two: 2\r\nx-two: 3\r\n"
	    "Connection: close\r\n\r\n",
	    answer, sizeof(answer));
	assert_non_null(strstr(answer, "\r\n\r\nplain|a b|c|d/e|10|21|0|1"));
	assert_non_null(strstr(answer, "Content-Type: x/y\r\n"));
	assert_non_null(strstr(answer, "Cache-Control: max-age=1\r\n"));
	assert_null(strstr(answer, "no-store"));
	mm_http_counters(f.http, 0, &n);
	assert_int_equal(n.answers_dropped, 1);
	fixture_stop(&f, 1000);
	assert_int_equal(f.answered, 1);
}

static void
on_half(struct mm_http_req *req, void *ctx)
{
	struct mm_http_resp resp = {
		.status = 200, .content_type = "x/y", .body = MM_BUF_INIT(8)
	};

	(void)ctx;
	mm_buf_text(&resp.body, "whole");
	mm_buf_text(&resp.body, "and more than fits");
	mm_http_answer(mm_http_of(req->loop), req->ref, &resp);
}

static void
on_status(struct mm_http_req *req, void *ctx)
{
	const int *status = req->route->data;
	struct mm_http_resp resp = { .status = *status };

	(void)ctx;
	mm_http_answer(mm_http_of(req->loop), req->ref, &resp);
}

/* RFC 9110 10.2.3, RFC 6585 4: who may come again is told when. */
static void
test_come_again(void **state)
{
	static const struct { int status; bool again; } rows[] = {
		{ 503, true }, { 429, true }, { 404, false }, { 200, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_http_route one[] = {
			{ MM_HTTP_GET, "/s", 0, 0, on_status,
			    &rows[i].status },
		};
		static struct fixture f;
		char answer[1024];

		fixture_init(&f, 1);
		f.listeners[1].routes = one;
		f.listeners[1].nroutes = 1;
		fixture_start(&f);
		talk(mm_http_port(f.http, 1), "GET /s HTTP/1.1\r\nHost: a\r\n"
		    "Connection: close\r\n\r\n", answer, sizeof(answer));
		assert_int_equal(strstr(answer, "Retry-After: 1\r\n") != NULL,
		    rows[i].again);
		fixture_stop(&f, 1000);
	}
}

/* A body that could not be made whole is no 200 of its first half. */
static void
test_half_a_body(void **state)
{
	static const struct mm_http_route half[] = {
		{ MM_HTTP_GET, "/half", 0, 0, on_half, NULL },
	};
	static struct fixture f;
	char answer[1024];

	(void)state;
	fixture_init(&f, 1);
	f.listeners[1].routes = half;
	f.listeners[1].nroutes = 1;
	fixture_start(&f);
	talk(mm_http_port(f.http, 1),
	    "GET /half HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	    answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 503", 12);
	assert_non_null(strstr(answer, "Retry-After: 1\r\n"));
	assert_null(strstr(answer, "whole"));
	fixture_stop(&f, 1000);
}

static void
on_error(void *ctx, const struct mm_http_req *req, int status,
    const char *reason, struct mm_http_resp *resp)
{
	(void)ctx;
	resp->content_type = "application/problem+json";
	mm_buf_printf(&resp->body, "{%d,%s,%s,%zu}", status, reason, req->id,
	    req->path.n);
}

static void
test_errors_hooked(void **state)
{
	static struct fixture f;
	char answer[2048], want[64], *id;

	(void)state;
	fixture_init(&f, 1);
	f.listeners[1].on_error = on_error;
	fixture_start(&f);
	talk(mm_http_port(f.http, 1), "BAD\r\n", answer, sizeof(answer));
	id = strstr(answer, "X-Request-Id: ");
	assert_non_null(id);
	(void)snprintf(want, sizeof(want),
	    "{400,malformed request line,%.16s,0}", id + 14);
	assert_non_null(strstr(answer, want));
	talk(mm_http_port(f.http, 1),
	    "PUT /echo HTTP/1.1\r\nHost: a\r\n"
	    "Connection: close\r\n\r\n",
	    answer, sizeof(answer));
	assert_non_null(strstr(answer, "405 Method Not Allowed"));
	assert_non_null(strstr(answer, "Allow: POST\r\n"));
	fixture_stop(&f, 1000);
}

/* A hello that has to wait, as for a token's key asked of the signer. */
struct parking {
	struct fixture *f;
	enum mm_err (*make)(
	    void *, uint16_t, OSSL_LIB_CTX *, SSL_CTX **, struct mm_why *);
	struct mm_http_task task;
	struct mm_http_ref ref;
	_Atomic int hellos;
	int failures;
	int released;
	bool refuse;
	bool counts;
};

static struct parking parking;

static int
on_hello_msg(SSL *ssl, int *alert, void *arg)
{
	struct parking *p = arg;

	(void)alert;
	p->ref = mm_http_ssl_ref(p->f->http, ssl);
	return atomic_fetch_add(&p->hellos, 1) == 0 ? SSL_CLIENT_HELLO_RETRY
						    : SSL_CLIENT_HELLO_SUCCESS;
}

static enum mm_err
make_parking(void *ctx, uint16_t loop, OSSL_LIB_CTX *lib, SSL_CTX **out,
    struct mm_why *why)
{
	MM_TRY(parking.make(ctx, loop, lib, out, why));
	SSL_CTX_set_client_hello_cb(*out, on_hello_msg, &parking);
	return MM_OK;
}

static void
resume(struct mm_http_loop *loop, void *arg)
{
	struct parking *p = arg;

	mm_http_resume(loop, p->ref);
}

static enum mm_err
on_secured(void *ctx, SSL *ssl, const struct in6_addr *peer, void **data)
{
	(void)ctx;
	(void)ssl;
	(void)peer;
	*data = &parking;
	return parking.refuse ? MM_EPOLICY : MM_OK;
}

static void
free_data(void *data)
{
	((struct parking *)data)->released++;
}

static bool
on_failed(void *ctx, SSL *ssl, const struct in6_addr *peer)
{
	(void)ctx;
	(void)ssl;
	(void)peer;
	parking.failures++;
	return parking.counts;
}

static void
parking_start(struct fixture *f)
{
	fixture_init(f, 1);
	parking = (struct parking){ .f = f, .make = f->listeners[0].make_ctx };
	f->listeners[0].make_ctx = make_parking;
	f->listeners[0].on_secured = on_secured;
	f->listeners[0].on_failed = on_failed;
	f->listeners[0].free_conn_data = free_data;
	fixture_start(f);
}

/* SSL_connect until the server is seen to hold the hello. */
static void
connect_parked(SSL *ssl)
{
	struct timeval brief = { .tv_usec = 20000 };
	struct timeval limit = { .tv_sec = 10 };
	int fd = SSL_get_fd(ssl);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
	do
		assert_int_equal(SSL_connect(ssl), -1);
	while (atomic_load(&parking.hellos) == 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static void
test_handshake_parked(void **state)
{
	static const char get[] = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
	static struct fixture f;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	char answer[1024];

	(void)state;
	parking_start(&f);
	SSL_set_fd(ssl, dial(mm_http_port(f.http, 0)));
	connect_parked(ssl);
	assert_int_equal(parking.hellos, 1); /* parked, not polled */
	parking.task = (struct mm_http_task){
		.loop = parking.ref.loop, .run = resume, .arg = &parking
	};
	mm_http_post(f.http, &parking.task);
	assert_int_equal(SSL_connect(ssl), 1);
	assert_true(SSL_write(ssl, get, sizeof(get) - 1) > 0);
	assert_true(SSL_read(ssl, answer, sizeof(answer)) > 0);
	assert_memory_equal(answer, "HTTP/1.1 200", 12);
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	fixture_stop(&f, 1000);
	assert_int_equal(parking.released, 1);
	assert_int_equal(parking.failures, 0);
}

static void
test_handshake_parked_and_gone(void **state)
{
	static struct fixture f;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	struct linger now = { 1, 0 };
	struct mm_http_counters n;
	int fd;

	(void)state;
	parking_start(&f);
	fd = dial(mm_http_port(f.http, 0));
	SSL_set_fd(ssl, fd);
	connect_parked(ssl);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	do
		mm_http_counters(f.http, 0, &n);
	while (n.open > 0);
	parking.task = (struct mm_http_task){
		.loop = parking.ref.loop, .run = resume, .arg = &parking
	};
	mm_http_post(f.http, &parking.task);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	fixture_stop(&f, 1000);
	assert_int_equal(parking.hellos, 1);
}

/* Refused after the handshake: an orderly end, no request served. */
static void
test_secured_refused(void **state)
{
	static struct fixture f;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	char answer[16];

	(void)state;
	parking_start(&f);
	parking.refuse = true;
	parking.hellos = 1;
	SSL_set_fd(ssl, dial(mm_http_port(f.http, 0)));
	assert_int_equal(SSL_connect(ssl), 1);
	assert_int_equal(SSL_read(ssl, answer, sizeof(answer)), 0);
	assert_int_equal(SSL_get_shutdown(ssl), SSL_RECEIVED_SHUTDOWN);
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	fixture_stop(&f, 1000);
	assert_int_equal(parking.released, 1);
}

enum { SLOW_MS = 300, SLOW_AFTER = 2 };

/* A source whose handshakes fail, as often as is enough. */
static void
slow_start(struct fixture *f, bool counts)
{
	struct mm_http_counters n;
	char answer[64];

	fixture_init(f, 1);
	parking = (struct parking){ .f = f, .counts = counts };
	f->listeners[0].on_failed = on_failed;
	f->listeners[0].limits.slow_after = SLOW_AFTER;
	f->listeners[0].limits.slow_ms = SLOW_MS;
	f->listeners[0].limits.handshakes = 1;
	fixture_start(f);
	for (int i = 0; i < SLOW_AFTER; i++)
		talk(mm_http_port(f->http, 0), "no TLS at all\n", answer,
		    sizeof(answer));
	do
		mm_http_counters(f->http, 0, &n);
	while (n.handshake_failed < SLOW_AFTER || n.open > 0);
	assert_int_equal(n.slowed, 0);
}

/* How long a whole handshake takes, of a client that does it right. */
static int64_t
handshake_ms(struct fixture *f)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	int64_t began = mm_mono_ms();

	SSL_set_fd(ssl, dial(mm_http_port(f->http, 0)));
	assert_int_equal(SSL_connect(ssl), 1);
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return mm_mono_ms() - began;
}

static void
test_a_source_that_fails_is_slowed(void **state)
{
	static struct fixture f;
	struct mm_http_counters n;

	(void)state;
	slow_start(&f, true);
	assert_true(handshake_ms(&f) >= SLOW_MS);
	mm_http_counters(f.http, 0, &n);
	assert_int_equal(n.slowed, 1);
	fixture_stop(&f, 1000);
}

static void
test_failures_that_do_not_count(void **state)
{
	static struct fixture f;
	struct mm_http_counters n;

	(void)state;
	slow_start(&f, false);
	(void)handshake_ms(&f);
	mm_http_counters(f.http, 0, &n);
	assert_int_equal(n.slowed, 0);
	fixture_stop(&f, 1000);
}

/* Whose time has come while the ceiling is reached waits on, and is not
 * refused; it does not count against the ceiling meanwhile. */
static void
test_slowed_under_the_ceiling(void **state)
{
	static struct fixture f;
	struct timeval brief = { .tv_usec = 2 * SLOW_MS * 1000 };
	struct timeval limit = { .tv_sec = 10 };
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	int first, fd;

	(void)state;
	slow_start(&f, true);
	first = dial(mm_http_port(f.http, 0)); /* takes the only place */
	fd = dial(mm_http_port(f.http, 0));
	SSL_set_fd(ssl, fd);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
	assert_int_equal(SSL_connect(ssl), -1);
	assert_int_equal(SSL_get_error(ssl, -1), SSL_ERROR_WANT_READ);
	close(first);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(SSL_connect(ssl), 1);
	close(fd);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	fixture_stop(&f, 1000);
}

/* One that goes while it waits is noticed, and a drain ends the others. */
static void
test_slowed_and_gone(void **state)
{
	static struct fixture f;
	struct linger now = { 1, 0 };
	struct mm_http_counters n;
	int fd[2];

	(void)state;
	slow_start(&f, true);
	for (int i = 0; i < 2; i++)
		fd[i] = dial(mm_http_port(f.http, 0));
	setsockopt(fd[0], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd[0]);
	do
		mm_http_counters(f.http, 0, &n);
	while (n.slowed < 2 || n.open > 1);
	fixture_stop(&f, 1000);
	close(fd[1]);
}

enum { TASKS = 3000 };

struct ticket {
	struct mm_http_task task;
	unsigned number;
};

static struct {
	unsigned next[3], wrong[3];
	_Atomic unsigned ran;
} order;

static void
take_number(struct mm_http_loop *loop, void *arg)
{
	const struct ticket *t = arg;
	uint16_t l = mm_http_loop_number(loop);

	order.wrong[l] += t->task.loop != l || order.next[l] != t->number / 3;
	order.next[l]++;
	atomic_fetch_add(&order.ran, 1);
}

/* One list for three loops: each runs its own, in order, all of them. */
static void
test_post(void **state)
{
	static struct ticket tickets[TASKS];
	static struct fixture f;

	(void)state;
	fixture_init(&f, 3);
	fixture_start(&f);
	for (unsigned i = 0; i < TASKS; i++)
		tickets[i] = (struct ticket){
			{ i + 1 < TASKS ? &tickets[i + 1].task : NULL,
			    (uint16_t)(i % 3), take_number, &tickets[i] },
			i
		};
	mm_http_post(f.http, &tickets[0].task);
	while (atomic_load(&order.ran) < TASKS)
		continue;
	assert_int_equal(order.wrong[0] + order.wrong[1] + order.wrong[2], 0);
	fixture_stop(&f, 1000);
}

static enum mm_err
make_broken(void *ctx, uint16_t loop, OSSL_LIB_CTX *lib, SSL_CTX **out,
    struct mm_why *why)
{
	static _Atomic int calls;

	if (atomic_fetch_add(&calls, 1) >= 3)
		return MM_FAIL(why, MM_ECRYPTO, "no such key");
	return parking.make(ctx, loop, lib, out, why);
}

/* The fourth of two loops' contexts fails: both keep the old ones. */
static void
test_reload_fails_whole(void **state)
{
	static struct fixture f;
	struct mm_why why = { 0 };
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	(void)state;
	fixture_init(&f, 2);
	parking.make = f.listeners[0].make_ctx;
	f.listeners[0].make_ctx = make_broken;
	fixture_start(&f);
	assert_int_equal(mm_http_reload(f.http, &why), MM_ECRYPTO);
	assert_string_equal(why.text, "no such key");
	for (int i = 0; i < 8; i++) {
		SSL *ssl = SSL_new(ctx);

		SSL_set_fd(ssl, dial(mm_http_port(f.http, 0)));
		assert_int_equal(SSL_connect(ssl), 1);
		close(SSL_get_fd(ssl));
		SSL_free(ssl);
	}
	SSL_CTX_free(ctx);
	fixture_stop(&f, 1000);
}

static const struct {
	const char *address;
	enum mm_err want;
} addresses[] = {
	{ "127.0.0.1:0", MM_OK },
	{ "[::1]:0", MM_OK },
	{ "[::]:0", MM_OK },
	{ "127.0.0.1", MM_EINPUT },
	{ "127.0.0.1:", MM_EINPUT },
	{ "127.0.0.1:65536", MM_EINPUT },
	{ "127.0.0.1:-1", MM_EINPUT },
	{ "127.0.0.1:1x", MM_EINPUT },
	{ "localhost:0", MM_EINPUT },
	{ "::1:0", MM_EINPUT },
	{ "[::1:0", MM_EINPUT },
	{ ":0", MM_EINPUT },
	{ "", MM_EINPUT },
	{ "192.0.2.1:0", MM_ESYS },
};

static void
test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct mm_http_listener_conf l = { .name = "t",
			.address = addresses[i].address };
		struct mm_http_conf conf = {
			.loops = 2, .listeners = &l, .nlisteners = 1
		};
		struct mm_http *h = NULL;

		assert_int_equal(
		    mm_http_open(&conf, &h, NULL), addresses[i].want);
		assert_int_equal(h != NULL, addresses[i].want == MM_OK);
		if (h != NULL)
			assert_true(mm_http_port(h, 0) > 0);
		mm_http_close(&h);
	}
}

/* Answers and tasks for loops that never ran, or no longer do, are freed. */
static void
test_answer_to_nobody(void **state)
{
	static struct fixture f;
	struct mm_http_resp resp = { .status = 200, .body = MM_BUF_INIT(64) };

	(void)state;
	fixture_init(&f, 1);
	fixture_start(&f);
	mm_http_drain(f.http, 1000);
	mm_buf_text(&resp.body, "late");
	mm_http_answer(f.http, (struct mm_http_ref){ 0, 7, 0 }, &resp);
	assert_null(resp.body.p);
	fixture_stop(&f, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_seen),
		cmocka_unit_test(test_half_a_body),
		cmocka_unit_test(test_come_again),
		cmocka_unit_test(test_errors_hooked),
		cmocka_unit_test(test_handshake_parked),
		cmocka_unit_test(test_handshake_parked_and_gone),
		cmocka_unit_test(test_secured_refused),
		cmocka_unit_test(test_a_source_that_fails_is_slowed),
		cmocka_unit_test(test_failures_that_do_not_count),
		cmocka_unit_test(test_slowed_under_the_ceiling),
		cmocka_unit_test(test_slowed_and_gone),
		cmocka_unit_test(test_post),
		cmocka_unit_test(test_reload_fails_whole),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_answer_to_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
