/*
 * What an existing CA answered by EST: the request's SubjectPublicKeyInfo,
 * after its length in two bytes, then the answer's body.
 * Property: what is taken is a whole certificate for that key; nothing is
 * taken twice, and no reason is without words.
 */
#include <stdlib.h>

#include "base/own.h"
#include "server/registrar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_csr csr = { .challenge = { NULL, 0 } };
	struct mm_why why = { 0 };
	struct mm_bytes body;
	struct mm_cert c;
	size_t n;
	enum mm_err rc;

	if (size < 2)
		return 0;
	n = (size_t)data[0] << 8 | data[1];
	if (n > size - 2)
		return 0;
	csr.spki.whole = (struct mm_bytes){ data + 2, n };
	body = (struct mm_bytes){ data + 2 + n, size - 2 - n };
	rc = mm_est_certificate(body, &csr, &der, &why);
	if ((rc == MM_OK) != (why.text[0] == '\0'))
		abort();
	if (rc == MM_OK && (mm_cert_walk(mm_buf_view(&der), &c, NULL) !=
	    MM_OK || !mm_bytes_eq(c.spki.whole, csr.spki.whole)))
		abort();
	return 0;
}
