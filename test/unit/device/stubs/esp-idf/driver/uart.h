#ifndef STUB_UART_H
#define STUB_UART_H
#include <stddef.h>

#include "esp_err.h"
#include "freertos/FreeRTOS.h"

typedef enum { UART_NUM_0, UART_NUM_1 } uart_port_t;

esp_err_t uart_driver_install(uart_port_t port, int rx, int tx, int queue_n,
    QueueHandle_t *queue, int flags);
int uart_read_bytes(uart_port_t port, void *p, uint32_t n, TickType_t ticks);
int uart_write_bytes(uart_port_t port, const void *p, size_t n);
#endif
