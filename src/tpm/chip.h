#ifndef MM_TPM_CHIP_H
#define MM_TPM_CHIP_H

#include <tss2/tss2_esys.h>

#include "tpm/link.h"

/*
 * A TPM 2.0 to be talked to: tss2's enhanced system API (TCG ESAPI) over a
 * descriptor of ours.  What is said to it is the business of its users: the
 * signer's counter (signer/tpm.h), a device's keys (provider/tpm2.c).
 */
struct mm_tpm_chip {
	struct mm_tpm_link link;
	ESYS_CONTEXT *esys; /* NULL: closed */
};

/* As mm_tpm_link_open; *rc: what tss2 said when it started, where that is why
 * nothing was opened, though MM_OK. */
MM_MUST enum mm_err mm_tpm_chip_open(struct mm_tpm_chip *c, const char *path,
    TSS2_RC *rc, struct mm_why *why);
void mm_tpm_chip_close(struct mm_tpm_chip *c);
/* Whether rc is that format-one code, without the number of the parameter,
 * handle or session that it is about (TPM 2.0 part 2, 6.6.3). */
bool mm_tpm_is(TSS2_RC rc, TSS2_RC code);

#endif
