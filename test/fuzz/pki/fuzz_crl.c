/*
 * Property: a list we accept is the same list to libcrypto: as many entries,
 * the same end, an issuingDistributionPoint where we saw one; and it is its
 * own successor.
 */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "pki/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
agrees(const struct mm_crl *c, X509_CRL *crl)
{
	STACK_OF(X509_REVOKED) *list = X509_CRL_get_REVOKED(crl);
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
	struct tm tm = { 0 };

	return (list == NULL ? 0 : (size_t)sk_X509_REVOKED_num(list)) ==
	    c->entries && next != NULL && ASN1_TIME_to_tm(next, &tm) == 1 &&
	    timegm(&tm) == c->next_s &&
	    (X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point,
	    -1) >= 0) == c->partial;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_bytes der = { data, size };
	const unsigned char *p = data;
	struct mm_crl c;
	X509_CRL *crl;

	if (mm_crl_walk(der, &c, NULL) != MM_OK)
		return 0;
	crl = d2i_X509_CRL(NULL, &p, (long)size);
	/* libcrypto reads inside of entries, which we pass over */
	if (crl != NULL && !agrees(&c, crl))
		abort();
	X509_CRL_free(crl);
	if (!mm_crl_same_issuer(&c, &c) || mm_crl_number_order(&c, &c) != 0)
		abort();
	return 0;
}
