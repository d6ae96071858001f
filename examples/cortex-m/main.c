/*
 * A device that is made at a station, and nothing else: the console is the
 * link (docs/protocol/link.md), log text may stand between.
 */
#include "crypto.h"
#include "flash.h"
#include "mmd_factory.h"
#include "uart.h"

#ifndef IMAGE
#define IMAGE "cortex-m 1"
#endif

static uint8_t buf[MMD_FACTORY_BUF];

/* A constant: what the library checks of it, the compiler does. */
_Static_assert(sizeof(IMAGE) > 1 && sizeof(IMAGE) - 1 <= MMD_FIRMWARE_MAX,
    "IMAGE: 1 to MMD_FIRMWARE_MAX characters");
_Static_assert(BOARD_ID_N > 0 && BOARD_ID_N <= MMD_HARDWARE_MAX,
    "BOARD_ID: 1 to MMD_HARDWARE_MAX bytes");
_Static_assert(sizeof(buf) >= MMD_FACTORY_BUF &&
    sizeof(buf) <= MMD_FACTORY_BUF_MAX, "buf: see mmd_factory.h");
static const struct mmd_factory_conf conf = {
	.store = &board_store,
	.crypto = BOARD_CRYPTO,
	.hardware = BOARD_ID,
	.firmware = IMAGE,
	.kinds = 1u << MMD_KEY_P256,
	.buf = buf,
	.cap = sizeof(buf),
};

int
main(void)
{
	const struct mmd_io console = uart_io(0);
	struct mmd_factory factory;

	uart_init();
	mps2_start_clock();
	if (!board_crypto_start() ||
	    mmd_factory_init(&factory, &conf) != MMD_OK)
		return 1;
	uart_say("\r\nready\r\n");
	while (mmd_factory_run(&factory, &console) == MMD_MORE)
		if (!factory.sending)
			mps2_wait(uart_pending);
	return 1;
}
