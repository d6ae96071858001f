#ifndef MMD_FLASH_H
#define MMD_FLASH_H

/* Flash by the step, for the store's own sources. */

#include "mmd_store.h"

#define MMD_FLASH_STEP_MAX 128

/* What is compared and programmed at once: a unit, but not a tiny one. */
uint32_t mmd_flash_step(const struct mmd_flash *f);
bool mmd_flash_blank(const struct mmd_flash *f, uint32_t at, uint32_t n);
/* What is not blank, in ascending order: the head goes first. */
enum mmd_rc mmd_flash_erase(const struct mmd_flash *f,
    const struct mmd_area *a) MMD_MUST;
/*
 * Makes flash hold n bytes at at, a multiple of the step: what is equal stays,
 * what is blank is programmed and read back; else MMD_ESTATE.
 */
enum mmd_rc mmd_flash_fill(const struct mmd_flash *f, uint32_t at,
    const uint8_t *p, size_t n) MMD_MUST;

/*
 * The half that is not in use, and the bundle that is: all zero but half if
 * there is none.  MMD_ESTATE, MMD_EPORT.
 */
enum mmd_rc mmd_store_idle(const struct mmd_store *s, unsigned identity,
    const struct mmd_area **idle, struct mmd_bundle *used) MMD_MUST;
/* Whether the parts, one after another, take no more than room. */
bool mmd_store_fits(const struct mmd_bundle *b, uint32_t room);

/* As mmd_store_verify; own: SHA-256 of the identity's own public key. */
enum mmd_rc mmd_store_verify_own(const struct mmd_store *s,
    const struct mmd_crypto *crypto, unsigned identity, struct mmd_bundle *b,
    struct mmd_bytes salt, const uint8_t own[MMD_HASH]) MMD_MUST;

#endif
