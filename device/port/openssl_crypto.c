#include "port/posix_openssl.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "mmd_x509.h"

#define PEM_MAX 4096

static enum mmd_rc
hash(void *ctx, const struct mmd_bytes *parts, size_t nparts,
    uint8_t out[MMD_HASH])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

	(void)ctx;
	for (size_t i = 0; ok && i < nparts; i++)
		ok = EVP_DigestUpdate(md, parts[i].p, parts[i].n) == 1;
	ok = ok && EVP_DigestFinal_ex(md, out, NULL) == 1;
	EVP_MD_CTX_free(md);
	return ok ? MMD_OK : MMD_EPORT;
}

static enum mmd_rc
hash_from(void *ctx, enum mmd_rc (*next)(void *, struct mmd_bytes *),
    void *from, uint8_t out[MMD_HASH])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
	struct mmd_bytes piece = { out, 1 };
	enum mmd_rc rc = MMD_OK;

	(void)ctx;
	while (ok && piece.n > 0 && (rc = next(from, &piece)) == MMD_OK)
		ok = EVP_DigestUpdate(md, piece.p, piece.n) == 1;
	if (rc == MMD_OK && (!ok || EVP_DigestFinal_ex(md, out, NULL) != 1))
		rc = MMD_EPORT;
	EVP_MD_CTX_free(md);
	return rc;
}

static enum mmd_rc
stir(void *ctx, struct mmd_bytes data)
{
	(void)ctx;
	RAND_add(data.p, (int)data.n, 0);
	return MMD_OK;
}

/* All that is authenticated here is a few dozen bytes. */
static enum mmd_rc
hmac(void *ctx, struct mmd_bytes key, const struct mmd_bytes *parts,
    size_t nparts, uint8_t out[MMD_HASH])
{
	uint8_t all[256];
	size_t n = 0;
	unsigned outn = 0;

	(void)ctx;
	for (size_t i = 0; i < nparts; i++) {
		if (parts[i].n > sizeof(all) - n)
			return MMD_ESPACE;
		for (size_t k = 0; k < parts[i].n; k++)
			all[n++] = parts[i].p[k];
	}
	(void)HMAC(EVP_sha256(), key.p, (int)key.n, all, n, out, &outn);
	OPENSSL_cleanse(all, sizeof(all));
	return outn == MMD_HASH ? MMD_OK : MMD_EPORT;
}

static EVP_PKEY *
generate(enum mmd_key_kind kind)
{
	switch (kind) {
	case MMD_KEY_P256:
		return EVP_EC_gen("P-256");
	case MMD_KEY_P384:
		return EVP_EC_gen("P-384");
	case MMD_KEY_RSA2048:
		return EVP_RSA_gen(2048);
	case MMD_KEY_ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	default:
		return NULL;
	}
}

static enum mmd_rc
store(const struct mmd_nv *nv, unsigned slot, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *p = NULL;
	long n;
	enum mmd_rc rc = MMD_EPORT;

	if (bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL,
	    0, NULL, NULL) == 1 && (n = BIO_get_mem_data(bio, &p)) > 0)
		rc = nv->put(nv->ctx, slot, MMD_NV_KEY,
		    (struct mmd_bytes){ (const uint8_t *)p, (size_t)n });
	BIO_free(bio);
	return rc;
}

static enum mmd_rc
make(void *ctx, unsigned slot, enum mmd_key_kind kind)
{
	const struct mmd_openssl_keys *keys = ctx;
	EVP_PKEY *key = generate(kind);
	enum mmd_rc rc = key == NULL ? MMD_EPORT : store(keys->nv, slot, key);

	EVP_PKEY_free(key);
	return rc;
}

/* By name: to look for whatever may read it takes OpenSSL a millisecond. */
static EVP_PKEY *
decode_as(const char *type, const char *structure, const uint8_t *pem,
    size_t n)
{
	EVP_PKEY *key = NULL;
	OSSL_DECODER_CTX *d = OSSL_DECODER_CTX_new_for_pkey(&key, "PEM",
	    structure, type, EVP_PKEY_KEYPAIR, NULL, NULL);

	if (d != NULL)
		(void)OSSL_DECODER_from_data(d, &pem, &n);
	OSSL_DECODER_CTX_free(d);
	return key;
}

static bool
has(const uint8_t *pem, size_t n, const char *words)
{
	size_t len = strlen(words);

	for (size_t i = 0; i + len <= n; i++)
		if (memcmp(pem + i, words, len) == 0)
			return true;
	return false;
}

/*
 * Only PKCS#8 in the clear: a key file that wants a passphrase is not ours.
 * A block that is no private key names one, to a provider that the program
 * has loaded for such.
 */
