#include "signer/tpm.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "tpm/chip.h"

enum {
	FIRST = 0x01800a00, /* of the indices that are an owner's */
	TRIES = 64,
	SECRET_N = 32
};

/* What makes an index a counter that its secret alone reads and advances, and
 * that a wrong secret does not lock; TPMA_NV_WRITTEN follows. */
#define ATTRIBUTES                                             \
	((TPMA_NV)(TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT) | \
	    TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA)

struct mm_tpm {
	struct mm_tpm_chip chip;
	ESYS_TR index;
};

/* The layer that an error is of says whose it is. */
static enum mm_err
failed(const char *what, TSS2_RC rc, struct mm_why *why)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	if (rc == TSS2_ESYS_RC_RSP_AUTH_FAILED)
		return MM_FAIL(why, MM_EPOLICY,
		    "%s: the TPM's answer is not of this signer's counter",
		    what);
	if (layer == TSS2_TCTI_RC_LAYER)
		return MM_FAIL(
		    why, MM_EAGAIN, "%s: the TPM does not answer", what);
	return MM_FAIL(why, MM_EAGAIN, "%s: the TPM refuses (0x%x)", what, rc);
}

/* see tpm.h */
enum mm_err
mm_tpm_open(const char *path, struct mm_tpm **out, struct mm_why *why)
{
	MM_OWN(mm_tpm_close) struct mm_tpm *t = calloc(1, sizeof(*t));
	struct mm_why w = { 0 };
	TSS2_RC rc;

	if (t == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	t->index = ESYS_TR_NONE;
	/* Whatever it is that keeps it away may be over later. */
	if (mm_tpm_chip_open(&t->chip, path, &rc, &w) != MM_OK)
		return MM_FAIL(why, MM_EAGAIN, "%s", w.text);
	if (rc != TSS2_RC_SUCCESS)
		return failed("start", rc, why);
	*out = MM_MOVE(t);
	return MM_OK;
}

/* see tpm.h */
void
mm_tpm_close(struct mm_tpm **owner)
{
	struct mm_tpm *t = *owner;

	if (t == NULL)
		return;
	mm_tpm_chip_close(&t->chip);
	free(t);
	*owner = NULL;
}

/* ---- commands ---- */

/* It ends with the command that it is for, if that succeeds. */
static enum mm_err
begin(struct mm_tpm *t, ESYS_TR *session, struct mm_why *why)
{
	const TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };
	TSS2_RC rc = Esys_StartAuthSession(t->chip.esys, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL,
	    TPM2_SE_HMAC, &none, TPM2_ALG_SHA256, session);

	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_TRSess_SetAttributes(
		    t->chip.esys, *session, 0, TPMA_SESSION_CONTINUESESSION);
	return rc == TSS2_RC_SUCCESS ? MM_OK : failed("session", rc, why);
}

static enum mm_err
end(struct mm_tpm *t, ESYS_TR session, const char *what, TSS2_RC rc,
    struct mm_why *why)
{
	if (rc == TSS2_RC_SUCCESS)
		return MM_OK;
	(void)Esys_FlushContext(t->chip.esys, session);
	if (mm_tpm_is(rc, TPM2_RC_AUTH_FAIL) || mm_tpm_is(rc, TPM2_RC_BAD_AUTH))
		return MM_FAIL(why, MM_EPOLICY,
		    "%s: the TPM's counter has another secret", what);
	return failed(what, rc, why);
}

/* see tpm.h; TPM 2.0 part 3, 31.13 */
enum mm_err
mm_tpm_counter_read(struct mm_tpm *t, uint64_t *out, struct mm_why *why)
{
	TPM2B_MAX_NV_BUFFER *data = NULL;
	ESYS_TR session = ESYS_TR_NONE;
	uint64_t n = 0;
	TSS2_RC rc;

	MM_TRY(begin(t, &session, why));
	rc = Esys_NV_Read(t->chip.esys, t->index, t->index, session,
	    ESYS_TR_NONE, ESYS_TR_NONE, sizeof(n), 0, &data);
	MM_TRY(end(t, session, "read", rc, why));
	for (unsigned i = 0; i < data->size; i++)
		n = n << 8 | data->buffer[i];
	if (data->size == sizeof(n))
		*out = n;
	else
		rc = 1;
	Esys_Free(data);
	return rc == TSS2_RC_SUCCESS
		   ? MM_OK
		   : MM_FAIL(why, MM_EPOLICY, "read: not a counter");
}

