#include "store/sqlite.h"

/* Frames of 8 KiB; above, the WAL is emptied even if that stops the writer
 * for the moment it takes. */
#define WAL_LARGE 8192

/* NORMAL is enough: a checkpoint syncs the WAL before, the database after. */
static const char setup[] =
    "PRAGMA wal_autocheckpoint = 0;"
    "PRAGMA cache_size = -2048;"
    "PRAGMA busy_timeout = 20;";

static enum mm_err
connect(struct sqlite_reader *r, struct mm_why *why)
{
	enum mm_err err;

	if (r->tidy.h != NULL)
		return MM_OK;
	MM_TRY(mm_sqlite_connect(&r->tidy, r->path, SQLITE_OPEN_READWRITE,
	    why));
	err = mm_sqlite_text(&r->tidy, setup, why);
	if (err != MM_OK)
		mm_sqlite_disconnect(&r->tidy);
	return err;
}

/*
 * PASSIVE waits for nobody.  Under a steady load it never finds the WAL idle,
 * which therefore grows; TRUNCATE then has little left to copy, and gives up
 * after busy_timeout if a reader stays in its way: next time.
 */
enum mm_err
mm_sqlite_tidy(struct mm_store_reader *r, struct mm_why *why)
{
	struct sqlite_reader *sr = (struct sqlite_reader *)r;
	int rc, frames = 0, copied = 0;

	MM_TRY(connect(sr, why));
	rc = sqlite3_wal_checkpoint_v2(sr->tidy.h, NULL,
	    SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
	if (rc == SQLITE_OK && frames > WAL_LARGE)
		rc = sqlite3_wal_checkpoint_v2(sr->tidy.h, NULL,
		    SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY)
		return MM_OK;
	return mm_sqlite_fail(&sr->tidy, rc, why);
}
