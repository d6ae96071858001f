#include "store/sqlite.h"

static struct cell
cell(void *row, unsigned column, enum field_kind kind)
{
	sqlite3_stmt *st = row;

	if (kind == FIELD_INT)
		return (struct cell){ .i =
		    sqlite3_column_int64(st, (int)column) };
	return (struct cell){ .b = mm_sqlite_blob(st, (int)column) };
}

enum mm_err
mm_sqlite_load(sqlite3_stmt *st, const struct shape *s, void *out,
    struct mm_why *why)
{
	return mm_shape_load(s, cell, st, out, why);
}

enum mm_err
mm_sqlite_get(struct db *db, const struct ask *ask, const struct shape *s,
    void *out, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	enum mm_err err = mm_sqlite_first(db, ask, &st, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "no such %s", s->noun);
	MM_TRY(err);
	return mm_sqlite_load(st, s, out, why);
}
