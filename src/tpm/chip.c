#include "tpm/chip.h"

#include <stdlib.h>

/* see chip.h */
enum mm_err
mm_tpm_chip_open(struct mm_tpm_chip *c, const char *path, TSS2_RC *rc,
    struct mm_why *why)
{
	c->esys = NULL;
	/* What went wrong is said by us; the library would print it, too. */
	(void)setenv("TSS2_LOG", "all+none", 0);
	MM_TRY(mm_tpm_link_open(&c->link, path, why));
	*rc = Esys_Initialize(&c->esys, (TSS2_TCTI_CONTEXT *)&c->link.tcti,
	    NULL);
	if (*rc != TSS2_RC_SUCCESS) {
		c->esys = NULL;
		mm_tpm_link_close(&c->link);
	}
	return MM_OK;
}

/* see chip.h */
void
mm_tpm_chip_close(struct mm_tpm_chip *c)
{
	if (c->esys == NULL)
		return;
	Esys_Finalize(&c->esys);
	mm_tpm_link_close(&c->link);
	c->esys = NULL;
}

/* see chip.h */
bool
mm_tpm_is(TSS2_RC rc, TSS2_RC code)
{
	return (rc & ~(TSS2_RC)TPM2_RC_N_MASK & ~(TSS2_RC)TPM2_RC_P) == code;
}
