#include <openssl/rsa.h>

#include "pki/priv.h"

#define ECDSA(n) "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03" n
#define RSA(n)   "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" n "\x05\x00"
#define ED25519  "\x30\x05\x06\x03\x2b\x65\x70"
/* RFC 4055 3.1: hash, MGF1 with the same hash, salt as long as the hash. */
#define HASH(n) "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" n "\x05\x00"
#define PSS(n, salt) \
	"\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34" \
	"\xa0\x0f" HASH(n) \
	"\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08" HASH(n) \
	"\xa2\x03\x02\x01" salt
#define ROW(text, kind, bits) \
	{ { (const uint8_t *)(text), sizeof(text) - 1 }, kind, bits }

static const struct mm_sig_alg algs[] = {
	ROW(ECDSA("\x02"), MM_SIG_ECDSA, 256),
	ROW(ECDSA("\x03"), MM_SIG_ECDSA, 384),
	ROW(ECDSA("\x04"), MM_SIG_ECDSA, 512),
	ROW(ED25519, MM_SIG_ED25519, 0),
	ROW(RSA("\x0b"), MM_SIG_RSA, 256),
	ROW(RSA("\x0c"), MM_SIG_RSA, 384),
	ROW(RSA("\x0d"), MM_SIG_RSA, 512),
	ROW(PSS("\x01", "\x20"), MM_SIG_PSS, 256),
	ROW(PSS("\x02", "\x30"), MM_SIG_PSS, 384),
	ROW(PSS("\x03", "\x40"), MM_SIG_PSS, 512),
};

/* Row of algs by key type: what we sign with. */
static const uint8_t own[MM_KEY_TYPES] = {
	[MM_KEY_P256] = 0, [MM_KEY_P384] = 1, [MM_KEY_ED25519] = 3,
	[MM_KEY_RSA2048] = 4, [MM_KEY_RSA3072] = 4, [MM_KEY_RSA4096] = 4,
};

/* see priv.h */
const struct mm_sig_alg *
mm_sig_find(struct mm_bytes alg)
{
	for (size_t i = 0; i < MM_COUNT(algs); i++)
		if (mm_bytes_eq(algs[i].der, alg))
			return &algs[i];
	return NULL;
}

/* see priv.h */
const struct mm_sig_alg *
mm_sig_of(enum mm_key_type t)
{
	MM_INVARIANT(t < MM_KEY_TYPES);
	return &algs[own[t]];
}

/* see priv.h */
bool
mm_sig_fits(const struct mm_sig_alg *a, enum mm_key_type t)
{
	if (t == MM_KEY_P256 || t == MM_KEY_P384)
		return a->kind == MM_SIG_ECDSA;
	if (t == MM_KEY_ED25519)
		return a->kind == MM_SIG_ED25519;
	return t < MM_KEY_TYPES &&
	    (a->kind == MM_SIG_RSA || a->kind == MM_SIG_PSS);
}

MM_FREE_FN(md_free, EVP_MD_CTX, EVP_MD_CTX_free)
MM_FREE_FN(ctx_free, EVP_PKEY_CTX, EVP_PKEY_CTX_free)

/* Ed25519 signs the message itself: RFC 8032 5.1. */
static bool
verify_pure(OSSL_LIB_CTX *lib, EVP_PKEY *key, struct mm_bytes tbs,
    struct mm_bytes sig)
{
	MM_OWN(md_free) EVP_MD_CTX *c = EVP_MD_CTX_new();

	return c != NULL &&
	    EVP_DigestVerifyInit_ex(c, NULL, NULL, lib, NULL, key, NULL) == 1 &&
	    EVP_DigestVerify(c, sig.p, sig.n, tbs.p, tbs.n) == 1;
}

static const EVP_MD *
sha2(unsigned bits)
{
	return bits == 256 ? EVP_sha256() :
	    bits == 384 ? EVP_sha384() : EVP_sha512();
}

/* see priv.h */
bool
mm_sig_prepare(EVP_PKEY_CTX *c, const struct mm_sig_alg *a)
{
	if (a->kind == MM_SIG_ECDSA)
		return true; /* takes any hash as it is */
	if (a->kind == MM_SIG_PSS &&
	    (EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) != 1))
		return false;
	return EVP_PKEY_CTX_set_signature_md(c, sha2(a->bits)) == 1;
}

/* see priv.h */
enum mm_err
mm_sig_verify_in(EVP_PKEY_CTX *c, const struct mm_sig_alg *a,
    struct mm_bytes tbs, struct mm_bytes sig)
{
	uint8_t hash[64];
	size_t n;

	if (EVP_PKEY_verify_init(c) != 1 || !mm_sig_prepare(c, a))
		return MM_ECRYPTO;
	/* hashed by hand: the digest's fetch would cost more than the hash */
	n = mm_sha2(a->bits, tbs, hash);
	return EVP_PKEY_verify(c, sig.p, sig.n, hash, n) == 1 ? MM_OK :
								 MM_EINPUT;
}

/* see priv.h */
enum mm_err
mm_sig_verify(OSSL_LIB_CTX *lib, EVP_PKEY *key, const struct mm_sig_alg *a,
    struct mm_bytes tbs, struct mm_bytes sig)
{
	MM_OWN(ctx_free) EVP_PKEY_CTX *c = NULL;

	if (a->kind == MM_SIG_ED25519)
		return verify_pure(lib, key, tbs, sig) ? MM_OK : MM_EINPUT;
	c = EVP_PKEY_CTX_new_from_pkey(lib, key, NULL);
	return c == NULL ? MM_ECRYPTO : mm_sig_verify_in(c, a, tbs, sig);
}

/* see key.h */
enum mm_err
mm_verify_bytes(OSSL_LIB_CTX *lib, EVP_PKEY *key, struct mm_bytes alg,
    struct mm_bytes tbs, struct mm_bytes sig, struct mm_why *why)
{
	const struct mm_sig_alg *a = mm_sig_find(alg);
	enum mm_key_type type;
	enum mm_err rc;
	char text[120];

	if (a == NULL)
		return MM_FAIL(why, MM_EPOLICY,
		    "signature algorithm is not accepted");
	MM_TRY(mm_key_type_of(key, &type, why));
	if (!mm_sig_fits(a, type))
		return MM_FAIL(why, MM_EINPUT,
		    "signature algorithm does not fit the key");
	rc = mm_sig_verify(lib, key, a, tbs, sig);
	if (rc == MM_OK)
		return MM_OK;
	rc = mm_openssl_fail(rc, text);
	return MM_FAIL(why, rc, "signature does not hold: %s", text);
}
