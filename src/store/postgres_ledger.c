#include "store/postgres.h"

#define CHUNK 512 /* entries read at once */

/* ---- reading ---- */

/* see postgres.h */
enum mm_err
mm_pg_get_entry(struct mm_store_reader *r, uint64_t index,
    struct mm_buf *entry, struct mm_why *why)
{
	enum mm_err err = mm_pg_bytes(mm_pg_db(r), ASK(ENTRY, INT(index)), 0,
	    entry, why);

	return err != MM_ENOTFOUND ? err :
	    MM_FAIL(why, err, "ledger: no entry %llu",
		(unsigned long long)index);
}

/* As many as there are of a chunk; *at moves behind them. */
static enum mm_err
some_entries(struct pg *db, uint64_t *at, uint64_t to, mm_each_entry_fn *fn,
    void *ctx, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	MM_TRY(mm_pg_rows(db, ASK(ENTRIES, INT(*at), INT(to), INT(CHUNK)),
	    &res, why));
	for (int i = 0; i < PQntuples(res); i++, (*at)++) {
		if ((uint64_t)mm_pg_int(res, i, 0) != *at)
			break;
		MM_TRY(fn(ctx, *at, mm_pg_blob(res, i, 1), why));
	}
	return MM_OK;
}

/* Entries never change, so they need no snapshot. */
static enum mm_err
each_entry(void *db, uint64_t from, uint64_t to, mm_each_entry_fn *fn,
    void *ctx, struct mm_why *why)
{
	uint64_t at = from, before;

	if (to > INT64_MAX)
		to = INT64_MAX;
	do {
		before = at;
		if (at < to)
			MM_TRY(some_entries(db, &at, to, fn, ctx, why));
	} while (at > before);
	return at >= to ? MM_OK : MM_FAIL(why, MM_ENOTFOUND,
	    "ledger: no entry %llu", (unsigned long long)at);
}

/* see postgres.h */
enum mm_err
mm_pg_each_entry(struct mm_store_reader *r, uint64_t from, uint64_t to,
    mm_each_entry_fn *fn, void *ctx, struct mm_why *why)
{
	return each_entry(mm_pg_db(r), from, to, fn, ctx, why);
}

static enum mm_err
tile(void *db, int64_t key, struct mm_buf *out, struct mm_why *why)
{
	return mm_pg_bytes(db, ASK(TILE, INT(key)), 0, out, why);
}

static enum mm_err
roots(void *db, int64_t first, unsigned n, struct mm_buf *out,
    struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	MM_TRY(mm_pg_rows(db, ASK(TILE_ROOTS, INT(first), INT(first + n)),
	    &res, why));
	if ((unsigned)PQntuples(res) < n)
		return MM_FAIL(why, MM_ENOTFOUND, "ledger: no such tile");
	for (int i = 0; i < PQntuples(res); i++)
		mm_buf_bytes(out, mm_pg_blob(res, i, 0));
	return mm_buf_ok(out, why);
}

const struct mm_tile_source mm_pg_tiles = { each_entry, tile, roots };

/* see postgres.h */
enum mm_err
mm_pg_get_tile(struct mm_store_reader *r, const struct mm_tile_id *id,
    struct mm_buf *out, struct mm_why *why)
{
	uint64_t size;

	MM_TRY(mm_get_ledger_size(r, &size, why));
	return mm_tiles_get(&((struct pg_reader *)r)->tiles, id, size, out,
	    why);
}

/* see backend.h */
enum mm_err
mm_pg_list_history(struct mm_store_reader *r, const char *device,
    const struct mm_history *h, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	struct pg *db = mm_pg_db(r);
	uint64_t before = h->before > INT64_MAX ? INT64_MAX : h->before;
	int64_t id;
	enum mm_err err = mm_pg_ints(db, ASK(DEVICE_ID, TEXT(device)), &id, 1,
	    why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "no such device");
	MM_TRY(err);
	MM_TRY(mm_pg_rows(db, ASK(HISTORY, INT(id), INT(before),
	    INT(h->most)), &res, why));
	for (int i = 0; i < PQntuples(res); i++) {
		int64_t at = mm_pg_int(res, i, 0);

		if (PQgetisnull(res, i, 1))
			return MM_FAIL(why, MM_ESYS, "ledger: chain of entry "
			    "%lld", (long long)at);
		MM_TRY(h->fn(h->ctx, (uint64_t)at, mm_pg_blob(res, i, 1),
		    why));
	}
	return MM_OK;
}
