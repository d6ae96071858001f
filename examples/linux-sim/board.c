#include "board.h"

#include <string.h>

/* see board.h */
enum mmd_rc
board_reset(struct board *b)
{
	b->flash.off = false;
	b->flash.power = -1;
	return mmd_factory_init(&b->factory, &b->conf);
}

/* see board.h */
enum mmd_rc
board_on(struct board *b, const char *flash, const char *id)
{
	size_t n = strlen(id);
	enum mmd_rc rc;

	memset(b, 0, sizeof(*b));
	if (n == 0 || n > sizeof(b->hardware))
		return MMD_EINPUT;
	memcpy(b->hardware, id, n);
	rc = mmd_posix_flash_open(&b->flash, flash,
	    mmd_posix_flash_size(BOARD_HALF, BOARD_KEY), BOARD_BLOCK,
	    BOARD_UNIT);
	if (rc != MMD_OK)
		return rc;
	b->port = mmd_posix_flash_port(&b->flash);
	b->store = mmd_posix_flash_layout(&b->port, BOARD_HALF, BOARD_KEY);
	b->nv = mmd_posix_store_nv(&b->store);
	b->keys.nv = &b->nv;
	b->crypto = mmd_openssl_crypto(&b->keys);
	b->conf = (struct mmd_factory_conf){
		.store = &b->store,
		.crypto = &b->crypto,
		.hardware = { b->hardware, n },
		.firmware = "linux-sim 1",
		.kinds = 1U << MMD_KEY_P256,
		.buf = b->buf,
		.cap = sizeof(b->buf),
	};
	return board_reset(b);
}

/* see board.h */
void
board_off(struct board *b)
{
	mmd_posix_flash_close(&b->flash);
}

/* see board.h */
enum mmd_rc
board_config(const struct board *b, uint32_t *version, uint8_t *p, size_t cap,
    size_t *n)
{
	struct mmd_bundle in_use;
	enum mmd_rc rc = mmd_store_bundle(&b->store, MMD_IDEVID, &in_use);

	if (rc != MMD_OK)
		return rc;
	if (in_use.config == 0)
		return MMD_NONE;
	*version = in_use.config;
	*n = in_use.n[MMD_PART_CONFIG] - MMD_STORE_CONFIG;
	if (*n > cap)
		return MMD_ESPACE;
	return mmd_store_read(&b->store, MMD_IDEVID, &in_use, MMD_PART_CONFIG,
	    MMD_STORE_CONFIG, p, *n);
}
