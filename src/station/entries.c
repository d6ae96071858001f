#include "station/entries.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/grow.h"
#include "base/name.h"
#include "base/own.h"
#include "base/text.h"
#include "ledger/entry.h"
#include "ledger/tile.h"
#include "pki/key.h"

/*
 * A shift makes hundreds of thousands of units: what is in memory of an entry
 * is a few bytes.  Entries stand in blocks of 64; where each begins is kept,
 * and the roots of whole blocks and what is above them.  What is inside of a
 * block is read from the file: one block stays, for who goes through them.
 */
enum {
	LEVELS = 40,
	LOW = 6, /* levels inside of a block */
	BLOCK = 1 << LOW,
	SLOTS_LEAST = 1024,
	KEY_N = 16,
	DROP = 4 << 20 /* so much of the file is in memory while it is read */
};

struct level { /* roots of the perfect subtrees of 2^level leaves */
	struct mm_hash *hash;
	size_t n, cap;
};
struct cert {
	uint8_t key[KEY_N];            /* of its serial's hash */
	uint32_t at[MM_ENTRIES_WHATS]; /* index + 1; 0: none; all: free */
};
struct block { /* of the file, read last */
	uint64_t nth, n;              /* of entries that were read; 0: none */
	struct mm_buf bytes;
	uint32_t at[BLOCK], len[BLOCK];
	struct mm_hash low[LOW][BLOCK]; /* level by level */
	bool hashed;
};
struct mm_entries {
	int fd;
	uint64_t n;
	off_t end;
	bool dirty; /* behind end is what could not be cut off */
	off_t *offset; /* of each block */
	size_t offsets;
	struct mm_frontier last; /* of the block that is not whole */
	struct level level[LEVELS]; /* from LOW on */
	struct cert *cert;
	size_t certs, slots;
	struct block *block;
};

/* ---- in memory ---- */

static bool
push(struct level *l, const struct mm_hash *h)
{
	struct mm_hash *room = mm_grown(l->hash, l->n, &l->cap, sizeof(*room));

	if (room == NULL)
		return false;
	l->hash = room;
	l->hash[l->n++] = *h;
	return true;
}

/* Two of one level are one of the next. */
static bool
add_block(struct mm_entries *e, struct mm_hash h)
{
	for (unsigned i = LOW; i < LEVELS; i++) {
		struct level *l = &e->level[i];

		if (!push(l, &h))
			return false;
		if (l->n % 2 != 0)
			return true;
		h = mm_tree_node(&l->hash[l->n - 2], &l->hash[l->n - 1]);
	}
	return true;
}

static bool
add_leaf(struct mm_entries *e, const struct mm_hash *h)
{
	struct mm_hash root;

	mm_frontier_append(&e->last, h);
	if (e->last.size < BLOCK)
		return true;
	root = e->last.peak[0];
	e->last = (struct mm_frontier){ .size = 0 };
	return add_block(e, root);
}

static bool
is_free(const struct cert *c)
{
	for (unsigned i = 0; i < MM_ENTRIES_WHATS; i++)
		if (c->at[i] != 0)
			return false;
	return true;
}

static void
key_of(struct mm_bytes serial, uint8_t key[KEY_N])
{
	uint8_t hash[32];

	mm_sha256(serial, hash);
	memcpy(key, hash, KEY_N);
}

static struct cert *
slot_of(struct cert *cert, size_t slots, const uint8_t key[KEY_N])
{
	uint64_t h;
	size_t i;

	memcpy(&h, key, sizeof(h));
	for (i = h % slots;
	     !is_free(&cert[i]) && memcmp(cert[i].key, key, KEY_N) != 0;
	     i = (i + 1) % slots)
		continue;
	return &cert[i];
}

/* At most half are taken, so every search ends. */
static bool
make_room(struct mm_entries *e)
{
	size_t slots = e->slots == 0 ? SLOTS_LEAST : e->slots * 2;
	struct cert *cert;

	if (e->slots > 0 && (e->certs + 1) * 2 <= e->slots)
		return true;
	cert = calloc(slots, sizeof(*cert));
	if (cert == NULL)
		return false;
	for (size_t i = 0; i < e->slots; i++)
		if (!is_free(&e->cert[i]))
			*slot_of(cert, slots, e->cert[i].key) = e->cert[i];
	free(e->cert);
	e->cert = cert;
	e->slots = slots;
	return true;
}

static bool
note_cert(struct mm_entries *e, struct mm_bytes json)
{
	static const struct {
		const char *type;
		enum mm_entries_what what;
	} types[] = {
		{ "certificate.issued", MM_ENTRIES_ISSUED },
		{ "certificate.adopted", MM_ENTRIES_ISSUED },
		{ "certificate.confirmed", MM_ENTRIES_CONFIRMED },
		{ "line.destroyed", MM_ENTRIES_DESTROYED },
	};
	struct mm_entry_view v;
	uint8_t key[KEY_N];
	struct cert *c;

	mm_entry_look(json, &v);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (!mm_bytes_eq(v.type, mm_bytes_of(types[i].type)))
			continue;
		if (!make_room(e))
			return false;
		key_of(v.serial, key);
		c = slot_of(e->cert, e->slots, key);
		if (is_free(c)) {
			memcpy(c->key, key, KEY_N);
			e->certs++;
		}
		if (c->at[types[i].what] == 0)
			c->at[types[i].what] = (uint32_t)e->n + 1;
	}
	return true;
}

