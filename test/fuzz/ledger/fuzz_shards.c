/*
 * Property: a text that parses is what its shards are written as, and its
 * ranges rise and do not touch.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger/shards.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
expand(const struct mm_shard_range *at, size_t n, uint16_t out[65536],
    bool *whole)
{
	size_t made = 0;

	for (size_t i = 0; i < n; i++) {
		if (at[i].from == MM_SHARDS_WHOLE) {
			*whole = true;
			continue;
		}
		for (uint32_t k = at[i].from; k <= at[i].to; k++) {
			if (made == 65536 ||
			    (made > 0 && out[made - 1] >= k))
				abort();
			out[made++] = (uint16_t)k;
		}
	}
	return made;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_shard_range at[MM_SHARDS_RANGES + 1];
	struct mm_buf again = MM_BUF_INIT(1 << 16);
	static uint16_t shard[65536];
	bool whole = false;
	size_t n, made;

	if (mm_shards_parse((struct mm_bytes){ data, size }, at, &n) != MM_OK)
		return 0;
	made = expand(at, n, shard, &whole);
	mm_shards_put(&again, whole, shard, made);
	if (again.n != size || memcmp(again.p, data, size) != 0 ||
	    mm_shards_fit(shard, made) != made)
		abort();
	mm_buf_done(&again);
	return 0;
}
