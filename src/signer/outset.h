#ifndef MM_SIGNER_OUTSET_H
#define MM_SIGNER_OUTSET_H

#include "ipc/msg.h"
#include "ledger/journal.h"

/*
 * Certificates, OCSP responders' among them, and CRLs that were signed and
 * have not been seen in the tree: a hash table by serial over a list in
 * journal order.  Not locked: the record is.  A CRL has a serial here only,
 * which is made of its issuer and number; those of a run are one.
 */
#define MM_OUTSET_MAX 8192 /* issuing stops at half of it */

struct mm_outset;

struct mm_outset_item {
	struct mm_journal_line line;
	uint64_t offset; /* of the line in the journal */
	uint32_t prev, next, chain;
};

MM_MUST enum mm_err mm_outset_new(struct mm_outset **out, struct mm_why *why);
void mm_outset_free(struct mm_outset **owner);
/* The CRL's line with its serial of here. */
struct mm_journal_line mm_outset_crl(const struct mm_journal_line *l);
/* A line as it stands here; false: the ledger has no entry of its kind. */
bool mm_outset_of(const struct mm_journal_line *l,
    struct mm_journal_line *out);
/* MM_ELIMIT: full.  A serial that is there is kept as it is. */
MM_MUST enum mm_err mm_outset_put(struct mm_outset *s,
    const struct mm_journal_line *l, uint64_t offset, struct mm_why *why);
/* NULL if it is not outstanding; borrowed until the next call. */
const struct mm_outset_item *mm_outset_get(const struct mm_outset *s,
    const uint8_t serial[16]);
void mm_outset_drop(struct mm_outset *s, const uint8_t serial[16]);
size_t mm_outset_count(const struct mm_outset *s);
/* From the oldest: NULL starts, NULL ends. */
const struct mm_outset_item *mm_outset_each(const struct mm_outset *s,
    const struct mm_outset_item *after);

#endif