static EVP_PKEY *
decode(const uint8_t *pem, size_t n)
{
	static const char *const types[] = { "EC", "RSA", "ED25519" };
	EVP_PKEY *key = NULL;

	if (!has(pem, n, "PRIVATE KEY-----"))
		return decode_as("EC", NULL, pem, n);
	for (size_t i = 0; key == NULL && i < sizeof(types) / sizeof(*types);
	    i++)
		key = decode_as(types[i], "PrivateKeyInfo", pem, n);
	ERR_clear_error();
	return key;
}

/* see posix_openssl.h */
enum mmd_rc
mmd_openssl_key(const struct mmd_nv *nv, unsigned slot, EVP_PKEY **out)
{
	uint8_t pem[PEM_MAX];
	size_t n;
	EVP_PKEY *key;
	enum mmd_rc rc = nv->get(nv->ctx, slot, MMD_NV_KEY, pem, sizeof(pem),
	    &n);

	if (rc != MMD_OK)
		return rc;
	key = decode(pem, n);
	OPENSSL_cleanse(pem, sizeof(pem));
	if (key == NULL)
		return MMD_EPORT;
	*out = key;
	return MMD_OK;
}

static enum mmd_rc
learn(struct mmd_openssl_keys *keys, const uint8_t *pem, size_t n)
{
	EVP_PKEY *key = decode(pem, n);
	uint8_t *der = NULL;
	int len = key == NULL ? -1 : i2d_PUBKEY(key, &der);
	enum mmd_rc rc = MMD_EPORT;

	if (len > 0 && (size_t)len <= sizeof(keys->spki)) {
		memcpy(keys->spki, der, (size_t)len);
		keys->spki_n = (size_t)len;
		rc = MMD_OK;
	}
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	return rc;
}

/*
 * A device is asked for it in every greeting, and OpenSSL looks for a key's
 * decoder for a millisecond: once for what is stored.
 */
static enum mmd_rc
public(void *ctx, unsigned slot, uint8_t *p, size_t cap, size_t *n)
{
	struct mmd_openssl_keys *keys = ctx;
	uint8_t pem[PEM_MAX], of[MMD_HASH];
	struct mmd_bytes stored = { pem, 0 };
	enum mmd_rc rc = keys->nv->get(keys->nv->ctx, slot, MMD_NV_KEY, pem,
	    sizeof(pem), &stored.n);

	if (rc != MMD_OK)
		return rc;
	rc = hash(NULL, &stored, 1, of);
	if (rc == MMD_OK && (keys->spki_n == 0 ||
	    memcmp(of, keys->of, sizeof(of)) != 0)) {
		keys->spki_n = 0;
		rc = learn(keys, pem, stored.n);
		memcpy(keys->of, of, sizeof(of));
	}
	OPENSSL_cleanse(pem, sizeof(pem));
	if (rc != MMD_OK)
		return rc;
	if (keys->spki_n > cap)
		return MMD_ESPACE;
	memcpy(p, keys->spki, keys->spki_n);
	*n = keys->spki_n;
	return MMD_OK;
}

static enum mmd_rc
sign_hash(void *ctx, unsigned slot, const uint8_t digest[MMD_HASH],
    uint8_t *sig, size_t cap, size_t *n)
{
	const struct mmd_openssl_keys *keys = ctx;
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *op;
	size_t len = cap;
	enum mmd_rc rc = mmd_openssl_key(keys->nv, slot, &key);

	if (rc != MMD_OK)
		return rc;
	op = EVP_PKEY_CTX_new(key, NULL);
	if (cap < (size_t)EVP_PKEY_get_size(key))
		rc = MMD_ESPACE;
	else if (op == NULL || EVP_PKEY_sign_init(op) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(op, EVP_sha256()) != 1 ||
	    EVP_PKEY_sign(op, sig, &len, digest, MMD_HASH) != 1)
		rc = MMD_EPORT;
	else
		*n = len;
	EVP_PKEY_CTX_free(op);
	EVP_PKEY_free(key);
	return rc;
}

static enum mmd_rc
sign(void *ctx, unsigned slot, struct mmd_bytes msg, uint8_t *sig, size_t cap,
    size_t *n)
{
	const struct mmd_openssl_keys *keys = ctx;
	EVP_PKEY *key = NULL;
	EVP_MD_CTX *md;
	size_t len = cap;
	enum mmd_rc rc = mmd_openssl_key(keys->nv, slot, &key);

	if (rc != MMD_OK)
		return rc;
	md = EVP_MD_CTX_new();
	if (cap < (size_t)EVP_PKEY_get_size(key))
		rc = MMD_ESPACE;
	else if (md == NULL ||
	    EVP_DigestSignInit(md, NULL, NULL, NULL, key) != 1 ||
	    EVP_DigestSign(md, sig, &len, msg.p, msg.n) != 1)
		rc = MMD_EPORT;
	else
		*n = len;
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	return rc;
}

/* see posix_openssl.h */
struct mmd_crypto
mmd_openssl_crypto(struct mmd_openssl_keys *keys)
{
	return (struct mmd_crypto){ hash, hmac, make, public, sign_hash, sign,
		hash_from, stir, keys, mmd_signature_of };
}
