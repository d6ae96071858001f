/*
 * A device that is made at a station like main.c's, and takes a token later:
 * a line on the console that begins with "mintmark:", as a scanner types it.
 */
#include <string.h>

#include <mbedtls/platform_util.h>

#include "crypto.h"
#include "enrol.h"
#include "flash.h"
#include "mmd_factory.h"
#include "uart.h"

#define LINE 400

static const char begin[] = "mintmark:";

/* What people see; the words of mmd.h. */
static const char *const words[] = {
	[MMD_OK] = "done",
	[MMD_EINPUT] = "malformed",
	[MMD_ECHECKSUM] = "a typing error in the token",
	[MMD_EANCHOR] = "not the anchor that the token names",
	[MMD_EPATH] = "path inspected or wrong server",
	[MMD_EREFUSED] = "refused",
	[MMD_ECLOSED] = "the connection ended",
	[MMD_ESILENT] = "no answer",
};

/* The console's bytes, looked at on their way to the factory. */
static struct console {
	struct mmd_io line;
	char text[LINE];
	size_t n;
	bool whole, skip;
} console;

static void
look(struct console *c, char byte)
{
	if (byte == '\r' || byte == '\n') {
		c->whole = c->whole || (c->n > sizeof(begin) && !c->skip);
		if (!c->whole)
			c->n = 0;
		c->skip = false;
		return;
	}
	c->skip |= c->n == sizeof(c->text) ||
	    (c->n < sizeof(begin) - 1 && byte != begin[c->n]);
	if (!c->skip && !c->whole)
		c->text[c->n++] = byte;
}

static enum mmd_rc
read_console(void *ctx, uint8_t *p, size_t n, size_t *done)
{
	struct console *c = ctx;
	enum mmd_rc rc = c->line.read(c->line.ctx, p, n, done);

	for (size_t i = 0; rc == MMD_OK && i < *done; i++)
		look(c, (char)p[i]);
	return rc;
}

static enum mmd_rc
write_console(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	const struct console *c = ctx;

	return c->line.write(c->line.ctx, p, n, done);
}

static void
report(enum mmd_rc rc, const char *step)
{
	uart_say("\r\nenrol: ");
	if (rc != MMD_OK) {
		uart_say(step);
		uart_say(": ");
	}
	uart_say(rc < sizeof(words) / sizeof(words[0]) && words[rc] != NULL ?
	    words[rc] : "failed");
	uart_say("\r\n");
}

static void
take_token(struct enrol *e)
{
	if (!console.whole)
		return;
	report(enrol_run(e, (struct mmd_bytes){
		(const uint8_t *)console.text, console.n }), e->step);
	mbedtls_platform_zeroize(console.text, sizeof(console.text));
	console.n = 0;
	console.whole = false;
}

static uint8_t buf[MMD_FACTORY_BUF];
static struct mmd_factory factory;
static struct enrol enrol;

int
main(void)
{
	const struct mmd_factory_conf conf = {
		.store = &board_store,
		.crypto = BOARD_CRYPTO,
		.hardware = BOARD_ID,
		.firmware = "cortex-m field 1",
		.kinds = 1u << MMD_KEY_P256,
		.buf = buf,
		.cap = sizeof(buf),
	};
	const struct mmd_io io = { read_console, write_console, &console };

	uart_init();
	mps2_start_clock();
	console.line = uart_io(0);
	enrol.crypto = BOARD_CRYPTO;
	enrol.store = &board_store;
	enrol.modem.line = uart_io(1);
	enrol.first_key = BOARD_FIRST_KEY;
	if (!board_crypto_start() ||
	    mmd_factory_init(&factory, &conf) != MMD_OK)
		return 1;
	uart_say("\r\nready\r\n");
	while (mmd_factory_run(&factory, &io) == MMD_MORE) {
		take_token(&enrol);
		if (!factory.sending)
			mps2_wait(uart_pending);
	}
	return 1;
}
