#ifndef BOARD_H
#define BOARD_H

#include "mmd_factory.h"
#include "port/posix_flash.h"
#include "port/posix_openssl.h"

/*
 * A device as firmware would put it together: flash, a store over it, a key
 * in it, crypto, and the factory on top.  Only that its flash is a file.
 */
#define BOARD_BLOCK 512
#define BOARD_HALF  4096
#define BOARD_KEY   512
#define BOARD_UNIT  8

struct board {
	struct mmd_posix_flash flash;
	struct mmd_flash port;
	struct mmd_store store;
	struct mmd_nv nv;
	struct mmd_openssl_keys keys;
	struct mmd_crypto crypto;
	struct mmd_factory_conf conf;
	struct mmd_factory factory;
	uint8_t hardware[MMD_HARDWARE_MAX];
	uint8_t buf[MMD_FACTORY_BUF];
};

/*
 * Switches a board on.  Its id (1 to 32 characters) is what a chip has burnt
 * in; the file is what its flash holds, made blank if it is not there.
 */
enum mmd_rc board_on(struct board *b, const char *flash, const char *id)
    MMD_MUST;
/* What runs when power comes back: everything but the flash is forgotten. */
enum mmd_rc board_reset(struct board *b) MMD_MUST;
void board_off(struct board *b);
/*
 * The configuration that came with the factory's certificate, as firmware
 * reads it: its version and n bytes of document.  MMD_NONE: there is none.
 */
enum mmd_rc board_config(const struct board *b, uint32_t *version, uint8_t *p,
    size_t cap, size_t *n) MMD_MUST;

#endif
