#include "provider/places.h"

#include <string.h>
#include <unistd.h>

#include <tss2/tss2_mu.h>

#include "base/time.h"
#include "key/desk.h"
#include "tpm/chip.h"

/*
 * Keys in a TPM 2.0.  Each use opens the device, loads what it needs, and
 * leaves nothing loaded: it is shared with other programs, who has forked has
 * no session of another, and a chip that was reset is no special case.
 *
 * A key is made under a storage key, which wraps its private part; what is
 * wrapped is in the key's file.  The attributes have the TPM itself refuse to
 * give it to anybody, another TPM included (TPM 2.0 part 1, 25).
 */
enum { ANSWER_MS = 60000, BUSY_MS = 5000, AGAIN_MS = 50 };

#define STORAGE_ATTRIBUTES                                                    \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |                     \
	    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |      \
	    TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT)
#define KEY_ATTRIBUTES                                                        \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |                     \
	    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |      \
	    TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT)

/* One use of the TPM. */
struct use {
	struct mm_tpm_chip chip;
	struct mm_key_tpm at;
	ESYS_TR parent, key;
	bool own_parent; /* made for this use */
};

static const TPM2B_PUBLIC storage = { .publicArea = {
	.type = TPM2_ALG_ECC,
	.nameAlg = TPM2_ALG_SHA256,
	.objectAttributes = STORAGE_ATTRIBUTES,
	.parameters.eccDetail = {
		.symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128,
		    .mode.aes = TPM2_ALG_CFB },
		.scheme.scheme = TPM2_ALG_NULL,
		.curveID = TPM2_ECC_NIST_P256,
		.kdf.scheme = TPM2_ALG_NULL } } };
static const TPM2B_PUBLIC signing = { .publicArea = {
	.type = TPM2_ALG_ECC,
	.nameAlg = TPM2_ALG_SHA256,
	.objectAttributes = KEY_ATTRIBUTES,
	.parameters.eccDetail = {
		.symmetric.algorithm = TPM2_ALG_NULL,
		.scheme.scheme = TPM2_ALG_NULL,
		.curveID = TPM2_ECC_NIST_P256,
		.kdf.scheme = TPM2_ALG_NULL } } };

/* What the TPM says, as something to be done about it. */
static const struct {
	TSS2_RC rc;
	enum mm_err err;
	const char *words;
} answers[] = {
	{ TPM2_RC_LOCKOUT, MM_EAGAIN, "it is locked out after wrong "
	    "passwords: wait, or tpm2_dictionarylockout -c" },
	{ TPM2_RC_OBJECT_MEMORY, MM_EAGAIN,
	    "it has no room for another object" },
	{ TPM2_RC_SESSION_MEMORY, MM_EAGAIN,
	    "it has no room for another session" },
	{ TPM2_RC_RETRY, MM_EAGAIN, "it is busy" },
	{ TPM2_RC_NV_RATE, MM_EAGAIN, "it spares its memory" },
	{ TPM2_RC_NV_SPACE, MM_EPOLICY, "it has no room to keep a key" },
	{ TPM2_RC_NV_DEFINED, MM_ECONFLICT, "the handle is taken" },
	{ TPM2_RC_BAD_AUTH, MM_EPOLICY, "it wants a password: of the owner's "
	    "hierarchy, or of the parent" },
	{ TPM2_RC_AUTH_FAIL, MM_EPOLICY, "it wants a password: of the "
	    "parent" },
	{ TPM2_RC_HANDLE, MM_ENOTFOUND, "it has nothing under that handle" },
	{ TPM2_RC_INTEGRITY, MM_ESTALE, "the key is of another TPM, or of "
	    "before it was cleared" },
	{ TPM2_RC_HIERARCHY, MM_EPOLICY, "the owner's hierarchy is off" },
	{ TPM2_RC_INITIALIZE, MM_EAGAIN, "it was not started" },
	{ TPM2_RC_FAILURE, MM_EPOLICY, "it failed its self-test" },
};

static enum mm_err
failed(const char *what, TSS2_RC rc, struct mm_why *why)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	if (layer == TSS2_TCTI_RC_LAYER)
		return MM_FAIL(why, MM_EAGAIN, "TPM: %s: no answer", what);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (rc == answers[i].rc || mm_tpm_is(rc, answers[i].rc))
			return MM_FAIL(why, answers[i].err, "TPM: %s: %s",
			    what, answers[i].words);
	return MM_FAIL(why, MM_EPOLICY, "TPM: %s: refused (0x%x)", what, rc);
}

