#ifndef MM_HTTP_H
#define MM_HTTP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/*
 * HTTP/1.1 over TLS or plain TCP, as a library (RFC 9110, RFC 9112).
 *
 * N event-loop threads, each with its own epoll, its own SO_REUSEPORT
 * listening socket per listener, its own OSSL_LIB_CTX and its own SSL_CTX.
 * A request that reaches a handler was read strictly and whole (head and
 * body within their limits and deadlines); there is no other way for one to
 * exist.  Handlers run on the loop's thread and must not block: they answer
 * at once, or keep the request's reference and answer later from any thread.
 *
 * One request at a time per connection; pipelined bytes wait.
 */

struct mm_http_loop;
struct mm_http_listener;
struct mm_http_route;

enum mm_http_method {
	MM_HTTP_GET,
	MM_HTTP_HEAD,
	MM_HTTP_POST,
	MM_HTTP_PUT,
	MM_HTTP_PATCH,
	MM_HTTP_DELETE,
	MM_HTTP_METHODS /* their number; as a request's: none of them, or
	                 * not known because the request was malformed */
};
/* "GET"; "-" for MM_HTTP_METHODS. */
const char *mm_http_method_name(enum mm_http_method m);

const char *mm_http_method_name(enum mm_http_method m); /* "GET" */

/* A request's address: slot and generation, so that an answer for a
 * connection that has gone is dropped.  A value; copy freely. */
struct mm_http_ref {
	uint16_t loop;
	uint32_t slot, generation;
};

/* What a handler sees.  Borrowed until the handler returns. */
struct mm_http_req {
	struct mm_http_ref ref;
	enum mm_http_method method;
	struct mm_bytes path;  /* decoded once, no "..", no NUL, UTF-8 */
	struct mm_bytes query; /* after '?', still encoded; may be empty */
	struct mm_bytes body;
	struct mm_bytes rest; /* of the path, where the route ends in / * */
	const struct mm_http_route *route;
	char id[17];          /* also the answer's X-Request-Id */
	const void *head;     /* for mm_http_header */
	SSL *ssl;             /* NULL on a plain listener */
	struct in6_addr peer; /* IPv4 as mapped */
	uint16_t peer_port;
	void *conn_data; /* the listener's on_secured gave it */
	struct mm_http_loop *loop;
	struct mm_http_listener *listener;
};

/* Case-insensitive; the value without surrounding white space; {NULL,0} if
 * there is none.  *more is set if the field came more than once. */
struct mm_bytes mm_http_header(
    const struct mm_http_req *req, const char *name, bool *more);
/* Whether an If-None-Match has a tag (with its quotes), as strong or weak, or
 * is "*": RFC 9110 13.1.2. */
bool mm_http_tag_listed(struct mm_bytes field, const char *etag);
/* The seconds of a Prefer's "wait" (RFC 7240 4.3), at most 999; 0: none. */
unsigned mm_http_prefer_wait(struct mm_bytes field);
/* A query parameter, percent-decoded ('+' is a space) into out + NUL;
 * MM_ENOTFOUND, MM_ELIMIT, MM_EINPUT (bad escape, repeated, NUL, not UTF-8). */
MM_MUST enum mm_err mm_http_query(const struct mm_http_req *req,
    const char *name, char *out, size_t outn, struct mm_why *why);

/*
 * An answer.  The body is moved into it; one that is in error is 503 instead.
 * Content-Length, Date, Server-less, X-Request-Id, Connection, Cache-Control:
 * no-store and the Retry-After: 1 of 503 and 429 (unless given) are the
 * library's.  extra is a list of "Name: value\r\n" lines.
 */
struct mm_http_resp {
	int status;
	const char *content_type; /* static; NULL with an empty body */
	char extra[512];
	struct mm_buf body;
	/*
	 * Instead of body, for what is large and asked for by many: bytes that
	 * stay until give_back(owner), called once, from any loop's thread or
	 * the answering one, when the answer is written or dropped.
	 */
	struct mm_bytes lent;
	void (*give_back)(void *owner);
	void *owner;
	/* NULL, or whether they may be held on; asked before each write.
	 * false: the connection ends, half an answer or not. */
	bool (*stands)(void *owner);
	bool close; /* end the connection after it */
};

/* Adds "Name: value\r\n" to extra.  A value with CR or LF, and one that does
 * not fit, is left out: it could come from a request. */
void mm_http_resp_header(
    struct mm_http_resp *resp, const char *name, const char *value);

/* Makes the body of a problem (RFC 9457) and the status; reason may be NULL
 * or "", id is the request's. */
