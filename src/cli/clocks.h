#ifndef MM_CLI_CLOCKS_H
#define MM_CLI_CLOCKS_H

#include <jansson.h>

#include "ledger/entry.h"
#include "ledger/journal.h"

/*
 * For "ledger reconcile": the journal's clock lines and the ledger's
 * clock.set_back entries, which must say the same.
 */
struct mm_clock {
	uint64_t line;
	int64_t from_ms, to_ms;
	bool due; /* a checkpoint came after it: the server knew of it */
	bool later; /* the ledger's: see struct mm_mark */
};
struct mm_clock_list {
	struct mm_clock *at;
	size_t n, cap;
	size_t first; /* of the journal that is being read */
};

/* A line of any kind; keeps clocks, and a checkpoint makes them due. */
MM_MUST enum mm_err mm_clocks_line(struct mm_clock_list *l,
    const struct mm_journal_line *line, struct mm_why *why);
/* An entry of any type. */
MM_MUST enum mm_err mm_clocks_entry(struct mm_clock_list *l,
    const struct mm_entry *e, bool later, struct mm_why *why);
/* Appends {"line", "difference"} for each that one has and the other lacks
 * or has otherwise. */
void mm_clocks_compare(const struct mm_clock_list *journal,
    const struct mm_clock_list *ledger, json_t *differences);
void mm_clocks_done(struct mm_clock_list *l);

#endif
