#ifndef MM_CLI_QUOTAS_H
#define MM_CLI_QUOTAS_H

#include <jansson.h>

#include "ledger/entry.h"
#include "store/store.h"

/*
 * For "ledger reconcile": what batches' quotas were spent on.  As many
 * certificates as the entries say count for each batch and each station's
 * share of it, each has the record of its unit, and no more was given back
 * than was reported.  Takes memory for batches and stations, not for units.
 */
struct mm_quotas;
/* Borrowed: db, in the snapshot that the entries are of, and differences,
 * which takes {"record", "difference"}. */
MM_MUST enum mm_err mm_quotas_new(struct mm_store_reader *db,
    json_t *differences, struct mm_quotas **out, struct mm_why *why);
void mm_quotas_free(struct mm_quotas **owner);

/* The ledger's next entry, of any type. */
MM_MUST enum mm_err mm_quotas_entry(
    struct mm_quotas *q, const struct mm_entry *e, struct mm_why *why);
/* After the last entry. */
MM_MUST enum mm_err mm_quotas_compare(struct mm_quotas *q, struct mm_why *why);

#endif
