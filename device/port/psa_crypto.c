#include "port/psa_crypto.h"

#include "port/p256.h"

#define SIGNS PSA_ALG_ECDSA(PSA_ALG_SHA_256)
#define MACS  PSA_ALG_HMAC(PSA_ALG_SHA_256)

static enum mmd_rc
rc_of(psa_status_t status)
{
	switch (status) {
	case PSA_SUCCESS:
		return MMD_OK;
	case PSA_ERROR_INVALID_HANDLE:
	case PSA_ERROR_DOES_NOT_EXIST:
		return MMD_NONE;
	case PSA_ERROR_BUFFER_TOO_SMALL:
		return MMD_ESPACE;
	default:
		return MMD_EPORT;
	}
}

static enum mmd_rc
finish_hash(psa_hash_operation_t *op, psa_status_t status,
    uint8_t out[MMD_HASH])
{
	size_t n;

	if (status == PSA_SUCCESS)
		status = psa_hash_finish(op, out, MMD_HASH, &n);
	(void)psa_hash_abort(op);
	return rc_of(status);
}

static enum mmd_rc
hash(void *ctx, const struct mmd_bytes *parts, size_t nparts,
    uint8_t out[MMD_HASH])
{
	psa_hash_operation_t op = PSA_HASH_OPERATION_INIT;
	psa_status_t status = psa_hash_setup(&op, PSA_ALG_SHA_256);

	(void)ctx;
	for (size_t i = 0; status == PSA_SUCCESS && i < nparts; i++)
		status = psa_hash_update(&op, parts[i].p, parts[i].n);
	return finish_hash(&op, status, out);
}

static enum mmd_rc
hash_from(void *ctx, enum mmd_rc (*next)(void *, struct mmd_bytes *),
    void *from, uint8_t out[MMD_HASH])
{
	psa_hash_operation_t op = PSA_HASH_OPERATION_INIT;
	psa_status_t status = psa_hash_setup(&op, PSA_ALG_SHA_256);
	struct mmd_bytes piece = { out, 1 };
	enum mmd_rc rc = MMD_OK;

	(void)ctx;
	while (status == PSA_SUCCESS && piece.n > 0 &&
	    (rc = next(from, &piece)) == MMD_OK)
		status = psa_hash_update(&op, piece.p, piece.n);
	if (rc == MMD_OK)
		return finish_hash(&op, status, out);
	(void)psa_hash_abort(&op);
	return rc;
}

static enum mmd_rc
mac(psa_key_id_t key, const struct mmd_bytes *parts, size_t nparts,
    uint8_t out[MMD_HASH])
{
	psa_mac_operation_t op = PSA_MAC_OPERATION_INIT;
	psa_status_t status = psa_mac_sign_setup(&op, key, MACS);
	size_t n;

	for (size_t i = 0; status == PSA_SUCCESS && i < nparts; i++)
		status = psa_mac_update(&op, parts[i].p, parts[i].n);
	if (status == PSA_SUCCESS)
		status = psa_mac_sign_finish(&op, out, MMD_HASH, &n);
	(void)psa_mac_abort(&op);
	return rc_of(status);
}

static enum mmd_rc
hmac(void *ctx, struct mmd_bytes key, const struct mmd_bytes *parts,
    size_t nparts, uint8_t out[MMD_HASH])
{
	psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t id;
	enum mmd_rc rc;

	(void)ctx;
	psa_set_key_type(&a, PSA_KEY_TYPE_HMAC);
	psa_set_key_algorithm(&a, MACS);
	psa_set_key_usage_flags(&a, PSA_KEY_USAGE_SIGN_MESSAGE);
	rc = rc_of(psa_import_key(&a, key.p, key.n, &id));
	if (rc != MMD_OK)
		return rc;
	rc = mac(id, parts, nparts, out);
	(void)psa_destroy_key(id);
	return rc;
}

/* A key that is there is destroyed first: PSA replaces none. */
static enum mmd_rc
make(void *ctx, unsigned slot, enum mmd_key_kind kind)
{
	struct mmd_psa_keys *keys = ctx;
	psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t id = keys->first + slot;
	enum mmd_rc rc;

	if (kind != MMD_KEY_P256)
		return MMD_EPORT;
	keys->known[slot] = false;
	rc = rc_of(psa_destroy_key(id));
	if (rc != MMD_OK && rc != MMD_NONE)
		return rc;
	psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
	psa_set_key_bits(&a, 256);
	psa_set_key_algorithm(&a, SIGNS);
	psa_set_key_usage_flags(&a, PSA_KEY_USAGE_SIGN_HASH);
	psa_set_key_id(&a, id);
	psa_set_key_lifetime(&a, keys->lifetime != 0 ? keys->lifetime
	    : PSA_KEY_LIFETIME_PERSISTENT);
	return rc_of(psa_generate_key(&a, &id));
}

static enum mmd_rc
public(void *ctx, unsigned slot, uint8_t *p, size_t cap, size_t *n)
{
	struct mmd_psa_keys *keys = ctx;
	uint8_t *point = keys->point[slot];
	enum mmd_rc rc = MMD_OK;
	size_t got = sizeof(keys->point[slot]);

	if (!keys->known[slot])
		rc = rc_of(psa_export_public_key(keys->first + slot, point,
		    got, &got));
	if (rc == MMD_OK && got != sizeof(keys->point[slot]))
		rc = MMD_EPORT;
	if (rc != MMD_OK)
		return rc;
	keys->known[slot] = true;
	return mmd_p256_spki(point + 1, p, cap, n);
}

static enum mmd_rc
sign_hash(void *ctx, unsigned slot, const uint8_t digest[MMD_HASH],
    uint8_t *sig, size_t cap, size_t *n)
{
	const struct mmd_psa_keys *keys = ctx;
	uint8_t raw[MMD_P256_RAW];
	size_t got;
	enum mmd_rc rc = rc_of(psa_sign_hash(keys->first + slot, SIGNS, digest,
	    MMD_HASH, raw, sizeof(raw), &got));

	return rc != MMD_OK ? rc : mmd_p256_signature(raw, sig, cap, n);
}

static enum mmd_rc
stir(void *ctx, struct mmd_bytes data)
{
	const struct mmd_psa_keys *keys = ctx;

	return keys->stir(keys->stir_ctx, data);
}

/* see psa_crypto.h */
struct mmd_crypto
mmd_psa_crypto(struct mmd_psa_keys *keys)
{
	return (struct mmd_crypto){ .hash = hash, .hmac = hmac, .make = make,
		.public = public, .sign_hash = sign_hash,
		.hash_from = hash_from,
		.stir = keys->stir == NULL ? NULL : stir, .ctx = keys };
}