/* ---- one use ---- */

static enum mm_err
not_there(const char *path, struct mm_why *why)
{
	if (strcmp(path, MM_KEY_TPM_DEVICE) == 0 &&
	    access("/dev/tpm0", F_OK) == 0)
		return MM_FAIL(why, MM_ENOTFOUND, "TPM: %s is not there, only "
		    "/dev/tpm0: no resource manager in this kernel; "
		    "device=/dev/tpm0 uses it alone", path);
	return MM_FAIL(why, MM_ENOTFOUND, "TPM: %.80s is not there", path);
}

/* A device without a resource manager is one program's at a time. */
static enum mm_err
open_device(struct use *u, struct mm_why *why)
{
	int64_t end = mm_mono_ms() + BUSY_MS;
	struct mm_why w = { 0 };
	TSS2_RC rc = TSS2_RC_SUCCESS;
	enum mm_err err;

	if (!mm_provider_device(u->at.device))
		return MM_FAIL(why, MM_EPOLICY, "TPM: device=%.40s counts "
		    "where openssl.cnf or the agent's own configuration has "
		    "it, not in a key's file", u->at.device);
	while ((err = mm_tpm_chip_open(&u->chip, u->at.device, &rc, &w)) ==
	    MM_EBUSY && mm_mono_ms() < end) {
		w = (struct mm_why){ 0 };
		(void)usleep(AGAIN_MS * 1000);
	}
	if (err == MM_ENOTFOUND)
		return not_there(u->at.device, why);
	if (err == MM_EBUSY)
		return MM_FAIL(why, MM_EAGAIN, "TPM: %.80s is another "
		    "program's", u->at.device);
	if (err != MM_OK)
		return MM_FAIL(why, err, "%s", w.text);
	if (rc != TSS2_RC_SUCCESS)
		return failed("start", rc, why);
	u->chip.link.answer_ms = ANSWER_MS;
	return MM_OK;
}

/* Without a resource manager, what a killed program loaded stays; there is
 * nobody else whose it could be. */
static void
flush_all(struct use *u)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;
	ESYS_TR object;

	if (Esys_GetCapability(u->chip.esys, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, TPM2_CAP_HANDLES, TPM2_TRANSIENT_FIRST,
	    TPM2_MAX_CAP_HANDLES, &more, &data) != TSS2_RC_SUCCESS)
		return;
	for (uint32_t i = 0; i < data->data.handles.count; i++)
		if (Esys_TR_FromTPMPublic(u->chip.esys,
		    data->data.handles.handle[i], ESYS_TR_NONE, ESYS_TR_NONE,
		    ESYS_TR_NONE, &object) == TSS2_RC_SUCCESS)
			(void)Esys_FlushContext(u->chip.esys, object);
	Esys_Free(data);
}

static TSS2_RC
make_parent(struct use *u)
{
	const TPM2B_SENSITIVE_CREATE none = { .size = 0 };
	const TPM2B_DATA outside = { .size = 0 };
	const TPML_PCR_SELECTION pcrs = { .count = 0 };

	return Esys_CreatePrimary(u->chip.esys, ESYS_TR_RH_OWNER,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &none, &storage,
	    &outside, &pcrs, &u->parent, NULL, NULL, NULL, NULL);
}

static enum mm_err
take_parent(struct use *u, struct mm_why *why)
{
	TSS2_RC rc;

	if (u->at.parent != 0) {
		rc = Esys_TR_FromTPMPublic(u->chip.esys, u->at.parent,
		    ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &u->parent);
		return rc == TSS2_RC_SUCCESS ? MM_OK
		    : failed("parent", rc, why);
	}
	rc = make_parent(u);
	if (rc == TPM2_RC_OBJECT_MEMORY) {
		flush_all(u);
		rc = make_parent(u);
	}
	u->own_parent = rc == TSS2_RC_SUCCESS;
	return u->own_parent ? MM_OK : failed("primary key", rc, why);
}

static void
end_use(struct use *u)
{
	if (u->key != ESYS_TR_NONE)
		(void)Esys_FlushContext(u->chip.esys, u->key);
	if (u->own_parent)
		(void)Esys_FlushContext(u->chip.esys, u->parent);
	mm_tpm_chip_close(&u->chip);
}

