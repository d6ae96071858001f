#ifndef MM_SERVER_BLOB_H
#define MM_SERVER_BLOB_H

#include <stdatomic.h>

#include "base/buf.h"
#include "http/http.h"

/*
 * Bytes that are asked for by many: answers that are being written hold
 * them, not a copy each.
 */
struct mm_blob {
	atomic_uint held;
	atomic_bool cut; /* nobody may go on reading it */
	struct mm_buf bytes;
};
/* Held once, by the caller; NULL without memory. */
struct mm_blob *mm_blob_new(size_t most);
void mm_blob_let_go(void *blob); /* NULL is fine */
/* The answer holds it until it is written.  The caller has it held. */
void mm_blob_lend(struct mm_blob *b, struct mm_http_resp *resp);

/*
 * Those that a newer one has taken the place of, while slow readers hold them:
 * each reader of its own could hold another one.  Not locked.
 */
struct mm_blobs {
	struct mm_blob **at; /* the oldest first; held */
	size_t n, cap;
};
/* Takes it from the caller.  What nobody reads any more is freed; above `most`
 * bytes the readers of the oldest are cut off. */
void mm_blobs_retire(struct mm_blobs *s, struct mm_blob *take_blob,
    size_t most);
void mm_blobs_tidy(struct mm_blobs *s, size_t most);
void mm_blobs_done(struct mm_blobs *s);

/* public.c: validators and life time of what a cache may keep. */
void mm_public_caches(struct mm_http_resp *resp, const char *etag,
    int64_t changed_s, int64_t age_s);
/* The same; true: the client has it already, and the answer has become 304. */
bool mm_public_validate(const struct mm_http_req *req,
    struct mm_http_resp *resp, const char *etag, int64_t changed_s,
    int64_t age_s);

#endif
