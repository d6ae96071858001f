#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#define PATH_LEN 4096

/*
 * synchronous FULL: a commit is on the disk when it returns.  The WAL is
 * copied back by mm_store_tidy, never inside a commit.  A RESTART there
 * blocks the writer for a moment: hence the timeout.  Pages of 8 KiB waste
 * less behind rows of 700 bytes than those of 4, and cost no more.  What
 * SQLite sorts or sets aside stays in memory: the server's sandbox has no
 * folder for temporary files.
 */
static const char writer_setup[] =
    "PRAGMA page_size = 8192;"
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA wal_autocheckpoint = 0;"
    "PRAGMA foreign_keys = OFF;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA secure_delete = FAST;" /* an erased name is gone */
    "PRAGMA cache_size = -65536;"
    "PRAGMA busy_timeout = 1000;";
/* No mmap: a disk that cannot be read must be an answer, not a signal. */
static const char reader_setup[] =
    "PRAGMA query_only = ON;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cache_size = -8192;"
    "PRAGMA busy_timeout = 1000;";

/* ---- the writing side ---- */

enum mm_err
mm_sqlite_counts(struct db *db, struct mm_store_counts *out,
    struct mm_why *why)
{
	int64_t n[6];

	MM_TRY(mm_sqlite_ints(db, ASK0(COUNTS), n, 6, why));
	*out = (struct mm_store_counts){ n[0], n[1], n[2], n[3], n[4], n[5] };
	return MM_OK;
}

enum mm_err
mm_sqlite_reload(struct sqlite_store *s, struct mm_why *why)
{
	int64_t last;

	s->stale = true;
	memset(s->class, 0, sizeof(s->class));
	MM_TRY(mm_sqlite_counts(&s->db, &s->counts, why));
	MM_TRY(mm_sqlite_ints(&s->db, ASK0(ENTRY_LAST), &last, 1, why));
	if ((uint64_t)(last + 1) != s->counts.entries)
		return MM_FAIL(why, MM_ESYS,
		    "ledger: %llu entries counted, last is %lld",
		    (unsigned long long)s->counts.entries, (long long)last);
	MM_TRY(mm_tiles_edge(&(struct mm_tiles){ &mm_sqlite_tiles, &s->db,
	    .leaves = { .n = 0 } }, s->counts.entries, &s->edge, why));
	atomic_store(&s->committed, s->counts.entries);
	s->stale = false;
	return MM_OK;
}

/*
 * SQLite's side files take the mode of the database: so it is made here.  One
 * that exists is not opened: closing it would drop this process's locks.
 */
static enum mm_err
file_ready(const char *path, bool create, struct mm_why *why)
{
	int fd = create ? open(path, O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL,
	    0640) : -1;

	if (fd >= 0)
		close(fd);
	if (fd >= 0 || access(path, F_OK) == 0)
		return MM_OK;
	if (!create)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "database: %.100s: no such file", path);
	return MM_FAIL(why, MM_ESYS, "database: %.80s: %s", path,
	    strerror(errno));
}

static void
store_close(struct mm_store *take_s)
{
	struct sqlite_store *s = (struct sqlite_store *)take_s;

	mm_sqlite_disconnect(&s->db);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s);
}

static enum mm_err
store_start(struct sqlite_store *s, const char *path, bool create,
    struct mm_why *why)
{
	char lock[PATH_LEN];
	int n = snprintf(lock, sizeof(lock), "%s.lock", path);

	if (n < 0 || (size_t)n >= sizeof(lock))
		return MM_FAIL(why, MM_EINPUT, "database: path too long");
	MM_TRY(file_ready(path, create, why));
	MM_TRY(mm_file_lock(lock, &s->lock_fd, why));
	MM_TRY(mm_sqlite_connect(&s->db, path, SQLITE_OPEN_READWRITE, why));
	MM_TRY(mm_sqlite_text(&s->db, writer_setup, why));
	MM_TRY(mm_sqlite_settings_hold(&s->db, why));
	MM_TRY(mm_sqlite_schema_write(&s->db, create, why));
	return mm_sqlite_reload(s, why);
}

static enum mm_err
store_open(const char *where, bool create, struct mm_store **out,
    struct mm_why *why)
{
	struct sqlite_store *s = calloc(1, sizeof(*s));
	enum mm_err err;

	if (s == NULL)
		return MM_FAIL(why, MM_ENOMEM, "database: out of memory");
	s->base.backend = &mm_sqlite_backend;
	s->lock_fd = -1;
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
	return atomic_load(&((const struct sqlite_store *)s)->committed);
}

/* ---- the reading side ---- */

