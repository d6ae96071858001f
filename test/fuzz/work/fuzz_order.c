/*
 * Properties: a text that parses encodes to the same bytes; no note and no
 * extension that the fuzzer makes up is one of a key whose secret it does not
 * have.
 */
#include <stdlib.h>

#include "work/order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(struct mm_bytes text)
{
	struct mm_buf again = MM_BUF_INIT(MM_WORK_TEXT_MAX);
	struct mm_work_order *o = NULL;

	if (mm_work_order_parse(text, &o, NULL) == MM_OK &&
	    (mm_work_order_encode(o, &again, NULL) != MM_OK ||
		!mm_bytes_eq(mm_buf_view(&again), text)))
		abort();
	mm_work_order_free(&o);
	mm_buf_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char known[] =
	    "PeterNeumann+c74f20a3+"
	    "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
	struct mm_bytes in = { data, size }, text;
	struct mm_work_order *o = NULL;
	struct mm_work_extension e;
	struct mm_note_key key;

	if (mm_note_key_parse(mm_bytes_of(known), &key, NULL) != MM_OK ||
	    mm_work_order_verify(in, &key, &o, NULL) == MM_OK ||
	    mm_work_extension_verify(in, &key, &e, NULL) == MM_OK)
		abort();
	check_text(in);
	if (mm_note_text(in, &text, NULL) == MM_OK)
		check_text(text);
	return 0;
}
