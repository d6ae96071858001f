/* A key on its way to one machine: CMS, for the one key that opens it. */
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/x509.h>

#include "pki/cert.h"
#include "pki/key.h"

MM_FREE_FN(cms_free, CMS_ContentInfo, CMS_ContentInfo_free)
MM_FREE_FN(x509_free, X509, X509_free)
MM_FREE_FN(bio_free, BIO, BIO_free_all)

/* OpenSSL 3.0 writes AuthEnvelopedData (RFC 5083) for an AEAD; partial, for
 * the recipient is added with a KDF of its own. */
#define FLAGS (CMS_BINARY | CMS_PARTIAL)

enum { WRAPPED_MAX = 8192 };

static enum mm_err
failed(enum mm_err usual, const char *what, struct mm_why *why)
{
	char text[120];
	enum mm_err rc = mm_openssl_fail(usual, text);

	return MM_FAIL(why, rc, "wrapped key: %s: %s", what, text);
}

static X509 *
read_cert(struct mm_bytes der)
{
	const uint8_t *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);

	if (x != NULL && p != der.p + der.n)
		x509_free(&x);
	return x;
}

/* RFC 5753 7.1: the KDF with SHA-256, not the default's SHA-1. */
static bool
add_recipient(CMS_ContentInfo *cms, X509 *to)
{
	CMS_RecipientInfo *ri = CMS_add1_recipient_cert(cms, to, CMS_KEY_PARAM);
	EVP_PKEY_CTX *ctx =
	    ri == NULL ? NULL : CMS_RecipientInfo_get0_pkey_ctx(ri);

	return ctx != NULL &&
	       EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, EVP_sha256()) == 1;
}

static bool
take(CMS_ContentInfo *cms, struct mm_buf *out)
{
	int n = i2d_CMS_ContentInfo(cms, NULL);
	uint8_t *at =
	    n <= 0 || n > WRAPPED_MAX ? NULL : mm_buf_room(out, (size_t)n);

	return at != NULL && i2d_CMS_ContentInfo(cms, &at) == n;
}

/* see key.h */
enum mm_err
mm_key_wrap(
    EVP_PKEY *key, struct mm_bytes cert, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf der = MM_BUF_INIT(WRAPPED_MAX);
	MM_OWN(x509_free) X509 *to = read_cert(cert);
	MM_OWN(cms_free) CMS_ContentInfo *cms = NULL;
	MM_OWN(bio_free) BIO *in = NULL;

	if (to == NULL)
		return failed(MM_EINPUT, "the recipient's certificate", why);
	MM_TRY(mm_key_pkcs8(key, &der, why));
	in = BIO_new_mem_buf(der.p, (int)der.n);
	cms = CMS_encrypt(NULL, in, EVP_aes_256_gcm(), FLAGS);
	if (in != NULL && cms != NULL && !add_recipient(cms, to))
		return failed(MM_EINPUT, "not for such a key", why);
	if (in == NULL || cms == NULL ||
	    CMS_final(cms, in, NULL, CMS_BINARY) != 1 || !take(cms, out))
		return failed(MM_ECRYPTO, "cannot be made", why);
	return mm_buf_ok(out, why);
}

static enum mm_err
read_secret(BIO *b, EVP_PKEY **out, struct mm_why *why)
{
	char *p = NULL;
	long n = BIO_get_mem_data(b, &p);
	enum mm_err rc = MM_EAUTH;

	if (n > 0 && n <= WRAPPED_MAX)
		rc = mm_key_from_pkcs8(
		    (struct mm_bytes){ (uint8_t *)p, (size_t)n }, out, why);
	if (p != NULL && n > 0)
		mm_wipe(p, (size_t)n);
	return rc;
}

/* see key.h */
enum mm_err
mm_key_unwrap(struct mm_bytes wrapped, EVP_PKEY *key, struct mm_bytes cert,
    EVP_PKEY **out, struct mm_why *why)
{
	const uint8_t *p = wrapped.p;
	MM_OWN(cms_free)
	CMS_ContentInfo *cms =
	    wrapped.n > WRAPPED_MAX
		? NULL
		: d2i_CMS_ContentInfo(NULL, &p, (long)wrapped.n);
	MM_OWN(x509_free) X509 *to = read_cert(cert);
	MM_OWN(bio_free) BIO *plain = BIO_new(BIO_s_secmem());

	if (cms == NULL || p != wrapped.p + wrapped.n ||
	    OBJ_obj2nid(CMS_get0_type(cms)) !=
		NID_id_smime_ct_authEnvelopedData)
		return failed(MM_EINPUT, "damaged", why);
	if (to == NULL || plain == NULL)
		return failed(MM_EINPUT, "the own certificate", why);
	if (CMS_decrypt(cms, key, to, NULL, plain, CMS_BINARY) != 1)
		return failed(MM_EAUTH,
		    "it is for another machine, or "
		    "damaged",
		    why);
	return read_secret(plain, out, why);
}
