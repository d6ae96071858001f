#include "flash.h"
#include "priv.h"

#define STEP_MIN 16

/* see flash.h */
uint32_t
mmd_flash_step(const struct mmd_flash *f)
{
	return f->unit < STEP_MIN ? STEP_MIN : f->unit;
}

static bool
all_blank(const struct mmd_flash *f, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != f->blank)
			return false;
	return true;
}

/* see flash.h */
bool
mmd_flash_blank(const struct mmd_flash *f, uint32_t at, uint32_t n)
{
	uint8_t have[STEP_MIN];

	for (uint32_t i = 0; i < n; i += sizeof(have)) {
		uint32_t k = n - i < sizeof(have) ? n - i : sizeof(have);

		if (f->read(f->ctx, at + i, have, k) != MMD_OK ||
		    !all_blank(f, have, k))
			return false;
	}
	return true;
}

/* see flash.h */
enum mmd_rc
mmd_flash_erase(const struct mmd_flash *f, const struct mmd_area *a)
{
	enum mmd_rc rc = MMD_OK;

	for (uint32_t i = 0; rc == MMD_OK && i < a->n; i += f->block)
		if (!mmd_flash_blank(f, a->at + i, f->block))
			rc = f->erase(f->ctx, a->at + i);
	return rc;
}

static enum mmd_rc
fill_step(const struct mmd_flash *f, uint32_t at, const uint8_t *want,
    uint32_t step)
{
	uint8_t have[MMD_FLASH_STEP_MAX];
	enum mmd_rc rc = f->read(f->ctx, at, have, step);

	if (rc != MMD_OK || memcmp(have, want, step) == 0)
		return rc;
	if (!all_blank(f, have, step))
		return MMD_ESTATE;
	rc = f->program(f->ctx, at, want, step);
	if (rc == MMD_OK)
		rc = f->read(f->ctx, at, have, step);
	if (rc == MMD_OK && memcmp(have, want, step) != 0)
		rc = MMD_ESTATE;
	return rc;
}

/* see flash.h */
enum mmd_rc
mmd_flash_fill(const struct mmd_flash *f, uint32_t at, const uint8_t *p,
    size_t n)
{
	uint8_t want[MMD_FLASH_STEP_MAX];
	uint32_t step = mmd_flash_step(f);
	enum mmd_rc rc = MMD_OK;

	for (size_t i = 0; rc == MMD_OK && i < n; i += step) {
		size_t k = n - i < step ? n - i : step;

		memset(want, f->blank, step);
		memcpy(want, p + i, k);
		rc = fill_step(f, at + (uint32_t)i, want, step);
	}
	return rc;
}
