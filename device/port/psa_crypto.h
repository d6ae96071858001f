#ifndef MMD_PSA_CRYPTO_H
#define MMD_PSA_CRYPTO_H

#include <psa/crypto.h>

#include "mmd.h"

/*
 * Crypto over PSA Crypto 1.0, which mbed TLS (2.28 and 3.6), ESP-IDF, Zephyr,
 * TF-M and the chip makers' SDKs speak.  Keys are P-256, persistent, made for
 * signing SHA-256 and not exportable; where they lie and who computes with
 * them is PSA's matter: a secure element or a protected partition is a
 * lifetime.  psa_crypto_init must have succeeded.
 *
 * Randomness is PSA's too.  It has no call that stirs more in; where the board
 * brings the generator (mbed TLS's MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG) it can give
 * one here.
 */
struct mmd_psa_keys {
	/* A key's id is first + its slot. */
	psa_key_id_t first;
	/* 0: PSA_KEY_LIFETIME_PERSISTENT */
	psa_key_lifetime_t lifetime;
	enum mmd_rc (*stir)(void *ctx, struct mmd_bytes data); /* or NULL */
	void *stir_ctx;
	/*
	 * The port's own: public keys, which some implementations compute each
	 * time they are asked.  Zeroed to begin with.
	 */
	uint8_t point[MMD_SLOTS][65];
	bool known[MMD_SLOTS];
};

struct mmd_crypto mmd_psa_crypto(struct mmd_psa_keys *keys);

#endif
