#include "flash.h"
#include "priv.h"

/*
 * The head, numbers with the high byte first:
 *	0	magic
 *	4	version of the writer
 *	5	lowest version of a reader
 *	6	what it is: an identity, or KEY and an identity
 *	7	flags
 *	8	generation
 *	12	lengths of the three parts
 *	24	time floor
 *	32	SHA-256 of the certificate
 *	64	SHA-256 of the bundle
 *	96	the first bytes of SHA-256 of the certificate's key
 *	124	CRC-32 of all before it
 */
enum { VERSION = 4, READER = 5, WHAT = 6, FLAGS = 7, GENERATION = 8,
	LENGTHS = 12, FLOOR = 24, CERT = 32, ALL = 64, OWN = 96, CRC = 124 };
enum { LOCKED = 0x01, KEY = 0x10 };

/* The three hashes lie one behind the other, there as here. */
#define HASHES offsetof(struct mmd_bundle, cert)
_Static_assert(offsetof(struct mmd_bundle, all) == HASHES + ALL - CERT &&
    offsetof(struct mmd_bundle, key) == HASHES + OWN - CERT &&
    OWN + MMD_STORE_KEY == CRC, "struct mmd_bundle");

static const uint8_t magic[] = { 'M', 'M', 'D', 'S' };

/* CRC-32 of IEEE 802.3. */
static uint32_t
crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^
			    ((crc & 1) != 0 ? UINT32_C(0xedb88320) : 0);
	}
	return ~crc;
}

static void
encode_head(const struct mmd_bundle *b, uint8_t what,
    uint8_t h[MMD_STORE_HEAD])
{
	memset(h, 0, MMD_STORE_HEAD);
	memcpy(h, magic, sizeof(magic));
	h[VERSION] = h[READER] = MMD_STORE_VERSION;
	h[WHAT] = what;
	h[FLAGS] = b->locked ? LOCKED : 0;
	mmd_put32(h + GENERATION, b->generation);
	for (size_t i = 0; i < MMD_PARTS; i++)
		mmd_put32(h + LENGTHS + 4 * i, b->n[i]);
	mmd_put32(h + FLOOR, (uint32_t)(b->floor_s >> 32));
	mmd_put32(h + FLOOR + 4, (uint32_t)b->floor_s);
	memcpy(h + CERT, (const uint8_t *)b + HASHES, CRC - CERT);
	mmd_put32(h + CRC, crc32(h, CRC));
}

/* see flash.h */
bool
mmd_store_fits(const struct mmd_bundle *b, uint32_t room)
{
	for (size_t i = 0; i < MMD_PARTS; i++) {
		if (b->n[i] > room)
			return false;
		room -= b->n[i];
	}
	return true;
}

static enum mmd_rc
read_config(const struct mmd_flash *f, const struct mmd_area *a,
    struct mmd_bundle *b)
{
	uint8_t *v = (uint8_t *)&b->config;
	enum mmd_rc rc = MMD_OK;

	b->config = 0;
	if (b->n[MMD_PART_CONFIG] >= MMD_STORE_CONFIG)
		rc = f->read(f->ctx, a->at + MMD_STORE_HEAD +
		    b->n[MMD_PART_CERT] + b->n[MMD_PART_CHAIN], v,
		    MMD_STORE_CONFIG);
	b->config = mmd_get32(v);
	return rc;
}

/* MMD_NONE: no head, or one that was cut off. */
static enum mmd_rc
read_head(const struct mmd_flash *f, const struct mmd_area *a, uint8_t what,
    struct mmd_bundle *b)
{
	uint8_t h[MMD_STORE_HEAD];
	enum mmd_rc rc = a->n < sizeof(h) ? MMD_NONE
	    : f->read(f->ctx, a->at, h, sizeof(h));

	if (rc != MMD_OK)
		return rc;
	if (memcmp(h, magic, sizeof(magic)) != 0 ||
	    mmd_get32(h + CRC) != crc32(h, CRC) || h[WHAT] != what)
		return MMD_NONE;
	if (h[READER] > MMD_STORE_VERSION)
		return MMD_ESTATE;
	b->generation = mmd_get32(h + GENERATION);
	for (size_t i = 0; i < MMD_PARTS; i++)
		b->n[i] = mmd_get32(h + LENGTHS + 4 * i);
	b->floor_s = (uint64_t)mmd_get32(h + FLOOR) << 32 |
	    mmd_get32(h + FLOOR + 4);
	b->locked = (h[FLAGS] & LOCKED) != 0;
	memcpy((uint8_t *)b + HASHES, h + CERT, CRC - CERT);
	return mmd_store_fits(b, a->n - MMD_STORE_HEAD)
	    ? read_config(f, a, b) : MMD_NONE;
}

