#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "store/postgres.h"

#define TIDY_EVERY_MS 3600000

/* ---- the writing side ---- */

static void
store_close(struct mm_store *take_s)
{
	struct pg_store *s = (struct pg_store *)take_s;

	mm_pg_disconnect(&s->db);
	mm_pg_where_done(&s->db.where);
	free(s);
}

/* Partitions for the years ahead, as far as they are missing. */
static enum mm_err
make_years(struct pg *db, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	return mm_pg_rows(db, ASK(YEARS, INT(mm_now_ms())), &res, why);
}

static enum mm_err
store_start(struct pg_store *s, const char *where, bool create,
    struct mm_why *why)
{
	int64_t n[6];

	s->db.writes = true;
	s->db.create = create;
	MM_TRY(mm_pg_where(where, &s->db.where, why));
	MM_TRY(mm_pg_ready(&s->db, why));
	s->db.create = false;
	/* What cannot be made now is made later; serials of a year without
	 * a partition have a place all the same. */
	(void)make_years(&s->db, NULL);
	MM_TRY(mm_pg_ints(&s->db, ASK0(COUNTS), n, 6, why));
	atomic_store(&s->committed, (uint64_t)n[5]);
	return MM_OK;
}

static enum mm_err
store_open(const char *where, bool create, struct mm_store **out,
    struct mm_why *why)
{
	struct pg_store *s = calloc(1, sizeof(*s));
	enum mm_err err;

	if (s == NULL)
		return MM_FAIL(why, MM_ENOMEM, "database: out of memory");
	s->base.backend = &mm_postgres_backend;
	err = store_start(s, where, create, why);
	if (err == MM_OK)
		*out = &s->base;
	else
		store_close(&s->base);
	return err;
}

static uint64_t
store_ledger_size(const struct mm_store *s)
{
	return atomic_load(&((const struct pg_store *)s)->committed);
}

/* ---- the reading side ---- */

struct pg *
mm_pg_db(struct mm_store_reader *r)
{
	return &((struct pg_reader *)r)->db;
}

static void
reader_close(struct mm_store_reader *take_r)
{
	struct pg_reader *r = (struct pg_reader *)take_r;

	mm_pg_disconnect(&r->db);
	mm_pg_where_done(&r->db.where);
	free(r);
}

static enum mm_err
reader_open(const char *where, struct mm_store_reader **out,
    struct mm_why *why)
{
	struct pg_reader *r = calloc(1, sizeof(*r));
	enum mm_err err;

	if (r == NULL)
		return MM_FAIL(why, MM_ENOMEM, "database: out of memory");
	r->base.backend = &mm_postgres_backend;
	r->tiles.source = &mm_pg_tiles;
	r->tiles.db = &r->db;
	err = mm_pg_where(where, &r->db.where, why);
	if (err == MM_OK)
		err = mm_pg_ready(&r->db, why);
	if (err == MM_OK)
		*out = &r->base;
	else
		reader_close(&r->base);
	return err;
}

static void
reader_end(struct mm_store_reader *r)
{
	struct pg *db = mm_pg_db(r);
	PGresult *res = NULL;

	if (db->c != NULL && mm_pg_rows(db, ASK0(COMMIT), &res, NULL) != MM_OK)
		mm_pg_disconnect(db);
	PQclear(res);
	db->began = false;
}

/* The snapshot is taken by the first read after BEGIN: read at once. */
static enum mm_err
reader_begin(struct mm_store_reader *r, struct mm_why *why)
{
	struct pg *db = mm_pg_db(r);
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	struct mm_store_counts counts;
	enum mm_err err;

	MM_TRY(mm_pg_rows(db, ASK0(BEGIN_READ), &res, why));
	db->began = true;
	err = mm_pg_get_counts(r, &counts, why);
	if (err != MM_OK)
		reader_end(r);
	return err;
}

/* What writes gets a connection of its own, for the moment it takes. */
static enum mm_err
tidy(struct mm_store_reader *base, struct mm_why *why)
{
	struct pg_reader *r = (struct pg_reader *)base;
	struct pg db = { .writes = true, .where = r->db.where };
	enum mm_err err;

	if (mm_mono_ms() < r->tidy_at)
		return MM_OK;
	err = make_years(&db, why);
	mm_pg_disconnect(&db);
	if (err == MM_OK)
		r->tidy_at = mm_mono_ms() + TIDY_EVERY_MS;
	return err;
}

const struct mm_store_backend mm_postgres_backend = {
	.scheme = "postgresql",
	.shared = true,
	.store_open = store_open,
	.store_close = store_close,
	.store_run = mm_pg_run,
	.store_ledger_size = store_ledger_size,
	.store_tidy = tidy,
	.reader_open = reader_open,
	.reader_close = reader_close,
	.reader_begin = reader_begin,
	.reader_end = reader_end,
	.inspect = mm_pg_inspect,
	.get = mm_pg_get_row,
	.get_cert_der = mm_pg_get_cert_der,
	.get_device_cert = mm_pg_get_device_cert,
	.get_checkpoint = mm_pg_get_checkpoint,
	.get_crl = mm_pg_get_crl,
	.get_shard = mm_pg_get_shard,
	.get_answer = mm_pg_get_answer,
	.get_doc = mm_pg_get_doc,
	.get_counts = mm_pg_get_counts,
	.get_unconfirmed = mm_pg_get_unconfirmed,
	.next_class = mm_pg_next_class,
	.list_ends = mm_pg_list_ends,
	.get_entry = mm_pg_get_entry,
	.each_entry = mm_pg_each_entry,
	.get_tile = mm_pg_get_tile,
	.list = mm_pg_list,
	.list_docs = mm_pg_list_docs,
	.count_docs = mm_pg_count_docs,
	.list_revoked = mm_pg_list_revoked,
	.list_revoked_shards = mm_pg_list_revoked_shards,
	.list_shards = mm_pg_list_shards,
	.list_history = mm_pg_list_history,
	.recall = mm_pg_recall,
};
