#ifndef MM_STORE_POSTGRES_H
#define MM_STORE_POSTGRES_H

#include <libpq-fe.h>
#include <stdatomic.h>

#include "base/own.h"
#include "store/backend.h"
#include "store/postgres_sql.h"
#include "store/shape.h"
#include "store/tiles.h"

/*
 * The PostgreSQL backend's own face: a connection that comes back by itself,
 * statements prepared once, typed parameters, rows read by shape.
 *
 * No call waits for longer than its connection's patience, whatever the
 * network or the server does: then the connection is dropped.
 */

/* ---- where the database is (postgres_where.c) ---- */

#define PG_PARAMS 64
/* libpq's keyword and value arrays; owned. */
struct pg_where {
	char *key[PG_PARAMS], *value[PG_PARAMS];
	unsigned n;
};
/*
 * From what follows "postgresql:".  Host names are looked up here, once:
 * later, behind the sandbox, there may be no resolver.  MM_EPOLICY: it holds
 * a password.
 */
enum mm_err mm_pg_where(const char *where, struct pg_where *out,
    struct mm_why *why);
void mm_pg_where_done(struct pg_where *w);

/* ---- a connection (postgres_conn.c) ---- */

struct pg {
	PGconn *c; /* NULL: none */
	struct pg_where where;
	bool patient; /* for what takes as long as it takes */
	bool writes, create; /* create: the schema need not be there yet */
	bool began;          /* a reader between begin and end */
	bool warned;         /* the server sent a warning */
	bool prepared[Q_STATEMENTS];
	Oid op, ops;         /* a writer's: op, op[] of the schema */
	int64_t try_at;      /* monotonic: not before */
	unsigned back_off_ms;
};

/*
 * Connects if it is not connected: session set up, the server found fit
 * (postgres_check.c), and all that it shows durable.  MM_EAGAIN, at once
 * while the last failure is too near; MM_EPOLICY: not a server to trust.
 */
enum mm_err mm_pg_ready(struct pg *db, struct mm_why *why);
void mm_pg_disconnect(struct pg *db);
/* The next result, or NULL at the end of a statement's.  MM_EAGAIN: the
 * connection is gone. */
enum mm_err mm_pg_result(struct pg *db, PGresult **out, struct mm_why *why);
/* Words and code for a statement's failure; a lost connection is dropped. */
enum mm_err mm_pg_fail(struct pg *db, const PGresult *res,
    struct mm_why *why);
MM_FREE_FN(mm_pg_clear, PGresult, PQclear)

/* ---- asking (postgres_db.c) ---- */

struct ask {
	enum sql sql;
	const struct val *v;
	unsigned n;
};
#define ASK(q, ...)                                                       \
	(&(struct ask){ Q_##q, (struct val[]){ __VA_ARGS__ },             \
	    sizeof((struct val[]){ __VA_ARGS__ }) / sizeof(struct val) })
#define ASK0(q) (&(struct ask){ Q_##q, NULL, 0 })

/* Sends a prepared statement; in a pipeline it only queues it. */
enum mm_err mm_pg_send(struct pg *db, const struct ask *ask,
    struct mm_why *why);
/* Makes sure that a statement is prepared: no pipeline could. */
enum mm_err mm_pg_prepare(struct pg *db, const struct ask *ask,
    struct mm_why *why);
/* All rows; outside of a transaction once more if the connection was lost. */
enum mm_err mm_pg_rows(struct pg *db, const struct ask *ask, PGresult **out,
    struct mm_why *why);
/* Row by row, for what may be more than memory should hold; fn gets a result
 * of one row and must not ask db. */
typedef enum mm_err mm_pg_row_fn(void *ctx, PGresult *res,
    struct mm_why *why);
enum mm_err mm_pg_stream(struct pg *db, const struct ask *ask,
    mm_pg_row_fn *fn, void *ctx, struct mm_why *why);
/* SQL that is not kept; result of the last statement. */
enum mm_err mm_pg_text(struct pg *db, const char *sql, PGresult **out,
    struct mm_why *why);

/* Columns of a row: NULL is empty bytes, 0. */
struct mm_bytes mm_pg_blob(const PGresult *res, int row, int column);
int64_t mm_pg_int(const PGresult *res, int row, int column);

/* One row; MM_ENOTFOUND, without words, if there is none. */
enum mm_err mm_pg_first(struct pg *db, const struct ask *ask, PGresult **out,
    struct mm_why *why);
enum mm_err mm_pg_ints(struct pg *db, const struct ask *ask, int64_t *out,
    unsigned n, struct mm_why *why);
enum mm_err mm_pg_bytes(struct pg *db, const struct ask *ask, int column,
    struct mm_buf *out, struct mm_why *why);
enum mm_err mm_pg_load(PGresult *res, int row, const struct shape *s,
    void *out, struct mm_why *why);
enum mm_err mm_pg_get(struct pg *db, const struct ask *ask,
    const struct shape *s, void *out, struct mm_why *why);

/* ---- the server (postgres_check.c) ---- */

/* Version, encoding, durability, schema; pins the session's settings. */
enum mm_err mm_pg_session(struct pg *db, struct mm_why *why);
enum mm_err mm_pg_schema(struct pg *db, struct mm_why *why);
extern const char mm_pg_setup[]; /* settings that any session pins */
extern const char mm_postgres_schema[], mm_postgres_ops_schema[],
    mm_postgres_reads_schema[], mm_postgres_3_schema[],
    mm_postgres_4_schema[], mm_postgres_5_schema[],
    mm_postgres_6_schema[], mm_postgres_7_schema[],
    mm_postgres_8_schema[], mm_postgres_9_schema[],
    mm_postgres_10_schema[], mm_postgres_11_schema[],
    mm_postgres_12_schema[];

