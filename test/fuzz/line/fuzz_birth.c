/* Property: what parses encodes to the same bytes, and has a page. */
#include <stdlib.h>

#include "line/birth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_buf out = MM_BUF_INIT(2 * MM_BIRTH_MAX);
	struct mm_bytes in = { data, size };
	struct mm_birth *b = NULL;

	if (mm_birth_parse(in, &b, NULL) != MM_OK)
		return 0;
	if (in.p[in.n - 1] == '\n')
		in.n--;
	if (mm_birth_encode(b, &out, NULL) != MM_OK ||
	    !mm_bytes_eq(mm_buf_view(&out), in))
		abort();
	mm_buf_reset(&out);
	if (mm_birth_html(b, &out, NULL) != MM_OK)
		abort();
	mm_buf_done(&out);
	mm_birth_free(&b);
	return 0;
}