static bool
note_block(struct mm_entries *e)
{
	size_t nth = (size_t)(e->n >> LOW);
	off_t *room;

	if (e->n % BLOCK != 0)
		return true;
	room = mm_grown(e->offset, nth, &e->offsets, sizeof(*room));
	if (room == NULL)
		return false;
	e->offset = room;
	e->offset[nth] = e->end;
	return true;
}

static enum mm_err
remember(struct mm_entries *e, struct mm_bytes json, struct mm_why *why)
{
	struct mm_hash leaf = mm_tree_leaf(json);

	if (e->n >= UINT32_MAX - 1)
		return MM_FAIL(why, MM_ELIMIT, "ledger: it is full");
	if (!note_block(e) || !note_cert(e, json) || !add_leaf(e, &leaf))
		return MM_FAIL(why, MM_ENOMEM, "ledger: out of memory");
	e->n++;
	e->end += (off_t)json.n + 2;
	return MM_OK;
}

/* ---- the file ---- */

/* Each is synced before the next: only the last can be without its bytes. */
static bool
is_torn(struct mm_bytes one, struct mm_rd rest)
{
	if (one.n > 0 && one.p[one.n - 1] != 0)
		return false;
	while (rest.left > 0)
		if (mm_rd_u8(&rest) != 0)
			return false;
	return true;
}

static enum mm_err
read_map(struct mm_entries *e, uint8_t *map, size_t n, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over((struct mm_bytes){ map, n });
	struct mm_bytes one;
	size_t dropped = 0;

	while (mm_bundle_next(&r, &one)) {
		if (is_torn(one, r))
			break;
		if (one.n == 0 || one.p[0] != '{' || one.p[one.n - 1] != '}')
			return MM_FAIL(why, MM_EPOLICY,
			    "ledger: entry %" PRIu64 " is damaged", e->n);
		MM_TRY(remember(e, one, why));
		if ((size_t)e->end - dropped < 2 * DROP)
			continue;
		(void)madvise(map + dropped, DROP, MADV_DONTNEED);
		dropped += DROP;
	}
	e->dirty = (size_t)e->end < n;
	return MM_OK;
}

/* Mapped, not read: it grows for years.  Nobody shortens it meanwhile: the
 * journal is locked. */
static enum mm_err
read_all(struct mm_entries *e, struct mm_why *why)
{
	struct stat st;
	enum mm_err rc;
	void *map;

	if (fstat(e->fd, &st) != 0)
		return MM_FAIL(why, MM_ESYS, "ledger: %s", strerror(errno));
	if (st.st_size == 0)
		return MM_OK;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, e->fd, 0);
	if (map == MAP_FAILED)
		return MM_FAIL(why, MM_ESYS, "ledger: %s", strerror(errno));
	rc = read_map(e, map, (size_t)st.st_size, why);
	(void)munmap(map, (size_t)st.st_size);
	return rc;
}

static enum mm_err
cut(struct mm_entries *e, struct mm_why *why)
{
	if (!e->dirty)
		return MM_OK;
	if (ftruncate(e->fd, e->end) != 0)
		return MM_FAIL(
		    why, MM_ESYS, "ledger: cannot be cut: %s", strerror(errno));
	e->dirty = false;
	return MM_OK;
}

/* see entries.h */
enum mm_err
mm_entries_open(const char *path, struct mm_entries **out, struct mm_why *why)
{
	MM_OWN(mm_entries_close) struct mm_entries *e = calloc(1, sizeof(*e));

	if (e != NULL)
		e->block = calloc(1, sizeof(*e->block));
	if (e == NULL || e->block == NULL)
		return MM_FAIL(why, MM_ENOMEM, "ledger: out of memory");
	e->fd = open(
	    path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (e->fd < 0)
		return MM_FAIL(
		    why, MM_ESYS, "ledger: %.90s: %s", path, strerror(errno));
	MM_TRY(mm_name_sync(path, why));
	mm_buf_init(&e->block->bytes, BLOCK * (MM_ENTRY_MAX + 2));
	MM_TRY(read_all(e, why));
	MM_TRY(cut(e, why));
	*out = MM_MOVE(e);
	return MM_OK;
}

/* see entries.h */
void
mm_entries_close(struct mm_entries **owner)
{
	struct mm_entries *e = *owner;

	if (e == NULL)
		return;
	if (e->block != NULL) {
		if (e->fd >= 0)
			close(e->fd);
		mm_buf_done(&e->block->bytes);
		free(e->block);
	}
	for (unsigned i = 0; i < LEVELS; i++)
		free(e->level[i].hash);
	free(e->offset);
	free(e->cert);
	free(e);
	*owner = NULL;
}

/* see entries.h */
uint64_t
mm_entries_n(const struct mm_entries *e)
{
	return e->n;
}

static enum mm_err
write_one(struct mm_entries *e, struct mm_bytes bundle, struct mm_why *why)
{
	ssize_t n;

	MM_TRY(cut(e, why));
	e->dirty = true;
	n = write(e->fd, bundle.p, bundle.n);
	if (n == (ssize_t)bundle.n && fdatasync(e->fd) == 0) {
		e->dirty = false;
		return MM_OK;
	}
	(void)!cut(e, NULL);
	return MM_FAIL(why, MM_ESYS,
	    "ledger: cannot be written: is the disk "
	    "full?");
}

/* see entries.h */
enum mm_err
mm_entries_add(struct mm_entries *e, struct mm_bytes json, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_ENTRY_MAX + 2);

	mm_bundle_put(&b, json);
	MM_TRY(mm_buf_ok(&b, why));
	MM_TRY(write_one(e, mm_buf_view(&b), why));
	return remember(e, json, why);
}

