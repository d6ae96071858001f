#include "store/sqlite.h"

/* ---- writing ---- */

static enum mm_err
tile_add(void *ctx, const struct mm_tile_row *t, struct mm_why *why)
{
	return mm_sqlite_exec(ctx, ASK(TILE_ADD, INT(t->key),
	    BLOB(t->root->b, MM_HASH_N),
	    BLOB(t->hashes[0].b, MM_TILE_W * MM_HASH_N)), why);
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
		MM_TRY(mm_tiles_append(&s->edge, &leaf, tile_add, &s->db,
		    why));
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
each_entry(void *db, uint64_t from, uint64_t to, mm_each_entry_fn *fn,
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
tile(void *db, int64_t key, struct mm_buf *out, struct mm_why *why)
{
	return mm_sqlite_bytes(db, ASK(TILE, INT(key)), 0, out, why);
}

static enum mm_err
roots(void *db, int64_t first, unsigned n, struct mm_buf *out,
    struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	enum mm_err err = mm_sqlite_first(db, ASK(TILE_ROOTS, INT(first),
	    INT(first + n)), &st, why);
	unsigned got = 0;

	for (; err == MM_OK; got++) {
		mm_buf_bytes(out, mm_sqlite_blob(st, 1));
		err = mm_sqlite_next(db, st, why);
	}
	if (err == MM_ENOTFOUND && got < n)
		return MM_FAIL(why, err, "ledger: no such tile");
	return err == MM_ENOTFOUND ? mm_buf_ok(out, why) : err;
}

const struct mm_tile_source mm_sqlite_tiles = { each_entry, tile, roots };

enum mm_err
mm_sqlite_get_tile(struct mm_store_reader *r, const struct mm_tile_id *id,
    struct mm_buf *out, struct mm_why *why)
{
	uint64_t size;

	MM_TRY(mm_get_ledger_size(r, &size, why));
	return mm_tiles_get(&((struct sqlite_reader *)r)->tiles, id, size,
	    out, why);
}
