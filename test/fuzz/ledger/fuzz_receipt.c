/*
 * Properties: what parses can be encoded, and that parses to the same; none
 * verifies under a key whose secret the fuzzer does not have.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger/receipt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
same(const struct mm_receipt *a, const struct mm_receipt *b)
{
	return mm_bytes_eq(a->entry, b->entry) && a->index == b->index &&
	    mm_bytes_eq(a->note, b->note) &&
	    mm_bytes_eq(a->chain_pem, b->chain_pem) &&
	    a->proof.n == b->proof.n &&
	    memcmp(a->proof.hash, b->proof.hash,
		a->proof.n * sizeof(a->proof.hash[0])) == 0;
}

static void
check(const struct mm_receipt *r)
{
	struct mm_buf json = MM_BUF_INIT(1 << 24), arena = MM_BUF_INIT(1 << 24);
	static const uint8_t public[32] = { 1 };
	struct mm_note_key key;
	struct mm_receipt again;
	struct mm_checkpoint c;

	if (mm_receipt_encode(r, &json, NULL) != MM_OK || json.n > 1 << 20 ||
	    mm_receipt_parse(mm_buf_view(&json), &arena, &again, NULL) !=
		MM_OK || !same(r, &again))
		abort();
	mm_note_key_make(&key, "a", public);
	if (mm_receipt_verify(r, &key, &c, NULL) == MM_OK)
		abort();
	mm_buf_done(&json);
	mm_buf_done(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_buf arena = MM_BUF_INIT(1 << 24);
	struct mm_receipt r;
	struct mm_why why = { 0 };
	enum mm_err err = mm_receipt_parse((struct mm_bytes){ data, size },
	    &arena, &r, &why);

	if (err != why.code)
		abort();
	if (err == MM_OK)
		check(&r);
	mm_buf_done(&arena);
	return 0;
}
