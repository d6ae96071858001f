#ifndef MMD_P256M_CRYPTO_H
#define MMD_P256M_CRYPTO_H

#include "mmd_store.h"
#include "port/random.h"

/*
 * The smallest crypto port: p256-m for keys and signatures, SHA-256 of mbed
 * TLS, both out of mbed TLS 3.6's source; keys in the clear in the store's key
 * areas.  For boards that are made at a station and do nothing else with their
 * key than sign: it has no hmac, so there are no tokens.
 *
 * p256-m asks for random bytes by a function without a context
 * (psa_generate_random, which this port defines): one call at a time, and not
 * beside mbed TLS's own PSA.
 */
struct mmd_p256m_keys {
	const struct mmd_store *store;
	struct mmd_random *random;
};

/* random->crypto may be the port made here. */
struct mmd_crypto mmd_p256m_crypto(struct mmd_p256m_keys *keys);

#endif
