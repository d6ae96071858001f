#ifndef MM_CLI_LEAVES_H
#define MM_CLI_LEAVES_H

#include "cli/source.h"

/*
 * The leaves of a ledger, in order: each entry parsed and hashed by as many
 * threads as there are processors, its bundle read and its leaf handed to fn
 * by the caller's.  Memory is bounded by the few bundles under way.
 *
 * What fails first in the ledger's order is what is said, as if there were
 * one thread.  MM_EPOLICY: an entry is none, or a bundle has another number
 * of them.
 */
struct mm_leaf {
	struct mm_hash hash;
	char later[41]; /* its type, if a later release wrote it; else "" */
};
typedef enum mm_err mm_leaf_fn(void *ctx, uint64_t index,
    const struct mm_leaf *leaf, struct mm_why *why);
MM_MUST enum mm_err mm_leaves_each(struct mm_source *s, uint64_t size,
    mm_leaf_fn *fn, void *ctx, struct mm_why *why);

#endif
