#ifndef MM_SERVER_OCSP_KEPT_H
#define MM_SERVER_OCSP_KEPT_H

#include "core/core.h"
#include "server/blob.h"

/*
 * OCSP answers that were signed, for whoever asks next.  Bounded: where there
 * is no room the one that was not asked for the longest goes.  Thread-safe.
 */
struct mm_ocsp_kept;
MM_MUST enum mm_err mm_ocsp_kept_new(struct mm_core *c,
    struct mm_ocsp_kept **out, struct mm_why *why);
void mm_ocsp_kept_free(struct mm_ocsp_kept **owner);
void mm_ocsp_kept_put(struct mm_ocsp_kept *k, const struct mm_ocsp_ask *a);

enum { MM_OCSP_TAG_N = 16 };
void mm_ocsp_tag(struct mm_bytes der, uint8_t tag[MM_OCSP_TAG_N]);
struct mm_ocsp_found {
	struct mm_blob *blob; /* held for the caller */
	enum mm_ocsp_status status;
	int64_t this_s, next_s;
	uint8_t tag[MM_OCSP_TAG_N]; /* of its bytes */
};
/* false: there is none, half of its time is over, or the certificate's state
 * may have changed since. */
bool mm_ocsp_kept_get(struct mm_ocsp_kept *k, const struct mm_ocsp_id *id,
    struct mm_ocsp_found *out);

#endif
