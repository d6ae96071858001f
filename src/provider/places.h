#ifndef MM_PROVIDER_PLACES_H
#define MM_PROVIDER_PLACES_H

#include "key/desk.h"

/* The places that keys can be in (key/desk.h); each is built only where its
 * library is. */
extern const struct mm_key_ops mm_provider_tpm2;
extern const struct mm_key_ops mm_provider_pkcs11;

/* Those of this build; a place that is not in it is NULL. */
extern const struct mm_key_ops *const mm_provider_places[MM_KEY_PLACES];

/*
 * A key's file may be anybody's: whoever hands a program a "private key" must
 * choose neither the code that it loads nor what it writes to.  So these count
 * where they stand in the provider's section of openssl.cnf
 *
 *	pkcs11-module = /usr/lib/.../module.so
 *	tpm-device    = /dev/...
 *
 * or in the agent's own configuration (mm_key_ops, trust).  Else there are the
 * modules that p11-kit has registered and the kernel's own names of a TPM.
 */
enum mm_provider_rule {
	MM_PROVIDER_MODULE,
	MM_PROVIDER_DEVICE,
	MM_PROVIDER_RULES
};
/* section: it is of openssl.cnf.  false: no absolute path, or too many. */
bool mm_provider_allow(enum mm_provider_rule rule, bool section,
    const char *path);
/* Which module is loaded for a key whose file names that one, or none; NULL:
 * those that are registered. */
const char *mm_provider_module(const char *named);
/* Whether a key's file may name that device. */
bool mm_provider_device(const char *path);

/*
 * A PIN that a token refused is not tried again, or it would lock the token:
 * not by this process, and where there is a folder for notes not by any that
 * has the same one.  One that is taken forgets it, and another PIN is tried.
 * token: a hash of what it is, not all zero.
 */
#define MM_PROVIDER_TOKEN 32
bool mm_provider_pin_refused(const uint8_t token[MM_PROVIDER_TOKEN],
    struct mm_bytes pin);
void mm_provider_pin_note(const uint8_t token[MM_PROVIDER_TOKEN],
    struct mm_bytes pin, bool refused);
void mm_provider_pin_notes(const char *dir);

/* ops->sign, and why it failed is remembered for mm_provider_failure. */
MM_MUST enum mm_err mm_provider_sign(const struct mm_key *key,
    const uint8_t digest[MM_KEY_DIGEST], uint8_t rs[MM_KEY_RS],
    struct mm_why *why);
bool mm_provider_failure(struct mm_why *out);

#endif
