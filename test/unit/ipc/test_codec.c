#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/msg.h"

/* Every field gets a value that no other has, in place of a sample each. */
static void
fill(uint8_t *body, const struct mm_field *f, size_t nf)
{
	static const uint8_t text[] = "a rather long text of bytes";

	for (size_t i = 0; i < nf; i++) {
		struct mm_bytes b = { text, 5 + i };
		if (f[i].type == MM_FT_BYTES)
			memcpy(body + f[i].offset, &b, sizeof(b));
		else if (f[i].type == MM_FT_TEXT)
			memset(body + f[i].offset, 'a' + (int)i,
			    f[i].size - 1);
		else
			memset(body + f[i].offset, 0x11 + (int)i, f[i].size);
	}
}

/* What one side puts the other gets: compared as bytes put again. */
static void
check_body(const struct mm_field *f, size_t nf, size_t size)
{
	struct mm_buf a = MM_BUF_INIT(65536), b = MM_BUF_INIT(65536);
	uint8_t *in = calloc(1, size), *out = calloc(1, size);

	assert_non_null(in);
	assert_non_null(out);
	fill(in, f, nf);
	mm_fields_put(&a, f, nf, in);
	assert_int_equal(mm_fields_get(mm_buf_view(&a), f, nf, out, NULL),
	    MM_OK);
	mm_fields_put(&b, f, nf, out);
	assert_true(a.n > 0 && mm_bytes_eq(mm_buf_view(&a), mm_buf_view(&b)));
	memset(out, 0x5a, size);
	for (size_t n = 0; n < a.n; n++)
		assert_int_equal(mm_fields_get((struct mm_bytes){ a.p, n }, f,
		    nf, out, NULL), MM_EINPUT);
	mm_buf_u8(&a, 0);
	assert_int_equal(mm_fields_get(mm_buf_view(&a), f, nf, out, NULL),
	    MM_EINPUT);
	for (size_t i = 0; i < size; i++) /* nothing written but on success */
		assert_int_equal(out[i], 0x5a);
	mm_buf_done(&a);
	mm_buf_done(&b);
	free(in);
	free(out);
}

static void
test_every_body(void **state)
{
	unsigned n = 0;

	(void)state;
	for (unsigned kind = 0; kind < 256; kind++) {
		const struct mm_msg *m = mm_ipc_msg(kind);
		if (m == NULL)
			continue;
		n++;
		assert_int_not_equal(m->links, 0);
		check_body(m->req, m->nreq, m->req_n);
		check_body(m->rep, m->nrep, m->rep_n);
	}
	assert_int_equal(n, MM_IPC_KIND_COUNT - 1);
	check_body(mm_outstanding_fields, mm_outstanding_nfields,
	    sizeof(struct mm_outstanding));
}

static void
test_texts(void **state)
{
	static const uint8_t nul[] = { 0, 2, 'a', 0 };
	uint8_t longer[2 + 65] = { 0, 65 };
	const struct mm_msg *m = mm_ipc_msg(MM_IPC_TOKEN_MINT);
	struct mm_token_mint_req q = { "kept" };

	(void)state;
	memset(longer + 2, 'a', 65);
	assert_int_equal(mm_fields_get((struct mm_bytes){ nul, sizeof(nul) },
	    m->req, m->nreq, &q, NULL), MM_EINPUT);
	assert_int_equal(mm_fields_get((struct mm_bytes){ longer,
	    sizeof(longer) }, m->req, m->nreq, &q, NULL), MM_EINPUT);
	assert_string_equal(q.device, "kept");
	longer[1] = 64;
	assert_int_equal(mm_fields_get((struct mm_bytes){ longer, 66 },
	    m->req, m->nreq, &q, NULL), MM_OK);
	assert_int_equal(strlen(q.device), 64);
}

static void
test_frame(void **state)
{
	struct mm_buf b = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct mm_token_mint_req q = { "SN-1" };
	struct mm_frame f;
	struct mm_bytes body;
	uint32_t tag;
	unsigned n = 0;

	(void)state;
	mm_frame_begin(&b, MM_IPC_TOKEN_MINT);
	for (uint32_t i = 0; i < MM_IPC_ITEMS_MAX; i++)
		assert_true(mm_frame_put_req(&b, i * 7, &q));
	assert_false(mm_frame_put_req(&b, 0, &q));
	assert_int_equal(mm_frame_count(&b), MM_IPC_ITEMS_MAX);
	for (size_t k = 0; k < b.n; k++)
		assert_int_equal(mm_frame_parse((struct mm_bytes){ b.p, k },
		    &f, NULL), MM_EINPUT);
	assert_int_equal(mm_frame_parse(mm_buf_view(&b), &f, NULL), MM_OK);
	assert_int_equal(f.kind, MM_IPC_TOKEN_MINT);
	assert_false(f.answer);
	while (mm_frame_next(&f, &tag, &body)) {
		assert_int_equal(tag, n++ * 7);
		assert_int_equal(body.n, 6);
	}
	assert_int_equal(n, MM_IPC_ITEMS_MAX);
	assert_true(mm_rd_end(&f.rest));
	mm_buf_done(&b);
}

/* A frame that is full is as it was before the item that did not fit. */
static void
test_full_frame(void **state)
{
	static uint8_t big[60000];
	struct mm_buf b = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct mm_possess_req q = { { big, sizeof(big) } };
	size_t before;

	(void)state;
	mm_frame_begin(&b, MM_IPC_POSSESS);
	assert_true(mm_frame_put_req(&b, 1, &q));
	assert_true(mm_frame_put_req(&b, 2, &q));
	before = b.n;
	assert_false(mm_frame_put_req(&b, 3, &q));
	assert_int_equal(b.n, before);
	assert_int_equal(mm_frame_count(&b), 2);
	q.csr.n = 10;
	assert_true(mm_frame_put_req(&b, 3, &q));
	mm_buf_done(&b);
}

static void
answer(struct mm_buf *b, enum mm_err rc, struct mm_bytes *body)
{
	struct mm_ledger_add_rep p = { 77 };
	struct mm_frame f;
	uint32_t tag;

	mm_frame_begin(b, MM_IPC_LEDGER_ADD);
	assert_true(mm_frame_put_rep(b, 5, rc, "because", &p));
	assert_int_equal(mm_frame_parse(mm_buf_view(b), &f, NULL), MM_OK);
	assert_true(f.answer && mm_frame_next(&f, &tag, body) && tag == 5);
}

static void
test_answers(void **state)
{
	struct mm_buf b = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct mm_bytes body;

	(void)state;
	for (unsigned rc = 0; rc < MM_ERR_COUNT; rc++) {
		struct mm_ledger_add_rep p = { 0 };
		struct mm_why why = { 0 };
		answer(&b, (enum mm_err)rc, &body);
		assert_int_equal(mm_answer_get(MM_IPC_LEDGER_ADD, body, &p,
		    &why), rc);
		assert_int_equal(p.size, rc == MM_OK ? 77 : 0);
		assert_string_equal(why.text, rc == MM_OK ? "" : "because");
		for (size_t n = 0; n < body.n; n++)
			assert_int_equal(mm_answer_get(MM_IPC_LEDGER_ADD,
			    (struct mm_bytes){ body.p, n }, &p, NULL),
			    MM_EINPUT);
	}
	mm_buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_body),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_frame),
		cmocka_unit_test(test_full_frame),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
