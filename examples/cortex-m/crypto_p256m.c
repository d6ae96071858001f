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

static struct mmd_random source = { .entropy = noise,
	.crypto = &board_crypto };
static struct mmd_p256m_keys keys = { &board_store, &source };

struct mmd_crypto board_crypto;

/* see crypto.h */
bool
board_crypto_start(void)
{
	board_crypto = mmd_p256m_crypto(&keys);
	return true;
}

/* see mbedtls/platform_util.h */
__attribute__((noinline)) void
mbedtls_platform_zeroize(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ volatile("" : : "r"(p) : "memory");
}
