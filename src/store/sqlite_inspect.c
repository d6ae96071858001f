#include "store/sqlite.h"

#include <stdio.h>
#include <string.h>

/* A PRAGMA's first answer. */
static enum mm_err
pragma(
    struct db *db, const char *sql, char *out, size_t outn, struct mm_why *why)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db->h, sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		(void)snprintf(
		    out, outn, "%s", (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? MM_OK : mm_sqlite_fail(db, rc, why);
}

/* A file system that cannot do WAL leaves another mode in silence. */
enum mm_err
mm_sqlite_settings_hold(struct db *db, struct mm_why *why)
{
	char mode[16] = "", level[16] = "";

	MM_TRY(pragma(db, "PRAGMA journal_mode", mode, sizeof(mode), why));
	MM_TRY(pragma(db, "PRAGMA synchronous", level, sizeof(level), why));
	if (strcmp(mode, "wal") == 0 && strcmp(level, "2") == 0)
		return MM_OK;
	return MM_FAIL(why, MM_EPOLICY,
	    "database: journal mode %s and "
	    "synchronous %s, want wal and 2 (FULL): is it on a local disk?",
	    mode, level);
}

enum mm_err
mm_sqlite_inspect(struct mm_store_reader *r, bool deep,
    struct mm_store_health *out, struct mm_why *why)
{
	struct db *db = mm_sqlite_db(r);

	MM_TRY(pragma(db, "PRAGMA journal_mode", out->journal_mode,
	    sizeof(out->journal_mode), why));
	if (!deep)
		return MM_OK;
	MM_TRY(pragma(db, "PRAGMA quick_check(1)", out->problem,
	    sizeof(out->problem), why));
	if (strcmp(out->problem, "ok") == 0)
		out->problem[0] = '\0';
	return MM_OK;
}
