#ifndef MM_SIGNER_CLOCKS_H
#define MM_SIGNER_CLOCKS_H

#include "ledger/journal.h"
#include "signer/state.h"

/*
 * The journal's clock lines that the ledger may not have yet: those after
 * the point that the state file settles.  The server enters them when it
 * greets the signer, before the next checkpoint, and so before the state
 * moves on.
 */
#define MM_CLOCKS_MAX 16

struct mm_clocks {
	size_t n;
	struct {
		uint64_t line;
		int64_t from_ms, to_ms;
	} at[MM_CLOCKS_MAX];
};

/* MM_ELIMIT: more than the server could be told of.  state: what was counted
 * by the other clock is set to this one's day, so that a day of the future
 * neither lasts until then nor begins its ceiling anew; NULL: it was. */
MM_MUST enum mm_err mm_clocks_note(struct mm_clocks *c,
    const struct mm_journal_line *l, struct mm_state *state,
    struct mm_why *why);
/* As hello_rep has them. */
void mm_clocks_put(const struct mm_clocks *c, struct mm_buf *out);

#endif
