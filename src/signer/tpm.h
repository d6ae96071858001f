#ifndef MM_SIGNER_TPM_H
#define MM_SIGNER_TPM_H

#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

/*
 * A counter in a TPM 2.0 (TCG TPM 2.0 Library part 3, 31): it only ever
 * goes up, also when its index is removed and made anew, and survives whatever
 * is done to the disk.
 *
 * Each command has a session of its own whose HMAC is keyed by the counter's
 * secret, in both directions: an answer of anything but the TPM that has this
 * counter does not verify.  The secret crosses the bus once, when it is made.
 *
 * The descriptor is opened before a process is locked in; nothing afterwards
 * needs more than read, write and poll.  tpm_none.c stands in where the
 * program is built without tss2-esys, and says so.  Not thread-safe.
 */
struct mm_tpm;

/* What its index is known by: handle, and the name that the TPM gives it. */
#define MM_TPM_NAME 34
struct mm_tpm_index {
	uint32_t handle;
	uint8_t name[MM_TPM_NAME];
};

/* A device, as /dev/tpmrm0.  MM_EAGAIN: it is not there, or does not answer;
 * MM_EPOLICY: built without. */
MM_MUST enum mm_err mm_tpm_open(
    const char *path, struct mm_tpm **out, struct mm_why *why);
void mm_tpm_close(struct mm_tpm **owner);
/* Makes a counter under a free index, by an owner's hierarchy without a
 * password, and advances it once: an index has no value before.  secret: 32
 * bytes.  MM_EPOLICY: the TPM refuses. */
MM_MUST enum mm_err mm_tpm_counter_make(struct mm_tpm *t,
    const struct mm_secret *secret, struct mm_tpm_index *out,
    struct mm_why *why);
/* Finds it again.  MM_EPOLICY: this TPM does not have it. */
MM_MUST enum mm_err mm_tpm_counter_find(struct mm_tpm *t,
    const struct mm_tpm_index *index, const struct mm_secret *secret,
    struct mm_why *why);
/* Of the one that was made or found.  MM_EAGAIN: no answer, so that advance
 * may have been done or not; MM_EPOLICY: it does not know the secret. */
MM_MUST enum mm_err mm_tpm_counter_read(
    struct mm_tpm *t, uint64_t *out, struct mm_why *why);
MM_MUST enum mm_err mm_tpm_counter_advance(
    struct mm_tpm *t, struct mm_why *why);

#endif
