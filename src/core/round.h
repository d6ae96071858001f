#ifndef MM_CORE_ROUND_H
#define MM_CORE_ROUND_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

/*
 * How large W's rounds are: one transaction each (commit.c).  Nodes that share
 * a store take turns at its ledger, and who waits for three seconds fails, so
 * there a round is what takes a second at most.
 */
enum { MM_ROUND_OPS = 2048, /* at most, a transaction */
	MM_ROUND_LEAST = 100 }; /* however slow the store is */

#define MM_MS_FAILED INT64_MAX
/* The next one's most: the last one had n and took ms, or MM_MS_FAILED, when
 * the most was so many. */
size_t mm_round_next(size_t most, size_t n, int64_t ms);

struct mm_desk;
/*
 * As mm_desk_write, for ops that stand for themselves and whose results the
 * caller tells one by one: in as many rounds as that makes.  MM_OK if any was
 * run; those that were not have MM_EAGAIN for their result.
 */
MM_MUST enum mm_err mm_desk_write_rows(struct mm_desk *d, struct mm_op **ops,
    size_t n, struct mm_why *why);

#endif
