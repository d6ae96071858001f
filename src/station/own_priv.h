#ifndef MM_STATION_OWN_PRIV_H
#define MM_STATION_OWN_PRIV_H

#include "base/time.h"
#include "ledger/entry.h"
#include "ledger/note.h"
#include "ledger/receipt.h"
#include "pki/der.h"
#include "station/own.h"

/* Between own.c, which starts the signer, and own_issue.c, which asks it. */
MM_MUST enum mm_err mm_own_call(struct mm_own *o, unsigned kind,
    const void *req, void *rep, struct mm_why *why);
/* Onto the disk, then into the tree. */
MM_MUST enum mm_err mm_own_enter(struct mm_own *o, const struct mm_entry *e,
    struct mm_why *why);
/* The entry of what was signed for the pair in a batch, unless it is there;
 * product: of that batch; by_nonce: the signer's line of it says that it took
 * the board over, which had proved it over a nonce of the signer's. */
struct mm_own_pair {
	const char *batch, *product, *device;
	const uint8_t *spki;
	const struct mm_given *given;
	bool by_nonce;
};
MM_MUST enum mm_err mm_own_enter_issued(struct mm_own *o,
    const struct mm_own_pair *p, struct mm_own_cert *out, struct mm_why *why);
/* That the line CA's key is destroyed, once for each order here without one:
 * the station may have been killed when it took it. */
MM_MUST enum mm_err mm_own_enter_ends(struct mm_own *o, struct mm_why *why);
/* proofs.c: on the disk when it returns. */
MM_MUST enum mm_err mm_own_keep_proof(struct mm_own *o,
    struct mm_bytes json, struct mm_why *why);
void mm_own_forget_proofs(struct mm_own *o);
static inline int64_t
mm_own_now(void)
{
	return mm_now_ms();
}

/* What adjtimex(2) says of the clock that an entry's time is by; what it does
 * not say (it may be forbidden) is not known to be set. */
const char *mm_own_time_source(int kernel);

#endif
