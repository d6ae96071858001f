/*
 * Properties: a tile path that parses prints back the same; a bundle's
 * entries put together again are what was read; so is a frontier.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger/tile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_path(struct mm_bytes text)
{
	char again[MM_TILE_PATH_MAX];
	struct mm_tile_id id;

	if (mm_tile_parse(text, &id, NULL) != MM_OK)
		return;
	mm_tile_path(&id, again);
	if (!mm_bytes_eq(mm_bytes_of(again), text))
		abort();
	(void)mm_tile_exists(&id, id.index);
}

static void
check_bundle(struct mm_bytes bundle)
{
	struct mm_buf again = MM_BUF_INIT(1 << 24);
	struct mm_rd r = mm_rd_over(bundle);
	struct mm_bytes entry;

	while (mm_bundle_next(&r, &entry))
		mm_bundle_put(&again, entry);
	if (mm_rd_end(&r) && !mm_bytes_eq(mm_buf_view(&again), bundle))
		abort();
	mm_buf_done(&again);
}

static void
check_frontier(struct mm_bytes b)
{
	struct mm_buf again = MM_BUF_INIT(4096);
	struct mm_frontier f;

	if (mm_frontier_parse(b, &f, NULL) == MM_OK) {
		mm_frontier_encode(&f, &again);
		if (!mm_bytes_eq(mm_buf_view(&again), b))
			abort();
		(void)mm_frontier_root(&f);
	}
	mm_buf_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_bytes b = { data, size };

	check_path(b);
	check_bundle(b);
	check_frontier(b);
	return 0;
}
