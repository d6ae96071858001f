#include "store/sqlite.h"

#include <string.h>

#define TILE_BYTES (MM_TILE_W * MM_HASH_N)
#define LEVEL_SHIFT 56

static int64_t
tile_key(unsigned level, uint64_t index)
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

static enum mm_err
leaf_add(struct sqlite_store *s, const struct mm_hash *leaf,
    struct mm_why *why)
{
	struct mm_tile_edge *e = &s->edge;
	uint64_t full[MM_TILE_LEVELS] = { UINT64_MAX };

	MM_TRY(mm_tile_edge_append(e, leaf, count_full, full, why));
	for (unsigned l = 0; full[l] != UINT64_MAX; l++) {
		/* Its root is what the append left a level above. */
		unsigned at = full[l + 1] != UINT64_MAX ? MM_TILE_W - 1 :
		    e->n[l + 1] - 1;
		MM_TRY(mm_sqlite_exec(&s->db, ASK(TILE_ADD,
		    INT(tile_key(l, full[l])),
		    BLOB(e->hash[l + 1][at].b, MM_HASH_N),
		    BLOB(e->hash[l][0].b, sizeof(e->hash[l]))), why));
	}
	return MM_OK;
}

enum mm_err
mm_sqlite_entries_add(struct sqlite_store *s, const struct mm_op *op,
    struct mm_why *why)
{
	for (unsigned i = 0; i < op->nentries; i++) {
		struct mm_hash leaf = mm_tree_leaf(op->entry[i]);

		MM_TRY(mm_sqlite_exec(&s->db, ASK(ENTRY_ADD,
		    INT(s->counts.entries), BYTES(op->entry[i]),
		    s->prev[i] >= 0 ? INT((int64_t)s->counts.entries -
			s->prev[i]) : NONE), why));
		MM_TRY(leaf_add(s, &leaf, why));
		s->counts.entries++;
	}
	return MM_OK;
}

/* ---- reading ---- */

enum mm_err
mm_sqlite_get_entry(struct mm_store_reader *r, uint64_t index,
    struct mm_buf *entry, struct mm_why *why)
{
	enum mm_err err = mm_sqlite_bytes(mm_sqlite_db(r),
	    ASK(ENTRY, INT(index)), 0, entry, why);

	return err != MM_ENOTFOUND ? err :
	    MM_FAIL(why, err, "ledger: no entry %llu",
		(unsigned long long)index);
}

static enum mm_err
each_entry(struct db *db, uint64_t from, uint64_t to, mm_each_entry_fn *fn,
    void *ctx, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	enum mm_err err = MM_OK;
	uint64_t at = from;

	if (from >= to)
		return MM_OK;
	if (to > INT64_MAX)
		to = INT64_MAX;
	err = mm_sqlite_first(db, ASK(ENTRIES, INT(from), INT(to)), &st, why);
	for (; err == MM_OK; at++) {
		if ((uint64_t)sqlite3_column_int64(st, 0) != at)
			break;
		MM_TRY(fn(ctx, at, mm_sqlite_blob(st, 1), why));
		err = mm_sqlite_next(db, st, why);
	}
	if (err == MM_OK || (err == MM_ENOTFOUND && at < to))
		return MM_FAIL(why, MM_ENOTFOUND, "ledger: no entry %llu",
		    (unsigned long long)at);
	return err == MM_ENOTFOUND ? MM_OK : err;
}

enum mm_err
mm_sqlite_each_entry(struct mm_store_reader *r, uint64_t from, uint64_t to,
    mm_each_entry_fn *fn, void *ctx, struct mm_why *why)
{
	return each_entry(mm_sqlite_db(r), from, to, fn, ctx, why);
}

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
	struct leaf_cache *c = ctx;

	(void)index;
	(void)why;
	c->hash[c->n++] = mm_tree_leaf(entry);
	return MM_OK;
}

