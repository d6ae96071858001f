#ifndef MM_STORE_SQLITE_H
#define MM_STORE_SQLITE_H

#include <sqlite3.h>
#include <stdatomic.h>

#include "base/own.h"
#include "store/backend.h"
#include "store/shape.h"
#include "store/sqlite_sql.h"
#include "store/tiles.h"

/*
 * The SQLite backend's own face: a connection with its statements kept
 * prepared, typed parameters, and rows read by shape.
 */

struct db {
	sqlite3 *h;
	sqlite3_stmt *st[Q_STATEMENTS];
};

/* ---- asking: a statement and its parameters (sqlite_db.c) ---- */

struct ask {
	enum sql sql;
	const struct val *v;
	unsigned n;
};
/* An array of values becomes the two arguments of an ask. */
#define ASK(q, ...)                                                       \
	(&(struct ask){ Q_##q, (struct val[]){ __VA_ARGS__ },             \
	    sizeof((struct val[]){ __VA_ARGS__ }) / sizeof(struct val) })
#define ASK0(q)    (&(struct ask){ Q_##q, NULL, 0 })

/* Readonly or for writing; MM_ENOTFOUND if there is no file. */
enum mm_err mm_sqlite_connect(struct db *db, const char *path, int flags,
    struct mm_why *why);
void mm_sqlite_disconnect(struct db *db);
/* Words and code for the connection's last failure. */
enum mm_err mm_sqlite_fail(const struct db *db, int rc, struct mm_why *why);
/* A statement without rows. */
enum mm_err mm_sqlite_exec(struct db *db, const struct ask *ask,
    struct mm_why *why);
/* SQL that is not kept. */
enum mm_err mm_sqlite_text(struct db *db, const char *sql,
    struct mm_why *why);

/* First row: until mm_sqlite_reset, columns are at *st. */
enum mm_err mm_sqlite_first(struct db *db, const struct ask *ask,
    sqlite3_stmt **st, struct mm_why *why);
/* Next row; MM_ENOTFOUND, without words, after the last. */
enum mm_err mm_sqlite_next(struct db *db, sqlite3_stmt *st,
    struct mm_why *why);
static inline void
mm_sqlite_reset(sqlite3_stmt **owner)
{
	sqlite3_reset(*owner);
	*owner = NULL;
}
struct mm_bytes mm_sqlite_blob(sqlite3_stmt *st, int column);

/* One row of n integers; MM_ENOTFOUND, without words, if there is none. */
enum mm_err mm_sqlite_ints(struct db *db, const struct ask *ask,
    int64_t *out, unsigned n, struct mm_why *why);
/* Whether there is a row; failures are the database's. */
struct sqlite_store;
enum mm_err mm_sqlite_exists(struct sqlite_store *s, const struct ask *ask,
    bool *there, struct mm_why *why);
/* One row whose column is appended to out. */
enum mm_err mm_sqlite_bytes(struct db *db, const struct ask *ask, int column,
    struct mm_buf *out, struct mm_why *why);

/* ---- rows by shape (sqlite_shape.c) ---- */

/* Columns of the current row into the struct the shape describes. */
enum mm_err mm_sqlite_load(sqlite3_stmt *st, const struct shape *s, void *out,
    struct mm_why *why);
enum mm_err mm_sqlite_get(struct db *db, const struct ask *ask,
    const struct shape *s, void *out, struct mm_why *why);
/* ---- the writing side ---- */

/* Recently used classes: asking the database costs a microsecond each. */
#define CLASS_CACHE 64
struct class_slot {
	int64_t id;
	char product[MM_NAME_MAX + 1], issuer[MM_NAME_MAX + 1];
	char profile[MM_PROFILE_TEXT];
};

struct sqlite_store {
	struct mm_store base;
	struct db db;
	int lock_fd;
	/* What is below mirrors the database, or will be read again. */
	bool stale;
	struct mm_store_counts counts;
	struct mm_tile_edge edge;
	int64_t prev[MM_OP_ENTRIES]; /* of the present op: mm_sqlite_chain */
	struct class_slot class[CLASS_CACHE];
	/* Of this transaction: the version of a product's schema, "" none. */
	struct {
		char product[MM_NAME_MAX + 1];
		uint64_t version;
	} schema;
	_Atomic uint64_t committed; /* size of the ledger */
};

