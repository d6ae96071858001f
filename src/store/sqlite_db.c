#include "store/sqlite.h"

#include <string.h>

static const char *const statements[Q_STATEMENTS] = {
#define X(name, text) [Q_##name] = text,
	SQL_STATEMENTS(X)
#undef X
};

enum mm_err
mm_sqlite_connect(struct db *db, const char *path, int flags,
    struct mm_why *why)
{
	/* The db struct belongs to one thread at a time: no mutexes. */
	int rc = sqlite3_open_v2(path, &db->h,
	    flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc == SQLITE_OK)
		return MM_OK;
	mm_sqlite_fail(db, rc, why);
	mm_sqlite_disconnect(db);
	return rc == SQLITE_CANTOPEN ? MM_ESYS : MM_EAGAIN;
}

void
mm_sqlite_disconnect(struct db *db)
{
	for (unsigned i = 0; i < Q_STATEMENTS; i++)
		sqlite3_finalize(db->st[i]);
	sqlite3_close(db->h);
	*db = (struct db){ 0 };
}

/* What the caller can do about it. */
static enum mm_err
code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_FULL:
	case SQLITE_READONLY:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_NOMEM:
	case SQLITE_INTERRUPT:
		return MM_EAGAIN;
	default:
		return MM_ESYS;
	}
}

enum mm_err
mm_sqlite_fail(const struct db *db, int rc, struct mm_why *why)
{
	return MM_FAIL(why, code_of(rc), "database: %.90s (%d)",
	    db->h != NULL ? sqlite3_errmsg(db->h) : sqlite3_errstr(rc), rc);
}

static int
bind(sqlite3_stmt *st, int at, const struct val *v)
{
	/* A NULL pointer would bind NULL where an empty value is meant. */
	const void *p = v->b.p != NULL ? (const void *)v->b.p : "";

	switch (v->kind) {
	case VAL_INT:
		return sqlite3_bind_int64(st, at, v->i);
	case VAL_REAL:
		return sqlite3_bind_double(st, at, v->d);
	case VAL_TEXT:
		return sqlite3_bind_text64(st, at, p, v->b.n, SQLITE_STATIC,
		    SQLITE_UTF8);
	case VAL_BLOB:
		return sqlite3_bind_blob64(st, at, p, v->b.n, SQLITE_STATIC);
	case VAL_NULL:
		break;
	}
	return sqlite3_bind_null(st, at);
}

/* The ask's statement, prepared once, with its parameters bound. */
static enum mm_err
start(struct db *db, const struct ask *ask, sqlite3_stmt **out,
    struct mm_why *why)
{
	sqlite3_stmt **st = &db->st[ask->sql];
	int rc = SQLITE_OK;

	if (*st == NULL)
		rc = sqlite3_prepare_v3(db->h, statements[ask->sql], -1,
		    SQLITE_PREPARE_PERSISTENT, st, NULL);
	for (unsigned i = 0; rc == SQLITE_OK && i < ask->n; i++)
		rc = bind(*st, (int)i + 1, &ask->v[i]);
	if (rc != SQLITE_OK)
		return mm_sqlite_fail(db, rc, why);
	*out = *st;
	return MM_OK;
}

enum mm_err
mm_sqlite_exec(struct db *db, const struct ask *ask, struct mm_why *why)
{
	sqlite3_stmt *st;
	enum mm_err err = MM_OK;
	int rc;

	MM_TRY(start(db, ask, &st, why));
	rc = sqlite3_step(st);
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		err = mm_sqlite_fail(db, rc, why);
	sqlite3_reset(st);
	return err;
}

enum mm_err
mm_sqlite_text(struct db *db, const char *sql, struct mm_why *why)
{
	int rc = sqlite3_exec(db->h, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? MM_OK : mm_sqlite_fail(db, rc, why);
}

enum mm_err
mm_sqlite_next(struct db *db, sqlite3_stmt *st, struct mm_why *why)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return MM_OK;
	return rc == SQLITE_DONE ? MM_ENOTFOUND : mm_sqlite_fail(db, rc, why);
}

enum mm_err
mm_sqlite_first(struct db *db, const struct ask *ask, sqlite3_stmt **st,
    struct mm_why *why)
{
	sqlite3_stmt *s;
	enum mm_err err;

	MM_TRY(start(db, ask, &s, why));
	err = mm_sqlite_next(db, s, why);
	if (err == MM_OK)
		*st = s;
	else
		sqlite3_reset(s);
	return err;
}

struct mm_bytes
mm_sqlite_blob(sqlite3_stmt *st, int column)
{
	/* In this order: the first call may convert, the second measures. */
	const uint8_t *p = sqlite3_column_blob(st, column);
	int n = sqlite3_column_bytes(st, column);

	return (struct mm_bytes){ p, (size_t)n };
}

enum mm_err
mm_sqlite_ints(struct db *db, const struct ask *ask, int64_t *out,
    unsigned n, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;

	MM_TRY(mm_sqlite_first(db, ask, &st, why));
	for (unsigned i = 0; i < n; i++)
		out[i] = sqlite3_column_int64(st, (int)i);
	return MM_OK;
}

enum mm_err
mm_sqlite_bytes(struct db *db, const struct ask *ask, int column,
    struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;

	MM_TRY(mm_sqlite_first(db, ask, &st, why));
	mm_buf_bytes(out, mm_sqlite_blob(st, column));
	return mm_buf_ok(out, why);
}
