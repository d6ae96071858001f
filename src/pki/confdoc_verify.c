#include <string.h>

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/own.h"
#include "pki/confdoc.h"

/* A device's side of confdoc.h. */

enum { CERTS_MAX = 16 };

MM_FREE_FN(cms_free, CMS_ContentInfo, CMS_ContentInfo_free)
MM_FREE_FN(x509_free, X509, X509_free)
MM_FREE_FN(store_free, X509_STORE, X509_STORE_free)
MM_FREE_FN(bio_free, BIO, BIO_free)
MM_FREE_FN(names_free, STACK_OF(X509), sk_X509_free)

static void
stack_free(STACK_OF(X509) **owner)
{
	sk_X509_pop_free(*owner, X509_free);
	*owner = NULL;
}

static X509 *
read_cert(const uint8_t **p, const uint8_t *end)
{
	return d2i_X509(NULL, p, (long)(end - *p));
}

static bool
push_all(STACK_OF(X509) *to, struct mm_bytes ders)
{
	const uint8_t *p = ders.p, *end = ders.n > 0 ? p + ders.n : p;

	for (int i = 0; p < end; i++) {
		MM_OWN(x509_free) X509 *x = read_cert(&p, end);

		if (x == NULL || i == CERTS_MAX || !sk_X509_push(to, x))
			return false;
		x = NULL;
	}
	return true;
}

/* Of each certificate of a chain that verified: who is above the signer. */
static int
check_above(int good, X509_STORE_CTX *ctx)
{
	X509 *x = X509_STORE_CTX_get_current_cert(ctx);
	struct mm_cert c;
	uint8_t *der = NULL;
	int n;

	if (!good || x == NULL || X509_STORE_CTX_get_error_depth(ctx) == 0)
		return good;
	n = i2d_X509(x, &der);
	good = n > 0 && mm_cert_walk((struct mm_bytes){ der, (size_t)n }, &c,
	    NULL) == MM_OK && mm_cert_above_configuring(&c);
	OPENSSL_free(der);
	if (!good)
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_INVALID_PURPOSE);
	return good;
}

/* The anchor is the only trust; no clock is asked (confdoc.h). */
static X509_STORE *
make_store(struct mm_bytes anchor)
{
	const uint8_t *p = anchor.p;
	MM_OWN(x509_free) X509 *x = read_cert(&p, anchor.p + anchor.n);
	MM_OWN(store_free) X509_STORE *s = X509_STORE_new();

	if (x == NULL || s == NULL || X509_STORE_add_cert(s, x) != 1 ||
	    X509_STORE_set_flags(s, X509_V_FLAG_PARTIAL_CHAIN |
	    X509_V_FLAG_NO_CHECK_TIME) != 1 ||
	    X509_STORE_set_purpose(s, X509_PURPOSE_ANY) != 1)
		return NULL;
	X509_STORE_set_verify_cb(s, check_above);
	return MM_MOVE(s);
}

/* Of the purpose OpenSSL knows nothing, so it is ours to look at. */
static bool
signed_by_one(CMS_ContentInfo *cms)
{
	MM_OWN(names_free) STACK_OF(X509) *signers = CMS_get0_signers(cms);
	struct mm_cert c;
	uint8_t *der = NULL;
	bool good = false;
	int n;

	if (signers == NULL || sk_X509_num(signers) != 1)
		return false;
	n = i2d_X509(sk_X509_value(signers, 0), &der);
	if (n > 0 && mm_cert_walk((struct mm_bytes){ der, (size_t)n }, &c,
	    NULL) == MM_OK)
		good = mm_cert_configures(&c);
	OPENSSL_free(der);
	return good;
}

static bool
take_text(BIO *out, struct mm_buf *text)
{
	char *p = NULL;
	long n = BIO_get_mem_data(out, &p);

	if (n > 0)
		mm_buf_put(text, p, (size_t)n);
	return text->err == MM_OK;
}

static enum mm_err
verify(CMS_ContentInfo *cms, const struct mm_confdoc_trust *t,
    struct mm_buf *text, struct mm_why *why)
{
	MM_OWN(stack_free) STACK_OF(X509) *chain = sk_X509_new_null();
	MM_OWN(store_free) X509_STORE *store = make_store(t->anchor);
	MM_OWN(bio_free) BIO *out = BIO_new(BIO_s_mem());

	if (chain == NULL || store == NULL || out == NULL ||
	    !push_all(chain, t->chain))
		return MM_FAIL(why, MM_ECRYPTO,
		    "configuration: its signature cannot be looked at");
	if (CMS_verify(cms, chain, store, NULL, out, CMS_BINARY) != 1)
		return MM_FAIL(why, MM_EPOLICY,
		    "configuration: its signature does not lead to the anchor");
	if (!signed_by_one(cms))
		return MM_FAIL(why, MM_EPOLICY, "configuration: who signed it "
		    "was not certified for that");
	return take_text(out, text) ? MM_OK
	    : MM_FAIL(why, MM_ELIMIT, "configuration: too long");
}

/* see confdoc.h */
enum mm_err
mm_confdoc_verify(struct mm_bytes der, const struct mm_confdoc_trust *t,
    struct mm_buf *text, struct mm_why *why)
{
	const uint8_t *p = der.p;
	MM_OWN(cms_free) CMS_ContentInfo *cms = der.n > MM_CONFDOC_SIGNED_MAX
	    ? NULL : d2i_CMS_ContentInfo(NULL, &p, (long)der.n);
	enum mm_err rc;

	if (cms == NULL || p != der.p + der.n)
		rc = MM_FAIL(why, MM_EINPUT,
		    "configuration: RFC 5652 5.1: not a SignedData");
	else
		rc = verify(cms, t, text, why);
	ERR_clear_error();
	return rc;
}
