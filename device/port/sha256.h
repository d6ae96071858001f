#ifndef MMD_PORT_SHA256_H
#define MMD_PORT_SHA256_H

#include "mmd.h"

/*
 * SHA-256 (FIPS 180-4) in the fewest bytes, for the port whose crypto library
 * need then bring none.  Nothing in it depends on what the bytes are, only on
 * how many: no branch, no address.
 */
struct mmd_sha256 {
	uint32_t state[8];
	uint32_t w[64]; /* the block at hand, and what follows of it */
	uint32_t v[8];  /* a to h */
	uint32_t n;     /* bytes so far */
};

void mmd_sha256_init(struct mmd_sha256 *s);
/* Less than 4 GiB in all. */
void mmd_sha256_put(struct mmd_sha256 *s, const uint8_t *p, size_t n);
/* What s holds may be secret if the bytes were: it is the caller's to wipe. */
void mmd_sha256_end(struct mmd_sha256 *s, uint8_t out[MMD_HASH]);

#endif
