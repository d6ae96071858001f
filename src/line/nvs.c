/*
 * ESP-IDF's non-volatile storage.  A page of 4,096 bytes: a head of 32, a map
 * of 32 with two bits an entry (10 written, 11 empty), 126 entries of 32.  An
 * entry: name space, type, span, chunk, CRC, key[16], data[8]; what is longer
 * follows in entries of its own.
 */
#include <string.h>

#include "base/text.h"
#include "line/image.h"

enum { ENTRY = 32, ENTRIES = 126, MAP = 32, FIRST = 64, KEY = 8, DATA = 24,
	CRC = 4, PAGE_CRC = 28, KEY_MAX = 15, TEXT_MAX = 4000 };
enum { U8 = 0x01, SZ = 0x21, BLOB_DATA = 0x42, BLOB_INDEX = 0x48 };
enum { VERSION_2 = 0xfe, ANY_CHUNK = 0xff, SPACE = 1 };
#define ACTIVE UINT32_C(0xfffffffe)
#define FULL   UINT32_C(0xfffffffc)

struct nvs {
	uint8_t *page;   /* the one that is written */
	size_t number;   /* of it */
	size_t pages;    /* that may be written: one less than there are */
	size_t used;     /* entries in it */
	struct mm_why *why;
};

static void
begin_page(struct nvs *v)
{
	mm_put_le(v->page, 4, ACTIVE);
	mm_put_le(v->page + 4, 4, v->number);
	v->page[8] = VERSION_2;
	mm_put_le(v->page + PAGE_CRC, 4,
	    mm_crc32_esp((struct mm_bytes){ v->page + 4, PAGE_CRC - 4 }));
	v->used = 0;
}

static enum mm_err
next_page(struct nvs *v)
{
	if (v->number + 1 >= v->pages)
		return MM_FAIL(v->why, MM_ELIMIT,
		    "nvs: the partition is too small for what it is to hold");
	mm_put_le(v->page, 4, FULL);
	v->page += MM_FLASH_PAGE;
	v->number++;
	begin_page(v);
	return MM_OK;
}

/* Raw bytes as entries of their own, marked as written. */
static void
put_entries(struct nvs *v, struct mm_bytes data)
{
	size_t n = (data.n + ENTRY - 1) / ENTRY;

	if (data.n > 0)
		memcpy(v->page + FIRST + v->used * ENTRY, data.p, data.n);
	for (size_t end = v->used + n; v->used < end; v->used++)
		v->page[MAP + v->used / 4] &=
		    (uint8_t)~(1U << (v->used % 4 * 2));
}

static void
entry_of(const char *key, uint8_t type, uint8_t span, uint8_t chunk,
    uint8_t e[ENTRY])
{
	memset(e, 0xff, ENTRY);
	e[0] = SPACE;
	e[1] = type;
	e[2] = span;
	e[3] = chunk;
	memset(e + KEY, 0, DATA - KEY);
	memcpy(e + KEY, key, strlen(key));
}

static void
put_head(struct nvs *v, uint8_t e[ENTRY])
{
	uint8_t covered[ENTRY - 4];

	memcpy(covered, e, CRC);
	memcpy(covered + CRC, e + KEY, ENTRY - KEY);
	mm_put_le(e + CRC, 4,
	    mm_crc32_esp((struct mm_bytes){ covered, sizeof(covered) }));
	put_entries(v, (struct mm_bytes){ e, ENTRY });
}

/* The head of data that follows it. */
static void
put_sized(struct nvs *v, uint8_t e[ENTRY], struct mm_bytes data)
{
	mm_put_le(e + DATA, 2, data.n);
	mm_put_le(e + DATA + 4, 4, mm_crc32_esp(data));
	put_head(v, e);
	put_entries(v, data);
}

/* The name space's own entry: space 0, its number as the value. */
static void
put_space(struct nvs *v, const char *space)
{
	uint8_t e[ENTRY];

	entry_of(space, U8, 1, ANY_CHUNK, e);
	e[0] = 0;
	e[DATA] = SPACE;
	put_head(v, e);
}