static enum mm_err
begin_use(struct use *u, const char *uri, struct mm_why *why)
{
	*u = (struct use){ .parent = ESYS_TR_NONE, .key = ESYS_TR_NONE };
	MM_TRY(mm_key_tpm_parse(uri, &u->at, why));
	return open_device(u, why);
}

/* Some leave the zeros out that a number begins with. */
static bool
put_number(const TPM2B_ECC_PARAMETER *v, uint8_t out[MM_KEY_XY / 2])
{
	if (v->size > MM_KEY_XY / 2)
		return false;
	memset(out, 0, MM_KEY_XY / 2);
	memcpy(out + MM_KEY_XY / 2 - v->size, v->buffer, v->size);
	return true;
}

static bool
point_of(const TPM2B_PUBLIC *p, uint8_t xy[MM_KEY_XY])
{
	const TPMS_ECC_POINT *q = &p->publicArea.unique.ecc;

	return p->publicArea.type == TPM2_ALG_ECC &&
	    put_number(&q->x, xy) && put_number(&q->y, xy + MM_KEY_XY / 2);
}

static bool
is_key(const TPM2B_PUBLIC *p, const struct mm_key *key)
{
	uint8_t xy[MM_KEY_XY];

	return key != NULL && key->made && point_of(p, xy) &&
	    memcmp(xy, key->xy, sizeof(xy)) == 0;
}

/* What is kept under the handle: ours, something else, or nothing. */
enum kept { KEPT_NOT, KEPT_OURS, KEPT_OTHER };

static enum mm_err
look(struct use *u, uint32_t handle, const struct mm_key *key,
    ESYS_TR *object, enum kept *out, struct mm_why *why)
{
	TPM2B_PUBLIC *public = NULL;
	TSS2_RC rc = Esys_TR_FromTPMPublic(u->chip.esys, handle, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, object);

	*out = KEPT_NOT;
	if (mm_tpm_is(rc, TPM2_RC_HANDLE))
		return MM_OK;
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_ReadPublic(u->chip.esys, *object, ESYS_TR_NONE,
		    ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL, NULL);
	if (rc != TSS2_RC_SUCCESS)
		return failed("handle", rc, why);
	*out = is_key(public, key) ? KEPT_OURS : KEPT_OTHER;
	Esys_Free(public);
	return MM_OK;
}

/* ---- the desk ---- */

/* The handle, or the one beside it: two slots have a key each. */
static enum mm_err
free_handle(struct use *u, struct mm_why *why)
{
	uint32_t first = u->at.handle;
	enum kept kept;
	ESYS_TR object;

	for (uint32_t i = 0; i < 2; i++) {
		u->at.handle = first ^ i;
		MM_TRY(look(u, u->at.handle, NULL, &object, &kept, why));
		if (kept == KEPT_NOT)
			return MM_OK;
	}
	return MM_FAIL(why, MM_ECONFLICT, "TPM: 0x%08x and 0x%08x are taken",
	    first, first ^ 1);
}

static enum mm_err
choose(const char *where, struct mm_key *out, struct mm_why *why)
{
	struct mm_key key = { .place = MM_KEY_TPM2 };
	struct use u;
	enum mm_err err = begin_use(&u, where, why);

	if (err == MM_OK && u.at.handle != 0)
		err = free_handle(&u, why);
	end_use(&u);
	MM_TRY(err);
	MM_TRY(mm_key_tpm_text(&u.at, key.uri, why));
	*out = key;
	return MM_OK;
}

static enum mm_err
keep(struct mm_key *key, const TPM2B_PUBLIC *public,
    const TPM2B_PRIVATE *wrapped, struct mm_why *why)
{
	size_t public_n = 0, wrapped_n = 0;

	if (!point_of(public, key->xy) ||
	    Tss2_MU_TPM2B_PUBLIC_Marshal(public, key->public.p,
	    sizeof(key->public.p), &public_n) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PRIVATE_Marshal(wrapped, key->wrapped.p,
	    sizeof(key->wrapped.p), &wrapped_n) != TSS2_RC_SUCCESS)
		return MM_FAIL(why, MM_EPOLICY,
		    "TPM: what it made is no key of P-256");
	key->public.n = public_n;
	key->wrapped.n = wrapped_n;
	key->made = true;
	return MM_OK;
}

