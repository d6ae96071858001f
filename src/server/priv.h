#ifndef MM_SERVER_PRIV_H
#define MM_SERVER_PRIV_H

#include <stdatomic.h>
#include <stdio.h>

#include "core/core.h"
#include "http/http.h"
#include "ipc/msg.h"
#include "pki/cert.h"
#include "pki/der.h"
#include "server/order.h"

/*
 * mintmarkd: what its files share.
 *
 * Three processes.  The monitor starts, watches and restarts the signer, the
 * server and the courier, and parses nothing that came over a network.  The
 * courier makes the POSTs that the server hands it (courier.c).  The server is
 * this header's struct mm_server: three listeners on N event loops
 * (tls.c, est.c, public.c, health.c), two workers that may block (work.c,
 * rest*.c), one that keeps house, and a main thread that waits for signals and
 * the monitor.
 */
enum {
	MM_LOOPS_MAX = 16,
	MM_WORKERS = 2, /* and one for housekeeping */
	MM_DRAIN_MS = 10000,
};

enum mm_listener { MM_DEVICES, MM_OPERATORS, MM_PUBLIC, MM_LEGACY,
	MM_LISTENERS };

/* What became of a device's question for its configuration. */
enum mm_configured {
	MM_CONFIGURED_SERVED, MM_CONFIGURED_SAME, MM_CONFIGURED_NONE,
	MM_CONFIGURED_REFUSED, MM_CONFIGURED
};
extern const char *const mm_configured_words[MM_CONFIGURED];

struct mm_tls;
struct mm_est;
struct mm_public;
struct mm_work;
struct mm_watch;
struct mm_deliver;
struct mm_registrar;
struct mm_attempts;
struct mm_meter;
struct mm_scrapers;
struct mm_endlist;
struct mm_cover;
struct mm_ocsp_door;
struct mm_boot;

/* What one event loop's thread has for itself. */
struct mm_loop_state {
	_Alignas(64) struct mm_job *first; /* posted at the round's end */
	struct mm_job **last;
	struct mm_buf scratch; /* PKCS#7 before it becomes base64 */
};

/* The server's own view of its event loops; see alive.c. */
struct mm_alive {
	struct mm_http_task task[MM_LOOPS_MAX];
	atomic_bool asked[MM_LOOPS_MAX]; /* the loop has not answered yet */
	int64_t due;                     /* monotonic */
};

struct mm_server {
	const struct mm_config *config;
	const char *config_path;
	int control;           /* to the monitor */
	int signals;           /* signalfd */
	struct mm_http *http;
	struct mm_core *core;
	struct mm_work *work;
	/* the core's writer looks for them as soon as it runs */
	struct mm_watch *_Atomic watch;
	struct mm_deliver *_Atomic deliver;
	struct mm_registrar *_Atomic registrar[2]; /* by exec, by est */
	struct mm_tls *tls;
	struct mm_est *est;
	struct mm_public *pub;
	struct mm_attempts *attempts;
	struct mm_meter *meter; /* one an event loop */
	struct mm_scrapers *scrapers;
	struct mm_endlist *ends;
	struct mm_cover *cover;
	struct mm_ocsp_door *ocsp;
	struct mm_boot *boot; /* old certificates that groups take */
	bool asking;           /* the start waits for the signer */
	atomic_bool announced; /* the monitor knows that it serves */
	atomic_bool tidied;    /* the first round of housekeeping is over */
	unsigned sandbox_missing;
	int64_t started_at;
	atomic_uint signer_starts;
	atomic_bool scanning; /* a worker, for an event feed's filter */
	atomic_bool massing;  /* ... for a selection */
	atomic_int_fast64_t approvals_at; /* next look at what waits */
	atomic_uint_fast64_t configured[MM_CONFIGURED]; /* since the start */
	struct mm_order order; /* of times, for searches */
	int listener[MM_LISTENERS]; /* index in http, or -1: off */
	struct mm_loop_state loop[MM_LOOPS_MAX];
	struct mm_alive alive;
};

/* ---- programs ---- */

