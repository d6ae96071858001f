#ifndef MM_CLI_ENTRIES_H
#define MM_CLI_ENTRIES_H

#include <jansson.h>

#include "ledger/entry.h"
#include "store/store.h"

/* For "ledger reconcile": the database's entries in order. */
typedef enum mm_err mm_entry_fn(
    void *ctx, uint64_t index, const struct mm_entry *e, struct mm_why *why);
/*
 * All of the first `size`.  What is missing, what is no entry or of no known
 * type, and what lies behind the end is named in {"record", "difference"} and
 * stepped over.
 */
MM_MUST enum mm_err mm_entries_each(struct mm_store_reader *db, uint64_t size,
    mm_entry_fn *fn, void *ctx, json_t *differences, struct mm_why *why);

#endif