struct sqlite_reader {
	struct mm_store_reader base;
	struct db db, tidy;
	char *path;
	struct mm_tiles tiles;
};

/* sqlite_schema.c.  Writing: made if create and empty, brought up to date if
 * older; reading: must be this program's.  MM_ENOTFOUND: empty. */
extern const char mm_sqlite_schema[], mm_sqlite_2_schema[],
    mm_sqlite_3_schema[], mm_sqlite_4_schema[], mm_sqlite_5_schema[],
    mm_sqlite_6_schema[], mm_sqlite_7_schema[],
    mm_sqlite_8_schema[];
enum mm_err mm_sqlite_schema_write(struct db *db, bool create,
    struct mm_why *why);
enum mm_err mm_sqlite_schema_read(struct db *db, struct mm_why *why);

enum mm_err mm_sqlite_run(struct mm_store *s, struct mm_op **ops, size_t nops,
    struct mm_why *why);
/* Reads counters and edge again; what starts a store. */
enum mm_err mm_sqlite_reload(struct sqlite_store *s, struct mm_why *why);

/* One op: all checks first, then writes that cannot fail but whole.
 * *written: whether its entries belong into the ledger. */
typedef enum mm_err mm_sqlite_op_fn(struct sqlite_store *s, struct mm_op *op,
    bool *written, struct mm_why *why);
mm_sqlite_op_fn mm_sqlite_issue, mm_sqlite_confirm, mm_sqlite_revoke,
    mm_sqlite_orphan, mm_sqlite_mint, mm_sqlite_token_state,
    mm_sqlite_product_put, mm_sqlite_device_put, mm_sqlite_device_retire,
    mm_sqlite_operator_put, mm_sqlite_operator_revoke,
    mm_sqlite_operator_erase, mm_sqlite_operator_used,
    mm_sqlite_operator_renew, mm_sqlite_operator_confirm,
    mm_sqlite_checkpoint_put, mm_sqlite_crl_put, mm_sqlite_answer_put,
    mm_sqlite_doc_put, mm_sqlite_devices_index;
/* Counts (sqlite_share.c); NULL: the certificate is of no batch. */
enum mm_err mm_sqlite_count_is(struct sqlite_store *s, const char *id,
    uint64_t want, struct mm_why *why);
enum mm_err mm_sqlite_count_up(struct sqlite_store *s, const char *id,
    struct mm_why *why);
enum mm_err mm_sqlite_share_check(struct sqlite_store *s,
    const struct mm_op_share *sh, struct mm_why *why);
enum mm_err mm_sqlite_share_write(struct sqlite_store *s,
    const struct mm_op_share *sh, const char *device, struct mm_why *why);

/*
 * The op's entries from number first on, n of them, are about one object
 * whose newest entry was prev (-1: none).  What is now its newest.
 */
int64_t mm_sqlite_chain(struct sqlite_store *s, const struct mm_op *op,
    unsigned first, unsigned n, int64_t prev);
#define LAST(x) ((x) >= 0 ? INT(x) : NONE)
/* The class of these texts, made if new. */
enum mm_err mm_sqlite_class(struct sqlite_store *s, const char *product,
    const char *issuer, const char *profile, int64_t *id);
/* A certificate changes its state: keeps the number of those on a CRL (held,
 * revoked, orphaned). */
void mm_sqlite_count_move(struct sqlite_store *s, int64_t from, int64_t to);
#define MM_SQLITE_TOKEN "token:" /* how a token's authority begins */
/* 64 bits of an authority's hash. */
int64_t mm_sqlite_claim(const char *authority);

/* ---- the ledger (sqlite_ledger.c) ---- */

enum mm_err mm_sqlite_entries_add(struct sqlite_store *s,
    const struct mm_op *op, struct mm_why *why);
enum mm_err mm_sqlite_get_entry(struct mm_store_reader *r, uint64_t index,
    struct mm_buf *entry, struct mm_why *why);
enum mm_err mm_sqlite_each_entry(struct mm_store_reader *r, uint64_t from,
    uint64_t to, mm_each_entry_fn *fn, void *ctx, struct mm_why *why);
extern const struct mm_tile_source mm_sqlite_tiles;
enum mm_err mm_sqlite_get_tile(struct mm_store_reader *r,
    const struct mm_tile_id *id, struct mm_buf *out, struct mm_why *why);

/* ---- reading ---- */

