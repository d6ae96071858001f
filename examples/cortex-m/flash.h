#ifndef FLASH_H
#define FLASH_H

#include "mmd_store.h"
#include "mps2.h"

/*
 * "Flash": memory that QEMU keeps in a file, so that it is there after a
 * kill -9 as real flash is after a power cut.  It is as strict as flash with
 * ECC (units of 8 bytes, programmed once and only when erased) and as slow as
 * some, so that power can go in the middle.
 *
 * A key and two halves for each of two identities; behind them, what a chip has
 * burnt in.
 */
extern const struct mmd_store board_store;

/* The chip's own id. */
#define BOARD_ID_N 12
#define BOARD_ID { (const uint8_t *)(MPS2_MEMORY + 0x10000), BOARD_ID_N }

#endif
