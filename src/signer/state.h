#ifndef MM_SIGNER_STATE_H
#define MM_SIGNER_STATE_H

#include "ledger/journal.h"
#include "ledger/tree.h"
#include "signer/outset.h"

/*
 * signer_dir/state: what the signer must remember besides the journal, as
 * one file that is replaced whole before a checkpoint leaves.
 *
 * The tree's frontier and the certificates still outstanding at that moment
 * belong together: an entry below the frontier is never shown again, so that
 * its certificate must not be waited for.  The journal is read again from
 * "settled" (the oldest outstanding line, or its end).
 */
#define MM_STATE_ROWS 512 /* CRL numbers and day counters */

struct mm_state_row {
	char name[MM_NAME_MAX + 1];
	int64_t day;    /* of a counter */
	uint64_t count; /* of certificates that day; or a CRL's number */
};
struct mm_state {
	struct mm_frontier frontier;
	uint64_t settled_at;             /* offset in the journal */
	struct mm_journal_chain settled; /* the chain there */
	uint64_t journal_at;             /* the journal's end then */
	size_t ncrl, nday, nserial;
	struct mm_state_row crl[MM_STATE_ROWS], day[MM_STATE_ROWS];
	uint8_t serial[MM_OUTSET_MAX][16]; /* outstanding then */
};

MM_MUST enum mm_err mm_state_encode(const struct mm_state *s,
    struct mm_buf *out, struct mm_why *why);
MM_MUST enum mm_err mm_state_parse(struct mm_bytes b, struct mm_state *out,
    struct mm_why *why);
MM_MUST enum mm_err mm_state_read(const char *dir, struct mm_state *out,
    struct mm_why *why);
/* Durable when it returns. */
MM_MUST enum mm_err mm_state_write(const char *dir, const struct mm_state *s,
    struct mm_why *why);

/* The row of a name; made if there is none and room is left, else NULL. */
struct mm_state_row *mm_state_row(struct mm_state_row *rows, size_t *n,
    const char *name);

#endif