struct mm_run_args {
	const char *config_path;
	int passphrase_fd; /* -1: none given */
	int control;       /* serve and courier only */
};
/* monitor.c: exit status of the whole. */
int mm_monitor_run(const struct mm_run_args *args);
/* serve.c: the server's process; exit status. */
int mm_serve_run(const struct mm_run_args *args);
/* courier.c: the courier's process; exit status. */
int mm_courier_run(const struct mm_run_args *args);
/* registrar.c: a registrar's process, which asks by EST or by programs; exit
 * status. */
int mm_registrar_run(const struct mm_run_args *args, bool est);
/* registrar_check.c: registrar_user is somebody, where it counts; and for
 * "mintmarkd check" also: the programs of exec can be run by that user, and
 * changed by nobody else; and what est needs can be read by it alone. */
MM_MUST enum mm_err mm_registrar_known(const struct mm_config *c,
    struct mm_why *why);
MM_MUST enum mm_err mm_registrar_check(const struct mm_config *c,
    struct mm_why *why);
/* check.c: prints one line for each thing looked at; the exit status of the
 * first that is wrong, as a start would have it. */
int mm_check_run(const char *config_path);
/* One error line of this program, and the exit status that fits. */
int mm_server_fail(const char *what, enum mm_err rc, const struct mm_why *why);

/* The server ends with this when the signer was not there at its start; the
 * signer's own exit status says more. */
#define MM_EXIT_NO_SIGNER 75
/* What the server says over the control socket once it serves. */
#define MM_READY_BYTE 'R'
/* And every second while its main thread and all event loops run. */
#define MM_BEAT_BYTE  'B'

/* alive.c: that sign of life, from the main thread; when the next is due. */
int64_t mm_alive_beat(struct mm_server *s);

/* ---- tls.c ---- */

/* What TLS found out about a connection of the devices listener, or about a
 * certificate on that of the operators. */
struct mm_conn {
	bool operator_;    /* the operators listener: der and no more */
	bool legacy;       /* the legacy listener: for old certificates alone */
	bool token;        /* a token connection: it is proven, or it failed */
	bool psk_known;
	bool cert_bad;     /* not to be believed; why in cert_why */
	bool cert_expired; /* the leaf is past notAfter, else good */
	bool touched;      /* its confirmation has been posted */
	uint8_t id[MM_TOKEN_ID_N];
	uint8_t psk[MM_TOKEN_PSK_N];
	char cert_why[80];
	struct mm_buf der; /* the peer's certificate; empty: none */
};

/* Reads certificate, key and trust; makes nothing yet. */
MM_MUST enum mm_err mm_tls_new(struct mm_server *s, struct mm_tls **out,
    struct mm_why *why);
void mm_tls_free(struct mm_tls **owner);
/* Reads certificate and key again; *changed: they are other files than
 * before.  force: take them as changed.  On a worker. */
MM_MUST enum mm_err mm_tls_reload(struct mm_tls *t, bool force, bool *changed,
    struct mm_why *why);
/* For struct mm_http_listener_conf; ctx is the struct mm_server. */
enum mm_err mm_tls_devices_ctx(void *ctx, uint16_t loop, OSSL_LIB_CTX *lib,
    SSL_CTX **out, struct mm_why *why);
enum mm_err mm_tls_operators_ctx(void *ctx, uint16_t loop, OSSL_LIB_CTX *lib,
    SSL_CTX **out, struct mm_why *why);
/* As the devices', but takes no tokens, and signatures and keys that nobody
 * else may use: what they are worth a group says. */
enum mm_err mm_tls_legacy_ctx(void *ctx, uint16_t loop, OSSL_LIB_CTX *lib,
    SSL_CTX **out, struct mm_why *why);
enum mm_err mm_tls_secured(void *ctx, SSL *ssl, const struct in6_addr *peer,
    void **conn_data);
enum mm_err mm_tls_legacy_secured(void *ctx, SSL *ssl,
    const struct in6_addr *peer, void **conn_data);
/* Only a connection with a certificate has data. */
enum mm_err mm_tls_operator_secured(void *ctx, SSL *ssl,
    const struct in6_addr *peer, void **conn_data);
bool mm_tls_failed(void *ctx, SSL *ssl, const struct in6_addr *peer);
void mm_tls_conn_free(void *conn_data);
/* When the server's certificate and the anchor end; false: there is none. */
bool mm_tls_ends(struct mm_tls *t, int64_t *not_after_s);
bool mm_tls_anchor_ends(const struct mm_tls *t, int64_t *not_after_s);
/* The SHA-256 of the trust anchor's SPKI. */
void mm_tls_anchor(const struct mm_tls *t, uint8_t sha256[32]);

