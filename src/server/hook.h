#ifndef MM_SERVER_HOOK_H
#define MM_SERVER_HOOK_H

#include "base/secret.h"
#include "server/event.h"

/*
 * Webhooks: Standard Webhooks 1.0.0 over the event feed.
 *
 * A webhook is a document (MM_DOC_WEBHOOK) that operators change; where its
 * delivery is stands in another (MM_DOC_DELIVERY, the webhook's id alone)
 * that the delivery thread alone writes, and each of its dead letters in one
 * more (the id, a dot, the entry's index in 20 digits).
 */
#define MM_HOOK_ID  20 /* "wh_", 16 hex digits, NUL */
#define MM_HOOK_URL 1024
enum {
	MM_HOOKS_MOST = 100,
	MM_HOOK_BATCH = 100,    /* events in a POST, batch form */
	MM_HOOK_DEAD_MOST = 10000,
	MM_HOOK_BOTH_S = 86400, /* after a rotation both secrets sign */
	MM_HOOK_SECRET_N = 32,
	MM_HOOK_SALT = 0,       /* a version that signs nothing: its secret is
	                         * the salt of the URL's hash in entries */
};

enum mm_hook_state {
	MM_HOOK_ACTIVE,
	MM_HOOK_PAUSED,   /* by an operator */
	MM_HOOK_DISABLED, /* by the server: reason says why */
	MM_HOOK_STATES
};
const char *mm_hook_state_name(enum mm_hook_state s);

struct mm_hook {
	char id[MM_HOOK_ID];
	char url[MM_HOOK_URL + 1], description[129];
	struct mm_event_filter filter; /* types and products */
	enum mm_hook_state state;
	char reason[65];
	bool batch;
	int64_t secret;                /* its version, from 1 */
	int64_t created_at, rotated_at, resumed_at;
	/* Delivery begins at from; a new epoch begins it anew (replay). */
	int64_t epoch, from;
	uint64_t version;              /* the document's */
};
MM_MUST enum mm_err mm_hook_parse(const struct mm_doc *doc,
    struct mm_hook *out, struct mm_why *why);
void mm_hook_encode(const struct mm_hook *h, struct mm_buf *out);
MM_MUST enum mm_err mm_hook_get(struct mm_store_reader *r, const char *id,
    struct mm_hook *out, struct mm_why *why);
/* An http or https URL that the courier would take, no password in it, and
 * http only where the settings let it. */
MM_MUST enum mm_err mm_hook_url_check(const char *url,
    const struct mm_settings *set, struct mm_why *why);

struct mm_hook_progress {
	int64_t next;          /* the entry that is looked at next */
	int64_t epoch;
	int64_t failing_since; /* 0: the last delivery went well */
	int64_t attempts;      /* of what is being delivered */
};
MM_MUST enum mm_err mm_hook_progress_parse(struct mm_bytes body,
    struct mm_hook_progress *out, struct mm_why *why);
void mm_hook_progress_encode(const struct mm_hook_progress *p,
    struct mm_buf *out);
/* "wh_....00000000000000000042" */
void mm_hook_letter_id(const char *hook, uint64_t index,
    char out[MM_DOC_ID_MAX + 1]);

/* ---- hook_key.c ---- */

/*
 * Secrets are in no database: each is HMAC-SHA256(key, "mintmark webhook v1"
 * || id || version in 8 bytes), and the key is a file of the server's own,
 * made at the first use.
 *
 * Several nodes over one store (shared) have one key, or their signatures
 * would not fit: the store knows a keyed hash of it, and a node that has none,
 * or another, is refused.
 */
struct mm_hook_keys;
MM_MUST enum mm_err mm_hook_keys_open(const char *server_dir, bool shared,
    struct mm_hook_keys **out, struct mm_why *why);
void mm_hook_keys_close(struct mm_hook_keys **owner);
/* That this node has the key of all nodes; the first one that is asked makes
 * it.  MM_EPOLICY: it has not; why says what to do.  Thread-safe. */
