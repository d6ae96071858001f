/* A journal line that parses is written again as the same bytes. */
#include <stdlib.h>

#include "ledger/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_bytes in = { data, size }, rest = in;
	struct mm_buf again = MM_BUF_INIT(2 * MM_JOURNAL_LINE_MAX);
	struct mm_journal_chain c = { 0 };
	struct mm_journal_line l;

	if (mm_journal_parse(in, &l, NULL) == MM_OK) {
		mm_journal_encode(&l, &again);
		if (again.n != size + 1)
			abort();
		again.n--;
		if (!mm_bytes_eq(mm_buf_view(&again), in))
			abort();
	}
	mm_buf_done(&again);
	while (mm_journal_next(&rest, &c, &l, NULL) == MM_OK)
		if (rest.n >= size)
			abort();
	return 0;
}
