/*
 * A frame that parses gives as many items as it says, and every body that
 * parses is written again as the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "ipc/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
body(const struct mm_field *f, size_t nf, size_t size, struct mm_bytes in)
{
	struct mm_buf again = MM_BUF_INIT(2 * MM_IPC_FRAME_MAX);
	void *m = calloc(1, size);

	if (m == NULL)
		abort();
	if (mm_fields_get(in, f, nf, m, NULL) == MM_OK) {
		mm_fields_put(&again, f, nf, m);
		if (!mm_bytes_eq(mm_buf_view(&again), in))
			abort();
	}
	mm_buf_done(&again);
	free(m);
}

static void
answer(unsigned kind, const struct mm_msg *m, struct mm_bytes in)
{
	void *rep = calloc(1, m->rep_n);
	struct mm_why why = { 0 };

	if (rep == NULL)
		abort();
	if (mm_answer_get(kind, in, rep, &why) != MM_OK && why.code == MM_OK)
		abort();
	free(rep);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_frame f;
	struct mm_bytes in;
	const struct mm_msg *m;
	uint32_t tag;
	unsigned want, n = 0;

	if (mm_frame_parse((struct mm_bytes){ data, size }, &f, NULL) != MM_OK)
		return 0;
	m = mm_ipc_msg(f.kind);
	want = f.count;
	for (; mm_frame_next(&f, &tag, &in); n++) {
		if (f.answer)
			answer(f.kind, m, in);
		else
			body(m->req, m->nreq, m->req_n, in);
	}
	if (n != want || !mm_rd_end(&f.rest))
		abort();
	return 0;
}
