#include "mmd_cbor.h"
#include "priv.h"

#define BYTES 0x40
#define TEXT  0x60
#define MAP   0xa0

static uint8_t *
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
	unsigned log = n > UINT32_MAX ? 3 : n > 0xffff ? 2 : n > 0xff ? 1 : 0;
	size_t extra = n < 24 ? 0 : (size_t)1 << log;
	uint8_t *p = room(w, 1 + extra);

	if (p == NULL)
		return;
	*p = (uint8_t)(major | (n < 24 ? (unsigned)n : 24 + log));
	for (; extra > 0; n >>= 8)
		p[extra--] = (uint8_t)n;
}

static void
put_string(struct mmd_cborw *w, uint8_t major, struct mmd_bytes v)
{
	uint8_t *p;

	put_head(w, major, v.n);
	p = room(w, v.n);
	if (p != NULL && v.n > 0)
		memmove(p, v.p, v.n);
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
	put_string(w, TEXT, mmd_bytes_of(key));
}

/* see mmd_cbor.h */
struct mmd_cborw
mmd_cborw_over(uint8_t *buf, size_t cap)
{
	struct mmd_cborw w = { buf, 0, cap, 0, false };

	put_head(&w, MAP, 0);
	return w;
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
mmd_cborw_bytes(struct mmd_cborw *w, const char *key, struct mmd_bytes v)
{
	put_key(w, key);
	put_string(w, BYTES, v);
}

/* see mmd_cbor.h */
void
mmd_cborw_text(struct mmd_cborw *w, const char *key, struct mmd_bytes v)
{
	put_key(w, key);
	put_string(w, TEXT, v);
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
