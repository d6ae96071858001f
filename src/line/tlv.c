#include <string.h>

#include "line/image.h"

#define MAGIC UINT32_C(0xba5eba11)
enum { HEAD = 12, ALIGN = 16, FOOT = 4, TYPE_AT = 8, LENGTH_AT = 10 };

/* see image.h */
void
mm_put_le(uint8_t *to, size_t n, uint64_t v)
{
	for (size_t i = 0; i < n; i++, v >>= 8)
		to[i] = (uint8_t)v;
}

/* see image.h */
uint32_t
mm_crc32_esp(struct mm_bytes b)
{
	uint32_t crc = 0;

	for (size_t i = 0; i < b.n; i++) {
		crc ^= b.p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^
			    ((crc & 1) != 0 ? UINT32_C(0xedb88320) : 0);
	}
	return ~crc;
}

static enum mm_err
put(const struct mm_tlv *r, uint8_t *image, size_t size, size_t *at,
    struct mm_why *why)
{
	size_t padded = (r->data.n + ALIGN - 1) / ALIGN * ALIGN;
	uint8_t *to = image + *at;

	if (r->data.n > UINT16_MAX || HEAD + padded + FOOT > size - *at)
		return MM_FAIL(why, MM_ELIMIT, "esp_secure_cert: %zu bytes of "
		    "type %d do not fit a partition of %zu bytes", r->data.n,
		    (int)r->type, size);
	memset(to, 0, HEAD + padded);
	mm_put_le(to, 4, MAGIC);
	to[TYPE_AT] = (uint8_t)r->type;
	mm_put_le(to + LENGTH_AT, 2, r->data.n);
	if (r->data.n > 0)
		memcpy(to + HEAD, r->data.p, r->data.n);
	mm_put_le(to + HEAD + padded, FOOT,
	    mm_crc32_esp((struct mm_bytes){ to, HEAD + padded }));
	*at += HEAD + padded + FOOT;
	return MM_OK;
}

/* see image.h */
enum mm_err
mm_tlv_image(const struct mm_tlv *r, size_t n, size_t size,
    struct mm_buf *out, struct mm_why *why)
{
	size_t at = 0, before = out->n;
	enum mm_err rc = MM_OK;
	uint8_t *image;

	if (size == 0 || size % MM_FLASH_PAGE != 0 || size > MM_IMAGE_MAX)
		return MM_FAIL(why, MM_EINPUT, "esp_secure_cert: %zu bytes "
		    "are no size of a partition", size);
	image = mm_buf_room(out, size);
	if (image == NULL)
		return mm_buf_ok(out, why);
	memset(image, 0xff, size);
	for (size_t i = 0; i < n && rc == MM_OK; i++)
		rc = put(&r[i], image, size, &at, why);
	if (rc != MM_OK)
		out->n = before;
	return rc;
}
