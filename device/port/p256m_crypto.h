#ifndef MMD_P256M_CRYPTO_H
#define MMD_P256M_CRYPTO_H

#include "mmd_store.h"
#include "port/random.h"

/*
 * The smallest crypto port: p256-m of mbed TLS 3.6's source for keys and
 * signatures, SHA-256 of our own (port/sha256.h); keys in the clear in the
 * store's key areas.  For boards that are made at a station and do nothing else
 * with their key than sign: it has no hmac, so there are no tokens.
 *
 * p256-m asks for random bytes by a function without a context
 * (psa_generate_random, which this port defines).  So there is one such port,
 * not beside mbed TLS's own PSA, and the board tells it by these two names what
 * it works on: its store, and its randomness, whose crypto may be this port
 * and whose entropy is set before the first make.
 */
extern const struct mmd_store *const mmd_p256m_store;
extern struct mmd_random mmd_p256m_random;

extern const struct mmd_crypto mmd_p256m_crypto;

#endif