/*
 * hello.c: the ClientHello decides once what a connection is
 * (remote-init: token or certificate), and keys of tokens come from the
 * signer.
 */
struct mm_tls_loop {
	struct mm_server *s;
	uint16_t loop;
	OSSL_LIB_CTX *lib; /* of its contexts */
	int conn_index, token_index;
	struct mm_buf frame; /* the PSK link's */
};
/* Installs the callbacks; token_ctx holds no certificate and the suites that
 * a token connection may use; NULL: there are none, and who offers a token
 * fails.  Takes token_ctx. */
MM_MUST enum mm_err mm_hello_install(SSL_CTX *ctx, SSL_CTX *take_token_ctx,
    struct mm_tls_loop *l, struct mm_why *why);
struct mm_conn *mm_hello_conn(SSL *ssl);
const struct mm_tls_loop *mm_hello_loop(const SSL *ssl);
/* Whether a pre_shared_key extension names an identity of token form. */
bool mm_hello_offers_token(struct mm_bytes extension);
/* tls-unique (RFC 5929 3.1) and tls-exporter (RFC 9266): whether challenge
 * is the base64 of one of them; *wrong: it is a tls-unique of another
 * connection. */
bool mm_hello_binding(SSL *ssl, struct mm_bytes challenge, bool *wrong);

/* ---- est.c, devices listener ---- */

MM_MUST enum mm_err mm_est_new(struct mm_server *s, struct mm_est **out,
    struct mm_why *why);
void mm_est_free(struct mm_est **owner);
extern const struct mm_http_route mm_legacy_routes[];
extern const size_t mm_legacy_nroutes;
extern const struct mm_http_route mm_devices_routes[];
extern const size_t mm_devices_nroutes;
/* Digits in a line of a label's base64 bodies; 0: one line. */
unsigned mm_est_wrap(const struct mm_est *e, const char *label);
/* An issuer's chain without the root; empty if there is no such issuer. */
const struct mm_chain *mm_est_chain(const struct mm_est *e,
    const char *issuer);
/* The label in the path, or ""; MM_ENOTFOUND: no such label. */
MM_MUST enum mm_err mm_est_label(struct mm_server *s,
    const struct mm_http_req *req, char label[MM_NAME_MAX + 1],
    struct mm_why *why);

/* A job's user: whose job it was.  call NULL: a device's request. */
struct mm_call;
struct mm_job_user {
	struct mm_call *call;
};

/* enrol.c: what needs an authority.  endpoints for the routes' data */
struct mm_endpoint {
	enum mm_job_kind kind;
	bool json;
};
extern const struct mm_endpoint mm_endpoint_enroll, mm_endpoint_reenroll,
    mm_endpoint_keygen, mm_endpoint_json, mm_endpoint_confirm;
void mm_enrol_post(struct mm_http_req *req, void *ctx);
/* Finished jobs, from the core: hands them to their loops. */
void mm_enrol_done(void *ctx, struct mm_job *list);
/* The end of an event round: posts its jobs at once. */
void mm_enrol_round(void *ctx, struct mm_http_loop *loop);
/* A connection by a certificate of ours confirms it (issuance
 * step 8); once a connection, not waited for. */
void mm_enrol_touch(struct mm_server *s, const struct mm_http_req *req);
/* The device that a connection's certificate speaks for, where nothing is
 * enrolled: an Authorization header is MM_EINPUT, an expired one MM_EPOLICY,
 * unless it may come late. */
MM_MUST enum mm_err mm_enrol_device(struct mm_server *s,
    const struct mm_http_req *req, bool late, struct mm_authority *a,
    enum mm_reason *reason, struct mm_why *why);

/* est_body.c: bodies as real clients send and read them. */

/* base64 in any layout, PEM armour, or DER where it cannot be base64. */
MM_MUST enum mm_err mm_est_read(struct mm_bytes body, struct mm_buf *der,
    struct mm_why *why);
