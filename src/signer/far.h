#ifndef MM_SIGNER_FAR_H
#define MM_SIGNER_FAR_H

#include "hsm/hsm.h"
#include "signer/priv.h"

/* far.c: issuers' keys that are in tokens; of the other ones this does as if
 * they were always there. */

/* A public key from its SubjectPublicKeyInfo. */
MM_MUST enum mm_err mm_far_key(struct mm_bytes spki, EVP_PKEY **out,
    struct mm_why *why);
MM_MUST enum mm_err mm_ca_sign_new(const struct mm_ca *ca,
    struct mm_sign **out, struct mm_why *why);
/* MM_EAGAIN: its key is away.  Asked before anything is counted. */
MM_MUST enum mm_err mm_ca_ready(const struct mm_ca *ca, struct mm_why *why);
/* Notes which PIN was refused, or forgets it once it was taken: for all keys of
 * the same token whose PIN is at the same place. */
MM_MUST enum mm_err mm_far_mark(const struct mm_settings *set,
    const struct mm_issuer_conf *conf, struct mm_hsm *hsm,
    enum mm_hsm_state state, struct mm_why *why);

/* Every key's keeper begins; pass is the PIN where no file has it. */
MM_MUST enum mm_err mm_far_begin(struct mm_signer *s, const char *keys,
    struct mm_bytes pass, struct mm_why *why);
/* The i-th issuer's, whose certificate was read. */
MM_MUST enum mm_err mm_far_open(struct mm_signer *s, size_t i,
    struct mm_why *why);
/* Before the signer is ready, for a while. */
void mm_far_wait(struct mm_signer *s);
/* Every second: tells the log what has changed.  false: a keeper has ended,
 * and only a new signer gets another. */
bool mm_far_look(struct mm_signer *s);
void mm_far_status(struct mm_signer *s, struct mm_status_rep *p);

#endif
