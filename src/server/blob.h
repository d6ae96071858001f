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
	struct mm_buf bytes;
};
/* Held once, by the caller; NULL without memory. */
struct mm_blob *mm_blob_new(size_t most);
void mm_blob_let_go(void *blob); /* NULL is fine */
/* The answer holds it until it is written.  The caller has it held. */
void mm_blob_lend(struct mm_blob *b, struct mm_http_resp *resp);

/* public.c: validators and life time of what a cache may keep. */
void mm_public_caches(struct mm_http_resp *resp, const char *etag,
    int64_t changed_s, int64_t age_s);
/* The same; true: the client has it already, and the answer has become 304. */
bool mm_public_validate(const struct mm_http_req *req,
    struct mm_http_resp *resp, const char *etag, int64_t changed_s,
    int64_t age_s);

#endif