static enum mm_err
put_text(struct nvs *v, const struct mm_nvs *r)
{
	size_t span = 1 + (r->value.n + 1 + ENTRY - 1) / ENTRY;
	uint8_t e[ENTRY], text[TEXT_MAX];

	if (r->value.n + 1 > TEXT_MAX)
		return MM_FAIL(v->why, MM_ELIMIT, "nvs: the text of %s has "
		    "%zu bytes, at most %d", r->key, r->value.n, TEXT_MAX - 1);
	/* As Espressif's generator: a text never takes a page's last entry. */
	if (v->used + span >= ENTRIES)
		MM_TRY(next_page(v));
	if (r->value.n > 0)
		memcpy(text, r->value.p, r->value.n);
	text[r->value.n] = '\0';
	entry_of(r->key, SZ, (uint8_t)span, ANY_CHUNK, e);
	put_sized(v, e, (struct mm_bytes){ text, r->value.n + 1 });
	return MM_OK;
}

/* Chunks, each as long as its page has room; then what puts them together. */
static enum mm_err
put_blob(struct nvs *v, const struct mm_nvs *r)
{
	struct mm_bytes left = r->value;
	uint8_t e[ENTRY], chunks = 0;
	size_t room, n;

	do {
		if (v->used + 2 > ENTRIES)
			MM_TRY(next_page(v));
		room = (ENTRIES - v->used - 1) * ENTRY;
		n = left.n < room ? left.n : room;
		entry_of(r->key, BLOB_DATA,
		    (uint8_t)(1 + (n + ENTRY - 1) / ENTRY), chunks, e);
		put_sized(v, e, (struct mm_bytes){ left.p, n });
		left.p += n;
		left.n -= n;
		chunks++;
	} while (left.n > 0);
	if (v->used == ENTRIES)
		MM_TRY(next_page(v));
	entry_of(r->key, BLOB_INDEX, 1, ANY_CHUNK, e);
	mm_put_le(e + DATA, 4, r->value.n);
	e[DATA + 4] = chunks;
	e[DATA + 5] = 0;
	put_head(v, e);
	return MM_OK;
}

static bool
key_ok(const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < n; i++)
		if (key[i] < '!' || key[i] > '~')
			return false;
	return n >= 1 && n <= KEY_MAX;
}

static enum mm_err
check(const char *space, const struct mm_nvs *r, size_t n, size_t size,
    struct mm_why *why)
{
	if (size < 3 * MM_FLASH_PAGE || size % MM_FLASH_PAGE != 0 ||
	    size > MM_IMAGE_MAX)
		return MM_FAIL(why, MM_EINPUT,
		    "nvs: %zu bytes are no size of a partition", size);
	if (!key_ok(space))
		return MM_FAIL(why, MM_EINPUT, "nvs: bad name of a space");
	for (size_t i = 0; i < n; i++) {
		if (!key_ok(r[i].key))
			return MM_FAIL(why, MM_EINPUT, "nvs: bad key");
		if (r[i].text && r[i].value.n > 0 &&
		    memchr(r[i].value.p, '\0', r[i].value.n) != NULL)
			return MM_FAIL(why, MM_EINPUT, "nvs: the text of %s "
			    "has a NUL in it", r[i].key);
		for (size_t j = 0; j < i; j++)
			if (strcmp(r[i].key, r[j].key) == 0)
				return MM_FAIL(why, MM_EINPUT,
				    "nvs: %s twice", r[i].key);
	}
	return MM_OK;
}

/* see image.h */
enum mm_err
mm_nvs_image(const char *space, const struct mm_nvs *r, size_t n, size_t size,
    struct mm_buf *out, struct mm_why *why)
{
	struct nvs v = { .pages = size / MM_FLASH_PAGE - 1, .why = why };
	size_t before = out->n;
	enum mm_err rc = MM_OK;

	MM_TRY(check(space, r, n, size, why));
	v.page = mm_buf_room(out, size);
	if (v.page == NULL)
		return mm_buf_ok(out, why);
	memset(v.page, 0xff, size);
	begin_page(&v);
	put_space(&v, space);
	for (size_t i = 0; i < n && rc == MM_OK; i++)
		rc = r[i].text ? put_text(&v, &r[i]) : put_blob(&v, &r[i]);
	if (rc != MM_OK)
		out->n = before;
	return rc;
}
