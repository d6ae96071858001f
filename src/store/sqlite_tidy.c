#include "store/sqlite.h"

/* Frames of 8 KiB; above, the WAL is begun anew even if that stops the writer
 * for the moment it takes. */
#define WAL_LARGE 8192
/* So few frames are copied in that moment. */
#define WAL_FEW 256
#define PASSES  8

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

/* Copies what is there, then what came meanwhile, until that is little. */
static int
copy_all(sqlite3 *db, int *frames)
{
	int rc, before, copied = 0;
	unsigned pass = 0;

	*frames = 0;
	do {
		before = *frames;
		rc = sqlite3_wal_checkpoint_v2(db, NULL,
		    SQLITE_CHECKPOINT_PASSIVE, frames, &copied);
	} while (rc == SQLITE_OK && *frames > WAL_LARGE &&
	    *frames - before > WAL_FEW && ++pass < PASSES);
	return rc;
}

/*
 * PASSIVE waits for nobody.  Under a steady load it never finds the WAL idle,
 * which therefore grows; RESTART then has little left to copy, and gives up
 * after busy_timeout if a reader stays in its way: next time.  Not TRUNCATE:
 * giving back a large file takes long, and writing into a file that grows
 * costs every sync an inode.
 */
enum mm_err
mm_sqlite_tidy(struct mm_store_reader *r, struct mm_why *why)
{
	struct sqlite_reader *sr = (struct sqlite_reader *)r;
	int rc, frames;

	MM_TRY(connect(sr, why));
	rc = copy_all(sr->tidy.h, &frames);
	if (rc == SQLITE_OK && frames > WAL_LARGE)
		rc = sqlite3_wal_checkpoint_v2(sr->tidy.h, NULL,
		    SQLITE_CHECKPOINT_RESTART, NULL, NULL);
	if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY)
		return MM_OK;
	return mm_sqlite_fail(&sr->tidy, rc, why);
}
