#include "port/random.h"

#include <string.h>

/* What a hash is for: no two uses share an input. */
enum use { STIR, SEED, GIVE, NEXT };

static enum mmd_rc
derive(struct mmd_random *r, enum use use, struct mmd_bytes data,
    uint8_t out[MMD_HASH])
{
	uint8_t what = (uint8_t)use;
	const struct mmd_bytes parts[] = { { &what, 1 },
		{ r->state, sizeof(r->state) }, data };

	return r->crypto->hash(r->crypto->ctx, parts, 3, out);
}

/* see random.h */
enum mmd_rc
mmd_random_stir(struct mmd_random *r, struct mmd_bytes data)
{
	return derive(r, STIR, data, r->state);
}

static enum mmd_rc
give(struct mmd_random *r, uint8_t *p, size_t n)
{
	uint8_t block[MMD_HASH];
	enum mmd_rc rc = MMD_OK;

	for (uint32_t i = 0; rc == MMD_OK && n > 0; i++) {
		size_t k = n < sizeof(block) ? n : sizeof(block);

		rc = derive(r, GIVE, (struct mmd_bytes){ (const uint8_t *)&i,
			sizeof(i) }, block);
		if (rc == MMD_OK)
			memcpy(p, block, k);
		p += k;
		n -= k;
	}
	memset(block, 0, sizeof(block));
	__asm__ volatile("" : : "r"(block) : "memory");
	return rc;
}

/* see random.h */
enum mmd_rc
mmd_random_fill(struct mmd_random *r, uint8_t *p, size_t n)
{
	uint8_t fresh[MMD_HASH];
	enum mmd_rc rc = r->entropy(r->ctx, fresh);

	if (rc == MMD_OK)
		rc = derive(r, SEED, (struct mmd_bytes){ fresh, sizeof(fresh) },
		    r->state);
	if (rc == MMD_OK)
		rc = give(r, p, n);
	if (rc == MMD_OK)
		rc = derive(r, NEXT, (struct mmd_bytes){ NULL, 0 }, r->state);
	return rc;
}
