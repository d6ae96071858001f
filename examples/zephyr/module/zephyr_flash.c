#include <zephyr/drivers/flash.h>

#include "zephyr_mintmark.h"

static enum mmd_rc
rc_of(int err)
{
	return err == 0 ? MMD_OK : MMD_EPORT;
}

static enum mmd_rc
read_flash(void *ctx, uint32_t at, uint8_t *p, size_t n)
{
	const struct mmd_zephyr_flash *f = ctx;

	return rc_of(flash_area_read(f->area, (off_t)at, p, n));
}

static enum mmd_rc
program(void *ctx, uint32_t at, const uint8_t *p, size_t n)
{
	const struct mmd_zephyr_flash *f = ctx;

	return rc_of(flash_area_write(f->area, (off_t)at, p, n));
}

static enum mmd_rc
erase(void *ctx, uint32_t at)
{
	const struct mmd_zephyr_flash *f = ctx;

	return rc_of(flash_area_erase(f->area, (off_t)at, f->port.block));
}

static void
lay_out(struct mmd_store *s, uint32_t quarter)
{
	for (uint32_t i = 0; i < MMD_IDENTITIES; i++)
		for (uint32_t k = 0; k < 2; k++)
			s->half[i][k] = (struct mmd_area){
				(2 * i + k) * quarter, quarter };
}

/* see zephyr_mintmark.h */
enum mmd_rc
mmd_zephyr_flash_open(struct mmd_zephyr_flash *f, uint8_t id,
    struct mmd_store *store)
{
	struct flash_pages_info page;
	uint32_t quarter;

	if (flash_area_open(id, &f->area) != 0)
		return MMD_NONE;
	if (flash_get_page_info_by_offs(flash_area_get_device(f->area),
	    f->area->fa_off, &page) != 0)
		return MMD_EPORT;
	f->port = (struct mmd_flash){ (uint32_t)page.size,
		flash_area_align(f->area), flash_area_erased_val(f->area),
		read_flash, program, erase, f };
	quarter = (uint32_t)(f->area->fa_size / 4 / page.size * page.size);
	if (quarter == 0)
		return MMD_ESPACE;
	*store = (struct mmd_store){ .flash = &f->port };
	lay_out(store, quarter);
	return mmd_store_check(store);
}
