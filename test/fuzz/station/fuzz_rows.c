/*
 * Property: rows that are read, one after another, are written as the same
 * bytes; reading ends.
 */
#include <stdlib.h>
#include <string.h>

#include "station/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
same(const struct mm_row *r, const uint8_t *line, size_t n)
{
	struct mm_buf b = MM_BUF_INIT(MM_ROW_MAX + 1);

	mm_row_encode(r, &b);
	if (b.err != MM_OK || b.n != n || memcmp(b.p, line, n) != 0)
		abort();
	mm_buf_done(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_bytes rest = { data, size };
	uint64_t n = 0;
	struct mm_row r;
	const uint8_t *at = data;

	while (mm_row_next(&rest, &n, &r, NULL) == MM_OK) {
		same(&r, at, (size_t)(rest.p - at));
		at = rest.p;
	}
	return 0;
}
