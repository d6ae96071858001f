/*
 * Property: a subject that is taken lies within the input and is a Name that
 * OpenSSL reads, and writes as it came.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "mmd_x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mmd_bytes subject;
	const uint8_t *p;
	X509_NAME *name;

	if (mmd_csrattrs_subject((struct mmd_bytes){ data, size }, &subject) !=
	    MMD_OK)
		return 0;
	if (subject.p < data || subject.n < 2 ||
	    subject.n > size - (size_t)(subject.p - data))
		abort();
	/* It looks into less than OpenSSL does, so not all of it is read. */
	p = subject.p;
	name = d2i_X509_NAME(NULL, &p, (long)subject.n);
	if (name != NULL && p != subject.p + subject.n)
		abort();
	X509_NAME_free(name);
	ERR_clear_error();
	return 0;
}
