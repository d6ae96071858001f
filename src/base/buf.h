#ifndef MM_BASE_BUF_H
#define MM_BASE_BUF_H

#include "base/bytes.h"
#include "base/err.h"

/*
 * A growing buffer that cannot exist without a maximum.
 *
 * Failure sticks: after the first append that would pass max, or the first
 * allocation that fails, every later append does nothing, so an encoder is
 * written as the list of its fields and asks once, with mm_buf_ok.
 * All integers are big-endian.
 */
struct mm_buf {
	uint8_t *p;
	size_t n, cap, max;
	enum mm_err err; /* MM_OK, MM_ELIMIT, MM_ENOMEM or MM_EINPUT: sticky */
};

#define MM_BUF_INIT(limit) { .max = (limit) }

void mm_buf_init(struct mm_buf *b, size_t max);
void mm_buf_done(struct mm_buf *b);  /* frees; does not wipe */
void mm_buf_wipe(struct mm_buf *b);  /* wipes, then frees */
void mm_buf_reset(struct mm_buf *b); /* length 0, no error, memory kept */

uint8_t *mm_buf_room(struct mm_buf *b, size_t n); /* n more bytes, or NULL */
void mm_buf_put(struct mm_buf *b, const void *p, size_t n);
void mm_buf_bytes(struct mm_buf *b, struct mm_bytes v);
void mm_buf_u8(struct mm_buf *b, uint8_t v);
void mm_buf_u16(struct mm_buf *b, uint16_t v);
void mm_buf_u32(struct mm_buf *b, uint32_t v);
void mm_buf_u64(struct mm_buf *b, uint64_t v);
void mm_buf_block16(struct mm_buf *b, struct mm_bytes v); /* u16 length, v */
void mm_buf_block32(struct mm_buf *b, struct mm_bytes v); /* u32 length, v */
void mm_buf_text(struct mm_buf *b, const char *s); /* without the NUL */
void mm_buf_printf(struct mm_buf *b, const char *fmt, ...) MM_PRINTF(2);

/* What was appended; borrowed, until the next append. */
struct mm_bytes mm_buf_view(const struct mm_buf *b);
/* NUL-terminates (not counted in n) and gives the text, or NULL if bad. */
const char *mm_buf_cstr(struct mm_buf *b);
MM_MUST enum mm_err mm_buf_ok(const struct mm_buf *b, struct mm_why *why);

#endif
