#ifndef ESP_MINTMARK_H
#define ESP_MINTMARK_H

#include <driver/uart.h>
#include <esp_partition.h>

#include "mmd_factory.h"
#include "port/psa_crypto.h"

/* The device library's ports for ESP-IDF that are not PSA's or mbed TLS's. */

/* A partition as flash.  Must outlive the store that is laid over it. */
struct mmd_esp_flash {
	const esp_partition_t *partition;
	struct mmd_flash port;
};

/*
 * Lays a store over a partition: a quarter each for two halves of two
 * identities.  Keys are PSA's.  MMD_NONE: no such partition; MMD_EINPUT: an
 * encrypted one; MMD_ESPACE: less than four erasable blocks.
 */
enum mmd_rc mmd_esp_flash_open(struct mmd_esp_flash *f, const char *label,
    struct mmd_store *store) MMD_MUST;

/* The console's driver, and its stream. */
enum mmd_rc mmd_esp_console_open(uart_port_t port) MMD_MUST;
struct mmd_io mmd_esp_console(uart_port_t port);

#endif