/* ---- a block ---- */

static enum mm_err
split(struct block *b, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(mm_buf_view(&b->bytes));
	struct mm_bytes one;
	uint64_t n = 0;

	while (n < BLOCK && mm_bundle_next(&r, &one)) {
		b->at[n] = (uint32_t)(one.p - b->bytes.p);
		b->len[n++] = (uint32_t)one.n;
	}
	if (n != b->n)
		return MM_FAIL(why, MM_ESYS, "ledger: it was changed");
	return MM_OK;
}

/* With all of it that there is by now. */
static enum mm_err
load(const struct mm_entries *e, uint64_t nth, struct mm_why *why)
{
	struct block *b = e->block;
	uint64_t first = nth << LOW, n = e->n - first;
	bool last = n <= BLOCK;
	size_t len;
	uint8_t *room;

	n = n > BLOCK ? BLOCK : n;
	if (b->n == n && b->nth == nth)
		return MM_OK;
	b->n = 0;
	b->hashed = false;
	mm_buf_reset(&b->bytes);
	len = (size_t)((last ? e->end : e->offset[nth + 1]) - e->offset[nth]);
	room = mm_buf_room(&b->bytes, len);
	if (room == NULL)
		return mm_buf_ok(&b->bytes, why);
	if (pread(e->fd, room, len, e->offset[nth]) != (ssize_t)len)
		return MM_FAIL(why, MM_ESYS, "ledger: cannot be read");
	b->n = n;
	b->nth = nth;
	MM_TRY(split(b, why));
	return MM_OK;
}

static void
hash(struct block *b)
{
	for (uint64_t i = 0; i < b->n; i++)
		b->low[0][i] = mm_tree_leaf(
		    (struct mm_bytes){ b->bytes.p + b->at[i], b->len[i] });
	for (unsigned l = 1; l < LOW; l++)
		for (uint64_t i = 0; i < b->n >> l; i++)
			b->low[l][i] = mm_tree_node(
			    &b->low[l - 1][2 * i], &b->low[l - 1][2 * i + 1]);
	b->hashed = true;
}

/* see entries.h */
enum mm_err
mm_entries_get(const struct mm_entries *e, uint64_t index, struct mm_buf *out,
    struct mm_why *why)
{
	const struct block *b = e->block;
	uint64_t i = index % BLOCK;

	if (index >= e->n)
		return MM_FAIL(
		    why, MM_ENOTFOUND, "ledger: no entry %" PRIu64, index);
	MM_TRY(load(e, index >> LOW, why));
	mm_buf_put(out, b->bytes.p + b->at[i], b->len[i]);
	return mm_buf_ok(out, why);
}

/* see entries.h */
enum mm_err
mm_entries_read(void *entries, unsigned level, uint64_t index,
    struct mm_hash *out, struct mm_why *why)
{
	const struct mm_entries *e = entries;

	if (level >= LEVELS || index >= e->n >> level)
		return MM_FAIL(why, MM_ENOTFOUND, "ledger: no such subtree");
	if (level >= LOW) {
		*out = e->level[level].hash[index];
		return MM_OK;
	}
	MM_TRY(load(e, index >> (LOW - level), why));
	if (!e->block->hashed)
		hash(e->block);
	*out = e->block->low[level][index % (BLOCK >> level)];
	return MM_OK;
}

/* see entries.h */
bool
mm_entries_find(const struct mm_entries *e, const char *serial,
    enum mm_entries_what what, uint64_t *index)
{
	const struct cert *c;
	uint8_t key[KEY_N];

	if (e->slots == 0)
		return false;
	key_of(mm_bytes_of(serial), key);
	c = slot_of(e->cert, e->slots, key);
	if (c->at[what] == 0)
		return false;
	*index = (uint64_t)c->at[what] - 1;
	return true;
}
