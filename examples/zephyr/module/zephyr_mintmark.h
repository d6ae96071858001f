#ifndef ZEPHYR_MINTMARK_H
#define ZEPHYR_MINTMARK_H

#include <zephyr/device.h>
#include <zephyr/storage/flash_map.h>

#include "mmd_factory.h"
#include "port/psa_crypto.h"

/* The device library's ports for Zephyr that are not PSA's or mbed TLS's. */

/* A partition as flash.  Must outlive the store that is laid over it. */
struct mmd_zephyr_flash {
	const struct flash_area *area;
	struct mmd_flash port;
};

/*
 * Lays a store over a partition (FIXED_PARTITION_ID): a quarter each for two
 * halves of two identities.  Keys are PSA's.  MMD_NONE: no such partition;
 * MMD_ESPACE: less than four pages; MMD_EINPUT: pages that are no power of two,
 * or a chip that writes more than 128 bytes at once.
 */
enum mmd_rc mmd_zephyr_flash_open(struct mmd_zephyr_flash *f, uint8_t id,
    struct mmd_store *store) MMD_MUST;

/*
 * The console's bytes by interrupt.  Only one: its ring is here.  Not beside a
 * shell or mcumgr on the same line: there, give mmd_factory_answer the packets.
 */
enum mmd_rc mmd_zephyr_console_open(const struct device *uart) MMD_MUST;
struct mmd_io mmd_zephyr_console(const struct device *uart);

#endif
