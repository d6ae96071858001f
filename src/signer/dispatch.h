#ifndef MM_SIGNER_DISPATCH_H
#define MM_SIGNER_DISPATCH_H

#include "signer/priv.h"

/*
 * Answers one frame: parses every item, does the work, writes the journal
 * once, then hands out the answer frames.  A refused item is an answer;
 * MM_EINPUT and what send returns end the session.
 */
typedef enum mm_err mm_send_fn(void *ctx, struct mm_bytes frame,
    struct mm_why *why);
MM_MUST enum mm_err mm_signer_handle(struct mm_worker *w,
    struct mm_bytes frame, mm_send_fn *send, void *ctx, struct mm_why *why);

#endif