/* The first width hashes of a level-0 tile that is not full yet. */
static enum mm_err
partial_leaves(struct db *db, struct leaf_cache *c,
    const struct mm_tile_id *id, struct mm_why *why)
{
	uint64_t first = id->index * MM_TILE_W;

	if (c->tile != id->index)
		*c = (struct leaf_cache){ .tile = id->index };
	return each_entry(db, first + c->n, first + id->width, put_in_leaves,
	    c, why);
}

/* A partial tile above: the roots of the full tiles below. */
static enum mm_err
partial_roots(struct db *db, const struct mm_tile_id *id, struct mm_buf *out,
    struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	int64_t first = tile_key(id->level - 1, id->index * MM_TILE_W);
	enum mm_err err = mm_sqlite_first(db, ASK(TILE_ROOTS, INT(first),
	    INT(first + id->width)), &st, why);
	unsigned n = 0;

	for (; err == MM_OK; n++) {
		mm_buf_bytes(out, mm_sqlite_blob(st, 1));
		err = mm_sqlite_next(db, st, why);
	}
	if (err == MM_ENOTFOUND && n < id->width)
		return MM_FAIL(why, err, "ledger: no such tile");
	return err == MM_ENOTFOUND ? mm_buf_ok(out, why) : err;
}

static enum mm_err
hashes(struct db *db, struct leaf_cache *leaves, const struct mm_tile_id *id,
    struct mm_buf *out, struct mm_why *why)
{
	enum mm_err err = MM_ENOTFOUND;

	if (id->level == 0 && id->index == leaves->tile &&
	    id->width <= leaves->n)
		err = MM_OK;
	else if (id->width == MM_TILE_W)
		return mm_sqlite_bytes(db, ASK(TILE,
		    INT(tile_key(id->level, id->index))), 0, out, why);
	else if (id->level > 0)
		return partial_roots(db, id, out, why);
	else
		err = partial_leaves(db, leaves, id, why);
	if (err == MM_OK)
		mm_buf_put(out, leaves->hash, id->width * MM_HASH_N);
	return err != MM_OK ? err : mm_buf_ok(out, why);
}

enum mm_err
mm_sqlite_get_tile(struct mm_store_reader *r, const struct mm_tile_id *id,
    struct mm_buf *out, struct mm_why *why)
{
	struct sqlite_reader *sr = (struct sqlite_reader *)r;
	uint64_t first = id->index * MM_TILE_W, size;
	size_t n = out->n;
	enum mm_err err;

	MM_TRY(mm_get_ledger_size(r, &size, why));
	if (!mm_tile_exists(id, size))
		return MM_FAIL(why, MM_ENOTFOUND, "ledger: no such tile");
	err = id->entries ? each_entry(&sr->db, first, first + id->width,
	    put_in_bundle, out, why) :
	    hashes(&sr->db, &sr->leaves, id, out, why);
	if (err != MM_OK && out->n > n)
		out->n = n;
	return err;
}

/* ---- the edge at start ---- */

struct edge_source {
	struct db *db;
	struct leaf_cache leaves;
	struct mm_buf buf;
};

static enum mm_err
edge_tile(void *ctx, const struct mm_tile_id *id, struct mm_bytes *out,
    struct mm_why *why)
{
	struct edge_source *src = ctx;

	mm_buf_reset(&src->buf);
	MM_TRY(hashes(src->db, &src->leaves, id, &src->buf, why));
	*out = mm_buf_view(&src->buf);
	return MM_OK;
}

enum mm_err
mm_sqlite_edge_load(struct db *db, uint64_t size, struct mm_tile_edge *edge,
    struct mm_why *why)
{
	struct edge_source src = { .db = db, .buf = MM_BUF_INIT(TILE_BYTES) };
	enum mm_err err = mm_tile_edge_restore(edge,
	    &(struct mm_tile_reader){ edge_tile, &src, size }, why);

	mm_buf_done(&src.buf);
	return err;
}
