#include "store/sqlite.h"

#include <stdio.h>
#include <string.h>

/* ---- lists whose key is the name ---- */

union named_row {
	struct mm_product product;
	struct mm_device device;
	struct mm_operator operator_;
};
struct named {
	const struct shape *shape;
	size_t name; /* where in the row its key is */
};
static const struct named product_rows = { &mm_shape_product,
	offsetof(struct mm_product, name) };
static const struct named device_rows = { &mm_shape_device,
	offsetof(struct mm_device, id) };
static const struct named operator_rows = { &mm_shape_operator,
	offsetof(struct mm_operator, id) };

static enum mm_err
each_row(struct db *db, const struct ask *ask, const struct named *n,
    const struct mm_row_sink *to, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	union named_row row;
	enum mm_err err = mm_sqlite_first(db, ask, &st, why);

	while (err == MM_OK) {
		MM_TRY(mm_sqlite_load(st, n->shape, &row, why));
		MM_TRY(to->fn(to->ctx, &row, (const char *)&row + n->name,
		    why));
		err = mm_sqlite_next(db, st, why);
	}
	return err == MM_ENOTFOUND ? MM_OK : err;
}

static enum mm_err
list_devices(struct db *db, const struct mm_list *l,
    const struct mm_row_sink *to, struct mm_why *why)
{
	const struct val after = TEXT(l->after);
	int64_t class;
	enum mm_err err;

	if (l->product == NULL)
		return each_row(db, ASK(DEVICES, after, INT(l->state),
		    INT(l->most)), &device_rows, to, why);
	err = mm_sqlite_ints(db, ASK(CLASS, TEXT(l->product), TEXT(""),
	    TEXT("")), &class, 1, why);
	if (err != MM_OK)
		return err == MM_ENOTFOUND ? MM_OK : err;
	return each_row(db, ASK(DEVICES_OF, after, INT(l->state),
	    INT(l->most), INT(class)), &device_rows, to, why);
}

enum mm_err
mm_sqlite_list(struct mm_store_reader *r, enum mm_list_kind kind,
    const struct mm_list *l, const struct mm_row_sink *to, struct mm_why *why)
{
	struct db *db = mm_sqlite_db(r);

	switch (kind) {
	case MM_LIST_PRODUCTS:
		return each_row(db, ASK(PRODUCTS, TEXT(l->after),
		    INT(l->most)), &product_rows, to, why);
	case MM_LIST_OPERATORS:
		return each_row(db, ASK(OPERATORS, TEXT(l->after),
		    INT(l->most)), &operator_rows, to, why);
	case MM_LIST_DEVICES:
		return list_devices(db, l, to, why);
	default:
		return mm_sqlite_page(db, kind, l, to, why);
	}
}

/* ---- for a CRL ---- */

static enum mm_err
each_revoked(struct db *db, const struct ask *ask,
    const struct mm_row_sink *to, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	struct mm_cert_row row;
	char serial[33];
	enum mm_err err = mm_sqlite_first(db, ask, &st, why);

	while (err == MM_OK) {
		MM_TRY(mm_sqlite_load(st, &mm_shape_cert, &row, why));
		mm_hex_text(row.serial, sizeof(row.serial), serial);
		MM_TRY(to->fn(to->ctx, &row, serial, why));
		err = mm_sqlite_next(db, st, why);
	}
	return err == MM_ENOTFOUND ? MM_OK : err;
}

enum mm_err
mm_sqlite_list_revoked(struct mm_store_reader *r, const char *issuer,
    int64_t now_s, const struct mm_row_sink *to, struct mm_why *why)
{
	return each_revoked(mm_sqlite_db(r), ASK(CERTS_REVOKED, TEXT(issuer),
	    INT(now_s)), to, why);
}

/* see backend.h */
enum mm_err
mm_sqlite_list_revoked_shards(struct mm_store_reader *r,
    const struct mm_shards_of *of, const struct mm_row_sink *to,
    struct mm_why *why)
{
	return each_revoked(mm_sqlite_db(r), ASK(CERTS_REVOKED_OF,
	    TEXT(of->issuer), INT(of->now_s), INT(of->from), INT(of->to)), to,
	    why);
}

/* see backend.h */
enum mm_err
mm_sqlite_list_shards(struct mm_store_reader *r, const char *issuer,
    const struct mm_row_sink *to, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	struct db *db = mm_sqlite_db(r);
	enum mm_err err = mm_sqlite_first(db, ASK(SHARDS, TEXT(issuer)), &st,
	    why);

	while (err == MM_OK) {
		struct mm_shard_row row = {
			(uint32_t)sqlite3_column_int64(st, 0),
			(uint64_t)sqlite3_column_int64(st, 1),
			sqlite3_column_int64(st, 2) };

		MM_TRY(to->fn(to->ctx, &row, "", why));
		err = mm_sqlite_next(db, st, why);
	}
	return err == MM_ENOTFOUND ? MM_OK : err;
}

/* ---- those that nobody has confirmed ---- */

enum mm_err
mm_sqlite_get_unconfirmed(struct mm_store_reader *r, int64_t before_ms,
    uint64_t most, uint64_t *n, struct mm_why *why)
{
	int64_t count;

	MM_TRY(mm_sqlite_ints(mm_sqlite_db(r), ASK(UNCONFIRMED_COUNT,
	    INT(before_ms), INT(most)), &count, 1, why));
	*n = (uint64_t)count;
	return MM_OK;
}

/* ---- when they end ---- */

enum mm_err
mm_sqlite_next_class(struct mm_store_reader *r, struct mm_ending *at,
    struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;

	MM_TRY(mm_sqlite_first(mm_sqlite_db(r), ASK(CLASS_AFTER,
	    INT(at->class)), &st, why));
	at->class = sqlite3_column_int64(st, 0);
	snprintf(at->product, sizeof(at->product), "%s",
	    (const char *)sqlite3_column_text(st, 1));
	snprintf(at->issuer, sizeof(at->issuer), "%s",
	    (const char *)sqlite3_column_text(st, 2));
	snprintf(at->profile, sizeof(at->profile), "%s",
	    (const char *)sqlite3_column_text(st, 3));
	return MM_OK;
}

enum mm_err
mm_sqlite_list_ends(struct mm_store_reader *r, const struct mm_ending *at,
    enum mm_cert_state state, unsigned most, const struct mm_end_sink *to,
    struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	struct db *db = mm_sqlite_db(r);
	enum mm_err err = mm_sqlite_first(db, ASK(CERT_ENDS, INT(at->class),
	    INT(state), INT(at->not_after_s), INT(at->id), INT(most)), &st,
	    why);

	while (err == MM_OK) {
		to->fn(to->ctx, sqlite3_column_int64(st, 0),
		    sqlite3_column_int64(st, 1));
		err = mm_sqlite_next(db, st, why);
	}
	return err == MM_ENOTFOUND ? MM_OK : err;
}