void mm_http_problem(struct mm_http_resp *resp, int status, const char *slug,
    const char *detail, const char *reason, const char *id);

/*
 * Answers.  On the loop's thread at once; from another thread through the
 * loop's mailbox (one eventfd write per call; the list form one per loop).
 * resp->body is taken in every case, even when the connection has gone.
 */
struct mm_http; /* the whole: listeners and loops */
void mm_http_answer(
    struct mm_http *h, struct mm_http_ref ref, struct mm_http_resp *take_resp);

/*
 * A handshake may be suspended: a client-hello callback that returns
 * SSL_CLIENT_HELLO_RETRY parks the connection (its deadline goes on).  Take
 * the ref in the callback; when the answer is there call mm_http_resume on
 * that loop's thread, from a task.  A connection that has gone is no error.
 */
struct mm_http_ref mm_http_ssl_ref(const struct mm_http *h, const SSL *ssl);
void mm_http_resume(struct mm_http_loop *loop, struct mm_http_ref ref);

/* Runs fn(arg) on loop number n's thread in its next round. Thread-safe. */
typedef void mm_http_task_fn(struct mm_http_loop *loop, void *arg);
struct mm_http_task {
	struct mm_http_task *next; /* the library's */
	uint16_t loop;
	mm_http_task_fn *run;
	void *arg;
};
/* A linked list of tasks for any loops; the caller owns the memory until run.
 * Wakes each loop once. */
void mm_http_post(struct mm_http *h, struct mm_http_task *list);
uint16_t mm_http_loop_number(const struct mm_http_loop *loop);
struct mm_http *mm_http_of(const struct mm_http_loop *loop);
const char *mm_http_listener_name(const struct mm_http_listener *listener);

/* Routes are a table; the first match wins; GET serves HEAD.  A pattern is
 * segments: literal, ":" (any one segment), or a last "*" (the rest; "/" stands
 * between segments that are not empty) or "**" (whatever is there, which alone
 * may have an escaped "/").  A path
 * that exists under another method answers 405 with Allow. */
typedef void mm_http_handler_fn(struct mm_http_req *req, void *ctx);
struct mm_http_route {
	enum mm_http_method method;
	const char *pattern; /* "/api/v1/devices/:" */
	size_t body_max;     /* 0: no body allowed */
	unsigned flags;      /* the handler's own: authority, ... */
	mm_http_handler_fn *run;
	const void *data; /* the handler's own */
};
/* Segment number i (0-based) that matched a ":" ; {NULL,0} if none. */
struct mm_bytes mm_http_segment(const struct mm_http_req *req, unsigned i);

struct mm_http_limits {
	/* Over all loops.  Above: the loop's connection that has rested for
	 * longest, a second at least, is ended; else accept + close, and
	 * another loop ends one of its own for who comes next. */
	unsigned connections;
	/* Per loop and address (v6: /64).  Who means a number over all loops
	 * divides it by them: the kernel spreads about evenly. */
	unsigned connections_per_source;
	int64_t handshake_ms, header_ms, body_ms, idle_ms, write_ms;
	/* Whoever has taken so many bytes of an answer within write_ms has as
	 * long again; 0: all of it goes out within write_ms. */
	size_t write_least;
	unsigned handshakes; /* half-open at once, over all loops */
	/* Memory of all bodies of the listener at a time, from their first
	 * byte to the answer's last.  Above: the loop's body that has taken
	 * longest is refused (408) if it has had a quarter of its time; else
	 * the one that grows (503). */
	size_t bodies;
	/* Memory of all answers of the listener that are longer than a piece
	 * of MM_HTTP_SHORT and not lent, until their last byte is written.
	 * Above: another such one of an address that reads one already (per
	 * loop) is 503, and from four times that on anybody's, unless it is
	 * the only one; but for one whose request had an effect (neither GET
	 * nor HEAD). */
	size_t answers;
	int64_t answer_ms;   /* a handler's time to answer; then 503 */
	/* Per loop and address: after so many failures that count, halved
	 * every 30 s, a new connection's handshake begins slow_ms late. */
	unsigned slow_after;
	int64_t slow_ms;
};

#define MM_HTTP_SHORT (256U << 10)

/* What a limit of 0 stands for. */
#define MM_HTTP_LIMITS_USUAL                                                   \
	{                                                                      \
		.connections = 10000, .connections_per_source = 1000,          \
		.bodies = (size_t)64 << 20, .answers = (size_t)128 << 20,      \
		.handshakes = 1000, .handshake_ms = 10000, .header_ms = 10000, \
		.body_ms = 30000, .idle_ms = 60000, .write_ms = 30000,         \
		.answer_ms = 60000, .slow_after = 10, .slow_ms = 1000          \
	}

