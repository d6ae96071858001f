#include "signer/tpm.h"

/* Of a program that was built without tss2-esys. */

/* see tpm.h */
enum mm_err
mm_tpm_open(const char *path, struct mm_tpm **out, struct mm_why *why)
{
	(void)path;
	(void)out;
	return MM_FAIL(
	    why, MM_EPOLICY, "this program was built without tss2: no TPM");
}

/* see tpm.h */
void
mm_tpm_close(struct mm_tpm **owner)
{
	(void)owner;
}

/* see tpm.h; there is none to be asked, nor below */
enum mm_err
mm_tpm_counter_make(struct mm_tpm *t, const struct mm_secret *secret,
    struct mm_tpm_index *out, struct mm_why *why)
{
	(void)secret;
	(void)out;
	return mm_tpm_counter_advance(t, why);
}

/* see tpm.h */
enum mm_err
mm_tpm_counter_find(struct mm_tpm *t, const struct mm_tpm_index *index,
    const struct mm_secret *secret, struct mm_why *why)
{
	(void)index;
	(void)secret;
	return mm_tpm_counter_advance(t, why);
}

/* see tpm.h */
enum mm_err
mm_tpm_counter_read(struct mm_tpm *t, uint64_t *out, struct mm_why *why)
{
	(void)out;
	return mm_tpm_counter_advance(t, why);
}

/* see tpm.h */
enum mm_err
mm_tpm_counter_advance(struct mm_tpm *t, struct mm_why *why)
{
	(void)t;
	return MM_FAIL(why, MM_EBUG, "no TPM was opened");
}
