#ifndef MM_STATION_WEB_PRIV_H
#define MM_STATION_WEB_PRIV_H

#include <pthread.h>

#include "http/http.h"
#include "station/api_keys.h"
#include "station/web.h"

enum {
	MM_WEB_ASKS = 256, /* that wait for the line's thread */
	MM_WEB_RING = 256, /* things told that are kept */
	MM_WEB_BODY = 4096,
	MM_WEB_WAIT_S = 60,     /* longest that an answer is waited for */
	MM_WEB_FEED_MS = 25000, /* a feed with nothing to tell */
	MM_WEB_STATE_MS = 100,  /* between two states of the whole */
	MM_WEB_DOORS = 2,
};

struct mm_web;
struct mm_ask;
struct mm_web_call {
	/* On the line's thread; false: it waits, and is tried again whenever
	 * something has changed, and (due) when its time is over. */
	bool (*run)(struct mm_web *w, struct mm_ask *a, bool due);
	const char *does; /* for the reference */
};

/* A request on its way to the line's thread, and while it waits there. */
struct mm_ask {
	struct mm_ask *next;
	const struct mm_web_call *call; /* NULL: ref's client has gone */
	struct mm_http_ref ref;
	char id[17];
	char name[MM_DEVICE_ID_MAX + 1]; /* the ":" of its path */
	char after[40];
	bool units_only;
	bool foreign;     /* after is a cursor, and none of this start */
	int64_t wait_ms;  /* as asked for */
	int64_t until_ms; /* monotonic */
	uint64_t from;    /* a feed's place */
	bool begun;       /* what it asked for is done; it waits for the end */
	enum mm_crew_door door;
	uint64_t ticket;  /* its badge is compared; 0: not yet */
	struct mm_buf body;
};

struct mm_door {
	struct mm_web *web;
	bool screen; /* loopback, no key */
	char host[3][64];
};

struct mm_told {
	uint64_t seq;
	struct mm_buf text; /* an event's lines */
};

struct mm_web {
	struct mm_shift *shift;
	struct mm_http *http;
	struct mm_door door[MM_WEB_DOORS];
	struct mm_api_keys keys; /* the HTTP thread's */
	/* From the HTTP thread: */
	pthread_mutex_t lock;
	struct mm_ask *first, **last;
	unsigned nasks;
	int event;
	/* The line's thread: */
	struct mm_ask *waiting;
	unsigned run; /* names this start of the station in cursors */
	uint64_t seq; /* things told so far */
	struct mm_told ring[MM_WEB_RING];
	unsigned ntold;
	struct mm_buf state; /* as it was at state_seq */
	uint64_t state_seq;
	int64_t state_ms;
};

/* web_guard.c: an on_head of src/http; what may not pass is answered there. */
int mm_web_guard(
    void *ctx, const struct mm_http_req *req, struct mm_http_resp *resp);
void mm_web_error(void *ctx, const struct mm_http_req *req, int status,
    const char *reason, struct mm_http_resp *resp);
void mm_web_door_hosts(struct mm_door *d, uint16_t port);

/* web_tls.c: an SSL_CTX of api_cert and api_cert_key. */
enum mm_err mm_web_tls(void *ctx, uint16_t loop, OSSL_LIB_CTX *lib,
    SSL_CTX **out, struct mm_why *why);

/* web_routes.c */
extern const struct mm_http_route mm_web_routes[];
extern const size_t mm_web_nroutes, mm_web_nfiles; /* files come last */

/* web_files.c */
struct mm_web_file {
	const char *type, *text;
};
void mm_web_file(struct mm_http_req *req, void *ctx);

/* web_calls.c */
extern const struct mm_web_call mm_call_status, mm_call_fixtures, mm_call_start,
    mm_call_adopt, mm_call_unit, mm_call_scan, mm_call_stop, mm_call_events;
/* A body: an object of texts, each of them known; the first must be there. */
MM_MUST enum mm_err mm_web_texts(struct mm_bytes body,
    const char *const name[2], char text[2][256], struct mm_why *why);

/* web_crew.c */
extern const struct mm_web_call mm_call_badge, mm_call_release,
    mm_call_scrap, mm_call_scrap_over;

/* web.c; the HTTP thread */
void mm_web_handle(struct mm_http_req *req, void *ctx);
/* web.c; the line's thread */
void mm_web_answer(struct mm_web *w, const struct mm_ask *a, int status,
    const char *type, struct mm_buf *take_body);
void mm_web_refuse(struct mm_web *w, const struct mm_ask *a, enum mm_err rc,
    const char *detail, const char *reason);

/* web_feed.c */
void mm_feed_hear(
    void *ctx, const struct mm_shift *s, const struct mm_said *what);
void mm_feed_done(struct mm_web *w);

#endif
