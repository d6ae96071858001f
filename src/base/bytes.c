#include "base/bytes.h"

#include <string.h>

struct mm_rd
mm_rd_over(struct mm_bytes b)
{
	return (struct mm_rd){ .p = b.p, .left = b.n };
}

/* The only function here that touches the input's bounds. */
struct mm_bytes
mm_rd_take(struct mm_rd *r, size_t n)
{
	struct mm_bytes got = { 0 };

	if (r->bad || n > r->left) {
		r->bad = true;
		return got;
	}
	if (n == 0)
		return got;
	got = (struct mm_bytes){ r->p, n };
	r->p += n;
	r->left -= n;
	return got;
}

static uint64_t
be(struct mm_rd *r, size_t width)
{
	struct mm_bytes b = mm_rd_take(r, width);
	uint64_t v = 0;

	for (size_t i = 0; i < b.n; i++)
		v = v << 8 | b.p[i];
	return v;
}

uint8_t
mm_rd_u8(struct mm_rd *r)
{
	return (uint8_t)be(r, 1);
}

uint16_t
mm_rd_u16(struct mm_rd *r)
{
	return (uint16_t)be(r, 2);
}

uint32_t
mm_rd_u32(struct mm_rd *r)
{
	return (uint32_t)be(r, 4);
}

uint64_t
mm_rd_u64(struct mm_rd *r)
{
	return be(r, 8);
}

struct mm_bytes
mm_rd_block16(struct mm_rd *r)
{
	return mm_rd_take(r, mm_rd_u16(r));
}

struct mm_bytes
mm_rd_block32(struct mm_rd *r)
{
	return mm_rd_take(r, mm_rd_u32(r));
}

bool
mm_rd_end(const struct mm_rd *r)
{
	return !r->bad && r->left == 0;
}

bool
mm_bytes_eq(struct mm_bytes a, struct mm_bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
mm_bytes_eq_ct(struct mm_bytes a, struct mm_bytes b)
{
	volatile uint8_t diff = 0;

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		diff = (uint8_t)(diff | (a.p[i] ^ b.p[i]));
	return diff == 0;
}
