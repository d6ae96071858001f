/* Property: a key we accept libcrypto reads, and to the same key as we do. */
#include <stdint.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "pki/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mm_key_templates *templates;
	MM_OWN(mm_pkey_free) EVP_PKEY *ours = NULL;
	MM_OWN(mm_pkey_free) EVP_PKEY *theirs = NULL;
	const uint8_t *p = data;
	struct mm_spki s;

	if (templates == NULL &&
	    mm_key_templates_new(NULL, &templates, NULL) != MM_OK)
		abort();
	if (mm_spki_parse((struct mm_bytes){ data, size }, &s, NULL) != MM_OK)
		return 0;
	theirs = d2i_PUBKEY(NULL, &p, (long)size);
	if (mm_spki_load(&s, templates, &ours, NULL) != MM_OK) {
		if (theirs != NULL)
			abort(); /* only a point off its curve */
	} else if (theirs == NULL || EVP_PKEY_eq(ours, theirs) != 1 ||
	    p != data + size) {
		abort();
	}
	ERR_clear_error();
	return 0;
}
