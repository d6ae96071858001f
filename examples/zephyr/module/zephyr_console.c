#include <zephyr/drivers/uart.h>
#include <zephyr/sys/ring_buffer.h>

#include "zephyr_mintmark.h"

RING_BUF_DECLARE(received, 256);

/* What does not fit is lost, as on any line; the station asks again. */
static void
take(const struct device *uart, void *ctx)
{
	uint8_t some[16];
	int n;

	(void)ctx;
	while (uart_irq_update(uart) == 1 && uart_irq_rx_ready(uart) == 1) {
		n = uart_fifo_read(uart, some, sizeof(some));
		if (n <= 0)
			return;
		(void)ring_buf_put(&received, some, (uint32_t)n);
	}
}

static enum mmd_rc
read_uart(void *ctx, uint8_t *p, size_t n, size_t *done)
{
	(void)ctx;
	*done = ring_buf_get(&received, p, (uint32_t)n);
	return *done == 0 ? MMD_MORE : MMD_OK;
}

static enum mmd_rc
write_uart(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	const struct device *uart = ctx;

	for (size_t i = 0; i < n; i++)
		uart_poll_out(uart, p[i]);
	*done = n;
	return MMD_OK;
}

/* see zephyr_mintmark.h */
enum mmd_rc
mmd_zephyr_console_open(const struct device *uart)
{
	if (!device_is_ready(uart) ||
	    uart_irq_callback_user_data_set(uart, take, NULL) != 0)
		return MMD_EPORT;
	uart_irq_rx_enable(uart);
	return MMD_OK;
}

/* see zephyr_mintmark.h */
struct mmd_io
mmd_zephyr_console(const struct device *uart)
{
	return (struct mmd_io){ read_uart, write_uart,
		(void *)(uintptr_t)uart };
}
