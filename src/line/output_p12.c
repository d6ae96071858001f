/* PKCS#12 (RFC 7292), by libcrypto. */
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pkcs12.h>

#include "base/own.h"
#include "line/output_forms.h"
#include "line/x509.h"

/* Rounds of PBKDF2, for the MAC too: a passphrase is short. */
enum { ROUNDS = 100000, PASSPHRASE_MAX = 1024 };

MM_FREE_FN(p12_free, PKCS12, PKCS12_free)
MM_FREE_FN(x509_free, X509, X509_free)

static X509 *
load(struct mm_bytes der)
{
	const unsigned char *p = der.p;

	return d2i_X509(NULL, &p, (long)der.n);
}

static enum mm_err
load_chain(const struct mm_output_in *in, STACK_OF(X509) *to,
    struct mm_why *why)
{
	for (size_t i = 0; i < in->nchain; i++) {
		X509 *ca = load(in->chain[i]);

		if (ca == NULL || sk_X509_push(to, ca) <= 0) {
			X509_free(ca);
			return mm_x509_failed("pkcs12", why);
		}
	}
	return MM_OK;
}

static enum mm_err
encode(PKCS12 *p12, struct mm_buf *out, struct mm_why *why)
{
	int n = i2d_PKCS12(p12, NULL);
	uint8_t *room = n > 0 ? mm_buf_room(out, (size_t)n) : NULL;

	if (n <= 0)
		return mm_x509_failed("pkcs12", why);
	if (room == NULL)
		return mm_buf_ok(out, why);
	return i2d_PKCS12(p12, &room) == n ? MM_OK : mm_x509_failed("pkcs12", why);
}

/* see output_forms.h */
enum mm_err
mm_output_pkcs12(const struct mm_output_in *in, struct mm_output *out,
    struct mm_why *why)
{
	MM_OWN(mm_x509s_free) STACK_OF(X509) *chain = sk_X509_new_null();
	MM_OWN(x509_free) X509 *cert = load(in->cert);
	MM_OWN(p12_free) PKCS12 *p12 = NULL;
	MM_OWN(mm_buf_wipe) struct mm_buf pass = MM_BUF_INIT(PASSPHRASE_MAX);

	if (cert == NULL || chain == NULL)
		return mm_x509_failed("pkcs12", why);
	if (memchr(in->passphrase.p, '\0', in->passphrase.n) != NULL)
		return MM_FAIL(why, MM_EINPUT, "pkcs12: a NUL in it");
	MM_TRY(load_chain(in, chain, why));
	mm_buf_bytes(&pass, in->passphrase);
	MM_TRY(mm_buf_ok(&pass, why));
	p12 = PKCS12_create(mm_buf_cstr(&pass), in->device, in->key, cert,
	    chain, NID_aes_256_cbc, NID_aes_256_cbc, ROUNDS, -1, 0);
	if (p12 == NULL || PKCS12_set_mac(p12, mm_buf_cstr(&pass), -1, NULL,
	    0, ROUNDS, EVP_sha256()) != 1)
		return mm_x509_failed("pkcs12", why);
	return encode(p12, mm_output_add(out, in, in->key != NULL, ".p12"),
	    why);
}