struct mm_http_listener_conf {
	const char *name;    /* "devices": for logs and counters */
	const char *address; /* "127.0.0.1:8443", "[::]:8443" */
	/*
	 * TLS: makes the loop's SSL_CTX (owned by the library), called on
	 * start for each loop and again on mm_http_reload, on the loop's
	 * thread.  NULL: plain TCP.  lib is the loop's library context.
	 */
	enum mm_err (*make_ctx)(void *ctx, uint16_t loop, OSSL_LIB_CTX *lib,
	    SSL_CTX **out, struct mm_why *why);
	/* After a handshake: per-connection data or refusal (non-OK closes). */
	enum mm_err (*on_secured)(
	    void *ctx, SSL *ssl, const struct in6_addr *peer, void **conn_data);
	/*
	 * A handshake that failed, or took too long.  true: it counts against
	 * its source, whose next ones are slowed above limits.slow_after.
	 */
	bool (*on_failed)(void *ctx, SSL *ssl, const struct in6_addr *peer);
	void (*free_conn_data)(void *conn_data);
	const struct mm_http_route *routes;
	size_t nroutes;
	/*
	 * When a head is read and has its route, before any of the body: 0,
	 * or an answer in resp that refuses the request at once; the
	 * connection closes if a body was to come.  NULL: none is refused.
	 */
	int (*on_head)(void *ctx, const struct mm_http_req *req,
	    struct mm_http_resp *resp);
	struct mm_http_limits limits;
	void *ctx; /* given to all of the above and to the handlers */
	/*
	 * The peer of a request that waits for its answer has closed its side,
	 * or is gone: whoever lets it wait longer than it must may answer now.
	 * At most twice a request; any loop's thread.  May be NULL.
	 */
	void (*on_left)(void *ctx, struct mm_http_ref ref);
	/* Fills a problem answer for errors the library itself finds (400,
	 * 404, 405, 408, 413, 431 ...).  NULL: text/plain. */
	void (*on_error)(void *ctx, const struct mm_http_req *req, int status,
	    const char *reason, struct mm_http_resp *resp);
};

struct mm_http_access;
struct mm_http_loop;

struct mm_http_conf {
	uint16_t loops;
	const struct mm_http_listener_conf *listeners;
	size_t nlisteners;
	/* At the end of each event round that had work; and one access-log
	 * call per answered request.  Either may be NULL. */
	void (*on_round)(void *ctx, struct mm_http_loop *loop);
	void (*on_access)(void *ctx, const struct mm_http_access *a);
	/* Runs first on each new loop thread (sandbox, names). */
	void (*on_thread)(void *ctx, uint16_t loop);
	void *ctx;
};

struct mm_http_access {
	const char *listener, *id;
	uint16_t loop; /* whose thread this is */
	const struct mm_http_route *route; /* NULL: none was found */
	struct in6_addr peer;
	enum mm_http_method method;
	struct mm_bytes path; /* query never: it could hold what is private */
	int status;
	int64_t took_us;
	size_t in_n, out_n;
};

/* Binds everything (listening sockets exist when it returns), starts no
 * thread yet. */
MM_MUST enum mm_err mm_http_open(
    const struct mm_http_conf *conf, struct mm_http **out, struct mm_why *why);
/* Starts the loop threads; returns when all of them serve. */
MM_MUST enum mm_err mm_http_start(struct mm_http *h, struct mm_why *why);
/* New SSL_CTX for new connections; a failure keeps the old ones. */
MM_MUST enum mm_err mm_http_reload(struct mm_http *h, struct mm_why *why);
/* Stops accepting, answers what is in flight, closes idle connections, waits
 * at most deadline_ms; then joins the threads. */
void mm_http_drain(struct mm_http *h, int64_t deadline_ms);
void mm_http_close(struct mm_http **owner);
/* The port a listener really has (for ":0"). */
uint16_t mm_http_port(const struct mm_http *h, size_t listener);

/* answers_dropped is of all listeners and counted with the first. */
struct mm_http_counters {
	uint64_t accepted, refused_cap, refused_source, handshake_done,
	    handshake_failed, handshake_timeout, requests, bad_requests,
	    answers_dropped, slowed;
	uint64_t evicted; /* rested, and had to go for a new one */
	uint64_t open, handshakes; /* now; the latter are half-open */
};
void mm_http_counters(
    const struct mm_http *h, size_t listener, struct mm_http_counters *out);

#endif
