/* Property: a body gives a request or a reason; what it gives is what its own
 * base64 form gives again. */
#include <stdlib.h>

#include "base/own.h"
#include "base/text.h"
#include "server/priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CSR_MAX);
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(4 * MM_CSR_MAX);
	MM_OWN(mm_buf_done) struct mm_buf again = MM_BUF_INIT(MM_CSR_MAX);
	struct mm_why why = { 0 };
	enum mm_err rc = mm_est_read((struct mm_bytes){ data, size }, &der,
	    &why);

	if ((rc == MM_OK) != (why.code == MM_OK))
		abort();
	if (rc != MM_OK || der.n == 0)
		return 0;
	mm_base64_put(&text, mm_buf_view(&der), 64);
	if (mm_est_read(mm_buf_view(&text), &again, NULL) != MM_OK ||
	    !mm_bytes_eq(mm_buf_view(&der), mm_buf_view(&again)))
		abort();
	return 0;
}