static enum mm_err
create(struct use *u, struct mm_key *key, struct mm_why *why)
{
	const TPM2B_SENSITIVE_CREATE none = { .size = 0 };
	const TPM2B_DATA outside = { .size = 0 };
	const TPML_PCR_SELECTION pcrs = { .count = 0 };
	TPM2B_PRIVATE *wrapped = NULL;
	TPM2B_PUBLIC *public = NULL;
	enum mm_err err;
	TSS2_RC rc = Esys_Create(u->chip.esys, u->parent, ESYS_TR_PASSWORD,
	    ESYS_TR_NONE, ESYS_TR_NONE, &none, &signing, &outside, &pcrs,
	    &wrapped, &public, NULL, NULL, NULL);

	if (rc != TSS2_RC_SUCCESS)
		return failed("make a key", rc, why);
	err = keep(key, public, wrapped, why);
	Esys_Free(public);
	Esys_Free(wrapped);
	return err;
}

static enum mm_err
make(struct mm_key *key, struct mm_why *why)
{
	struct use u;
	enum mm_err err = begin_use(&u, key->uri, why);

	if (err == MM_OK)
		err = take_parent(&u, why);
	if (err == MM_OK)
		err = create(&u, key, why);
	end_use(&u);
	return err;
}

static enum mm_err
load(struct use *u, const struct mm_key *key, struct mm_why *why)
{
	TPM2B_PUBLIC public = { .size = 0 };
	TPM2B_PRIVATE wrapped = { .size = 0 };
	size_t public_at = 0, wrapped_at = 0;
	TSS2_RC rc;

	if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(key->public.p, key->public.n,
	    &public_at, &public) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PRIVATE_Unmarshal(key->wrapped.p, key->wrapped.n,
	    &wrapped_at, &wrapped) != TSS2_RC_SUCCESS)
		return MM_FAIL(why, MM_EINPUT, "TPM: the key is damaged");
	MM_TRY(take_parent(u, why));
	rc = Esys_Load(u->chip.esys, u->parent, ESYS_TR_PASSWORD, ESYS_TR_NONE,
	    ESYS_TR_NONE, &wrapped, &public, &u->key);
	if (rc == TPM2_RC_OBJECT_MEMORY && u->at.parent != 0) {
		flush_all(u);
		rc = Esys_Load(u->chip.esys, u->parent, ESYS_TR_PASSWORD,
		    ESYS_TR_NONE, ESYS_TR_NONE, &wrapped, &public, &u->key);
	}
	return rc == TSS2_RC_SUCCESS ? MM_OK : failed("load", rc, why);
}

/* TPM 2.0 part 3, 28.5: EvictControl keeps what is loaded. */
static enum mm_err
persist(struct use *u, const struct mm_key *key, struct mm_why *why)
{
	ESYS_TR object = ESYS_TR_NONE;
	enum kept kept;
	TSS2_RC rc;

	MM_TRY(look(u, u->at.handle, key, &object, &kept, why));
	if (kept == KEPT_OURS)
		return MM_OK;
	if (kept == KEPT_OTHER)
		return MM_FAIL(why, MM_ECONFLICT, "TPM: 0x%08x was taken "
		    "meanwhile", u->at.handle);
	MM_TRY(load(u, key, why));
	rc = Esys_EvictControl(u->chip.esys, ESYS_TR_RH_OWNER, u->key,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, u->at.handle,
	    &object);
	return rc == TSS2_RC_SUCCESS ? MM_OK : failed("keep a key", rc, why);
}

static enum mm_err
settle(const struct mm_key *key, struct mm_why *why)
{
	struct mm_key_tpm at;
	struct use u;
	enum mm_err err;

	MM_TRY(mm_key_tpm_parse(key->uri, &at, why));
	if (at.handle == 0)
		return MM_OK;
	err = begin_use(&u, key->uri, why);
	if (err == MM_OK)
		err = persist(&u, key, why);
	end_use(&u);
	return err;
}

static enum mm_err
take_signature(const TPMT_SIGNATURE *sig, uint8_t rs[MM_KEY_RS],
    struct mm_why *why)
{
	const TPMS_SIGNATURE_ECDSA *of = &sig->signature.ecdsa;

