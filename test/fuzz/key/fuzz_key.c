/*
 * Property: a key that was read, written again, is the same; one that is a
 * TPM's has a place that can be read and written, too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "key/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
same_blob(const struct mm_key_blob *a, const struct mm_key_blob *b)
{
	return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

static void
again(const struct mm_key *key)
{
	struct mm_buf text = MM_BUF_INIT(MM_KEY_FILE_MAX);
	struct mm_key back;

	mm_key_encode(key, &text);
	if (mm_buf_ok(&text, NULL) != MM_OK ||
	    mm_key_parse(mm_buf_view(&text), &back, NULL) != MM_OK ||
	    !mm_key_same(key, &back) || key->made != back.made ||
	    !same_blob(&key->public, &back.public) ||
	    !same_blob(&key->wrapped, &back.wrapped))
		abort();
	mm_buf_done(&text);
}

static void
place(const char *uri)
{
	char text[MM_KEY_URI_MAX + 1];
	struct mm_key_tpm a, b;

	if (mm_key_tpm_parse(uri, &a, NULL) != MM_OK ||
	    mm_key_tpm_text(&a, text, NULL) != MM_OK ||
	    mm_key_tpm_parse(text, &b, NULL) != MM_OK ||
	    strcmp(a.device, b.device) != 0 || a.parent != b.parent ||
	    a.handle != b.handle)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct mm_bytes in = { data, size };
	struct mm_key key;

	if (mm_key_parse(in, &key, NULL) != MM_OK &&
	    mm_key_parse_der(in, &key, NULL) != MM_OK)
		return 0;
	again(&key);
	if (key.place == MM_KEY_TPM2)
		place(key.uri);
	return 0;
}
