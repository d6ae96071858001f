#ifndef STUB_FREERTOS_H
#define STUB_FREERTOS_H
#include <stdint.h>

typedef uint32_t TickType_t;
typedef void *QueueHandle_t;
void app_main(void);
#endif
