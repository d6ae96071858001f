#include "ledger/tile.h"

#include <string.h>

#define TILE_H 8 /* levels of the tree in one of tiles */

/* Hashes that a level of tiles has in a tree of that size. */
static uint64_t
level_width(unsigned level, uint64_t size)
{
	return size >> (TILE_H * level);
}

/* see tile.h */
bool
mm_tile_exists(const struct mm_tile_id *id, uint64_t size)
{
	uint64_t n;

	if (id->level >= MM_TILE_LEVELS)
		return false;
	n = level_width(id->level, size);
	return id->index <= n / MM_TILE_W && id->width >= 1 &&
	    id->width <= MM_TILE_W &&
	    n - id->index * MM_TILE_W >= id->width;
}

/* Root of the perfect tree over n hashes, a power of two up to 256. */
static struct mm_hash
fold(const struct mm_hash *hash, unsigned n)
{
	struct mm_hash h[MM_TILE_W / 2];

	if (n == 1)
		return hash[0];
	for (unsigned i = 0; i < n / 2; i++)
		h[i] = mm_tree_node(&hash[2 * i], &hash[2 * i + 1]);
	for (n /= 2; n > 1; n /= 2)
		for (unsigned i = 0; i < n / 2; i++)
			h[i] = mm_tree_node(&h[2 * i], &h[2 * i + 1]);
	return h[0];
}

/*
 * The counts move only at the end, so that after a refusal of full the same
 * leaf can be appended again.
 */
enum mm_err
mm_tile_edge_append(struct mm_tile_edge *e, const struct mm_hash *leaf,
    mm_tile_full_fn *full, void *ctx, struct mm_why *why)
{
	struct mm_hash h = *leaf;
	unsigned level = 0;

	for (;; level++) {
		MM_INVARIANT(level < MM_TILE_LEVELS);
		e->hash[level][e->n[level]] = h;
		if (e->n[level] + 1 < MM_TILE_W)
			break;
		MM_TRY(full(ctx, level, level_width(level, e->size) / MM_TILE_W,
		    e->hash[level], why));
		h = fold(e->hash[level], MM_TILE_W);
	}
	e->n[level]++;
	while (level > 0)
		e->n[--level] = 0;
	e->size++;
	return MM_OK;
}

/*
 * RFC 6962 2.1, from the right: the perfect subtrees are the runs of a level's
 * hashes that its count's bits tell, the smallest one last.
 */
struct mm_hash
mm_tile_edge_root(const struct mm_tile_edge *e)
{
	struct mm_hash root, peak;
	bool any = false;

	for (unsigned level = 0; level < MM_TILE_LEVELS; level++)
		for (unsigned n = e->n[level], run; n > 0; n -= run) {
			run = n & -n;
			peak = fold(e->hash[level] + n - run, run);
			root = any ? mm_tree_node(&peak, &root) : peak;
			any = true;
		}
	return any ? root : mm_tree_empty();
}

/* The tile with that hash of its level, as wide as the tree makes it. */
static struct mm_tile_id
tile_of(unsigned level, uint64_t hash, uint64_t size)
{
	uint64_t index = hash / MM_TILE_W;
	uint64_t width = level_width(level, size) - index * MM_TILE_W;

	return (struct mm_tile_id){ .level = level, .index = index,
		.width = width < MM_TILE_W ? (unsigned)width : MM_TILE_W };
}

static enum mm_err
get_tile(const struct mm_tile_reader *r, const struct mm_tile_id *id,
    struct mm_hash hashes[MM_TILE_W], struct mm_why *why)
{
	struct mm_bytes b;

	MM_TRY(r->get(r->ctx, id, &b, why));
	if (b.n != (size_t)id->width * MM_HASH_N) {
		char path[MM_TILE_PATH_MAX];
		mm_tile_path(id, path);
		return MM_FAIL(why, MM_EINPUT, "%s: %zu bytes, want %zu", path,
		    b.n, (size_t)id->width * MM_HASH_N);
	}
	memcpy(hashes, b.p, b.n);
	return MM_OK;
}

/* see tile.h */
enum mm_err
mm_tile_edge_restore(struct mm_tile_edge *e,
    const struct mm_tile_reader *reader, struct mm_why *why)
{
	e->size = reader->size;
	for (unsigned level = 0; level < MM_TILE_LEVELS; level++) {
		uint64_t n = level_width(level, reader->size);
		struct mm_tile_id id = tile_of(level, n, reader->size);
		e->n[level] = id.width;
		if (id.width > 0)
			MM_TRY(get_tile(reader, &id, e->hash[level], why));
	}
	return MM_OK;
}

/* see tile.h */
enum mm_err
mm_tile_read(void *reader, unsigned level, uint64_t index,
    struct mm_hash *out, struct mm_why *why)
{
	const struct mm_tile_reader *r = reader;
	unsigned height = level % TILE_H;
	struct mm_hash hashes[MM_TILE_W];
	struct mm_tile_id id;
	uint64_t first;

	if (level >= TILE_H * MM_TILE_LEVELS || index >= r->size >> level)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "tree: no subtree of level %u there yet", level);
	first = index << height;
	id = tile_of(level / TILE_H, first, r->size);
	MM_TRY(get_tile(r, &id, hashes, why));
	*out = fold(hashes + first % MM_TILE_W, 1U << height);
	return MM_OK;
}

/* see tile.h */
void
mm_bundle_put(struct mm_buf *out, struct mm_bytes entry)
{
	mm_buf_block16(out, entry);
}

/* see tile.h */
bool
mm_bundle_next(struct mm_rd *r, struct mm_bytes *entry)
{
	struct mm_bytes got;

	if (r->bad || r->left == 0)
		return false;
	got = mm_rd_block16(r);
	if (r->bad)
		return false;
	*entry = got;
	return true;
}
