#ifndef MM_HTTP_PRIV_H
#define MM_HTTP_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "http/http.h"
#include "http/parse.h"

/*
 * Who owns what: mm_http owns listeners and loops; a loop owns one port per
 * listener and its connections; a connection owns its request.  All of a
 * loop is touched by its own thread only, but for the inbox, the counters
 * and what a listener counts over all loops.
 */

enum {
	READ_MAX = 16384,         /* one TLS record */
	ROUND_BYTES = 256 * 1024, /* of one connection in one event round */
	REQUEST_COST = 64 * 1024, /* of a request, in bytes of the above */
	LINGER_MS = 2000,
	ACCEPT_ROUND = 16,
	ACCEPT_PAUSE_MS = 100,
	IDLE_LEAST_MS = 1000, /* before it is pushed out of a full listener */
	SOURCE_BUCKETS = 256,
	LOOPS_MAX = 64,
	FAILING_BUCKETS = 512,
	FAILING_WAYS = 4,
};

/* What an epoll event leads to; the first member of its owner. */
struct watch {
	void (*on_event)(struct watch *w, uint32_t events);
};

enum conn_state {
	CONN_DELAY, /* its source's handshakes fail: not read yet */
	CONN_HANDSHAKE,
	CONN_IDLE, /* between requests; holds no request */
	CONN_HEAD,
	CONN_BODY,
	CONN_WAIT, /* for the handler's answer */
	CONN_WRITE,
	CONN_LINGER, /* answered and closed; reads what the peer still sends,
	              * so that a reset does not destroy the answer */
	CONN_DEAD,   /* freed at the end of the event round */
	CONN_STATES
};

/* What a step of a connection asks for next. */
enum step {
	STEP_GO,    /* run the state's step again */
	STEP_READ,  /* wait until the peer sends */
	STEP_WRITE, /* wait until the peer takes */
	STEP_PARK,  /* wait for an answer or mm_http_resume */
	STEP_YIELD, /* let others run first */
	STEP_END
};

/* One request and its answer; exists while a connection is not idle. */
struct request {
	struct mm_http_head head;
	uint8_t *in; /* what was read: head, then perhaps more */
	size_t in_n, in_cap;
	size_t used;    /* of in: this request's */
	size_t body_in; /* body bytes as they came, for the log */
	struct mm_buf body;
	size_t held;           /* of bodies, because of this one */
	_Atomic size_t *bodies; /* the listener's; NULL: none is held */
	size_t answer_held;
	_Atomic size_t *answers; /* likewise */
	struct source *reader;   /* with answers: whose it is */
	struct mm_http_chunks chunks;
	const struct mm_http_route *route;
	char id[17];
	bool whole; /* nothing of the request is left to read */
	bool close;
	int status;
	int64_t began_us;
	struct mm_buf out; /* head, and the body if it is short */
	struct mm_buf out_body;
	struct mm_bytes tail; /* after out: out_body, or what was lent */
	void (*give_back)(void *owner);
	bool (*stands)(void *owner);
	void *owner;
	size_t out_at; /* of both */
	size_t out_mark; /* where it was when its time began */
};

struct conn {
	struct watch watch;
	struct port *port;
	struct source *source;
	SSL *ssl; /* NULL: plain */
	struct request *req;
	void *data;               /* the listener's */
	struct conn *prev, *next; /* in the phase's queue */
	struct conn *link;        /* in again, or in dead */
	int64_t until;
	int fd;
	uint32_t slot, armed;
	size_t budget;
	enum conn_state state;
	bool running, parked, again, broken;
	uint8_t delays; /* that are over */
	uint16_t peer_port;
	struct in6_addr peer;
};

/* Deadlines of one phase differ only by when it began: the queue is in the
 * order of its deadlines by itself. */
struct queue {
	struct conn *first, *last;
	int64_t span_ms; /* 0: no deadline */
};

/* How many connections an address has, per loop. */
struct source {
	struct source *next;
	uint64_t key;
	unsigned conns;
	unsigned answers; /* long ones that it has not read yet */
};