/* see tpm.h; TPM 2.0 part 3, 31.8 */
enum mm_err
mm_tpm_counter_advance(struct mm_tpm *t, struct mm_why *why)
{
	ESYS_TR session = ESYS_TR_NONE;

	MM_TRY(begin(t, &session, why));
	return end(t, session, "advance",
	    Esys_NV_Increment(t->chip.esys, t->index, t->index, session,
		ESYS_TR_NONE, ESYS_TR_NONE),
	    why);
}

/* ---- its index ---- */

static enum mm_err
unlock(struct mm_tpm *t, const struct mm_secret *secret, struct mm_why *why)
{
	TPM2B_AUTH auth = { .size = SECRET_N };
	TSS2_RC rc;

	MM_INVARIANT(secret->n == SECRET_N);
	memcpy(auth.buffer, secret->p, SECRET_N);
	rc = Esys_TR_SetAuth(t->chip.esys, t->index, &auth);
	mm_wipe(&auth, sizeof(auth));
	return rc == TSS2_RC_SUCCESS ? MM_OK : failed("secret", rc, why);
}

static enum mm_err
name_of(struct mm_tpm *t, uint8_t out[MM_TPM_NAME], struct mm_why *why)
{
	TPM2B_NAME *name = NULL;
	TSS2_RC rc = Esys_TR_GetName(t->chip.esys, t->index, &name);
	bool ok = rc == TSS2_RC_SUCCESS && name->size == MM_TPM_NAME;

	if (ok)
		memcpy(out, name->name, MM_TPM_NAME);
	Esys_Free(name);
	return ok ? MM_OK : failed("name", rc, why);
}

/* TPM 2.0 part 3, 31.3 */
static TSS2_RC
define(struct mm_tpm *t, uint32_t handle, const struct mm_secret *secret)
{
	TPM2B_AUTH auth = { .size = SECRET_N };
	const TPM2B_NV_PUBLIC as = { .nvPublic = { .nvIndex = handle,
					 .nameAlg = TPM2_ALG_SHA256,
					 .attributes = ATTRIBUTES,
					 .dataSize = sizeof(uint64_t) } };
	TSS2_RC rc;

	memcpy(auth.buffer, secret->p, SECRET_N);
	rc = Esys_NV_DefineSpace(t->chip.esys, ESYS_TR_RH_OWNER,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &auth, &as,
	    &t->index);
	mm_wipe(&auth, sizeof(auth));
	return rc;
}

/* see tpm.h */
enum mm_err
mm_tpm_counter_make(struct mm_tpm *t, const struct mm_secret *secret,
    struct mm_tpm_index *out, struct mm_why *why)
{
	struct mm_tpm_index made = { .handle = FIRST };
	TSS2_RC rc = TPM2_RC_NV_DEFINED;

	for (unsigned i = 0; i < TRIES && rc == TPM2_RC_NV_DEFINED; i++) {
		made.handle = FIRST + i;
		rc = define(t, made.handle, secret);
	}
	if (rc != TSS2_RC_SUCCESS)
		return failed("make a counter", rc, why);
	MM_TRY(unlock(t, secret, why));
	MM_TRY(mm_tpm_counter_advance(t, why));
	MM_TRY(name_of(t, made.name, why));
	*out = made;
	return MM_OK;
}

/* see tpm.h */
enum mm_err
mm_tpm_counter_find(struct mm_tpm *t, const struct mm_tpm_index *index,
    const struct mm_secret *secret, struct mm_why *why)
{
	uint8_t name[MM_TPM_NAME];
	TSS2_RC rc = Esys_TR_FromTPMPublic(t->chip.esys, index->handle,
	    ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &t->index);

	if (mm_tpm_is(rc, TPM2_RC_HANDLE))
		return MM_FAIL(why, MM_EPOLICY,
		    "the TPM has no counter 0x%08x: it is another one, or was "
		    "cleared",
		    index->handle);
	if (rc != TSS2_RC_SUCCESS)
		return failed("find the counter", rc, why);
	MM_TRY(name_of(t, name, why));
	if (memcmp(name, index->name, sizeof(name)) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "the TPM's counter 0x%08x is not the one that was made "
		    "for this signer",
		    index->handle);
	return unlock(t, secret, why);
}