	if (sig->sigAlg != TPM2_ALG_ECDSA ||
	    !put_number(&of->signatureR, rs) ||
	    !put_number(&of->signatureS, rs + MM_KEY_RS / 2))
		return MM_FAIL(why, MM_EPOLICY, "TPM: not an ECDSA signature");
	return MM_OK;
}

static enum mm_err
sign_by(struct use *u, ESYS_TR object, const uint8_t digest[MM_KEY_DIGEST],
    uint8_t rs[MM_KEY_RS], struct mm_why *why)
{
	const TPMT_SIG_SCHEME scheme = { .scheme = TPM2_ALG_ECDSA,
		.details.ecdsa.hashAlg = TPM2_ALG_SHA256 };
	const TPMT_TK_HASHCHECK outside = { .tag = TPM2_ST_HASHCHECK,
		.hierarchy = TPM2_RH_NULL };
	TPM2B_DIGEST d = { .size = MM_KEY_DIGEST };
	TPMT_SIGNATURE *sig = NULL;
	enum mm_err err;
	TSS2_RC rc;

	memcpy(d.buffer, digest, MM_KEY_DIGEST);
	rc = Esys_Sign(u->chip.esys, object, ESYS_TR_PASSWORD, ESYS_TR_NONE,
	    ESYS_TR_NONE, &d, &scheme, &outside, &sig);
	if (rc != TSS2_RC_SUCCESS)
		return failed("sign", rc, why);
	err = take_signature(sig, rs, why);
	Esys_Free(sig);
	return err;
}

/* What is kept under the handle is quicker, and no more than that. */
static enum mm_err
use_key(struct use *u, const struct mm_key *key,
    const uint8_t digest[MM_KEY_DIGEST], uint8_t rs[MM_KEY_RS],
    struct mm_why *why)
{
	ESYS_TR object = ESYS_TR_NONE;
	enum kept kept = KEPT_NOT;

	if (u->at.handle != 0)
		MM_TRY(look(u, u->at.handle, key, &object, &kept, why));
	if (kept == KEPT_OURS)
		return sign_by(u, object, digest, rs, why);
	MM_TRY(load(u, key, why));
	return sign_by(u, u->key, digest, rs, why);
}

static enum mm_err
sign(const struct mm_key *key, const uint8_t digest[MM_KEY_DIGEST],
    uint8_t rs[MM_KEY_RS], struct mm_why *why)
{
	struct use u;
	enum mm_err err = begin_use(&u, key->uri, why);

	if (err == MM_OK)
		err = use_key(&u, key, digest, rs, why);
	end_use(&u);
	return err;
}

static enum mm_err
evict(struct use *u, const struct mm_key *key, struct mm_why *why)
{
	ESYS_TR object = ESYS_TR_NONE, gone = ESYS_TR_NONE;
	enum kept kept;
	TSS2_RC rc;

	MM_TRY(look(u, u->at.handle, key, &object, &kept, why));
	if (kept != KEPT_OURS)
		return MM_OK;
	rc = Esys_EvictControl(u->chip.esys, ESYS_TR_RH_OWNER, object,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, u->at.handle,
	    &gone);
	return rc == TSS2_RC_SUCCESS ? MM_OK : failed("remove", rc, why);
}

/* A key that only its file has is gone with that. */
static enum mm_err
drop(const struct mm_key *key, struct mm_why *why)
{
	struct mm_why w = { 0 };
	struct mm_key_tpm at;
	struct use u;
	enum mm_err err;

	MM_TRY(mm_key_tpm_parse(key->uri, &at, why));
	if (at.handle == 0 || !key->made)
		return MM_OK;
	err = begin_use(&u, key->uri, &w);
	if (err == MM_OK)
		err = evict(&u, key, &w);
	end_use(&u);
	return err == MM_OK || err == MM_ENOTFOUND ? MM_OK
	    : MM_FAIL(why, err, "%s", w.text);
}

static void
trust(const char *where)
{
	struct mm_key_tpm at;

	if (mm_key_tpm_parse(where, &at, NULL) == MM_OK)
		(void)mm_provider_allow(MM_PROVIDER_DEVICE, false, at.device);
}

/* see places.h */
const struct mm_key_ops mm_provider_tpm2 = { choose, make, settle, sign,
	drop, trust };
