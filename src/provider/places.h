#ifndef MM_PROVIDER_PLACES_H
#define MM_PROVIDER_PLACES_H

#include "key/desk.h"

/* The places that keys can be in (key/desk.h); each is built only where its
 * library is. */
extern const struct mm_key_ops mm_provider_tpm2;
extern const struct mm_key_ops mm_provider_pkcs11;

/* Those of this build; a place that is not in it is NULL. */
extern const struct mm_key_ops *const mm_provider_places[MM_KEY_PLACES];

/* ops->sign, and why it failed is remembered for mm_provider_failure. */
MM_MUST enum mm_err mm_provider_sign(const struct mm_key *key,
    const uint8_t digest[MM_KEY_DIGEST], uint8_t rs[MM_KEY_RS],
    struct mm_why *why);
bool mm_provider_failure(struct mm_why *out);

#endif
