/* Property: every certificate that the walk gives lies within the input. */
#include <stdlib.h>

#include "mmd_x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mmd_pkcs7 p7;
	struct mmd_bytes cert = { data, 0 };
	const uint8_t *after = data;

	if (mmd_pkcs7_open((struct mmd_bytes){ data, size }, &p7) != MMD_OK)
		return 0;
	while (mmd_pkcs7_next(&p7, &cert) == MMD_OK) {
		if (cert.p < after || cert.n < 2 ||
		    cert.n > size - (size_t)(cert.p - data))
			abort();
		after = cert.p + cert.n;
	}
	return 0;
}
