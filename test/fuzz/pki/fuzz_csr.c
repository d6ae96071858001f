/* Property: a request we accept is the same request to libcrypto. */
#include <stdint.h>
#include <stdlib.h>

#include "agree.h"
#include "pki/csr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mm_key_templates *templates;
	char cn[65], serial[65];
	struct mm_csr csr;
	bool accepted;

	if (templates == NULL &&
	    mm_key_templates_new(NULL, &templates, NULL) != MM_OK)
		abort();
	if (agree_csr((struct mm_bytes){ data, size }, templates, &accepted) !=
	    NULL)
		abort();
	if (!accepted)
		return 0;
	if (mm_csr_walk((struct mm_bytes){ data, size }, &csr, NULL) != MM_OK)
		abort();
	mm_csr_subject_names(&csr, cn, serial);
	return 0;
}
