#include "mmd_cbor.h"
#include "priv.h"

#define BYTES 0x40
#define TEXT  0x60
#define MAP   0xa0

MMD_ONCE static uint8_t *
room(struct mmd_cborw *w, size_t n)
{
	uint8_t *p = w->buf + w->n;

	if (w->bad || w->cap - w->n < n) {
		w->bad = true;
		return NULL;
	}
	w->n += n;
	return p;
}

/* RFC 8949 4.2.1: the shortest form. */
static void
put_head(struct mmd_cborw *w, uint8_t major, uint64_t n)
{
	uint32_t low = (uint32_t)n;
	unsigned log = n != low ? 3 : low > 0xffff ? 2 : low > 0xff ? 1 : 0;
	size_t extra = n < 24 ? 0 : (size_t)1 << log;
	uint8_t *p = room(w, 1 + extra);

	if (p == NULL)
		return;
	*p = (uint8_t)(major | (n < 24 ? (unsigned)n : 24 + log));
	for (; extra > 0; n >>= 8)
		p[extra--] = (uint8_t)n;
}

static void
put_string(struct mmd_cborw *w, uint8_t major, const void *v, size_t n)
{
	uint8_t *p;

	put_head(w, major, n);
	p = room(w, n);
	if (p != NULL && n > 0)
		memmove(p, v, n);
}

static void
put_text(struct mmd_cborw *w, const char *s)
{
	put_string(w, TEXT, s, mmd_bytes_of(s).n);
}

/* A pair more in the map that is open, whose count is in its first byte. */
static void
put_key(struct mmd_cborw *w, const char *key)
{
	if (w->bad || w->buf[w->map] - MAP == MMD_CBOR_PAIRS) {
		w->bad = true;
		return;
	}
	w->buf[w->map]++;
	put_text(w, key);
}

/* see mmd_cbor.h */
void
mmd_cborw_init(struct mmd_cborw *w, uint8_t *buf, size_t cap)
{
	*w = (struct mmd_cborw){ .buf = buf, .cap = cap };
	put_head(w, MAP, 0);
}

/* see mmd_cbor.h */
void
mmd_cborw_uint(struct mmd_cborw *w, const char *key, uint64_t v)
{
	put_key(w, key);
	put_head(w, 0, v);
}

/* see mmd_cbor.h */
void
mmd_cborw_bytes(struct mmd_cborw *w, const char *key, const uint8_t *p,
    size_t n)
{
	put_key(w, key);
	put_string(w, BYTES, p, n);
}

/* see mmd_cbor.h */
void
mmd_cborw_text(struct mmd_cborw *w, const char *key, const char *text)
{
	put_key(w, key);
	put_text(w, text);
}

/* see mmd_cbor.h */
size_t
mmd_cborw_open(struct mmd_cborw *w, const char *key)
{
	size_t outer = w->map;

	put_key(w, key);
	w->map = w->n;
	put_head(w, MAP, 0);
	return outer;
}

/* see mmd_cbor.h */
void
mmd_cborw_close(struct mmd_cborw *w, size_t outer)
{
	w->map = outer;
}