/* see mmd_store.h */
enum mmd_rc
mmd_store_check(const struct mmd_store *s)
{
	const struct mmd_flash *f = s->flash;
	bool ok = f->unit > 0 && f->unit <= MMD_FLASH_STEP_MAX &&
	    (f->unit & (f->unit - 1)) == 0 && f->block > 0 &&
	    (f->block & (f->block - 1)) == 0;
	uint32_t bits = 0;

	for (unsigned i = 0; i < MMD_IDENTITIES; i++)
		bits |= s->key[i].at | s->key[i].n | s->half[i][0].at |
		    s->half[i][0].n | s->half[i][1].at | s->half[i][1].n;
	/* A block is a power of two on every chip; so no division. */
	return ok && (bits & (f->block - 1)) == 0 ? MMD_OK : MMD_EINPUT;
}

/* The bundle in use, and in how many halves the mark is: 0 to 2. */
static enum mmd_rc
look(const struct mmd_store *s, unsigned identity, struct mmd_bundle *out,
    unsigned *marks)
{
	enum mmd_rc rc = MMD_NONE;

	*marks = 0;
	for (unsigned i = 0; i < 2; i++) {
		struct mmd_bundle b;
		enum mmd_rc one = read_head(s->flash, &s->half[identity][i],
		    (uint8_t)identity, &b);

		if (one == MMD_NONE)
			continue;
		if (one != MMD_OK)
			return one;
		b.half = i;
		*marks += b.locked;
		if (rc == MMD_NONE || b.generation > out->generation)
			*out = b;
		rc = MMD_OK;
	}
	return rc;
}

/* see mmd_store.h */
enum mmd_rc
mmd_store_bundle(const struct mmd_store *s, unsigned identity,
    struct mmd_bundle *out)
{
	unsigned marks;

	return look(s, identity, out, &marks);
}

/* see mmd_store.h */
enum mmd_rc
mmd_store_locked(const struct mmd_store *s, unsigned identity, bool *locked)
{
	struct mmd_bundle b;
	unsigned marks;
	enum mmd_rc rc = look(s, identity, &b, &marks);

	if (rc == MMD_OK || rc == MMD_NONE)
		*locked = marks > 0;
	return rc == MMD_NONE ? MMD_OK : rc;
}

/* see mmd_store.h */
enum mmd_rc
mmd_store_read(const struct mmd_store *s, unsigned identity,
    const struct mmd_bundle *b, enum mmd_part part, uint32_t off, uint8_t *p,
    size_t n)
{
	uint32_t at = s->half[identity][b->half].at + MMD_STORE_HEAD + off;

	if (off > b->n[part] || n > b->n[part] - off)
		return MMD_EINPUT;
	for (unsigned i = 0; i < part; i++)
		at += b->n[i];
	return s->flash->read(s->flash->ctx, at, p, n);
}

/* see mmd_store.h */
MMD_ONCE uint32_t
mmd_store_room(const struct mmd_store *s, unsigned identity)
{
	const struct mmd_area *h = s->half[identity];
	uint32_t n = h[0].n < h[1].n ? h[0].n : h[1].n;

	return n < MMD_STORE_HEAD ? 0 : n - MMD_STORE_HEAD;
}

/* see mmd_store.h */
uint32_t
mmd_store_step(const struct mmd_store *s)
{
	return mmd_flash_step(s->flash);
}

/* see flash.h */
enum mmd_rc
mmd_store_idle(const struct mmd_store *s, unsigned identity,
    const struct mmd_area **idle, struct mmd_bundle *used)
{
	enum mmd_rc rc;

	*used = (struct mmd_bundle){ .half = 1 };
	rc = mmd_store_bundle(s, identity, used);
	*idle = &s->half[identity][1 - used->half];
	return rc == MMD_NONE ? MMD_OK : rc;
}

/*
 * A bundle begins, or goes on.  A head that is not blank, and any byte that
 * is another than what comes, say that an earlier one lies here.
 */
static enum mmd_rc
put_piece(const struct mmd_flash *f, const struct mmd_area *a, uint32_t off,
    struct mmd_bytes piece, bool *erased)
{
	uint32_t at = a->at + MMD_STORE_HEAD + off;
	enum mmd_rc rc = mmd_flash_blank(f, a->at, MMD_STORE_HEAD) ?
	    mmd_flash_fill(f, at, piece.p, piece.n) : MMD_ESTATE;

	*erased = rc == MMD_ESTATE;
	if (!*erased)
		return rc;
	rc = mmd_flash_erase(f, a);
	if (rc == MMD_OK && off == 0)
		rc = mmd_flash_fill(f, at, piece.p, piece.n);
	/* What does not take on erased flash never will. */
	return rc == MMD_ESTATE ? MMD_EPORT : rc;
}

/* see mmd_store.h */
enum mmd_rc
mmd_store_put(const struct mmd_store *s, unsigned identity, uint32_t all_n,
    uint32_t off, struct mmd_bytes piece, uint32_t *next)
{
	uint32_t odd = mmd_flash_step(s->flash) - 1; /* of a power of two */
	const struct mmd_area *idle;
	struct mmd_bundle used;
	bool erased;
	enum mmd_rc rc;

	if (all_n > mmd_store_room(s, identity))
		return MMD_ESPACE;
	if ((off & odd) != 0 || off > all_n || piece.n > all_n - off ||
	    ((piece.n & odd) != 0 && off + piece.n != all_n))
		return MMD_EINPUT;
	rc = mmd_store_idle(s, identity, &idle, &used);
	if (rc == MMD_OK)
		rc = put_piece(s->flash, idle, off, piece, &erased);
	if (rc == MMD_OK)
		*next = erased && off > 0 ? 0 : off + (uint32_t)piece.n;
	return rc;
}

