#ifndef TEST_SIGNING_H
#define TEST_SIGNING_H

#include <openssl/evp.h>

#include "../base/rows.h"
#include "ledger/note.h"

/* A ledger key of seed bytes, for tests: what the signer does elsewhere. */
static inline EVP_PKEY *
test_key(const char *name, uint8_t seed, struct mm_note_key *key)
{
	uint8_t secret[32], public[32];
	size_t n = sizeof(public);
	EVP_PKEY *pkey;

	memset(secret, seed, sizeof(secret));
	pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret,
	    sizeof(secret));
	assert_int_equal(EVP_PKEY_get_raw_public_key(pkey, public, &n), 1);
	mm_note_key_make(key, name, public);
	return pkey;
}

/* Appends the note of text, signed by the key of that name and seed. */
static inline void
test_sign(const char *name, uint8_t seed, struct mm_bytes text,
    struct mm_buf *out)
{
	struct mm_note_key key;
	EVP_PKEY *pkey = test_key(name, seed, &key);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[64];
	size_t n = sizeof(sig);

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, text.p, text.n), 1);
	mm_note_join(out, text, &key, sig);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
}

#endif
