/*
 * Property: where OpenSSL reads what the walker takes for a certificate, both
 * see the same public key and the same end.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "mmd_x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
compare(X509 *x, const struct mmd_cert *c)
{
	const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(x);
	struct tm tm = { 0 };
	size_t n = key == NULL ? 0 : (size_t)key->length;

	/* Its bits, not OpenSSL's encoding, which mends odd parameters. */
	if (n == 0 || n > c->spki.n ||
	    memcmp(key->data, c->spki.p + c->spki.n - n, n) != 0)
		abort();
	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1 &&
	    tm.tm_sec < 60 && (int64_t)timegm(&tm) != c->not_after_s)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mmd_cert c;
	struct mmd_bytes cn;
	const uint8_t *p = data;
	X509 *x;

	if (mmd_cert_parse((struct mmd_bytes){ data, size }, &c) != MMD_OK)
		return 0;
	if (mmd_name_cn(c.subject, &cn) == MMD_OK && (cn.p < data ||
	    cn.n > size))
		abort();
	/* It looks into less than OpenSSL does, so not all of it is read. */
	x = d2i_X509(NULL, &p, (long)size);
	if (x != NULL)
		compare(x, &c);
	X509_free(x);
	ERR_clear_error();
	return 0;
}