static enum mmd_rc
put_head(const struct mmd_flash *f, const struct mmd_area *a, uint8_t what,
    const struct mmd_bundle *b)
{
	uint8_t h[MMD_STORE_HEAD];

	encode_head(b, what, h);
	return mmd_flash_fill(f, a->at, h, sizeof(h));
}

/* see mmd_store.h */
enum mmd_rc
mmd_store_commit(const struct mmd_store *s, unsigned identity,
    struct mmd_bundle *b)
{
	const struct mmd_area *idle;
	struct mmd_bundle used;
	enum mmd_rc rc = mmd_store_idle(s, identity, &idle, &used);

	if (rc == MMD_OK)
		rc = read_config(s->flash, idle, b);
	if (rc == MMD_OK && b->config < used.config)
		rc = MMD_EOLDER;
	if (rc != MMD_OK)
		return rc;
	b->generation = used.generation + 1;
	b->half = 1 - used.half;
	rc = put_head(s->flash, idle, (uint8_t)identity, b);
	return rc == MMD_ESTATE ? MMD_ECHECKSUM : rc;
}

/* The bundle in use, into the other half. */
static enum mmd_rc
copy(const struct mmd_store *s, const struct mmd_area *from,
    const struct mmd_area *to, uint32_t n, bool *erased)
{
	const struct mmd_flash *f = s->flash;
	uint8_t some[MMD_FLASH_STEP_MAX];
	uint32_t step = mmd_flash_step(f);
	enum mmd_rc rc = MMD_OK;

	*erased = false;
	for (uint32_t i = 0; rc == MMD_OK && !*erased && i < n; i += step) {
		struct mmd_bytes v = { some, n - i < step ? n - i : step };

		rc = f->read(f->ctx, from->at + MMD_STORE_HEAD + i, some, v.n);
		if (rc == MMD_OK)
			rc = put_piece(f, to, i, v, erased);
		if (i == 0)
			*erased = false;
	}
	return rc;
}

/* b: the bundle in use. */
static enum mmd_rc
lock_half(const struct mmd_store *s, unsigned identity, struct mmd_bundle *b)
{
	const struct mmd_area *half = s->half[identity];
	bool erased = true;
	enum mmd_rc rc = MMD_OK;

	for (int tries = 0; rc == MMD_OK && erased && tries < 2; tries++)
		rc = copy(s, &half[b->half], &half[1 - b->half],
		    b->n[0] + b->n[1] + b->n[2], &erased);
	b->locked = true;
	return rc != MMD_OK ? rc : mmd_store_commit(s, identity, b);
}

/* see mmd_store.h */
enum mmd_rc
mmd_store_lock(const struct mmd_store *s, unsigned identity)
{
	struct mmd_bundle b;
	unsigned marks;

	for (int i = 0; i < 3; i++) {
		enum mmd_rc rc = look(s, identity, &b, &marks);

		if (rc != MMD_OK || marks == 2)
			return rc;
		rc = lock_half(s, identity, &b);
		if (rc != MMD_OK)
			return rc == MMD_ECHECKSUM ? MMD_EPORT : rc;
	}
	return MMD_EPORT;
}

/* see mmd_store.h */
enum mmd_rc
mmd_store_key_put(const struct mmd_store *s, unsigned identity,
    struct mmd_bytes key)
{
	const struct mmd_area *a = &s->key[identity];
	const struct mmd_flash *f = s->flash;
	struct mmd_bundle b = { .n = { (uint32_t)key.n } };
	enum mmd_rc rc;

	if (a->n < MMD_STORE_HEAD || key.n > a->n - MMD_STORE_HEAD)
		return MMD_ESPACE;
	rc = mmd_flash_erase(f, a);
	if (rc == MMD_OK)
		rc = mmd_flash_fill(f, a->at + MMD_STORE_HEAD, key.p, key.n);
	if (rc == MMD_OK)
		rc = put_head(f, a, (uint8_t)(KEY | identity), &b);
	return rc == MMD_ESTATE ? MMD_EPORT : rc;
}

/* see mmd_store.h */
enum mmd_rc
mmd_store_key_get(const struct mmd_store *s, unsigned identity, uint8_t *p,
    size_t cap, size_t *n)
{
	const struct mmd_area *a = &s->key[identity];
	struct mmd_bundle b;
	enum mmd_rc rc = read_head(s->flash, a, (uint8_t)(KEY | identity), &b);

	if (rc != MMD_OK)
		return rc;
	if (b.n[0] > cap)
		return MMD_ESPACE;
	*n = b.n[0];
	return s->flash->read(s->flash->ctx, a->at + MMD_STORE_HEAD, p, *n);
}
