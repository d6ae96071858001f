#include "esp_mintmark.h"

/* More than the chip asks for: the step in which a bundle is compared. */
#define UNIT 16

static enum mmd_rc
rc_of(esp_err_t err)
{
	return err == ESP_OK ? MMD_OK : MMD_EPORT;
}

static enum mmd_rc
read_flash(void *ctx, uint32_t at, uint8_t *p, size_t n)
{
	const struct mmd_esp_flash *f = ctx;

	return rc_of(esp_partition_read(f->partition, at, p, n));
}

static enum mmd_rc
program(void *ctx, uint32_t at, const uint8_t *p, size_t n)
{
	const struct mmd_esp_flash *f = ctx;

	return rc_of(esp_partition_write(f->partition, at, p, n));
}

static enum mmd_rc
erase(void *ctx, uint32_t at)
{
	const struct mmd_esp_flash *f = ctx;

	return rc_of(esp_partition_erase_range(f->partition, at,
	    f->port.block));
}

static void
lay_out(struct mmd_store *s, uint32_t quarter)
{
	for (uint32_t i = 0; i < MMD_IDENTITIES; i++)
		for (uint32_t k = 0; k < 2; k++)
			s->half[i][k] = (struct mmd_area){
				(2 * i + k) * quarter, quarter };
}

/* see esp_mintmark.h */
enum mmd_rc
mmd_esp_flash_open(struct mmd_esp_flash *f, const char *label,
    struct mmd_store *store)
{
	const esp_partition_t *p = esp_partition_find_first(
	    ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, label);
	uint32_t quarter;

	if (p == NULL)
		return MMD_NONE;
	/*
	 * Encrypted, erased flash does not read as 0xff: the partition must be
	 * one that is left in the clear (certificates are no secret).
	 */
	if (p->encrypted)
		return MMD_EINPUT;
	quarter = p->size / 4 / p->erase_size * p->erase_size;
	if (quarter == 0)
		return MMD_ESPACE;
	f->partition = p;
	f->port = (struct mmd_flash){ p->erase_size, UNIT, 0xff, read_flash,
		program, erase, f };
	*store = (struct mmd_store){ .flash = &f->port };
	lay_out(store, quarter);
	return mmd_store_check(store);
}
