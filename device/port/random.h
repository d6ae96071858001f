#ifndef MMD_PORT_RANDOM_H
#define MMD_PORT_RANDOM_H

#include "mmd.h"

/*
 * Random bytes for a board whose crypto brings no generator: what the chip's
 * noise source gives goes through SHA-256, with all that was stirred in and
 * came before.  Every call asks the source anew, and the state is replaced
 * after it: one who reads it learns nothing of what was given before.
 *
 * It makes nothing out of a source that is broken: if entropy fails, so does
 * the call.  Whether the source's bytes are worth their number is the chip's
 * to test (NIST SP 800-90B 4).
 */
struct mmd_random {
	/* 32 bytes of the chip's noise source.  MMD_EPORT. */
	enum mmd_rc (*entropy)(void *ctx, uint8_t out[MMD_HASH]);
	void *ctx;
	const struct mmd_crypto *crypto; /* its hash */
	uint8_t state[MMD_HASH]; /* zeroed to begin with */
};

/* May be anything; it counts for no entropy. */
enum mmd_rc mmd_random_stir(struct mmd_random *r, struct mmd_bytes data)
    MMD_MUST;
enum mmd_rc mmd_random_fill(struct mmd_random *r, uint8_t *p, size_t n)
    MMD_MUST;

#endif
