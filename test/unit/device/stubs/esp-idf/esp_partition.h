#ifndef STUB_ESP_PARTITION_H
#define STUB_ESP_PARTITION_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "esp_err.h"

typedef enum { ESP_PARTITION_TYPE_DATA = 1 } esp_partition_type_t;
typedef enum { ESP_PARTITION_SUBTYPE_ANY = 0xff } esp_partition_subtype_t;
typedef struct {
	uint32_t address, size, erase_size;
	char label[17];
	bool encrypted, readonly;
} esp_partition_t;

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type,
    esp_partition_subtype_t subtype, const char *label);
esp_err_t esp_partition_read(const esp_partition_t *p, size_t off, void *dst,
    size_t n);
esp_err_t esp_partition_write(const esp_partition_t *p, size_t off,
    const void *src, size_t n);
esp_err_t esp_partition_erase_range(const esp_partition_t *p, size_t off,
    size_t n);
#endif
