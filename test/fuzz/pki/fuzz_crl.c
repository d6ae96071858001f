/*
 * Property: a list we accept is the same list to libcrypto: as many entries,
 * the same end, an issuingDistributionPoint where we saw one; and it is its
 * own successor.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "pki/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* RFC 5280 5.2.5: where we took a URI libcrypto has that and nothing else. */
static bool
same_point(const struct mm_crl *c, X509_CRL *crl)
{
	ISSUING_DIST_POINT *idp = X509_CRL_get_ext_d2i(crl,
	    NID_issuing_distribution_point, NULL, NULL);
	const GENERAL_NAME *name = NULL;
	bool same = false;

	if (idp != NULL && idp->distpoint != NULL && idp->distpoint->type == 0)
		name = sk_GENERAL_NAME_value(idp->distpoint->name.fullname, 0);
	if (name != NULL && name->type == GEN_URI)
		same = idp->onlyuser > 0 && idp->onlyCA <= 0 &&
		    idp->indirectCRL <= 0 && idp->onlyattr <= 0 &&
		    idp->onlysomereasons == NULL &&
		    sk_GENERAL_NAME_num(idp->distpoint->name.fullname) == 1 &&
		    (size_t)ASN1_STRING_length(name->d.ia5) == c->point.n &&
		    memcmp(ASN1_STRING_get0_data(name->d.ia5), c->point.p,
		    c->point.n) == 0;
	ISSUING_DIST_POINT_free(idp);
	return same;
}

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
	if (crl != NULL && c.point.n > 0 && !same_point(&c, crl))
		abort();
	X509_CRL_free(crl);
	if (!mm_crl_same_issuer(&c, &c) || mm_crl_number_order(&c, &c) != 0)
		abort();
	return 0;
}