struct sources {
	uint64_t salt;
	struct source *bucket[SOURCE_BUCKETS];
};

/* Failed handshakes by source, per loop; see failures.c. */
struct failing {
	uint64_t key;
	int64_t at_s;   /* up to when it has decayed */
	uint32_t count; /* 0: an empty place */
};
struct failures {
	struct failing place[FAILING_BUCKETS][FAILING_WAYS];
};

struct tally { /* struct mm_http_counters, written by one thread */
	_Atomic uint64_t accepted, refused_cap, refused_source,
	    handshake_done, handshake_failed, handshake_timeout, requests,
	    bad_requests, answers_dropped, slowed, evicted;
};

/* A listener as one loop sees it. */
struct port {
	struct watch watch;
	struct mm_http_loop *loop;
	struct mm_http_listener *listener;
	int fd;
	SSL_CTX *tls, *fresh; /* fresh: between the halves of a reload */
	struct queue phase[CONN_STATES];
	struct sources sources;
	struct failures *failures; /* NULL: plain */
	struct tally tally;
	struct mm_http_task room;  /* another loop wants some; listener.c */
	_Atomic bool room_wanted;  /* and it is in the inbox */
};

struct slot {
	struct conn *conn;
	uint32_t generation, next_free;
};

struct mm_http_loop {
	struct mm_http *http;
	uint16_t number;
	bool joinable;
	pthread_t thread;
	int epoll, event;
	struct watch mail; /* of event */
	_Atomic(struct mm_http_task *) inbox;
	OSSL_LIB_CTX *lib;
	OSSL_PROVIDER *provider;
	struct port *ports;
	struct slot *slots;
	uint32_t nslots, free_slot;
	unsigned open;
	struct conn *again, *dead;
	int64_t now_ms;
	int64_t accept_at;   /* when accepting begins again; 0: it goes on */
	int64_t drain_until; /* 0: not draining */
	struct mm_http_task drain_task;
	int64_t drain_ms;
	int64_t date_s;
	char date[32];
	uint8_t pool[256]; /* random bytes */
	size_t pool_n;
	uint8_t trash[4096];
};

struct mm_http_listener {
	struct mm_http_listener_conf conf;
	struct sockaddr_in6 address; /* or a sockaddr_in in its bytes */
	socklen_t address_n;
	uint16_t port;
	_Atomic unsigned open, handshakes;
	_Atomic size_t bodies; /* bytes */
	_Atomic size_t answers;
};

struct mm_http {
	struct mm_http_conf conf;
	struct mm_http_listener *listeners;
	struct mm_http_loop *loops;
	int ssl_index; /* an SSL's ex_data: its connection */
};

#define COUNT(port, what) \
	atomic_fetch_add_explicit(&(port)->tally.what, 1, memory_order_relaxed)

/* listener.c */
MM_MUST enum mm_err mm_http_listener_init(struct mm_http_listener *l,
    const struct mm_http_listener_conf *conf, struct mm_why *why);
MM_MUST enum mm_err mm_http_port_open(struct port *p, struct mm_why *why);
void mm_http_port_close(struct port *p); /* the listening socket only */

/* Counts a new handshake against the ceiling; makes room if it must. */
bool mm_http_handshake_reserve(struct port *p);

/* source.c: NULL when the address has max already, or without memory. */
struct source *mm_http_source_take(
    struct sources *s, const struct in6_addr *peer, unsigned max);
void mm_http_source_drop(struct sources *s, struct source *src);
uint64_t mm_http_source_key(const struct in6_addr *peer);
uint64_t mm_http_source_hash(uint64_t key, uint64_t salt);

/* failures.c: one more, and how many count now; by source.c's key */
void mm_http_failures_add(
    struct failures *f, uint64_t salt, uint64_t key, int64_t now_s);
uint32_t mm_http_failures_of(
    struct failures *f, uint64_t salt, uint64_t key, int64_t now_s);

