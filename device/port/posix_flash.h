#ifndef MMD_POSIX_FLASH_H
#define MMD_POSIX_FLASH_H

#include "mmd_store.h"

/*
 * A file as flash, for devices that are a program: it erases blocks to 0xff,
 * programs whole units that are blank and no other, and keeps what a kill
 * leaves (the file is mapped and shared).  It lets the power go at any byte of
 * any write, for tests and for anybody who wants to see it.
 */
struct mmd_posix_flash {
	/*
	 * Bytes that may still be programmed or erased before the power goes;
	 * negative: it stays.  The call that meets the end does what came
	 * before it; from then on every call is MMD_EPORT.
	 */
	int64_t power;
	bool half; /* the byte at the end is half programmed, or half erased */
	uint64_t changed; /* bytes programmed and erased so far */
	/* Its own: */
	uint32_t block, unit, size;
	uint8_t *map;
	bool off;
	int fd;
};

/*
 * Opens or makes the file; a new one is blank.  size is whole blocks.
 * MMD_ESTATE: a file of another size; MMD_EPORT.
 */
enum mmd_rc mmd_posix_flash_open(struct mmd_posix_flash *f, const char *path,
    uint32_t size, uint32_t block, uint32_t unit) MMD_MUST;
void mmd_posix_flash_close(struct mmd_posix_flash *f);
/* f must outlive the port. */
struct mmd_flash mmd_posix_flash_port(struct mmd_posix_flash *f);

/*
 * Areas one after another from 0: a key and two halves for each identity.
 * The file takes mmd_posix_flash_size(half_n, key_n) bytes.
 */
struct mmd_store mmd_posix_flash_layout(const struct mmd_flash *flash,
    uint32_t half_n, uint32_t key_n);
uint32_t mmd_posix_flash_size(uint32_t half_n, uint32_t key_n);
/*
 * The nv port of keys alone, over the store: for mmd_openssl_crypto.  Other
 * items are MMD_NONE and take no value.
 */
struct mmd_nv mmd_posix_store_nv(struct mmd_store *s);

/*
 * A stream over a non-blocking descriptor, such as a terminal: *fd must
 * outlive it.  A terminal whose other side is not open is MMD_MORE.
 */
struct mmd_io mmd_posix_io(int *fd);
/*
 * A serial line or pseudo-terminal, raw and non-blocking; baud 0 leaves the
 * speed.  Or a Unix socket, as an emulator has for a line.  MMD_NONE: no such
 * device, or nobody behind it; MMD_EINPUT: no such speed, or a socket's path
 * that is too long; MMD_EPORT.
 */
enum mmd_rc mmd_posix_serial(const char *path, uint32_t baud, int *fd)
    MMD_MUST;

#endif
