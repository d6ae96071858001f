/*
 * Properties: a verifier key that parses prints back the same; no note that
 * the fuzzer makes up is one of a key whose secret it does not have.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_key(struct mm_bytes text)
{
	struct mm_buf again = MM_BUF_INIT(1000);
	struct mm_note_key key;

	if (mm_note_key_parse(text, &key, NULL) == MM_OK) {
		mm_note_key_text(&key, &again);
		if (!mm_bytes_eq(mm_buf_view(&again), text))
			abort();
	}
	mm_buf_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char known[] =
	    "PeterNeumann+c74f20a3+"
	    "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
	struct mm_bytes note = { data, size };
	struct mm_checkpoint c;
	struct mm_note_key key;
	struct mm_why why = { 0 };
	enum mm_err err;

	check_key(note);
	if (mm_note_key_parse(mm_bytes_of(known), &key, NULL) != MM_OK)
		abort();
	err = mm_checkpoint_verify(note, &key, &c, &why);
	if (err == MM_OK || err != why.code)
		abort();
	return 0;
}
