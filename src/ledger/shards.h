#ifndef MM_LEDGER_SHARDS_H
#define MM_LEDGER_SHARDS_H

#include "base/buf.h"

/*
 * The field "shards" of the entry crl.signed: which lists a run has signed
 * under one number.  "complete" is the one of everything, "7" and "0-63" are
 * shards' from the first to the last, with commas between; ascending, none
 * twice.  An entry without it is of the complete list alone.
 */
#define MM_SHARDS_WHOLE UINT32_MAX
#define MM_SHARDS_RANGES 128 /* that a text may have */

/* Appends the text. */
void mm_shards_put(struct mm_buf *out, bool whole, const uint16_t *shard,
    size_t n);
/* How many from the first on have so few ranges. */
size_t mm_shards_fit(const uint16_t *shard, size_t n);
/* First and last of each; the complete list, which comes first, is
 * MM_SHARDS_WHOLE as both.  MM_EINPUT: not such a text. */
struct mm_shard_range {
	uint32_t from, to;
};
MM_MUST enum mm_err mm_shards_parse(struct mm_bytes text,
    struct mm_shard_range out[MM_SHARDS_RANGES + 1], size_t *n);

#endif
