#include "agree.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "pki/cert.h"

MM_FREE_FN(req_free, X509_REQ, X509_REQ_free)
MM_FREE_FN(x509_free, X509, X509_free)

/* Takes what i2d gave. */
static bool
same(struct mm_bytes ours, uint8_t *take_theirs, int n)
{
	bool ok = n >= 0 && (size_t)n == ours.n &&
	    (n == 0 || memcmp(take_theirs, ours.p, ours.n) == 0);

	OPENSSL_free(take_theirs);
	return ok;
}

static bool
same_name(struct mm_bytes ours, const X509_NAME *theirs)
{
	uint8_t *der = NULL;
	int n = i2d_X509_NAME(theirs, &der);

	return same(ours, der, n);
}

static bool
same_key(struct mm_bytes ours, X509_PUBKEY *theirs)
{
	uint8_t *der = NULL;
	int n = i2d_X509_PUBKEY(theirs, &der);

	return same(ours, der, n);
}

static bool
same_bits(struct mm_bytes ours, const ASN1_BIT_STRING *theirs)
{
	return (size_t)ASN1_STRING_length(theirs) == ours.n &&
	    memcmp(ASN1_STRING_get0_data(theirs), ours.p, ours.n) == 0;
}

static const char *
compare_csr(const struct mm_csr *csr, X509_REQ *req,
    struct mm_key_templates *t)
{
	const ASN1_BIT_STRING *sig;
	EVP_PKEY *key = X509_REQ_get0_pubkey(req);
	bool ours = mm_csr_verify(csr, NULL, t, NULL) == MM_OK;
	bool theirs = key != NULL && X509_REQ_verify(req, key) == 1;

	X509_REQ_get0_signature(req, &sig, NULL);
	if (!same_name(csr->subject, X509_REQ_get_subject_name(req)))
		return "subject";
	if (!same_key(csr->spki.whole, X509_REQ_get_X509_PUBKEY(req)))
		return "key";
	if (!same_bits(csr->signature, sig))
		return "signature";
	return ours == theirs ? NULL : "verification";
}

/* see agree.h */
const char *
agree_csr(struct mm_bytes der, struct mm_key_templates *t, bool *accepted)
{
	MM_OWN(req_free) X509_REQ *req = NULL;
	const uint8_t *p = der.p;
	struct mm_why why = { 0 };
	struct mm_csr csr;
	enum mm_err rc = mm_csr_walk(der, &csr, &why);
	const char *what;

	*accepted = rc == MM_OK;
	if (rc != why.code)
		return "code and reason";
	if (rc != MM_OK)
		return NULL;
	req = d2i_X509_REQ(NULL, &p, (long)der.n);
	if (req == NULL || p != der.p + der.n)
		what = "form";
	else
		what = compare_csr(&csr, req, t);
	ERR_clear_error();
	return what;
}

static const char *
compare_cert(const struct mm_cert *c, X509 *x)
{
	const ASN1_BIT_STRING *sig;
	EVP_PKEY *key = X509_get0_pubkey(x);
	enum mm_key_type type;

	X509_get0_signature(&sig, NULL, x);
	if (!same_name(c->subject, X509_get_subject_name(x)))
		return "subject";
	if (!same_name(c->issuer, X509_get_issuer_name(x)))
		return "issuer";
	if (!same_key(c->spki.whole, X509_get_X509_PUBKEY(x)))
		return "key";
	if (!same_bits(c->signature, sig))
		return "signature";
	/* as if self-signed: any key will do for the comparison */
	if (key == NULL || mm_key_type_of(key, &type, NULL) != MM_OK ||
	    mm_cert_verify(c, key, NULL) != MM_OK)
		return NULL;
	return X509_verify(x, key) == 1 ? NULL : "verification";
}

/* see agree.h */
const char *
agree_cert(struct mm_bytes der, bool *accepted)
{
	MM_OWN(x509_free) X509 *x = NULL;
	const uint8_t *p = der.p;
	struct mm_cert c;
	const char *what;

	*accepted = mm_cert_walk(der, &c, NULL) == MM_OK;
	if (!*accepted)
		return NULL;
	x = d2i_X509(NULL, &p, (long)der.n);
	if (x == NULL || p != der.p + der.n)
		what = "form";
	else
		what = compare_cert(&c, x);
	ERR_clear_error();
	return what;
}
