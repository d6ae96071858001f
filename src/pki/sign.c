#include <stdlib.h>

#include "pki/priv.h"

/* An RSA-4096 signature, the longest of ours. */
#define SIG_MAX 512

struct mm_sign {
	OSSL_LIB_CTX *lib;
	EVP_PKEY *key;
	const struct mm_sig_alg *alg;
	EVP_PKEY_CTX *hashed; /* initialised once, signs any number of hashes */
	EVP_MD_CTX *pure;     /* Ed25519 */
};

static bool
prepare(struct mm_sign *s)
{
	if (s->alg->kind == MM_SIG_ED25519) {
		s->pure = EVP_MD_CTX_new();
		return s->pure != NULL;
	}
	s->hashed = EVP_PKEY_CTX_new_from_pkey(s->lib, s->key, NULL);
	return s->hashed != NULL && EVP_PKEY_sign_init(s->hashed) == 1 &&
	    mm_sig_prepare(s->hashed, s->alg);
}

/* see key.h */
enum mm_err
mm_sign_new(OSSL_LIB_CTX *lib, EVP_PKEY *key, struct mm_sign **out,
    struct mm_why *why)
{
	MM_OWN(mm_sign_free) struct mm_sign *s = calloc(1, sizeof(*s));
	enum mm_key_type type;
	char text[120];

	if (s == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(mm_key_type_of(key, &type, why));
	s->lib = lib;
	s->alg = mm_sig_of(type);
	if (EVP_PKEY_up_ref(key) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "cannot share a key");
	s->key = key;
	if (!prepare(s))
		return MM_FAIL(why, MM_ECRYPTO, "cannot prepare signing: %s",
		    mm_openssl_why(text));
	*out = MM_MOVE(s);
	return MM_OK;
}

/* see key.h */
void
mm_sign_free(struct mm_sign **owner)
{
	struct mm_sign *s = *owner;

	if (s == NULL)
		return;
	EVP_MD_CTX_free(s->pure);
	EVP_PKEY_CTX_free(s->hashed);
	EVP_PKEY_free(s->key);
	free(s);
	*owner = NULL;
}

/* see key.h */
struct mm_bytes
mm_sign_alg(const struct mm_sign *s)
{
	return s->alg->der;
}

static bool
sign_into(struct mm_sign *s, struct mm_bytes tbs, uint8_t *sig, size_t *n)
{
	uint8_t hash[64];
	size_t hash_n;

	if (s->pure != NULL)
		return EVP_MD_CTX_reset(s->pure) == 1 &&
		    EVP_DigestSignInit_ex(s->pure, NULL, NULL, s->lib, NULL,
			s->key, NULL) == 1 &&
		    EVP_DigestSign(s->pure, sig, n, tbs.p, tbs.n) == 1;
	hash_n = mm_sha2(s->alg->bits, tbs, hash);
	return EVP_PKEY_sign(s->hashed, sig, n, hash, hash_n) == 1;
}

/* see key.h */
enum mm_err
mm_sign_bytes(struct mm_sign *s, struct mm_bytes tbs, struct mm_buf *out,
    struct mm_why *why)
{
	uint8_t sig[SIG_MAX];
	size_t n = sizeof(sig);
	char text[120];

	/* OpenSSL 3.0 says yes and a length of -1 where memory lacked */
	if (!sign_into(s, tbs, sig, &n) || n == 0 || n > sizeof(sig)) {
		enum mm_err rc = mm_openssl_fail(MM_ECRYPTO, text);
		return MM_FAIL(why, rc, "cannot sign: %s", text);
	}
	mm_buf_put(out, sig, n);
	return mm_buf_ok(out, why);
}
