#include "flash.h"

#include <string.h>

#define BLOCK 512
#define UNIT  8
#define BLANK 0xff
#define KEY   512
#define HALF  4096
#define SIZE  (MMD_IDENTITIES * (KEY + 2 * HALF))

/* As mmd_store.h wants it. */
_Static_assert((BLOCK & (BLOCK - 1)) == 0 && (UNIT & (UNIT - 1)) == 0 &&
    UNIT <= 128, "powers of two");
_Static_assert(KEY % BLOCK == 0 && HALF % BLOCK == 0, "whole blocks");

/* Turns of an empty loop: some 20 us for a unit, half a ms for a block. */
#define UNIT_TURNS  500
#define ERASE_TURNS 200

static volatile uint8_t *
memory(uint32_t at)
{
	return (volatile uint8_t *)(MPS2_MEMORY + at);
}

static void
take_time(unsigned turns)
{
	while (turns-- > 0)
		__asm__ volatile("" : : : "memory");
}

static bool
within(uint32_t at, size_t n, uint32_t step)
{
	return at <= SIZE && n <= SIZE - at && ((at | n) & (step - 1)) == 0;
}

static enum mmd_rc
read_flash(void *ctx, uint32_t at, uint8_t *p, size_t n)
{
	(void)ctx;
	if (!within(at, n, 1))
		return MMD_EPORT;
	memcpy(p, (const uint8_t *)(MPS2_MEMORY + at), n);
	return MMD_OK;
}

static enum mmd_rc
program(void *ctx, uint32_t at, const uint8_t *p, size_t n)
{
	(void)ctx;
	if (!within(at, n, UNIT))
		return MMD_EPORT;
	for (volatile uint8_t *to = memory(at); n > 0; n--, to++) {
		if (*to != BLANK)
			return MMD_EPORT;
		*to = *p++;
		take_time(UNIT_TURNS);
	}
	return MMD_OK;
}

static enum mmd_rc
erase(void *ctx, uint32_t at)
{
	size_t n = BLOCK;

	(void)ctx;
	if (!within(at, n, BLOCK))
		return MMD_EPORT;
	for (volatile uint8_t *to = memory(at); n > 0; n--, to++) {
		*to = BLANK;
		take_time(ERASE_TURNS);
	}
	return MMD_OK;
}

static const struct mmd_flash flash = { BLOCK, UNIT, BLANK, read_flash,
	program, erase, NULL };

#define AREAS(i, k) { (i) * (KEY + 2 * HALF) + KEY + (k) * HALF, HALF }

/* see flash.h */
const struct mmd_store board_store = {
	.flash = &flash,
	.half = { { AREAS(0, 0), AREAS(0, 1) }, { AREAS(1, 0), AREAS(1, 1) } },
	.key = { { 0, KEY }, { KEY + 2 * HALF, KEY } },
};
