#include "store/tiles.h"

#define TILE_BYTES (MM_TILE_W * MM_HASH_N)
#define LEVEL_SHIFT 56

int64_t
mm_tile_key(unsigned level, uint64_t index)
{
	return (int64_t)((uint64_t)level << LEVEL_SHIFT | index);
}

/* ---- writing ---- */

/* The edge keeps a full tile's hashes until its level moves on. */
static enum mm_err
count_full(void *ctx, unsigned level, uint64_t index,
    const struct mm_hash hashes[MM_TILE_W], struct mm_why *why)
{
	uint64_t *full = ctx;

	(void)hashes;
	(void)why;
	MM_INVARIANT(level < MM_TILE_LEVELS - 1);
	full[level] = index;
	full[level + 1] = UINT64_MAX;
	return MM_OK;
}

enum mm_err
mm_tiles_append(struct mm_tile_edge *e, const struct mm_hash *leaf,
    mm_tile_put_fn *put, void *ctx, struct mm_why *why)
{
	uint64_t full[MM_TILE_LEVELS] = { UINT64_MAX };

	MM_TRY(mm_tile_edge_append(e, leaf, count_full, full, why));
	for (unsigned l = 0; full[l] != UINT64_MAX; l++) {
		/* Its root is what the append left a level above. */
		unsigned at = full[l + 1] != UINT64_MAX ? MM_TILE_W - 1 :
		    e->n[l + 1] - 1;
		MM_TRY(put(ctx, &(struct mm_tile_row){
		    mm_tile_key(l, full[l]), &e->hash[l + 1][at],
		    e->hash[l] }, why));
	}
	return MM_OK;
}

/* ---- reading ---- */

static enum mm_err
put_in_bundle(void *ctx, uint64_t index, struct mm_bytes entry,
    struct mm_why *why)
{
	(void)index;
	mm_bundle_put(ctx, entry);
	return mm_buf_ok(ctx, why);
}

static enum mm_err
put_in_leaves(void *ctx, uint64_t index, struct mm_bytes entry,
    struct mm_why *why)
{
	struct mm_leaf_cache *c = ctx;

	(void)index;
	(void)why;
	c->hash[c->n++] = mm_tree_leaf(entry);
	return MM_OK;
}

/* The first width hashes of a level-0 tile that is not full yet. */
static enum mm_err
partial_leaves(struct mm_tiles *t, const struct mm_tile_id *id,
    struct mm_why *why)
{
	struct mm_leaf_cache *c = &t->leaves;
	uint64_t first = id->index * MM_TILE_W;

	if (c->tile != id->index)
		*c = (struct mm_leaf_cache){ .tile = id->index };
	return t->source->each_entry(t->db, first + c->n, first + id->width,
	    put_in_leaves, c, why);
}

static enum mm_err
hashes(struct mm_tiles *t, const struct mm_tile_id *id, struct mm_buf *out,
    struct mm_why *why)
{
	enum mm_err err = MM_OK;

	if (id->width == MM_TILE_W && (id->level > 0 ||
	    id->index != t->leaves.tile || t->leaves.n < MM_TILE_W))
		return t->source->tile(t->db,
		    mm_tile_key(id->level, id->index), out, why);
	if (id->level > 0) /* the roots of the full tiles below */
		return t->source->roots(t->db, mm_tile_key(id->level - 1,
		    id->index * MM_TILE_W), id->width, out, why);
	if (id->index != t->leaves.tile || id->width > t->leaves.n)
		err = partial_leaves(t, id, why);
	if (err == MM_OK)
		mm_buf_put(out, t->leaves.hash, id->width * MM_HASH_N);
	return err != MM_OK ? err : mm_buf_ok(out, why);
}

enum mm_err
mm_tiles_get(struct mm_tiles *t, const struct mm_tile_id *id, uint64_t size,
    struct mm_buf *out, struct mm_why *why)
{
	uint64_t first = id->index * MM_TILE_W;
	size_t n = out->n;
	enum mm_err err;

	if (!mm_tile_exists(id, size))
		return MM_FAIL(why, MM_ENOTFOUND, "ledger: no such tile");
	err = id->entries ? t->source->each_entry(t->db, first,
	    first + id->width, put_in_bundle, out, why) :
	    hashes(t, id, out, why);
	if (err != MM_OK && out->n > n)
		out->n = n;
	return err;
}

/* ---- the edge ---- */

struct edge_source {
	struct mm_tiles *tiles;
	struct mm_buf buf;
};

static enum mm_err
edge_tile(void *ctx, const struct mm_tile_id *id, struct mm_bytes *out,
    struct mm_why *why)
{
	struct edge_source *src = ctx;

	mm_buf_reset(&src->buf);
	MM_TRY(hashes(src->tiles, id, &src->buf, why));
	*out = mm_buf_view(&src->buf);
	return MM_OK;
}

enum mm_err
mm_tiles_edge(struct mm_tiles *t, uint64_t size, struct mm_tile_edge *edge,
    struct mm_why *why)
{
	struct edge_source src = { t, MM_BUF_INIT(TILE_BYTES) };
	enum mm_err err = mm_tile_edge_restore(edge,
	    &(struct mm_tile_reader){ edge_tile, &src, size }, why);

	mm_buf_done(&src.buf);
	return err;
}
