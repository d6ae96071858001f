#ifndef MM_BASE_BYTES_H
#define MM_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes.  Never freed through this type, never NUL-terminated. */
struct mm_bytes {
	const uint8_t *p;
	size_t n;
};

/*
 * A reader over borrowed bytes whose failure sticks.
 *
 * After the first short read every later read yields zero or nothing, so a
 * parser is written as the list of its fields and asks once, at the end,
 * whether all of it was there and nothing was left over.
 *
 *	struct mm_rd r = mm_rd_over(frame);
 *	m->kind = mm_rd_u8(&r);
 *	m->body = mm_rd_block16(&r);
 *	return mm_rd_end(&r) ? MM_OK : MM_FAIL(why, MM_EINPUT, "bad frame");
 */
struct mm_rd {
	const uint8_t *p;
	size_t left;
	bool bad;
};

struct mm_rd mm_rd_over(struct mm_bytes b);
uint8_t mm_rd_u8(struct mm_rd *r);
uint16_t mm_rd_u16(struct mm_rd *r); /* big-endian */
uint32_t mm_rd_u32(struct mm_rd *r); /* big-endian */
uint64_t mm_rd_u64(struct mm_rd *r); /* big-endian */
struct mm_bytes mm_rd_take(struct mm_rd *r, size_t n);
struct mm_bytes mm_rd_block32(struct mm_rd *r); /* u32 length, then bytes */
struct mm_bytes mm_rd_block16(struct mm_rd *r); /* u16 length, then bytes */
bool mm_rd_end(const struct mm_rd *r);          /* all read, none missing */

/* Reads over text if it comes next; else nothing is read, which is no
 * failure.  Here, as mm_bytes_of is, because most texts are constants: the
 * compiler knows their lengths and compares them in a register or two. */
static inline bool
mm_rd_skip(struct mm_rd *r, const char *text)
{
	size_t n = strlen(text);

	if (r->left < n || memcmp(r->p, text, n) != 0)
		return false;
	r->p += n;
	r->left -= n;
	return true;
}

/* A C string's bytes, without the NUL; and equality (not constant-time). */
static inline struct mm_bytes
mm_bytes_of(const char *s)
{
	return (struct mm_bytes){ (const uint8_t *)s, strlen(s) };
}

bool mm_bytes_eq(struct mm_bytes a, struct mm_bytes b);
/* Constant-time in the contents for equal lengths; for secrets. */
bool mm_bytes_eq_ct(struct mm_bytes a, struct mm_bytes b);

#endif
