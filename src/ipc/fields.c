#include <string.h>

#include "ipc/msg.h"

static void
put_one(struct mm_buf *out, const struct mm_field *f, const uint8_t *at)
{
	uint32_t u32;
	uint64_t u64;
	struct mm_bytes b;

	switch (f->type) {
	case MM_FT_U8:
		mm_buf_u8(out, *at);
		break;
	case MM_FT_U32:
		memcpy(&u32, at, sizeof(u32));
		mm_buf_u32(out, u32);
		break;
	case MM_FT_U64:
		memcpy(&u64, at, sizeof(u64));
		mm_buf_u64(out, u64);
		break;
	case MM_FT_FIXED:
		mm_buf_put(out, at, f->size);
		break;
	case MM_FT_TEXT:
		mm_buf_block16(out, (struct mm_bytes){ at,
		    strnlen((const char *)at, f->size - 1) });
		break;
	case MM_FT_BYTES:
		memcpy(&b, at, sizeof(b));
		mm_buf_block32(out, b);
		break;
	}
}

/* see msg.h */
void
mm_fields_put(struct mm_buf *out, const struct mm_field *f, size_t nf,
    const void *body)
{
	for (size_t i = 0; i < nf; i++)
		put_one(out, &f[i], (const uint8_t *)body + f[i].offset);
}

static void
get_text(struct mm_rd *r, size_t size, char *at)
{
	struct mm_bytes b = mm_rd_block16(r);

	if (b.n >= size || (b.n > 0 && memchr(b.p, '\0', b.n) != NULL))
		r->bad = true;
	if (r->bad || at == NULL)
		return;
	memset(at, 0, size);
	if (b.n > 0)
		memcpy(at, b.p, b.n);
}

static void
store(uint8_t *at, const void *v, size_t n)
{
	if (at != NULL && n > 0)
		memcpy(at, v, n);
}

/* at == NULL: only checks. */
static void
get_one(struct mm_rd *r, const struct mm_field *f, uint8_t *at)
{
	uint8_t u8;
	uint32_t u32;
	uint64_t u64;
	struct mm_bytes b;

	switch (f->type) {
	case MM_FT_U8:
		u8 = mm_rd_u8(r);
		store(at, &u8, sizeof(u8));
		break;
	case MM_FT_U32:
		u32 = mm_rd_u32(r);
		store(at, &u32, sizeof(u32));
		break;
	case MM_FT_U64:
		u64 = mm_rd_u64(r);
		store(at, &u64, sizeof(u64));
		break;
	case MM_FT_FIXED:
		b = mm_rd_take(r, f->size);
		store(at, b.p, b.n);
		break;
	case MM_FT_TEXT:
		get_text(r, f->size, (char *)at);
		break;
	case MM_FT_BYTES:
		b = mm_rd_block32(r);
		store(at, &b, sizeof(b));
		break;
	}
}

/* Twice over the input: nothing is written before all of it is known good. */
enum mm_err
mm_fields_get(struct mm_bytes in, const struct mm_field *f, size_t nf,
    void *body, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(in);

	for (size_t i = 0; i < nf; i++)
		get_one(&r, &f[i], NULL);
	if (!mm_rd_end(&r))
		return MM_FAIL(why, MM_EINPUT, "ipc: malformed body");
	r = mm_rd_over(in);
	for (size_t i = 0; i < nf; i++)
		get_one(&r, &f[i], (uint8_t *)body + f[i].offset);
	return MM_OK;
}