/* ---- the writing side (postgres_run.c, postgres_ops.c) ---- */

struct pg_store {
	struct mm_store base;
	struct pg db;
	bool edge_ok; /* edge is that of the first edge.size entries */
	struct mm_tile_edge edge;
	_Atomic uint64_t committed; /* size of the ledger */
};

enum mm_err mm_pg_run(struct mm_store *s, struct mm_op **ops, size_t nops,
    struct mm_why *why);
/* The binary form of op[] as run() takes it. */
void mm_pg_ops(const struct pg *db, struct mm_op *const *ops,
    size_t nops, struct mm_buf *out);
/* The binary forms of bytea[] and bigint[]. */
void mm_pg_blobs(const struct mm_bytes *v, size_t n, struct mm_buf *out);
void mm_pg_numbers(const int64_t *v, size_t n, struct mm_buf *out);

/* ---- the ledger (postgres_ledger.c) ---- */

extern const struct mm_tile_source mm_pg_tiles;
enum mm_err mm_pg_get_entry(struct mm_store_reader *r, uint64_t index,
    struct mm_buf *entry, struct mm_why *why);
enum mm_err mm_pg_each_entry(struct mm_store_reader *r, uint64_t from,
    uint64_t to, mm_each_entry_fn *fn, void *ctx, struct mm_why *why);
enum mm_err mm_pg_get_tile(struct mm_store_reader *r,
    const struct mm_tile_id *id, struct mm_buf *out, struct mm_why *why);

/* ---- reading ---- */

struct pg_reader {
	struct mm_store_reader base;
	struct pg db;
	struct mm_tiles tiles;
	int64_t tidy_at; /* monotonic: not before */
};
struct pg *mm_pg_db(struct mm_store_reader *r);
enum mm_err mm_pg_inspect(struct mm_store_reader *r, bool deep,
    struct mm_store_health *out, struct mm_why *why);

enum mm_err mm_pg_get_row(struct mm_store_reader *r, enum mm_get kind,
    const void *key, void *out, struct mm_why *why);
enum mm_err mm_pg_get_cert_der(struct mm_store_reader *r,
    const uint8_t serial[16], struct mm_buf *der, struct mm_why *why);
enum mm_err mm_pg_get_device_cert(struct mm_store_reader *r,
    const char *device, bool idevid, struct mm_cert_row *out,
    struct mm_why *why);
enum mm_err mm_pg_get_checkpoint(struct mm_store_reader *r, uint64_t *size,
    struct mm_buf *note, struct mm_why *why);
enum mm_err mm_pg_get_crl(struct mm_store_reader *r, const char *issuer,
    uint64_t *number, int64_t *next_s, struct mm_buf *der,
    struct mm_why *why);
enum mm_err mm_pg_get_answer(struct mm_store_reader *r, const char *key,
    struct mm_answer_row *out, struct mm_buf *body, struct mm_why *why);
enum mm_err mm_pg_get_doc(struct mm_store_reader *r, enum mm_doc_kind kind,
    const char *id, uint64_t *version, struct mm_buf *body,
    struct mm_why *why);
enum mm_err mm_pg_count_docs(struct mm_store_reader *r,
    const struct mm_doc_range *range, int64_t *n, struct mm_why *why);
enum mm_err mm_pg_list_docs(struct mm_store_reader *r,
    const struct mm_doc_range *range, const struct mm_row_sink *to,
    struct mm_why *why);
enum mm_err mm_pg_get_unconfirmed(struct mm_store_reader *r,
    int64_t before_ms, uint64_t most, uint64_t *n, struct mm_why *why);
enum mm_err mm_pg_next_class(struct mm_store_reader *r, struct mm_ending *at,
    struct mm_why *why);
enum mm_err mm_pg_list_ends(struct mm_store_reader *r,
    const struct mm_ending *at, enum mm_cert_state state, unsigned most,
    const struct mm_end_sink *to, struct mm_why *why);
enum mm_err mm_pg_get_counts(struct mm_store_reader *r,
    struct mm_store_counts *out, struct mm_why *why);
enum mm_err mm_pg_list(struct mm_store_reader *r, enum mm_list_kind kind,
    const struct mm_list *l, const struct mm_row_sink *to,
    struct mm_why *why);
enum mm_err mm_pg_get_shard(struct mm_store_reader *r, const char *issuer,
    uint32_t shard, uint64_t *number, int64_t *next_s, struct mm_buf *der,
    struct mm_why *why);
enum mm_err mm_pg_list_revoked_shards(struct mm_store_reader *r,
    const struct mm_shards_of *of, const struct mm_row_sink *to,
    struct mm_why *why);
enum mm_err mm_pg_list_shards(struct mm_store_reader *r, const char *issuer,
    const struct mm_row_sink *to, struct mm_why *why);
enum mm_err mm_pg_list_revoked(struct mm_store_reader *r, const char *issuer,
    int64_t now_s, const struct mm_row_sink *to, struct mm_why *why);
enum mm_err mm_pg_list_history(struct mm_store_reader *r, const char *device,
    const struct mm_history *h, struct mm_why *why);
/* postgres_recall.c */
enum mm_err mm_pg_recall(struct mm_store_reader *r, const struct mm_recall *q,
    const struct mm_row_sink *to, char next[MM_RECALL_AFTER],
    struct mm_why *why);

#endif
