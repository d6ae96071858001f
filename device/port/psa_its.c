#include "port/psa_its.h"

#include <string.h>

#include <psa/crypto.h>

#include <psa/internal_trusted_storage.h>

/* A key of P-256 takes 68 of them. */
#define OBJECT_MAX 128

struct object {
	uint8_t p[OBJECT_MAX];
	size_t n;
};

static bool
slot_of(psa_storage_uid_t uid, unsigned *slot)
{
	*slot = (unsigned)(uid - mmd_psa_its_first);
	return uid >= mmd_psa_its_first &&
	    uid - mmd_psa_its_first < MMD_IDENTITIES;
}

static psa_status_t
load(psa_storage_uid_t uid, struct object *o)
{
	unsigned slot;
	enum mmd_rc rc;

	if (!slot_of(uid, &slot))
		return PSA_ERROR_DOES_NOT_EXIST;
	rc = mmd_store_key_get(mmd_psa_its_store, slot, o->p, sizeof(o->p),
	    &o->n);
	/* One that was removed is of no length. */
	if (rc == MMD_NONE || (rc == MMD_OK && o->n == 0))
		return PSA_ERROR_DOES_NOT_EXIST;
	return rc == MMD_OK ? PSA_SUCCESS : PSA_ERROR_STORAGE_FAILURE;
}

static void
wipe(struct object *o)
{
	memset(o, 0, sizeof(*o));
	__asm__ volatile("" : : "r"(o) : "memory");
}

static psa_status_t
store(psa_storage_uid_t uid, struct mmd_bytes v)
{
	unsigned slot;

	if (!slot_of(uid, &slot))
		return PSA_ERROR_NOT_SUPPORTED;
	if (v.n > OBJECT_MAX)
		return PSA_ERROR_INSUFFICIENT_STORAGE;
	return mmd_store_key_put(mmd_psa_its_store, slot, v) == MMD_OK ?
	    PSA_SUCCESS : PSA_ERROR_STORAGE_FAILURE;
}

psa_status_t
psa_its_set(psa_storage_uid_t uid, uint32_t n, const void *p,
    psa_storage_create_flags_t flags)
{
	(void)flags;
	return store(uid, (struct mmd_bytes){ p, n });
}

psa_status_t
psa_its_get(psa_storage_uid_t uid, uint32_t off, uint32_t n, void *p,
    size_t *done)
{
	struct object o;
	psa_status_t status = load(uid, &o);

	if (status == PSA_SUCCESS && (off > o.n || n > o.n - off))
		status = PSA_ERROR_INVALID_ARGUMENT;
	if (status == PSA_SUCCESS) {
		memcpy(p, o.p + off, n);
		*done = n;
	}
	wipe(&o);
	return status;
}

psa_status_t
psa_its_get_info(psa_storage_uid_t uid, struct psa_storage_info_t *info)
{
	struct object o;
	psa_status_t status = load(uid, &o);

	if (status == PSA_SUCCESS)
		*info = (struct psa_storage_info_t){ .size = (uint32_t)o.n,
			.flags = PSA_STORAGE_FLAG_NONE };
	wipe(&o);
	return status;
}

psa_status_t
psa_its_remove(psa_storage_uid_t uid)
{
	struct object o;
	psa_status_t status = load(uid, &o);

	wipe(&o);
	return status != PSA_SUCCESS ? status
	    : store(uid, (struct mmd_bytes){ NULL, 0 });
}
