#ifndef MM_CLI_ORDERS_H
#define MM_CLI_ORDERS_H

#include "cli/marks.h"
#include "ledger/entry.h"
#include "ledger/journal.h"
#include "store/store.h"

/*
 * For "ledger reconcile": work orders and their extensions.  What the signer's
 * journal has was entered before it was signed, word for word, and the order
 * that the database keeps for a station and a batch is the newest of those.  An
 * entry without a line is no difference by itself: the signer was away, and
 * nothing was signed.
 */
struct mm_order_seen {
	char station[MM_NAME_MAX + 1], batch[MM_NAME_MAX + 1];
	uint64_t number;
	uint8_t tbs[32]; /* hash of what was signed */
	bool extension;
	bool young; /* the journal's: its entry may be after the snapshot */
	bool later; /* the ledger's: see struct mm_mark */
};
struct mm_orders {
	struct mm_order_seen *at;
	size_t n, cap;
};

/* A journal line of any kind; the database was read from began_ms on. */
MM_MUST enum mm_err mm_orders_line(struct mm_orders *s,
    const struct mm_journal_line *l, int64_t began_ms, struct mm_why *why);
/* An entry of any type. */
MM_MUST enum mm_err mm_orders_entry(struct mm_orders *s,
    const struct mm_entry *e, bool later, struct mm_why *why);
/* What the database keeps; what cannot be read as an order is a difference. */
MM_MUST enum mm_err mm_orders_stored(struct mm_orders *s,
    struct mm_store_reader *db, json_t *differences, struct mm_why *why);
/* Appends {"record", "difference"} for each; adds to *waiting.  torn: the
 * journal may lack lines of what was entered.  Sorts. */
void mm_orders_compare(struct mm_orders of[MM_OF_RECORDS], bool torn,
    json_t *differences, struct mm_waiting *waiting);
void mm_orders_done(struct mm_orders *s);

#endif
