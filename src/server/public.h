#ifndef MM_SERVER_PUBLIC_H
#define MM_SERVER_PUBLIC_H

#include "server/blob.h"
#include "server/priv.h"

/* Inside public.c and bundle.c: what everyone may read. */

struct mm_public_list {
	uint64_t number;     /* Unix milliseconds: its thisUpdate */
	int64_t next_s;
	struct mm_blob *blob; /* NULL: none yet */
};
/* The lists of an issuer's shards; see shards.c. */
struct mm_public_shards {
	struct mm_public_list *at;
	size_t n, cap;       /* n 0: the complete list stands for all */
	uint64_t turn;       /* of the core, when they were read */
	bool read;
};
struct mm_public_crl {
	char issuer[MM_NAME_MAX + 1];
	uint64_t number;     /* Unix milliseconds: its thisUpdate */
	int64_t next_s;
	struct mm_blob *blob; /* NULL: none yet */
	bool read;            /* a line CA's: the store was asked */
	struct mm_public_shards shards;
};
struct mm_bundle;
struct mm_public {
	struct mm_server *s;
	pthread_mutex_t lock; /* the CRLs, and what is made of them */
	struct mm_public_crl *crl; /* of the configured issuers */
	size_t n;
	struct mm_public_crl **line; /* of line CAs, by name; they stay */
	size_t nline, cap;
	struct mm_blobs old; /* that slow readers hold; behind the lock */
	struct mm_buf anchor; /* PEM */
	struct mm_bundle *bundle;
};

/* One thing that is asked for; blob NULL: there is none yet. */
struct mm_public_item {
	struct mm_blob *blob;
	char etag[36];
	int64_t changed_s, next_s; /* next_s: no cache keeps it for longer */
};
/* The caller has the lock, which this lets go. */
void mm_public_send(struct mm_public *p, const struct mm_http_req *req,
    const struct mm_public_item *item, const char *type, const char *missing);

/* shards.c: what certificates name.  take: those that the store has others of;
 * line: a line CA's one.  item: false: the complete list stands for it, also
 * where its own has ended.  The
 * lock is held for item; done frees. */
void mm_public_shards_take(struct mm_public *p, struct mm_public_crl *c,
    bool line, struct mm_store_reader *r);
bool mm_public_shards_item(const struct mm_public_crl *c, unsigned shard,
    struct mm_public_item *out);
void mm_public_shards_done(struct mm_public_shards *s);
/* public.c: a blob that another one has taken the place of; NULL is fine. */
void mm_public_retire(struct mm_public *p, struct mm_blob *take_blob);
/* The list of that issuer, or NULL; they stay. */
struct mm_public_crl *mm_public_find(struct mm_public *p, const char *issuer);

/*
 * bundle.c: all of the lists in one PEM, for who keeps a file: the issuers',
 * line CAs' too, and those above them whose time it is; and the certificates
 * of who signed them.  Made anew on a worker when one of them has changed.
 */
MM_MUST enum mm_err mm_bundle_new(struct mm_server *s, struct mm_bundle **out,
    struct mm_why *why);
void mm_bundle_free(struct mm_bundle **owner);
void mm_bundle_refresh(struct mm_public *p);
/* The peer of a request has gone: if he waits, he is answered. */
void mm_bundle_left(struct mm_public *p, struct mm_http_ref ref);
void mm_bundle_get(struct mm_http_req *req, void *ctx);
void mm_bundle_get_issuers(struct mm_http_req *req, void *ctx);

/*
 * news.c: who has the bundle and waits for another one (RFC 7240 4.3), no
 * thread of ours with him.  All of it behind the public lock.
 */
#define MM_NEWS_MOST   256
#define MM_NEWS_WAIT_S 30 /* at most */
struct mm_news {
	struct mm_news_waiting {
		struct mm_http_ref ref;
		struct in6_addr peer;
		int64_t until_ms; /* monotonic */
	} at[MM_NEWS_MOST];
	unsigned n;
	bool closed; /* nobody waits any more */
};
/* false: there is no place for him, and he is answered at once. */
bool mm_news_wait(struct mm_news *n, struct mm_http_ref ref,
    const struct in6_addr *peer, int64_t until_ms);
/* The next one whose time is over by then; INT64_MAX: whoever; false: none. */
bool mm_news_take(struct mm_news *n, int64_t until_ms,
    struct mm_http_ref *out);
/* Whether that one waited; he does no more. */
bool mm_news_left(struct mm_news *n, struct mm_http_ref ref);

#endif
