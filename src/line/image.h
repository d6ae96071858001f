#ifndef MM_LINE_IMAGE_H
#define MM_LINE_IMAGE_H

#include "base/buf.h"

/*
 * Images of flash, as tools of others read them.  Pure: bytes in, bytes out.
 * All append to out and fill the rest of the partition with FF, as erased
 * flash is; MM_ELIMIT: the contents do not fit the partition, whose size is in
 * bytes and a multiple of MM_FLASH_PAGE, or MM_EINPUT.
 */
#define MM_FLASH_PAGE 4096
#define MM_IMAGE_MAX  (1 << 20)

/* CRC-32 as the ESP32's ROM has it: the register begins at 0, not at FF... */
uint32_t mm_crc32_esp(struct mm_bytes b);
void mm_put_le(uint8_t *to, size_t n, uint64_t v); /* n bytes, low first */

/*
 * The partition "esp_secure_cert" of Espressif's esp_secure_cert_mgr in TLV
 * form: records of 12 bytes head, data padded with zeros to 16, CRC.
 */
enum mm_tlv_type {
	MM_TLV_CA_CERT = 0, MM_TLV_DEV_CERT = 1, MM_TLV_PRIV_KEY = 2,
	MM_TLV_USER_1 = 51, MM_TLV_USER_2 = 52
};
#define MM_TLV_SIZE 0x2000 /* as Espressif's partition tables have it */
struct mm_tlv {
	enum mm_tlv_type type;
	struct mm_bytes data; /* PEM with its NUL, or DER */
};
MM_MUST enum mm_err mm_tlv_image(const struct mm_tlv *r, size_t n,
    size_t size, struct mm_buf *out, struct mm_why *why);

/*
 * A partition of ESP-IDF's non-volatile storage, version 2, unencrypted: one
 * name space with texts and blobs.  Keys: 1 to 15 characters, each once.  A
 * text has at most 3,999 bytes; a blob is split over pages.  At least three
 * pages, of which the last stays empty, as NVS wants one to move to.
 */
#define MM_NVS_SIZE 0x6000
struct mm_nvs {
	const char *key;
	bool text;            /* a NUL is added; else a blob */
	struct mm_bytes value;
};
MM_MUST enum mm_err mm_nvs_image(const char *space, const struct mm_nvs *r,
    size_t n, size_t size, struct mm_buf *out, struct mm_why *why);

/*
 * Intel HEX (I32HEX): records of 16 bytes, lines ended by CR LF, an extended
 * linear address where the upper half changes.  MM_ELIMIT: past 4 GiB.
 */
MM_MUST enum mm_err mm_hex_image(struct mm_bytes data, uint32_t address,
    struct mm_buf *out, struct mm_why *why);

#endif
