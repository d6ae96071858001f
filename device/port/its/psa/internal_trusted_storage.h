#ifndef MMD_PSA_INTERNAL_TRUSTED_STORAGE_H
#define MMD_PSA_INTERNAL_TRUSTED_STORAGE_H

/* PSA Secure Storage 1.0, as much as port/psa_its.c has of it. */
#include <stddef.h>
#include <stdint.h>

#include <psa/error.h>

typedef uint64_t psa_storage_uid_t;
typedef uint32_t psa_storage_create_flags_t;
#define PSA_STORAGE_FLAG_NONE 0

struct psa_storage_info_t {
	uint32_t size;
	psa_storage_create_flags_t flags;
};

psa_status_t psa_its_set(psa_storage_uid_t uid, uint32_t n, const void *p,
    psa_storage_create_flags_t flags);
psa_status_t psa_its_get(psa_storage_uid_t uid, uint32_t off, uint32_t n,
    void *p, size_t *done);
psa_status_t psa_its_get_info(psa_storage_uid_t uid,
    struct psa_storage_info_t *info);
psa_status_t psa_its_remove(psa_storage_uid_t uid);

#endif
