#ifndef MM_AGENT_KEYRING_H
#define MM_AGENT_KEYRING_H

#include <openssl/types.h>

#include "key/desk.h"
#include "port/posix_openssl.h"

/*
 * The agent's keys, wherever they are: in a file of the slot, or in a TPM or
 * token, with words in that file that say where (key/key.h).
 *
 * It stands between storage and who uses it: a key that goes is removed where
 * it is before its file is, unless the other slot has the same one.  For keys
 * that are in no file OpenSSL's provider mintmark-key is loaded, when the
 * first one is used; TLS and requests have one kind of key, OpenSSL's.
 */
struct mm_agent_keyring {
	struct mmd_openssl_keys keys; /* first: the crypto port's context */
	/* Where keys are made; NULL: where the one in use is, else in files. */
	const char *where;
	const char *notes; /* folder for desk.h's notes; NULL: none */
	const struct mmd_nv *under;
	/* Its own: */
	struct mmd_nv nv;
	struct mmd_crypto software;
	OSSL_PROVIDER *standard, *provider;
	const struct mm_key_desk *desk;
	struct mm_why why; /* of what failed last */
};

/* under is borrowed, and so is where. */
void mm_agent_keyring_init(struct mm_agent_keyring *k,
    const struct mmd_nv *under, const char *where);
void mm_agent_keyring_done(struct mm_agent_keyring *k);
/* Its sign_hash gives MMD_NONE of a key that is nowhere any more, or whose
 * place is another one's by now: make another one. */
struct mmd_crypto mm_agent_keyring_crypto(struct mm_agent_keyring *k);
struct mmd_nv mm_agent_keyring_nv(struct mm_agent_keyring *k);
/* Before the slot's key is used; MM_OK where it is a file's, or there is
 * none. */
MM_MUST enum mm_err mm_agent_keyring_ready(struct mm_agent_keyring *k,
    unsigned slot, struct mm_why *why);
/*
 * Whether something failed here since it was last asked; told once.  It is
 * MM_EAGAIN or MM_ESYS, never what a server says: a TPM that refuses must not
 * look like a server that does.
 */
bool mm_agent_keyring_failure(struct mm_agent_keyring *k,
    struct mm_why *out);

#endif
