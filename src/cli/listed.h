#ifndef MM_CLI_LISTED_H
#define MM_CLI_LISTED_H

#include <jansson.h>

#include "store/store.h"

/*
 * For "ledger reconcile": by what lists of shards are made.  The database keeps
 * who is revoked once more by shard; a certificate that is left out there, or
 * stands at another shard, would be missing in the list that it names itself.
 * Appends {"record", "difference"}.
 */
MM_MUST enum mm_err mm_listed_compare(struct mm_store_reader *db,
    const char *issuer, json_t *differences, struct mm_why *why);
/* Whether a certificate names the list of that shard; one that names none, or
 * another one's, has no shard. */
struct mm_cert;
bool mm_listed_names(const struct mm_cert *c, const char *issuer,
    uint32_t shard);

#endif
