#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 256

/* see buf.h */
void
mm_buf_init(struct mm_buf *b, size_t max)
{
	*b = (struct mm_buf)MM_BUF_INIT(max);
}

/* see buf.h */
void
mm_buf_done(struct mm_buf *b)
{
	free(b->p);
	mm_buf_init(b, b->max);
}

/* see buf.h */
void
mm_buf_wipe(struct mm_buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	mm_buf_done(b);
}

/* see buf.h */
void
mm_buf_reset(struct mm_buf *b)
{
	b->n = 0;
	b->err = MM_OK;
}

/*
 * Not realloc: a copy that it leaves behind could hold a secret, and only
 * the last one is seen by mm_buf_wipe.
 */
static bool
move(struct mm_buf *b, size_t cap)
{
	uint8_t *p = malloc(cap);

	if (p == NULL) {
		b->err = MM_ENOMEM;
		return false;
	}
	if (b->p != NULL) {
		memcpy(p, b->p, b->n);
		explicit_bzero(b->p, b->cap);
		free(b->p);
	}
	b->p = p;
	b->cap = cap;
	return true;
}

/* Room for n more and always for a NUL behind them. */
static bool
reserve(struct mm_buf *b, size_t n)
{
	size_t cap = b->cap == 0 ? FIRST_CAP : b->cap;

	if (b->err != MM_OK)
		return false;
	if (b->max == SIZE_MAX || n > b->max - b->n) {
		b->err = MM_ELIMIT;
		return false;
	}
	if (b->cap > b->n + n)
		return true;
	while (cap <= b->n + n)
		cap = cap > b->max / 2 ? b->max + 1 : cap * 2;
	return move(b, cap);
}

/* see buf.h */
uint8_t *
mm_buf_room(struct mm_buf *b, size_t n)
{
	uint8_t *room;

	if (!reserve(b, n))
		return NULL;
	room = b->p + b->n;
	b->n += n;
	return room;
}

/* see buf.h */
void
mm_buf_put(struct mm_buf *b, const void *p, size_t n)
{
	uint8_t *room = mm_buf_room(b, n);

	if (room != NULL && n > 0)
		memcpy(room, p, n);
}

/* see buf.h */
void
mm_buf_bytes(struct mm_buf *b, struct mm_bytes v)
{
	mm_buf_put(b, v.p, v.n);
}

static void
be(struct mm_buf *b, uint64_t v, size_t width)
{
	uint8_t *room = mm_buf_room(b, width);

	for (size_t i = width; room != NULL && i > 0; i--, v >>= 8)
		room[i - 1] = (uint8_t)v;
}

/* see buf.h */
void
mm_buf_u8(struct mm_buf *b, uint8_t v)
{
	mm_buf_put(b, &v, 1);
}

/* see buf.h */
void
mm_buf_u16(struct mm_buf *b, uint16_t v)
{
	be(b, v, 2);
}

/* see buf.h */
void
mm_buf_u32(struct mm_buf *b, uint32_t v)
{
	be(b, v, 4);
}

/* see buf.h */
void
mm_buf_u64(struct mm_buf *b, uint64_t v)
{
	be(b, v, 8);
}

static void
block(struct mm_buf *b, struct mm_bytes v, size_t width, size_t most)
{
	if (v.n > most && b->err == MM_OK)
		b->err = MM_ELIMIT;
	be(b, v.n, width);
	mm_buf_bytes(b, v);
}

/* see buf.h */
void
mm_buf_block16(struct mm_buf *b, struct mm_bytes v)
{
	block(b, v, 2, UINT16_MAX);
}

/* see buf.h */
void
mm_buf_block32(struct mm_buf *b, struct mm_bytes v)
{
	block(b, v, 4, UINT32_MAX);
}

/* see buf.h */
void
mm_buf_text(struct mm_buf *b, const char *s)
{
	mm_buf_put(b, s, strlen(s));
}

/* see buf.h */
void
mm_buf_printf(struct mm_buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	MM_INVARIANT(n >= 0);
	if (!reserve(b, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

/* see buf.h */
struct mm_bytes
mm_buf_view(const struct mm_buf *b)
{
	return (struct mm_bytes){ b->p, b->n };
}

/* see buf.h */
const char *
mm_buf_cstr(struct mm_buf *b)
{
	if (!reserve(b, 0))
		return NULL;
	b->p[b->n] = '\0';
	return (const char *)b->p;
}

/* see buf.h */
enum mm_err
mm_buf_ok(const struct mm_buf *b, struct mm_why *why)
{
	switch (b->err) {
	case MM_OK:
		return MM_OK;
	case MM_ENOMEM:
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	case MM_EINPUT:
		return MM_FAIL(why, MM_EINPUT, "text is not UTF-8");
	default:
		return MM_FAIL(why, b->err, "more than %zu bytes", b->max);
	}
}