struct db *
mm_sqlite_db(struct mm_store_reader *r)
{
	return &((struct sqlite_reader *)r)->db;
}

static void
reader_close(struct mm_store_reader *take_r)
{
	struct sqlite_reader *r = (struct sqlite_reader *)take_r;

	mm_sqlite_disconnect(&r->db);
	mm_sqlite_disconnect(&r->tidy);
	free(r->path);
	free(r);
}

/*
 * A database in WAL mode that nobody has open has no side files, and a reader
 * who may not make them (an auditor, by group) cannot read it.
 */
static enum mm_err
reader_ready(struct sqlite_reader *r, struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err err = mm_sqlite_text(&r->db, reader_setup, &own);

	if (err == MM_OK)
		err = mm_sqlite_schema_read(&r->db, &own);
	if (err == MM_EAGAIN &&
	    (sqlite3_errcode(r->db.h) & 0xff) == SQLITE_READONLY)
		return MM_FAIL(why, err, "database: nobody has it open, and "
		    "this user may not write in its folder: read while the "
		    "server runs, or as its user");
	return err == MM_OK ? MM_OK : MM_FAIL(why, err, "%s", own.text);
}

static enum mm_err
reader_start(struct sqlite_reader *r, const char *path, struct mm_why *why)
{
	if (access(path, F_OK) != 0)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "database: %.100s: no such file", path);
	MM_TRY(mm_sqlite_connect(&r->db, path, SQLITE_OPEN_READONLY, why));
	return reader_ready(r, why);
}

static enum mm_err
reader_open(const char *where, struct mm_store_reader **out,
    struct mm_why *why)
{
	struct sqlite_reader *r = calloc(1, sizeof(*r));
	enum mm_err err;

	if (r == NULL || (r->path = strdup(where)) == NULL) {
		free(r);
		return MM_FAIL(why, MM_ENOMEM, "database: out of memory");
	}
	r->base.backend = &mm_sqlite_backend;
	r->tiles.source = &mm_sqlite_tiles;
	r->tiles.db = &r->db;
	err = reader_start(r, where, why);
	if (err == MM_OK)
		*out = &r->base;
	else
		reader_close(&r->base);
	return err;
}

/* The snapshot is taken by the first read after BEGIN: read at once. */
static enum mm_err
reader_begin(struct mm_store_reader *r, struct mm_why *why)
{
	struct db *db = mm_sqlite_db(r);
	struct mm_store_counts counts;
	enum mm_err err;

	MM_TRY(mm_sqlite_exec(db, ASK0(BEGIN), why));
	err = mm_sqlite_counts(db, &counts, why);
	if (err != MM_OK)
		(void)mm_sqlite_exec(db, ASK0(ROLLBACK), NULL);
	return err;
}

static void
reader_end(struct mm_store_reader *r)
{
	(void)mm_sqlite_exec(mm_sqlite_db(r), ASK0(COMMIT), NULL);
}

const struct mm_store_backend mm_sqlite_backend = {
	.scheme = "sqlite",
	.store_open = store_open,
	.store_close = store_close,
	.store_run = mm_sqlite_run,
	.store_ledger_size = store_ledger_size,
	.store_tidy = mm_sqlite_tidy,
	.inspect = mm_sqlite_inspect,
	.reader_open = reader_open,
	.reader_close = reader_close,
	.reader_begin = reader_begin,
	.reader_end = reader_end,
	.get = mm_sqlite_get_row,
	.get_cert_der = mm_sqlite_get_cert_der,
	.get_device_cert = mm_sqlite_get_device_cert,
	.get_checkpoint = mm_sqlite_get_checkpoint,
	.get_crl = mm_sqlite_get_crl,
	.get_shard = mm_sqlite_get_shard,
	.get_unconfirmed = mm_sqlite_get_unconfirmed,
	.next_class = mm_sqlite_next_class,
	.list_ends = mm_sqlite_list_ends,
	.get_answer = mm_sqlite_get_answer,
	.get_doc = mm_sqlite_get_doc,
	.get_counts = mm_sqlite_get_counts,
	.get_entry = mm_sqlite_get_entry,
	.each_entry = mm_sqlite_each_entry,
	.get_tile = mm_sqlite_get_tile,
	.list = mm_sqlite_list,
	.list_docs = mm_sqlite_list_docs,
	.count_docs = mm_sqlite_count_docs,
	.list_revoked = mm_sqlite_list_revoked,
	.list_revoked_shards = mm_sqlite_list_revoked_shards,
	.list_shards = mm_sqlite_list_shards,
	.list_history = mm_sqlite_list_history,
	.recall = mm_sqlite_recall,
};
