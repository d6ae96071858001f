#include "port/p256m_crypto.h"

#include <mbedtls/platform_util.h>
#include <psa/crypto.h>

#include <p256-m.h>

#include "port/p256.h"
#include "port/sha256.h"

#define PRIVATE 32

/* As it lies in flash: both halves, so that public computes nothing. */
struct pair {
	uint8_t private[PRIVATE];
	uint8_t public[MMD_P256_RAW];
};

/* see p256m_crypto.h */
psa_status_t
psa_generate_random(uint8_t *p, size_t n)
{
	return mmd_random_fill(&mmd_p256m_random, p, n) == MMD_OK
	    ? PSA_SUCCESS : PSA_ERROR_INSUFFICIENT_ENTROPY;
}

struct parts {
	const struct mmd_bytes *at;
	size_t left;
};

static enum mmd_rc
next_part(void *from, struct mmd_bytes *piece)
{
	struct parts *p = from;

	*piece = (struct mmd_bytes){ NULL, 0 };
	while (p->left > 0 && piece->n == 0) {
		*piece = *p->at++;
		p->left--;
	}
	return MMD_OK;
}

static enum mmd_rc
hash_from(void *ctx, enum mmd_rc (*next)(void *, struct mmd_bytes *),
    void *from, uint8_t out[MMD_HASH])
{
	struct mmd_sha256 md;
	struct mmd_bytes piece;
	enum mmd_rc rc;

	(void)ctx;
	mmd_sha256_init(&md);
	do {
		rc = next(from, &piece);
		if (rc == MMD_OK)
			mmd_sha256_put(&md, piece.p, piece.n);
	} while (rc == MMD_OK && piece.n > 0);
	if (rc == MMD_OK)
		mmd_sha256_end(&md, out);
	mbedtls_platform_zeroize(&md, sizeof(md));
	return rc;
}

static enum mmd_rc
hash(void *ctx, const struct mmd_bytes *parts, size_t nparts,
    uint8_t out[MMD_HASH])
{
	struct parts p = { parts, nparts };

	return hash_from(ctx, next_part, &p, out);
}

static enum mmd_rc
make(void *ctx, unsigned slot, enum mmd_key_kind kind)
{
	struct pair pair;
	enum mmd_rc rc = MMD_EPORT;

	(void)ctx;
	if (kind == MMD_KEY_P256 &&
	    p256_gen_keypair(pair.private, pair.public) == P256_SUCCESS)
		rc = mmd_store_key_put(mmd_p256m_store, slot,
		    (struct mmd_bytes){ pair.private, sizeof(pair) });
	mbedtls_platform_zeroize(&pair, sizeof(pair));
	return rc;
}

static enum mmd_rc
load(unsigned slot, struct pair *pair)
{
	size_t n;
	enum mmd_rc rc = mmd_store_key_get(mmd_p256m_store, slot, pair->private,
	    sizeof(*pair), &n);

	return rc == MMD_OK && n != sizeof(*pair) ? MMD_EPORT : rc;
}

static enum mmd_rc
public(void *ctx, unsigned slot, uint8_t *p, size_t cap, size_t *n)
{
	struct pair pair;
	enum mmd_rc rc = load(slot, &pair);

	(void)ctx;
	if (rc == MMD_OK)
		rc = mmd_p256_spki(pair.public, p, cap, n);
	mbedtls_platform_zeroize(&pair, sizeof(pair));
	return rc;
}

static enum mmd_rc
sign_hash(void *ctx, unsigned slot, const uint8_t digest[MMD_HASH],
    uint8_t *sig, size_t cap, size_t *n)
{
	uint8_t raw[MMD_P256_RAW];
	struct pair pair;
	enum mmd_rc rc = load(slot, &pair);

	(void)ctx;
	if (rc == MMD_OK && p256_ecdsa_sign(raw, pair.private, digest,
	    MMD_HASH) != P256_SUCCESS)
		rc = MMD_EPORT;
	mbedtls_platform_zeroize(&pair, sizeof(pair));
	return rc != MMD_OK ? rc : mmd_p256_signature(raw, sig, cap, n);
}

static enum mmd_rc
stir(void *ctx, struct mmd_bytes data)
{
	(void)ctx;
	return mmd_random_stir(&mmd_p256m_random, data);
}

/* see p256m_crypto.h */
const struct mmd_crypto mmd_p256m_crypto = { .hash = hash, .make = make,
	.public = public, .sign_hash = sign_hash, .hash_from = hash_from,
	.stir = stir };
