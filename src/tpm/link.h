#ifndef MM_TPM_LINK_H
#define MM_TPM_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <tss2/tss2_tcti.h>

#include "base/err.h"

/*
 * Commands to a TPM and its answers over one descriptor that stays open: the
 * transport that tss2 calls a TCTI.  Its own ones open theirs anew, or load
 * libraries, which a signer that is locked in may not.
 *
 * An answer that does not come within answer_ms ends the link for good: it
 * could still come, as that of the next command.
 */
#define MM_TPM_MS     3000 /* of a command that makes no key */
#define MM_TPM_ANSWER 4096

struct mm_tpm_link {
	TSS2_TCTI_CONTEXT_COMMON_V1 tcti; /* first: it is what tss2 has */
	int fd;
	int answer_ms;
	bool dead;
	size_t n; /* of the answer that was read and not taken yet */
	uint8_t answer[MM_TPM_ANSWER];
};

/* MM_ENOTFOUND: there is no such device; MM_EBUSY: another process has it, and
 * there is none between that shares it; MM_ESYS. */
MM_MUST enum mm_err mm_tpm_link_open(
    struct mm_tpm_link *l, const char *path, struct mm_why *why);
void mm_tpm_link_close(struct mm_tpm_link *l);

#endif
