#include "mmd_codec.h"
#include "priv.h"

/* see mmd_codec.h */
struct mmd_der
mmd_der_over(struct mmd_bytes b)
{
	return (struct mmd_der){ b.p, b.n, false };
}

/* see mmd_codec.h */
int
mmd_der_peek(const struct mmd_der *r)
{
	return r->bad || r->left == 0 ? -1 : r->p[0];
}

static struct mmd_bytes
fail(struct mmd_der *r)
{
	r->bad = true;
	r->left = 0;
	return (struct mmd_bytes){ NULL, 0 };
}

/*
 * See priv.h.  X.690 10.1: the shortest form; four bytes of length are plenty
 * here.
 */
bool
mmd_der_head(const uint8_t *p, size_t seen, size_t left, size_t *head,
    size_t *len)
{
	size_t k, n = 0;

	/* X.690 8.1.2.4: a tag number of 31 begins a long tag: not ours. */
	if (seen < 2 || (p[0] & 0x1f) == 0x1f)
		return false;
	k = p[1] & 0x7f;
	if ((p[1] & 0x80) == 0) {
		*head = 2;
		*len = k;
		return k <= left - 2;
	}
	if (k == 0 || k > 4 || seen - 2 < k || p[2] == 0)
		return false;
	for (size_t i = 0; i < k; i++)
		n = n << 8 | p[2 + i];
	*head = 2 + k;
	*len = n;
	return n >= 0x80 && n <= left - *head;
}

static struct mmd_bytes
element(struct mmd_der *r, int tag, bool whole)
{
	struct mmd_bytes v;
	size_t head, len;

	if (r->bad || !mmd_der_head(r->p, r->left, r->left, &head, &len) ||
	    (tag >= 0 && r->p[0] != tag))
		return fail(r);
	v.p = whole ? r->p : r->p + head;
	v.n = whole ? head + len : len;
	r->p += head + len;
	r->left -= head + len;
	return v;
}

/* see mmd_codec.h */
struct mmd_bytes
mmd_der_take(struct mmd_der *r, uint8_t tag)
{
	return element(r, tag, false);
}

/* see mmd_codec.h */
struct mmd_bytes
mmd_der_whole(struct mmd_der *r, uint8_t tag)
{
	return element(r, tag, true);
}

/* see mmd_codec.h */
struct mmd_der
mmd_der_into(struct mmd_der *r, uint8_t tag)
{
	struct mmd_der inner = mmd_der_over(element(r, tag, false));

	inner.bad = r->bad;
	return inner;
}

/* see mmd_codec.h */
void
mmd_der_skip(struct mmd_der *r)
{
	(void)element(r, -1, false);
}

/* see mmd_codec.h */
bool
mmd_der_end(const struct mmd_der *r)
{
	return !r->bad && r->left == 0;
}

/* see mmd_codec.h */
struct mmd_derw
mmd_derw_over(uint8_t *buf, size_t cap)
{
	return (struct mmd_derw){ buf, cap, cap, 0 };
}

/* see mmd_codec.h */
void
mmd_derw_put(struct mmd_derw *w, const void *p, size_t n)
{
	if (w->bad || w->at < n) {
		w->bad = 1;
		return;
	}
	w->at -= n;
	if (n > 0)
		memmove(w->buf + w->at, p, n);
}

static void
put_byte(struct mmd_derw *w, size_t v)
{
	const uint8_t c = (uint8_t)v;

	mmd_derw_put(w, &c, 1);
}

/* see mmd_codec.h */
void
mmd_derw_wrap(struct mmd_derw *w, uint8_t tag, size_t from)
{
	size_t len = from - w->at, more = 0x80;

	if (len >= 0x80) {
		for (; len > 0; len >>= 8, more++)
			put_byte(w, len);
		len = more;
	}
	put_byte(w, len);
	put_byte(w, tag);
}
