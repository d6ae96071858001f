/* Property: an old CA's list gives serials in order, each of which it has, or a
 * reason.  The input is the length of the CA's certificate, that, and the
 * list. */
#include <stdlib.h>
#include <string.h>

#include "server/oldcrl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look(const struct mm_old_crl *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct mm_old_serial *s = &c->serial[i];
		ASN1_INTEGER *v = ASN1_INTEGER_new();

		if (v == NULL || ASN1_STRING_set(v, s->v, s->n) != 1 ||
		    !mm_old_crl_has(c, v))
			abort();
		ASN1_INTEGER_free(v);
		if (i > 0 && (s[-1].n > s->n || (s[-1].n == s->n &&
		    memcmp(s[-1].v, s->v, s->n) > 0)))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = size < 2 ? 0 : (size_t)(data[0] << 8 | data[1]);
	const unsigned char *p = data + 2;
	struct mm_old_crl c = { .n = 0 };
	struct mm_why why = { 0 };
	enum mm_err rc;
	X509 *ca;

	if (size < 2 || n > size - 2)
		return 0;
	ca = d2i_X509(NULL, &p, (long)n);
	if (ca == NULL)
		return 0;
	rc = mm_old_crl_read((struct mm_bytes){ data + 2 + n, size - 2 - n },
	    ca, &c, &why);
	if ((rc == MM_OK) != (why.code == MM_OK))
		abort();
	look(&c);
	mm_old_crl_done(&c);
	X509_free(ca);
	return 0;
}