struct db *mm_sqlite_db(struct mm_store_reader *r);
enum mm_err mm_sqlite_counts(struct db *db, struct mm_store_counts *out,
    struct mm_why *why);
enum mm_err mm_sqlite_settings_hold(struct db *db, struct mm_why *why);
enum mm_err mm_sqlite_inspect(struct mm_store_reader *r, bool deep,
    struct mm_store_health *out, struct mm_why *why);
enum mm_err mm_sqlite_tidy(struct mm_store_reader *r, struct mm_why *why);

enum mm_err mm_sqlite_get_row(struct mm_store_reader *r, enum mm_get kind,
    const void *key, void *out, struct mm_why *why);
enum mm_err mm_sqlite_get_cert_der(struct mm_store_reader *r,
    const uint8_t serial[16], struct mm_buf *der, struct mm_why *why);
enum mm_err mm_sqlite_get_device_cert(struct mm_store_reader *r,
    const char *device, bool idevid, struct mm_cert_row *out,
    struct mm_why *why);
enum mm_err mm_sqlite_get_checkpoint(struct mm_store_reader *r,
    uint64_t *size, struct mm_buf *note, struct mm_why *why);
enum mm_err mm_sqlite_get_crl(struct mm_store_reader *r, const char *issuer,
    uint64_t *number, int64_t *next_s, struct mm_buf *der,
    struct mm_why *why);
enum mm_err mm_sqlite_get_answer(struct mm_store_reader *r, const char *key,
    struct mm_answer_row *out, struct mm_buf *body, struct mm_why *why);
enum mm_err mm_sqlite_get_counts(struct mm_store_reader *r,
    struct mm_store_counts *out, struct mm_why *why);

/* Documents (sqlite_doc.c). */
enum mm_err mm_sqlite_get_doc(struct mm_store_reader *r,
    enum mm_doc_kind kind, const char *id, uint64_t *version,
    struct mm_buf *body, struct mm_why *why);
enum mm_err mm_sqlite_count_docs(struct mm_store_reader *r,
    const struct mm_doc_range *range, int64_t *n, struct mm_why *why);
enum mm_err mm_sqlite_list_docs(struct mm_store_reader *r,
    const struct mm_doc_range *range, const struct mm_row_sink *to,
    struct mm_why *why);

/* Histories (sqlite_history.c) and recalls (sqlite_recall.c). */
enum mm_err mm_sqlite_list_history(struct mm_store_reader *r,
    const char *device, const struct mm_history *h, struct mm_why *why);
enum mm_err mm_sqlite_recall(struct mm_store_reader *r,
    const struct mm_recall *q, const struct mm_row_sink *to,
    char next[MM_RECALL_AFTER], struct mm_why *why);

/* Pages (sqlite_list.c, sqlite_page.c). */
enum mm_err mm_sqlite_list(struct mm_store_reader *r, enum mm_list_kind kind,
    const struct mm_list *l, const struct mm_row_sink *to,
    struct mm_why *why);
enum mm_err mm_sqlite_get_shard(struct mm_store_reader *r, const char *issuer,
    uint32_t shard, uint64_t *number, int64_t *next_s, struct mm_buf *der,
    struct mm_why *why);
enum mm_err mm_sqlite_list_revoked_shards(struct mm_store_reader *r,
    const struct mm_shards_of *of, const struct mm_row_sink *to,
    struct mm_why *why);
enum mm_err mm_sqlite_list_shards(struct mm_store_reader *r, const char *issuer,
    const struct mm_row_sink *to, struct mm_why *why);
enum mm_err mm_sqlite_list_revoked(struct mm_store_reader *r,
    const char *issuer, int64_t now_s, const struct mm_row_sink *to,
    struct mm_why *why);
enum mm_err mm_sqlite_get_unconfirmed(struct mm_store_reader *r,
    int64_t before_ms, uint64_t most, uint64_t *n, struct mm_why *why);
enum mm_err mm_sqlite_next_class(struct mm_store_reader *r,
    struct mm_ending *at, struct mm_why *why);
enum mm_err mm_sqlite_list_ends(struct mm_store_reader *r,
    const struct mm_ending *at, enum mm_cert_state state, unsigned most,
    const struct mm_end_sink *to, struct mm_why *why);
enum mm_err mm_sqlite_page(struct db *db, enum mm_list_kind kind,
    const struct mm_list *l, const struct mm_row_sink *to,
    struct mm_why *why);

#endif
