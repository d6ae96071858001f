#include "esp_mintmark.h"

#define RING 1024

static enum mmd_rc
read_uart(void *ctx, uint8_t *p, size_t n, size_t *done)
{
	int got = uart_read_bytes((uart_port_t)(uintptr_t)ctx, p, (uint32_t)n,
	    0);

	if (got < 0)
		return MMD_EPORT;
	*done = (size_t)got;
	return got == 0 ? MMD_MORE : MMD_OK;
}

/* Into the driver's ring: it waits only while that is full. */
static enum mmd_rc
write_uart(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	int put = uart_write_bytes((uart_port_t)(uintptr_t)ctx, p, n);

	if (put < 0)
		return MMD_EPORT;
	*done = (size_t)put;
	return put == 0 ? MMD_MORE : MMD_OK;
}

/* see esp_mintmark.h */
enum mmd_rc
mmd_esp_console_open(uart_port_t port)
{
	return uart_driver_install(port, RING, RING, 0, NULL, 0) == ESP_OK ?
	    MMD_OK : MMD_EPORT;
}

/* see esp_mintmark.h */
struct mmd_io
mmd_esp_console(uart_port_t port)
{
	return (struct mmd_io){ read_uart, write_uart,
		(void *)(uintptr_t)port };
}
