#ifndef MM_CLI_HEADS_H
#define MM_CLI_HEADS_H

#include <jansson.h>

#include "ledger/journal.h"
#include "store/store.h"

/*
 * For "ledger reconcile": the tree's heads that the signer signed, as the
 * journal has them, against the tree that the database's entries make.  One
 * altered entry makes another tree from there on.  The stored tiles must be
 * that tree's.
 */
struct mm_heads {
	struct mm_head *h;
	size_t n, cap;
};
/* Takes note of a checkpoint's line; others are none of its business. */
MM_MUST enum mm_err mm_heads_line(struct mm_heads *s,
    const struct mm_journal_line *l, int64_t began_ms, struct mm_why *why);
/*
 * Appends {"record", "difference"} where the first `size` entries make
 * another tree than was signed, and for the stored checkpoint: its signature,
 * its tree, and its line, unless the journal's end was lost (lined 0) or it is
 * of more than `lined` entries.
 */
MM_MUST enum mm_err mm_heads_compare(struct mm_heads *s,
    struct mm_store_reader *db, uint64_t size, const char *origin,
    uint64_t lined, json_t *differences, struct mm_why *why);
void mm_heads_done(struct mm_heads *s);

#endif
