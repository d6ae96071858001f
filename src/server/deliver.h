#ifndef MM_SERVER_DELIVER_H
#define MM_SERVER_DELIVER_H

#include <pthread.h>

#include "server/courier.h"
#include "server/hook.h"

/*
 * What the files of the delivery thread share.  All of it is that thread's,
 * but for what stands under the lock.
 *
 *   deliver.c        the thread: waits, sends, hears the courier
 *   authorise.c      the question before a first enrolment
 *   deliver_ask.c    one delivery out of turn, for a request that waits
 *   deliver_hook.c   one webhook: collect, send, what an outcome means
 *   deliver_store.c  documents: load, progress, dead letters, disabling
 */
enum {
	MM_ASKS_MOST = 32,
	MM_DELIVER_SAVE_MS = 1000, /* progress, at most so often */
	MM_DELIVER_RETRY_MS = 1000,/* after the store refused */
	MM_DELIVER_LATE_MS = 20000,/* past the courier's own deadline */
};

#define MM_COURIER_GONE "the courier went away"

/* A POST: on its way while tag is not 0. */
struct mm_parcel {
	uint32_t tag;
	int64_t sent_at; /* monotonic */
	char id[97];
	uint32_t timeout_ms, want; /* of struct mm_deliver_req */
	struct mm_buf body;
};

struct mm_run { /* a webhook at work */
	struct mm_run *next;
	struct mm_hook hook;
	struct mm_hook_progress at;
	bool dirty;             /* at is not as stored */
	bool seen;              /* load: the document is still there */
	bool suspect;           /* a courier died with its parcel */
	int64_t due;            /* monotonic: not before */
	struct mm_parcel parcel;
	uint64_t index[MM_HOOK_BATCH]; /* of the parcel's events */
	unsigned n;
	int64_t oldest_at;      /* of the parcel's first event; 0: no parcel */
	uint64_t after;         /* the cursor once it is delivered */
	struct mm_hook_live live; /* under the lock */
};

struct mm_ask { /* a delivery out of turn */
	struct mm_ask *next;
	struct mm_hook_wish wish;
	int64_t began;
	bool lost; /* the courier had it and went away */
	struct mm_parcel parcel;
};

struct mm_deliver {
	struct mm_server *s;
	struct mm_desk *desk;
	struct mm_hook_keys *keys;
	char origin[17];        /* of the ledger: begins every webhook-id */
	int kick, link;         /* link -1: no courier */
	bool delivers;          /* of several nodes, this one */
	char keyless[161];      /* why it cannot sign, "" it can */
	int64_t look_at;        /* monotonic: for what others changed */
	int64_t count_at;       /* monotonic: dead letters */
	bool looked_for_lost;   /* documents of no webhook */
	bool blocked;           /* the link takes no more for now */
	bool unread;            /* documents that could not be read ... */
	int64_t read_at;        /* ... are asked for again then; monotonic */
	uint32_t tag;
	int64_t save_at;
	struct mm_run *runs;    /* changed under the lock, by the thread */
	struct mm_ask *asks;
	struct mm_authorise *authorise;
	struct mm_mail *mail;
	struct mm_buf frame;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;   /* what follows */
	struct mm_ask *fresh_asks;
	unsigned nasks;         /* of both lists */
	int fresh_link;
	bool changed, closed;
};

/* deliver.c: false: not now, the link is full or away.  h NULL: a mail. */
bool mm_deliver_send(struct mm_deliver *d, const struct mm_hook *h,
    struct mm_parcel *p);
void mm_parcel_reset(struct mm_parcel *p);

/* deliver_hook.c */
/* Does what is due; true: it would go on at once. */
bool mm_run_step(struct mm_deliver *d, struct mm_run *r, uint64_t size);
void mm_run_outcome(struct mm_deliver *d, struct mm_run *r,
    const struct mm_deliver_rep *rep);
/* The courier went away with its parcel, and with no other (alone). */
void mm_run_bereft(struct mm_deliver *d, struct mm_run *r, bool alone);
/* When it has to be looked at again by itself; INT64_MAX: never. */
int64_t mm_run_due(const struct mm_run *r);
/* Drops what is under way; it is collected anew from the cursor. */
void mm_run_drop(struct mm_run *r);
void mm_run_free(struct mm_run **owner);
/* {"type":...} for one event, alone. */
void mm_event_body(struct mm_buf *out, uint64_t index, struct mm_bytes entry,
    const char *ca_serial);
void mm_event_bodies_open(struct mm_json *j);
void mm_event_bodies_close(struct mm_json *j, struct mm_bytes at);
void mm_parcel_name(const struct mm_deliver *d, const struct mm_hook *h,
    uint64_t first, uint64_t last, char out[97]);

/* deliver_ask.c; outcome and fail answer the request and end it, step may. */
void mm_ask_step(struct mm_deliver *d, struct mm_ask *a);
void mm_ask_outcome(struct mm_deliver *d, struct mm_ask *a,
    const struct mm_deliver_rep *rep);
void mm_ask_fail(struct mm_deliver *d, struct mm_ask *a, const char *text);

/* deliver_store.c */
/* Takes the webhooks as they are stored now. */
MM_MUST enum mm_err mm_deliver_load(struct mm_deliver *d, struct mm_why *why);
/* Stores the progress of all that have some, in one commit. */
void mm_deliver_save(struct mm_deliver *d);
/* The parcel's events become dead letters and the cursor moves on. */
MM_MUST enum mm_err mm_deliver_bury(struct mm_deliver *d, struct mm_run *r,
    const char *text, struct mm_why *why);
MM_MUST enum mm_err mm_deliver_disable(struct mm_deliver *d, struct mm_run *r,
    const char *reason, struct mm_why *why);
MM_MUST enum mm_err mm_deliver_unbury(struct mm_deliver *d, const char *hook,
    uint64_t index, struct mm_why *why);

#endif
