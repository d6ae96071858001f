#include "mmd_cbor.h"
#include "priv.h"

/* RFC 8949 3.1: major types */
enum major { UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE };

#define ENDLESS 31 /* RFC 8949 3.2: indefinite length; in SIMPLE, its end */

struct reader {
	const uint8_t *p;
	size_t left;
	bool bad;
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
		r->bad = true;
		r->left = 0;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

/*
 * Indefinite lengths are for strings and containers; 28 to 30 are reserved.
 * No item takes less than a byte, so that a count beyond what is left is
 * refused here and never multiplied: those of strings and containers fit
 * into a size_t behind this.
 */
static struct head
next(struct reader *r)
{
	const uint8_t *p = advance(r, 1);
	struct head h = { SIMPLE, ENDLESS, 0 };
	size_t extra;

	if (p == NULL)
		return h;
	h = (struct head){ *p >> 5, *p & 31, *p & 31 };
	if (h.info < 24)
		return h;
	if (h.info == ENDLESS)
		r->bad |= h.major <= NEGATIVE || h.major == TAG;
	else if (h.info > 27)
		r->bad = true;
	else {
		extra = (size_t)1 << (h.info - 24);
		p = advance(r, extra);
		for (h.n = 0; p != NULL && extra > 0; extra--)
			h.n = h.n << 8 | *p++;
	}
	if (h.info != ENDLESS && h.major >= BYTES && h.major <= MAP)
		r->bad |= h.n > r->left;
	return h;
}

/* A container that is being skipped, or a string in pieces. */
struct level {
	size_t left; /* items to come; counted up where a mark ends it */
	uint8_t major;
	bool endless;
};

static bool
may_stand_in(const struct level *l, const struct head *h)
{
	/* RFC 8949 3.2.3: pieces of definite length and the same type. */
	if (l->major == BYTES || l->major == TEXT)
		return h->major == l->major && h->info != ENDLESS;
	return true;
}

/* Ends the level that a mark ends: not a map between key and value. */
static bool
end_marked(struct level *levels, size_t *depth)
{
	const struct level *l;

	if (*depth == 0)
		return false;
	l = &levels[*depth - 1];
	if (!l->endless || (l->major == MAP && l->left % 2 != 0))
		return false;
	(*depth)--;
	return true;
}

static void
end_counted(struct level *levels, size_t *depth)
{
	while (*depth > 0 && !levels[*depth - 1].endless &&
	    levels[*depth - 1].left == 0)
		(*depth)--;
}

static bool
enter(struct level *levels, size_t *depth, const struct head *h)
{
	bool endless = h->info == ENDLESS;
	size_t n = endless ? 0 : (size_t)h->n;

	if (*depth == MMD_CBOR_DEPTH - 1)
		return false;
	levels[(*depth)++] = (struct level){ h->major == MAP ? 2 * n : n,
		h->major, endless };
	return true;
}

/* One item that may stand at the innermost level; tags stand for nothing. */
static void
skip_one(struct reader *r, struct level *levels, size_t *depth,
    const struct head *h)
{
	if (*depth > 0) {
		struct level *l = &levels[*depth - 1];

		r->bad |= !may_stand_in(l, h);
		l->left = l->endless ? l->left + 1 : l->left - 1;
	}
	if (h->major == ARRAY || h->major == MAP ||
	    (h->info == ENDLESS && h->major != SIMPLE))
		r->bad |= !enter(levels, depth, h);
	else if (h->major == BYTES || h->major == TEXT)
		(void)advance(r, (size_t)h->n);
}

/* The next item whole, whatever it is. */
static void
skip(struct reader *r)
{
	struct level levels[MMD_CBOR_DEPTH];
	size_t depth = 0;
	struct head h;

	do {
		h = next(r);
		if (r->bad)
			return;
		if (is_break(&h))
			r->bad |= !end_marked(levels, &depth);
		else if (h.major != TAG)
			skip_one(r, levels, &depth, &h);
		end_counted(levels, &depth);
	} while (!r->bad && (depth > 0 || h.major == TAG));
}

static bool
within(const struct mmd_cbor_key *key, uint64_t n)
{
	uint64_t most = key->most == MMD_CBOR_32 ? UINT32_MAX : key->most;

	return n >= key->least && (most == 0 || n <= most);
}

/* The value of a key that was asked for. */
static void
value(struct reader *r, const struct mmd_cbor_key *key,
    struct mmd_cbor_value *out)
{
	static const uint8_t majors[] = { SIMPLE, UINT, BYTES, TEXT, MAP };
	struct reader from = *r;
	struct head h = next(r);

	if (out->type != MMD_CBOR_NONE || h.major != majors[key->type] ||
	    (h.info == ENDLESS && h.major != MAP))
		r->bad = true;
	if (r->bad)
		return;
	out->type = (enum mmd_cbor_type)key->type;
	out->n = h.n;
	out->v = (struct mmd_bytes){ r->p, 0 };
	if (h.major == MAP) {
		*r = from;
		skip(r);
		out->n = from.left - r->left;
		out->v.p = from.p;
	} else if (h.major != UINT)
		(void)advance(r, (size_t)h.n);
	if (h.major != UINT)
		out->v.n = (size_t)out->n;
	r->bad |= !within(key, out->n);
}

/* A key: text that is asked for, or -1. */
static int
key_of(struct reader *r, const struct mmd_cbor_key *keys, size_t nkeys)
{
	struct reader from = *r;
	struct head h = next(r);
	struct mmd_bytes name = { r->p, (size_t)h.n };

	if (r->bad || h.major != TEXT || h.info == ENDLESS) {
		*r = from;
		skip(r);
		return -1;
	}
	(void)advance(r, (size_t)h.n);
	for (size_t i = 0; !r->bad && i < nkeys; i++)
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
	struct head map = next(r);

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
	struct reader r = { in.p, in.n, false };

	for (size_t i = 0; i < nkeys; i++)
		out[i] = (struct mmd_cbor_value){ .type = MMD_CBOR_NONE };
	if (in.n > 0)
		pairs(&r, keys, nkeys, out);
	for (size_t i = 0; i < nkeys; i++)
		r.bad |= keys[i].must && out[i].type == MMD_CBOR_NONE;
	return r.bad || r.left > 0 ? MMD_EINPUT : MMD_OK;
}
