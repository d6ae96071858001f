/* Property: what parses encodes to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "ledger/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_bytes json = { data, size };
	struct mm_buf again = MM_BUF_INIT(MM_ENTRY_MAX);
	struct mm_why why = { 0 };
	struct mm_entry e;
	char *arena = malloc(size + 64);
	enum mm_err err = mm_entry_parse(json, arena, size + 64, &e, &why);

	if (err != why.code || (err != MM_OK && err != MM_EINPUT))
		abort();
	if (err == MM_OK && (mm_entry_encode(&e, &again, NULL) != MM_OK ||
		!mm_bytes_eq(mm_buf_view(&again), json)))
		abort();
	mm_buf_done(&again);
	free(arena);
	return 0;
}
