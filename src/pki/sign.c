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
	mm_sign_far_fn *far;  /* the key is elsewhere: hashed verifies */
	void *far_ctx;
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

static enum mm_err
begin(OSSL_LIB_CTX *lib, EVP_PKEY *key, struct mm_sign **out,
    struct mm_why *why)
{
	MM_OWN(mm_sign_free) struct mm_sign *s = calloc(1, sizeof(*s));
	enum mm_key_type type;

	if (s == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(mm_key_type_of(key, &type, why));
	s->lib = lib;
	s->alg = mm_sig_of(type);
	if (EVP_PKEY_up_ref(key) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "cannot share a key");
	s->key = key;
	*out = MM_MOVE(s);
	return MM_OK;
}

/* see key.h */
enum mm_err
mm_sign_new(OSSL_LIB_CTX *lib, EVP_PKEY *key, struct mm_sign **out,
    struct mm_why *why)
{
	MM_OWN(mm_sign_free) struct mm_sign *s = NULL;
	char text[120];

	MM_TRY(begin(lib, key, &s, why));
	if (!prepare(s))
		return MM_FAIL(why, MM_ECRYPTO, "cannot prepare signing: %s",
		    mm_openssl_why(text));
	*out = MM_MOVE(s);
	return MM_OK;
}

/* see key.h */
enum mm_err
mm_sign_new_far(EVP_PKEY *key, mm_sign_far_fn *fn, void *ctx,
    struct mm_sign **out, struct mm_why *why)
{
	MM_OWN(mm_sign_free) struct mm_sign *s = NULL;
	char text[120];

	MM_TRY(begin(NULL, key, &s, why));
	if (s->alg->kind == MM_SIG_ED25519)
		return MM_FAIL(why, MM_EPOLICY, "key: an Ed25519 key cannot "
		    "be in a token");
	s->far = fn;
	s->far_ctx = ctx;
	s->hashed = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (s->hashed == NULL || EVP_PKEY_verify_init(s->hashed) != 1 ||
	    !mm_sig_prepare(s->hashed, s->alg))
		return MM_FAIL(why, MM_ECRYPTO, "cannot prepare verifying: %s",
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

/* RFC 8017 9.2: what is padded and signed, before the hash. */
static void
put_input(struct mm_buf *b, const struct mm_sig_alg *a, struct mm_bytes hash)
{
	static const uint8_t sha256[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09,
		0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
		0x00, 0x04, 0x20 };

	if (a->kind == MM_SIG_RSA) {
		MM_INVARIANT(a->bits == 256); /* mm_sig_of's */
		mm_buf_put(b, sha256, sizeof(sha256));
	}
	mm_buf_bytes(b, hash);
}

/* RFC 3279 2.2.3, from PKCS#11's r and s in a row */
static void
put_ecdsa(struct mm_buf *b, struct mm_bytes raw)
{
	size_t seq = mm_der_open(b, MM_DER_SEQ), half = raw.n / 2;

	mm_der_put_integer(b, (struct mm_bytes){ raw.p, half });
	mm_der_put_integer(b, (struct mm_bytes){ raw.p + half, half });
	mm_der_close(b, seq);
}

static enum mm_err
sign_far(struct mm_sign *s, struct mm_bytes tbs, struct mm_buf *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf input = MM_BUF_INIT(128);
	MM_OWN(mm_buf_done) struct mm_buf sig = MM_BUF_INIT(SIG_MAX + 16);
	uint8_t hash[64], raw[SIG_MAX];
	size_t n = sizeof(raw), hash_n = mm_sha2(s->alg->bits, tbs, hash);
	char text[120];

	put_input(&input, s->alg, (struct mm_bytes){ hash, hash_n });
	MM_TRY(mm_buf_ok(&input, why));
	MM_TRY(s->far(s->far_ctx, mm_buf_view(&input), raw, &n, why));
	if (n == 0 || n > sizeof(raw) ||
	    (s->alg->kind == MM_SIG_ECDSA && n % 2 != 0))
		return MM_FAIL(why, MM_ECRYPTO, "cannot sign: the token's "
		    "answer has %zu bytes", n);
	if (s->alg->kind == MM_SIG_ECDSA)
		put_ecdsa(&sig, (struct mm_bytes){ raw, n });
	else
		mm_buf_put(&sig, raw, n);
	MM_TRY(mm_buf_ok(&sig, why));
	if (EVP_PKEY_verify(s->hashed, sig.p, sig.n, hash, hash_n) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "cannot sign: the token's "
		    "signature is not by the certificate's key: %s",
		    mm_openssl_why(text));
	mm_buf_bytes(out, mm_buf_view(&sig));
	return mm_buf_ok(out, why);
}

/* see key.h */
enum mm_err
mm_sign_bytes(struct mm_sign *s, struct mm_bytes tbs, struct mm_buf *out,
    struct mm_why *why)
{
	uint8_t sig[SIG_MAX];
	size_t n = sizeof(sig);
	char text[120];

	if (s->far != NULL)
		return sign_far(s, tbs, out, why);
	/* OpenSSL 3.0 says yes and a length of -1 where memory lacked */
	if (!sign_into(s, tbs, sig, &n) || n == 0 || n > sizeof(sig)) {
		enum mm_err rc = mm_openssl_fail(MM_ECRYPTO, text);
		return MM_FAIL(why, rc, "cannot sign: %s", text);
	}
	mm_buf_put(out, sig, n);
	return mm_buf_ok(out, why);
}
