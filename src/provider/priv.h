#ifndef MM_PROVIDER_PRIV_H
#define MM_PROVIDER_PRIV_H

#include <openssl/core.h>
#include <openssl/types.h>

#include "key/key.h"

/*
 * OpenSSL's provider mintmark-key (provider(7)): keys of P-256 that are in a
 * TPM or a token, to sign with and no more.
 *
 *	decoder    a private key's file whose block is MINTMARK KEY
 *	store      mintmark:DIR, the identity of an agent's folder
 *	keymgmt    such a key; its private part is never given out
 *	signature  ECDSA by it
 *
 * Everything else of a program's cryptography stays with its other providers.
 */
#define MM_PROVIDER_NAMES "EC:id-ecPublicKey:1.2.840.10045.2.1"
#define MM_PROVIDER_PROPS "provider=mintmark-key"
#define MM_PROVIDER_GROUP "prime256v1"

struct mm_provider {
	OSSL_LIB_CTX *lib; /* a child of the program's */
};

/* A key object; borrowed by signatures as long as they hold a reference. */
struct mm_provider_key {
	struct mm_provider *provider;
	struct mm_key key;
	int references; /* atomic */
};
struct mm_provider_key *mm_provider_key_new(struct mm_provider *p,
    const struct mm_key *key);
void mm_provider_key_hold(struct mm_provider_key *k);
void mm_provider_key_free(void *key);

extern const OSSL_DISPATCH mm_provider_decoder_pem[];
extern const OSSL_DISPATCH mm_provider_decoder_der[];
extern const OSSL_DISPATCH mm_provider_keymgmt[];
extern const OSSL_DISPATCH mm_provider_signature[];
extern const OSSL_DISPATCH mm_provider_store[];

#endif