/* conn.c */
struct mm_http_ref mm_http_conn_ref(const struct conn *c);
bool mm_http_conn_may(enum conn_state from, enum conn_state to);
/* Counted already by who calls, as open and, but for one that is slowed, as
 * a handshake. */
struct conn *mm_http_conn_new(struct port *p, int fd,
    const struct sockaddr_in6 *peer, struct source *take_source, bool slow);
void mm_http_conn_run(struct conn *c);
void mm_http_conn_go(struct conn *c, enum conn_state next);
void mm_http_conn_end(struct conn *c);
void mm_http_conn_expire(struct conn *c);
void mm_http_conn_free(struct conn *c);

/* serve.c: what happens to a request */
enum step mm_http_serve_head(struct conn *c);
enum step mm_http_serve_body(struct conn *c);
enum step mm_http_serve_write(struct conn *c);
enum step mm_http_serve_refuse(struct conn *c, int status, const char *reason);
void mm_http_serve_log(struct conn *c);
MM_MUST bool mm_http_serve_answer(struct conn *c, struct mm_http_resp *resp);

/* request.c */
struct request *mm_http_request_new(void);
void mm_http_request_free(struct request **owner);
/* Counts what the body has grown by against its listener's ceiling; true:
 * all bodies are below it. */
bool mm_http_request_hold(struct request *r, struct mm_http_listener *l);
void mm_http_request_drop_body(struct request *r);
/* Counts a long answer against its listener's ceiling; false: it is above. */
bool mm_http_request_hold_answer(struct conn *c,
    const struct mm_http_resp *resp);
bool mm_http_request_room(struct request *r, size_t cap);
/* Forgets the request, keeps pipelined bytes; false if there are none. */
bool mm_http_request_next(struct request *r);
void mm_http_request_view(const struct conn *c, struct mm_http_req *out);

/* route.c: the route, or NULL and the status (404, 405); allow is a list of
 * the path's methods, for 405. */
#define ALLOW_TEXT 64
const struct mm_http_route *mm_http_route_find(
    const struct mm_http_listener_conf *conf, enum mm_http_method method,
    struct mm_bytes path, char allow[ALLOW_TEXT]);
/* Its pattern ends in "**". */
bool mm_http_route_opaque(const struct mm_http_route *r);
/* The i-th ":" segment, or what "*" matched for i = UINT_MAX. */
bool mm_http_route_match(const char *pattern, struct mm_bytes path, unsigned i,
    struct mm_bytes *out);

/* resp.c */
void mm_http_resp_drop(struct mm_http_resp *resp);
MM_MUST bool mm_http_resp_put(struct conn *c, struct mm_http_resp *resp);
const char *mm_http_status_text(int status);

/* io.c: STEP_GO with bytes moved, else what to wait for, or STEP_END. */
enum step mm_http_io_handshake(struct conn *c);
enum step mm_http_io_read(struct conn *c, void *p, size_t n, size_t *got);
enum step mm_http_io_write(
    struct conn *c, const void *p, size_t n, size_t *put);
bool mm_http_io_pending(const struct conn *c);
void mm_http_io_bye(struct conn *c); /* close_notify, once, if it may */
MM_MUST bool mm_http_io_open(struct conn *c);

/* loop.c */
MM_MUST enum mm_err mm_http_loop_init(struct mm_http_loop *l, struct mm_http *h,
    uint16_t number, struct mm_why *why);
void mm_http_loop_done(struct mm_http_loop *l);
void mm_http_loop_run(struct mm_http_loop *l);
MM_MUST enum mm_err mm_http_loop_watch(
    struct mm_http_loop *l, int fd, struct watch *w, struct mm_why *why);
void mm_http_loop_drain(struct mm_http_loop *l, int64_t until_ms);
void mm_http_loop_id(struct mm_http_loop *l, char id[17]);
bool mm_http_loop_inbox(struct mm_http_loop *l); /* false: it was empty */
struct conn *mm_http_loop_find(
    const struct mm_http_loop *l, struct mm_http_ref ref);
bool mm_http_loop_slot(struct mm_http_loop *l, struct conn *c);

#endif