/* Whether it begins as PEM does. */
bool mm_est_is_pem(struct mm_bytes body);
/* PKCS#7 of the certificates, in base64; wrap as mm_base64_put. */
void mm_est_put_pkcs7(struct mm_buf *out, struct mm_buf *scratch,
    const struct mm_bytes *der, size_t n, unsigned wrap);
/* RFC 7030 4.4.2: multipart/mixed of key and certificates. */
void mm_est_put_keygen(struct mm_buf *out, struct mm_bytes pkcs8,
    struct mm_bytes pkcs7_base64, unsigned wrap);
#define MM_EST_BOUNDARY "mintmark-part"

/* ---- chain.c: issuing chains, read once ---- */

#define MM_CHAIN_MAX 8
struct mm_chain {
	char issuer[MM_NAME_MAX + 1];
	size_t n;                     /* without the root */
	struct mm_bytes der[MM_CHAIN_MAX]; /* borrowed from the core */
};
/* Follows issuer names through all certificates the core knows. */
MM_MUST enum mm_err mm_chain_make(struct mm_core *core, const char *issuer,
    struct mm_chain *out, struct mm_why *why);

/* While the root changes: the certificate that joins the root of that name to
 * the other one; false: none. */
bool mm_chain_link(struct mm_core *core, struct mm_bytes issuer,
    struct mm_bytes *der);

/* ---- answers.c ---- */

/* "reason: x" and a sentence, as text/plain: EST clients' people read it. */
void mm_answer_reason(struct mm_http_resp *resp, int status,
    const char *reason, const char *text);
const char *mm_answer_sentence(enum mm_reason reason);
void mm_answer_retry(struct mm_http_resp *resp, unsigned seconds);
/* For errors the HTTP library finds. */
void mm_answer_library(void *ctx, const struct mm_http_req *req, int status,
    const char *reason, struct mm_http_resp *resp);
/* An address as a log shows it. */
void mm_answer_peer(const struct in6_addr *a, char out[INET6_ADDRSTRLEN]);
/* A path as a log shows it: of a token or an API key its name only. */
void mm_answer_path(struct mm_bytes path, char *out, size_t outn);
void mm_answer_log(void *ctx, const struct mm_http_access *a);
/* Answers with a body that is a NUL-terminated constant. */
void mm_answer_text(struct mm_server *s, const struct mm_http_req *req,
    int status, const char *type, const char *text);

/* ---- health.c ---- */

void mm_health_live(struct mm_http_req *req, void *ctx);
void mm_health_ready(struct mm_http_req *req, void *ctx);
/* "warnings": what an operator should not overlook. */
struct mm_json;
void mm_health_warnings(const struct mm_server *s, struct mm_json *j);

/* ---- public.c: CRLs, issuer certificates, anchor; from memory ---- */

MM_MUST enum mm_err mm_public_new(struct mm_server *s, struct mm_public **out,
    struct mm_why *why);
/* Answers who waits for other lists; nobody does any more.  NULL is fine. */
void mm_public_stop(struct mm_public *p);
void mm_public_free(struct mm_public **owner);
extern const struct mm_http_route mm_public_routes[];
extern const size_t mm_public_nroutes;
/* Takes new CRLs from the store, or the issuer's.  On a worker. */
void mm_public_take(struct mm_public *p, const char *issuer,
    struct mm_store_reader *r);
void mm_public_refresh(struct mm_public *p, struct mm_store_reader *r);
/* Shards' lists alone, which are small. */
void mm_public_refresh_shards(struct mm_public *p, struct mm_store_reader *r);
/* The lists above the issuers: how many stand, when the first of those ends,
 * when the first CA in force has none any more, what of the file is not used,
 * and whether others than the server may read those of years to come. */
struct mm_root_times {
	bool wanted; /* root_crl names a file */
	size_t n, foreign;
	bool unread, older, open;
	int64_t next_s, last_s;
};
void mm_public_root_times(struct mm_public *p, struct mm_root_times *out);
/* A configured issuer's shards: how many have a list, when the oldest of those
 * was signed and the first ends.  want: how many there should be. */
struct mm_shard_times {
	size_t n, want;
	uint64_t number;
	int64_t next_s;
};
void mm_public_shard_times(struct mm_public *p,
    const struct mm_issuer_conf *issuer, struct mm_shard_times *out);
/* Number and end of the issuer's CRL; false: none yet. */
bool mm_public_crl(struct mm_public *p, const char *issuer, uint64_t *number,
    int64_t *next_s);

