#ifndef MMD_PSA_ITS_H
#define MMD_PSA_ITS_H

#include "mmd_store.h"

/*
 * PSA's internal trusted storage, as much as PSA Crypto's keys need, in the key
 * areas of a store: for boards where mbed TLS keeps keys and nobody else
 * supplies psa_its_set, _get, _get_info and _remove (ESP-IDF, Zephyr and TF-M
 * do).  A key lies there as mbed TLS writes it: in the clear, whole or not at
 * all after a power cut.
 *
 * Those four have no context, so the board tells its store by name, and which
 * key id is the first slot's.
 */
extern const struct mmd_store *const mmd_psa_its_store;
extern const uint32_t mmd_psa_its_first;

#endif
