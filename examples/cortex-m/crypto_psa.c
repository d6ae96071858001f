#include <sys/types.h>

#include "crypto.h"
#include "flash.h"
#include "mps2.h"
#include "port/psa_crypto.h"
#include "port/psa_its.h"
#include "port/random.h"

static enum mmd_rc
noise(void *ctx, uint8_t out[MMD_HASH])
{
	(void)ctx;
	return mps2_noise(out) ? MMD_OK : MMD_EPORT;
}

struct mmd_crypto board_psa;

static struct mmd_random source = { .entropy = noise, .crypto = &board_psa };

static enum mmd_rc
stir(void *ctx, struct mmd_bytes data)
{
	(void)ctx;
	return mmd_random_stir(&source, data);
}

static struct mmd_psa_keys keys = { .first = BOARD_FIRST_KEY, .stir = stir };

const struct mmd_store *const mmd_psa_its_store = &board_store;
const uint32_t mmd_psa_its_first = BOARD_FIRST_KEY;

/* mbed TLS asks the board for its randomness: MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG. */
psa_status_t
mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
    uint8_t *p, size_t n, size_t *done)
{
	(void)context;
	if (mmd_random_fill(&source, p, n) != MMD_OK)
		return PSA_ERROR_INSUFFICIENT_ENTROPY;
	*done = n;
	return PSA_SUCCESS;
}

/* see crypto.h */
bool
board_crypto_start(void)
{
	board_psa = mmd_psa_crypto(&keys);
	return psa_crypto_init() == PSA_SUCCESS;
}

extern char heap_begin[], heap_end[];
/* How far the heap has grown; the test looks. */
extern char *board_heap;
__attribute__((used)) char *board_heap = heap_begin;

/* libc's malloc asks here; the linker's script says how much there is. */
void *_sbrk(ptrdiff_t more);

__attribute__((used)) void *
_sbrk(ptrdiff_t more)
{
	char *was = board_heap;

	if (more > heap_end - board_heap)
		return (void *)-1;
	board_heap += more;
	return was;
}