MM_MUST enum mm_err mm_hook_key_check(struct mm_hook_keys *k,
    struct mm_desk *desk, struct mm_why *why);
/* Thread-safe.  MM_EPOLICY: the key's file is not one, or (shared) there is
 * none, or no check has found it to be the one that all nodes have. */
MM_MUST enum mm_err mm_hook_secret(struct mm_hook_keys *k,
    const struct mm_hook *h, int64_t version,
    uint8_t out[MM_HOOK_SECRET_N], struct mm_why *why);
/* "v1,<base64>", and the previous secret's behind it while both sign. */
MM_MUST enum mm_err mm_hook_sign(struct mm_hook_keys *k,
    const struct mm_hook *h, const char *id, int64_t at_s,
    struct mm_bytes body, char out[128], struct mm_why *why);

/* ---- deliver.c: the delivery thread ---- */

struct mm_deliver;
MM_MUST enum mm_err mm_deliver_open(struct mm_server *s,
    struct mm_deliver **out, struct mm_why *why);
/* The courier's link, taken; the one before it is closed. */
void mm_deliver_link(struct mm_deliver *d, int take_fd);
/* New entries are durable.  Any thread; waits for nothing. */
void mm_deliver_grown(struct mm_deliver *d);
/* A webhook was made, changed or removed. */
void mm_deliver_changed(struct mm_deliver *d);
void mm_deliver_stop(struct mm_deliver *d); /* joins; progress is stored */
void mm_deliver_close(struct mm_deliver **owner);
struct mm_hook_keys *mm_deliver_keys(struct mm_deliver *d);
struct mm_authorise;
struct mm_authorise *mm_deliver_authorise(struct mm_deliver *d);
struct mm_mail;
struct mm_mail *mm_deliver_mail(struct mm_deliver *d);

/* How a webhook does, now. */
struct mm_hook_live {
	struct mm_hook_progress at;
	uint64_t delivered;      /* events since the start */
	uint64_t failed;         /* attempts since the start */
	unsigned dead, last_status;
	enum mm_hook_state state;
	int64_t oldest_at;       /* of the first that waits; 0: none is known */
	int64_t last_at, retry_at; /* 0: not */
	char last_why[161];
};
bool mm_deliver_show(struct mm_deliver *d, const char *hook,
    struct mm_hook_live *out);

/* How many dead letters the store has of it.  Any thread. */
MM_MUST enum mm_err mm_deliver_letters(struct mm_store_reader *r,
    const char *hook, unsigned *n, struct mm_why *why);

/* Of all webhooks together, now. */
struct mm_hook_stats {
	unsigned n[MM_HOOK_STATES];
	unsigned failing;        /* active ones whose last attempt failed */
	uint64_t delivered, failed, dead;
	int64_t oldest_at;       /* of active ones' first that waits; 0: none */
	int64_t failing_since;   /* the first of those that fail; 0: none */
	char keyless[sizeof(((struct mm_why *)0)->text)]; /* why this node
	                          * cannot sign; "" it can */
};
void mm_deliver_stats(struct mm_deliver *d, struct mm_hook_stats *out);

/*
 * One delivery out of turn, for a request that is answered when its outcome
 * is known: a test, or a dead letter once more (which then is none).
 * A courier that is away for a moment is waited for.  MM_EAGAIN: too many are
 * under way, or webhooks are switched off.
 */
struct mm_hook_wish {
	struct mm_http_ref ref;
	char request[17];
	struct mm_hook hook;
	bool letter, mail; /* mail: a test mail, and no webhook's */
	uint64_t index;
};
MM_MUST enum mm_err mm_deliver_ask(struct mm_deliver *d,
    const struct mm_hook_wish *wish, struct mm_why *why);

/* A URL into the answer's object: whole for an administrator alone, for path
 * and query may be all of a receiver's credential; else its origin and "/...".
 * rest_webhooks.c */
struct mm_rest;
void mm_rest_put_hook_url(struct mm_rest *r, const char *url);

#endif
