#include "mmd_cbor.h"
#include "priv.h"

/* RFC 8949 3.1: major types */
enum major { UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE };

#define ENDLESS 31 /* RFC 8949 3.2: indefinite length; in SIMPLE, its end */

struct reader {
	const uint8_t *p;
	size_t left;
	unsigned bad; /* not 0: it is */
};

/* The head of an item: RFC 8949 3. */
struct head {
	uint8_t major, info;
	uint64_t n;
};

static bool
is_break(const struct head *h)
{
	return h->major == SIMPLE && h->info == ENDLESS;
}

static const uint8_t *
advance(struct reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > r->left) {
		r->bad = 1;
		r->left = 0;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

/* The next one; behind the last, what would be a mark. */
MMD_ONCE static uint8_t
byte(struct reader *r)
{
	const uint8_t *p = advance(r, 1);

	return p == NULL ? UINT8_MAX : *p;
}

/*
 * Indefinite lengths are for strings and containers; 28 to 30 are reserved.
 * No item takes less than a byte, so that a count beyond what is left is
 * refused here and never multiplied: those of strings and containers fit
 * into a size_t behind this.
 */
static void
next(struct reader *r, struct head *h)
{
	uint8_t first = byte(r);

	h->major = first >> 5;
	h->info = first & 31;
	h->n = 0;
	if (h->info < 24)
		h->n = h->info;
	else if (h->info != ENDLESS) {
		r->bad |= h->info > 27;
		for (unsigned n = 1u << (h->info - 24); n > 0; n--)
			h->n = h->n << 8 | byte(r);
	} else if (h->major <= NEGATIVE || h->major == TAG)
		r->bad = 1;
	if (h->major >= BYTES && h->major <= MAP && h->n > r->left)
		r->bad = 1;
}

/* A container that is being skipped, or a string in pieces. */
struct level {
	size_t left; /* items to come; counted below 0 where a mark ends it */
	uint8_t major;
	bool endless;
};

/* RFC 8949 3.2.3: pieces of definite length and the same type. */
static bool
may_stand_in(const struct level *l, const struct head *h)
{
	return (l->major != BYTES && l->major != TEXT) ||
	    (h->major == l->major && h->info != ENDLESS);
}

/* A level that a mark ends: not a map between key and value. */
static bool
end_marked(struct level *l)
{
	if (!l->endless || (l->major == MAP && l->left % 2 != 0))
		return false;
	*l = (struct level){ 0 };
	return true;
}

/* An item of l; true if it has items of its own, at the next level. */
static bool
skip_one(struct reader *r, struct level *l, const struct head *h)
{
	size_t n = (size_t)h->n;

	r->bad |= !may_stand_in(l, h);
	l->left--;
	if (h->major == MAP || h->major == ARRAY ||
	    (h->info == ENDLESS && h->major != SIMPLE)) {
		l[1] = (struct level){ h->major == MAP ? 2 * n : n, h->major,
			h->info == ENDLESS };
		return true;
	}
	if (h->major == BYTES || h->major == TEXT)
		(void)advance(r, n);
	return false;
}

/*
 * The next item whole, whatever it is; tags stand for nothing.  It is the one
 * item of the first level; there are no items at the last.
 */
static void
skip(struct reader *r)
{
	struct level levels[MMD_CBOR_DEPTH + 1] = { { 1, ARRAY, false } };
	struct level *l = levels;

	do {
		struct head h;

		next(r, &h);
		if (is_break(&h))
			r->bad |= !end_marked(l);
		else if (h.major != TAG)
			l += skip_one(r, l, &h);
		r->bad |= l == &levels[MMD_CBOR_DEPTH];
		while (l > levels && !l->endless && l->left == 0)
			l--;
	} while (!r->bad && (l > levels || l->left > 0));
}

/* The same, with its head and what is behind that. */
static void
item(struct reader *r, struct head *h, struct mmd_bytes *contents)
{
	struct reader inner = *r;

	next(&inner, h);
	skip(r);
	*contents = (struct mmd_bytes){ inner.p, (size_t)(r->p - inner.p) };
}

static bool
within(const struct mmd_cbor_key *key, uint64_t n)
{
	if (key->most == MMD_CBOR_32 ? n >> 32 != 0
	    : key->most != 0 && n > key->most)
		return false;
	return n >= key->least;
}

/* The value of a key that was asked for. */
MMD_ONCE static void
value(struct reader *r, const struct mmd_cbor_key *key,
    struct mmd_cbor_value *out)
{
	static const uint8_t majors[] = { SIMPLE, UINT, BYTES, TEXT, MAP };
	const uint8_t *from = r->p;
	struct mmd_bytes v;
	struct head h;

	item(r, &h, &v);
	if (h.major == MAP)
		v = (struct mmd_bytes){ from, (size_t)(r->p - from) };
	else
		r->bad |= h.info == ENDLESS;
	r->bad |= (unsigned)out->type | (h.major ^ majors[key->type]);
	out->type = (enum mmd_cbor_type)key->type;
	out->n = h.major == UINT ? h.n : v.n;
	out->v = v;
	r->bad |= !within(key, out->n);
}

/* A key: text that is asked for, or -1. */
static int
key_of(struct reader *r, const struct mmd_cbor_key *keys, size_t nkeys)
{
	struct mmd_bytes name;
	struct head h;

	item(r, &h, &name);
	if (r->bad || h.major != TEXT || h.info == ENDLESS)
		return -1;
	for (size_t i = 0; i < nkeys; i++)
		if (mmd_bytes_eq(name, mmd_bytes_of(keys[i].name)))
			return (int)i;
	return -1;
}

static bool
at_end(struct reader *r, const struct head *map, size_t done)
{
	if (map->info != ENDLESS)
		return done == (size_t)map->n;
	if (r->left == 0 || *r->p != (SIMPLE << 5 | ENDLESS))
		return false;
	(void)advance(r, 1);
	return true;
}

static void
pairs(struct reader *r, const struct mmd_cbor_key *keys, size_t nkeys,
    struct mmd_cbor_value *out)
{
	struct head map;

	next(r, &map);
	r->bad |= map.major != MAP;
	for (size_t done = 0; !r->bad && !at_end(r, &map, done); done++) {
		int i = key_of(r, keys, nkeys);

		if (i < 0)
			skip(r);
		else
			value(r, &keys[i], &out[i]);
	}
}

/* see mmd_cbor.h */
enum mmd_rc
mmd_cbor_read(struct mmd_bytes in, const struct mmd_cbor_key *keys,
    size_t nkeys, struct mmd_cbor_value *out)
{
	struct reader r = { in.p, in.n, 0 };

	for (size_t i = 0; i < nkeys; i++)
		out[i] = (struct mmd_cbor_value){ .type = MMD_CBOR_NONE };
	if (in.n > 0)
		pairs(&r, keys, nkeys, out);
	for (size_t i = 0; i < nkeys; i++)
		r.bad |= keys[i].must && out[i].type == MMD_CBOR_NONE;
	return r.bad || r.left > 0 ? MMD_EINPUT : MMD_OK;
}
