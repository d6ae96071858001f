#include <string.h>

#include <mbedtls/platform_util.h>

#include "crypto.h"
#include "flash.h"
#include "mps2.h"
#include "port/p256m_crypto.h"

static enum mmd_rc
noise(void *ctx, uint8_t out[MMD_HASH])
{
	(void)ctx;
	return mps2_noise(out) ? MMD_OK : MMD_EPORT;
}

const struct mmd_store *const mmd_p256m_store = &board_store;
struct mmd_random mmd_p256m_random;

/* see crypto.h */
bool
board_crypto_start(void)
{
	mmd_p256m_random.entropy = noise;
	mmd_p256m_random.crypto = &mmd_p256m_crypto;
	return true;
}

/* see mbedtls/platform_util.h */
__attribute__((noinline)) void
mbedtls_platform_zeroize(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ volatile("" : : "r"(p) : "memory");
}