/* ---- work.c: threads that may block ---- */

struct mm_worker {
	struct mm_server *s;
	struct mm_desk *desk;
};
/* One thing to do; for a request, with a copy of it. */
struct mm_call {
	struct mm_job_user user; /* of job */
	struct mm_call *next;
	int64_t posted_at; /* monotonic; since when it waits for a worker */
	bool again;        /* what it asked for is done: never turned away */
	void (*run)(struct mm_worker *w, struct mm_call *c);
	struct mm_http_req req; /* slices point into data; no head, no ssl */
	struct mm_buf data;
	char authorization[128];
	char accept[64];        /* its beginning */
	char idempotency[66];   /* one more than allowed: too long shows */
	char if_match[66];
	char if_none_match[66];
	char approval[34];      /* as many: Mintmark-Approval */
	struct mm_bytes certificate;   /* an operator's */
	bool device; /* est.c: ... asks, and that is: */
	struct mm_authority authority;
	struct mm_job *job;     /* done: the call runs again, to answer */
	struct mm_answer_hold hold;    /* rest.c: of its Idempotency-Key */
	bool waited;            /* cover.c: once */
	uint64_t covers;        /* ... for a checkpoint of this entry */
	int64_t until;          /* ... or until then (monotonic) */
};
MM_MUST enum mm_err mm_work_open(struct mm_server *s, struct mm_work **out,
    struct mm_why *why);
/* Copies the request; NULL without memory. */
struct mm_call *mm_call_new(const struct mm_http_req *req);
void mm_call_free(struct mm_call **owner);
/* Takes c; MM_EAGAIN when the queue is full (then c is the caller's). */
MM_MUST enum mm_err mm_work_post(struct mm_work *w, struct mm_call *c);
/* Posts a call for this request, or answers 503; a may be NULL. */
void mm_work_hand(struct mm_server *s, const struct mm_http_req *req,
    void (*run)(struct mm_worker *w, struct mm_call *c),
    const struct mm_authority *a);
/* A call whose job is done, or that has waited long enough, by any thread: it
 * goes back to a worker, however many wait; or is told to come again, while
 * the server stops. */
void mm_work_again(struct mm_server *s, struct mm_call *take_call);
/* Without a request: housekeeping, once at a time. */
void mm_work_tick(struct mm_work *w);
/* Calls that wait for a worker. */
unsigned mm_work_depth(struct mm_work *w);
void mm_work_reload(struct mm_work *w);
void mm_work_stop(struct mm_work *w); /* joins; later calls are dropped */
void mm_work_close(struct mm_work **owner);

/* ---- est.c, renewal.c: what a device asks for by its certificate ---- */

/* Hands the call to a worker, or answers why the device may not; late: with
 * an expired certificate, too. */
void mm_est_hand(struct mm_http_req *req, struct mm_server *s, bool late,
    void (*run)(struct mm_worker *w, struct mm_call *c));
/* The call's refusal into resp, whose body is freed. */
void mm_est_refuse(struct mm_http_resp *resp, const struct mm_call *c,
    enum mm_err rc, enum mm_reason reason, const struct mm_why *why);
void mm_renewal_get(struct mm_http_req *req, void *ctx);
/* configuration.c */
void mm_configuration_get(struct mm_http_req *req, void *ctx);

/* ---- rest.c, operators listener ---- */

/* on_head: nobody without the form of a key takes memory or a worker's
 * time. */
int mm_rest_head(void *ctx, const struct mm_http_req *req,
    struct mm_http_resp *resp);
extern const struct mm_http_route mm_operators_routes[];
extern const size_t mm_operators_nroutes;
/* rest_approvals.c, housekeeping: ends what has run out. */
void mm_approvals_tidy(struct mm_worker *w);
/* Who may do what, from the table: docs/reference/roles.md. */
void mm_rest_print_roles(struct mm_buf *out);

/* ---- routes.c ---- */

/* All that is answered, one a line: listener, method, path, roles or "-". */
void mm_routes_print(FILE *f);

/* listen.c: binds the listeners, still as root where we are: ports may be
 * below 1024. */
MM_MUST enum mm_err mm_listen(struct mm_server *s, struct mm_why *why);

#endif
