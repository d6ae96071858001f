#include "station/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/file.h"
#include "base/line.h"
#include "base/name.h"
#include "base/own.h"
#include "base/time.h"

/* A journal that is longer was not kept as it should be. */
enum { FILE_MAX = 256 << 20, RESERVE = 1 << 20, TRY_MS = 20, TRIES_MS = 200 };

#define COL(key, type, f, must) \
	MM_LINE_COLUMN(key, MM_LINE_##type, struct mm_row, f, must)
static const struct mm_line_column columns[] = {
	COL("n", NUMBER, n, true),
	COL("at", TIME_MS, at_ms, true),
	COL("serial", TEXT, unit.serial, true),
	COL("fixture", TEXT, unit.fixture, false),
	COL("attempt", NUMBER, unit.attempt, true),
	MM_LINE_NAMES("state", struct mm_row, unit.state, true,
	    mm_unit_state_names),
	MM_LINE_NAMES("reason", struct mm_row, unit.reason, false,
	    mm_unit_reason_codes),
	MM_LINE_NAMES("by", struct mm_row, unit.by, false, mm_unit_by_names),
	MM_LINE_NAMES("was", struct mm_row, unit.was, false,
	    mm_unit_was_names),
	MM_LINE_NAMES("label", struct mm_row, unit.label, false,
	    mm_unit_label_names),
	COL("labels", NUMBER, unit.labels, false),
	COL("batch", TEXT, unit.batch, false),
	COL("hw", TEXT, unit.hw, false),
	COL("spki_sha256", HEX, unit.spki, false),
	COL("cert_sha256", HEX, unit.cert, false),
	COL("crc", HEX, crc, true),
};
static const struct mm_line_form form = { columns,
	sizeof(columns) / sizeof(columns[0]), MM_ROW_MAX };

struct mm_rows {
	int fd;
	char path[PATH_MAX];
	uint64_t n;
	int64_t last_at;
	off_t end;      /* of what is whole */
	off_t reserved; /* up to where the disk has room for us */
	size_t torn;
	bool dirty; /* behind end is what could not be cut off yet */
	bool bad;   /* the disk did not take what it had said it would */
};

/* With zeros for the checksum, as it is taken. */
static uint32_t
checksum(const struct mm_row *r, struct mm_buf *line)
{
	struct mm_row blank = *r;
	size_t at = line->n;

	memset(blank.crc, 0, sizeof(blank.crc));
	mm_line_put(&form, &blank, line);
	if (line->err != MM_OK)
		return 0;
	return mm_crc32((struct mm_bytes){ line->p + at, line->n - at - 1 });
}

static void
put32(uint8_t out[4], uint32_t v)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* see rows.h */
void
mm_row_encode(const struct mm_row *r, struct mm_buf *out)
{
	struct mm_row whole = *r;
	size_t at = out->n;

	put32(whole.crc, checksum(r, out));
	if (out->err != MM_OK)
		return;
	out->n = at;
	mm_line_put(&form, &whole, out);
}

/* see rows.h */
enum mm_err
mm_row_parse(struct mm_bytes line, struct mm_row *out, struct mm_why *why)
{
	struct mm_buf again = MM_BUF_INIT(MM_ROW_MAX + 1);
	struct mm_row r = { 0 };
	uint8_t crc[4] = { 0 };
	bool ok = mm_line_get(&form, line, &r);

	if (ok)
		put32(crc, checksum(&r, &again));
	mm_buf_done(&again);
	if (!ok || memcmp(crc, r.crc, sizeof(crc)) != 0)
		return MM_FAIL(why, MM_EINPUT, "journal: a damaged row");
	*out = r;
	return MM_OK;
}

/* see rows.h */
enum mm_err
mm_row_next(struct mm_bytes *rest, uint64_t *n, struct mm_row *out,
    struct mm_why *why)
{
	const uint8_t *lf;
	struct mm_row r;
	size_t len;
	bool last;

	if (rest->n == 0)
		return MM_ENOTFOUND;
	lf = memchr(rest->p, '\n', rest->n);
	if (lf == NULL)
		return MM_EAGAIN;
	len = (size_t)(lf - rest->p);
	last = len + 1 == rest->n;
	/* Blocks of one write may reach the disk in any order: a last row may
	 * have its LF and not what is before it. */
	if (mm_row_parse((struct mm_bytes){ rest->p, len }, &r, NULL) !=
	    MM_OK)
		return last ? MM_EAGAIN : MM_FAIL(why, MM_EPOLICY,
		    "journal: the row after number %" PRIu64 " is damaged",
		    *n);
	/* A file goes on where the one before it ended. */
	if (r.n != *n + 1 && *n != 0)
		return MM_FAIL(why, MM_EPOLICY, "journal: after row %" PRIu64
		    " comes %" PRIu64, *n, r.n);
	rest->p += len + 1;
	rest->n -= len + 1;
	*n = r.n;
	*out = r;
	return MM_OK;
}

/* ---- the file ---- */

static enum mm_err
cut(struct mm_rows *j, struct mm_why *why)
{
	if (ftruncate(j->fd, j->end) != 0)
		return MM_FAIL(why, MM_ESYS, "journal: cannot cut it: %s",
		    strerror(errno));
	j->dirty = false;
	return MM_OK;
}

static enum mm_err
sync_file(struct mm_rows *j, struct mm_why *why)
{
	/* What a failed sync leaves in memory is not known to reach the
	 * disk by a later one. */
	if (fdatasync(j->fd) == 0)
		return MM_OK;
	j->bad = true;
	return MM_FAIL(why, MM_ESYS, "journal: cannot be synced: %s",
	    strerror(errno));
}

/*
 * Rows that nobody waited for may reach the disk in any order.  Behind a
 * damaged one there may be whole ones, and all of them may be cut off, unless
 * one was waited for: then something was done since.
 */
static bool
anything_rests_on(struct mm_bytes rest)
{
	static const char start[] = "{\"n\":";
	const uint8_t *end = rest.p + rest.n, *p = rest.p, *lf;
	struct mm_row r;

	while ((p = memmem(p, (size_t)(end - p), start,
	    sizeof(start) - 1)) != NULL) {
		lf = memchr(p, '\n', (size_t)(end - p));
		if (lf != NULL && mm_row_parse((struct mm_bytes){ p,
		    (size_t)(lf - p) }, &r, NULL) == MM_OK &&
		    mm_unit_syncs(r.unit.state))
			return true;
		p++;
	}
	return false;
}

static enum mm_err
read_rows(struct mm_rows *j, const struct mm_buf *file,
    enum mm_err (*each)(void *ctx, const struct mm_row *r), void *ctx,
    struct mm_why *why)
{
	struct mm_bytes rest = mm_buf_view(file);
	struct mm_why own = { 0 };
	struct mm_row r;
	enum mm_err rc;

	while ((rc = mm_row_next(&rest, &j->n, &r, &own)) == MM_OK) {
		j->last_at = r.at_ms;
		rc = each(ctx, &r);
		if (rc != MM_OK)
			return MM_FAIL(why, rc, "journal: row %" PRIu64
			    " cannot be taken", r.n);
	}
	if (anything_rests_on(rest))
		return MM_FAIL(why, MM_EPOLICY, "%s", rc == MM_EPOLICY
		    ? own.text : "journal: damaged near its end");
	j->torn = rest.n;
	j->end = (off_t)(file->n - rest.n);
	return MM_OK;
}

static enum mm_err
read_file(struct mm_rows *j, const char *path,
    enum mm_err (*each)(void *ctx, const struct mm_row *r), void *ctx,
    struct mm_why *why)
{
	struct mm_buf file = MM_BUF_INIT(FILE_MAX);
	enum mm_err rc = mm_file_read(path, &file, why);

	if (rc == MM_OK)
		rc = read_rows(j, &file, each, ctx, why);
	mm_buf_done(&file);
	return rc;
}

/* see rows.h */
enum mm_err
mm_rows_read(const char *path,
    enum mm_err (*each)(void *ctx, const struct mm_row *r), void *ctx,
    struct mm_why *why)
{
	struct mm_rows j = { .fd = -1 };

	return read_file(&j, path, each, ctx, why);
}

/* Whether the name is still that of the file: another program may have begun
 * a new one between our opening and our lock. */
static bool
is_at(int fd, const char *path)
{
	struct stat mine, there;

	return fstat(fd, &mine) == 0 && stat(path, &there) == 0 &&
	    mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

static enum mm_err
try_file(const char *path, int *out, struct mm_why *why)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC |
	    O_NOFOLLOW, 0600);

	if (fd < 0)
		return MM_FAIL(why, MM_ESYS, "journal: %.100s: %s", path,
		    strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 || !is_at(fd, path)) {
		(void)close(fd);
		return MM_FAIL(why, MM_ECONFLICT, "journal: %.100s: another "
		    "station program has it", path);
	}
	*out = fd;
	return MM_OK;
}

/* One that only looks whether somebody has it (mm_rows_held) has it for a
 * moment, and is no other program at work. */
static enum mm_err
open_file(const char *path, int *out, struct mm_why *why)
{
	const struct timespec pause = { .tv_nsec = TRY_MS * 1000000L };
	struct mm_why own = { 0 };
	enum mm_err rc = try_file(path, out, &own);

	for (int ms = 0; rc == MM_ECONFLICT && ms < TRIES_MS; ms += TRY_MS) {
		(void)nanosleep(&pause, NULL);
		rc = try_file(path, out, &own);
	}
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}

/* see rows.h */
bool
mm_rows_held(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 &&
	    errno == EWOULDBLOCK;

	if (fd >= 0)
		(void)close(fd);
	return held;
}

/* see rows.h */
enum mm_err
mm_rows_open(const char *path,
    enum mm_err (*each)(void *ctx, const struct mm_row *r), void *ctx,
    struct mm_rows **out, struct mm_why *why)
{
	MM_OWN(mm_rows_close) struct mm_rows *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	j->fd = -1;
	if (!mm_text_copy(j->path, sizeof(j->path), mm_bytes_of(path)))
		return MM_FAIL(why, MM_EINPUT, "journal: its path is too long");
	MM_TRY(open_file(path, &j->fd, why));
	MM_TRY(mm_name_sync(path, why));
	MM_TRY(read_file(j, path, each, ctx, why));
	if (j->torn > 0) {
		MM_TRY(cut(j, why));
		MM_TRY(sync_file(j, why));
	}
	*out = MM_MOVE(j);
	return MM_OK;
}

/* see rows.h */
void
mm_rows_close(struct mm_rows **owner)
{
	if (*owner == NULL)
		return;
	if ((*owner)->fd >= 0)
		(void)close((*owner)->fd);
	free(*owner);
	*owner = NULL;
}

static enum mm_err
write_row(struct mm_rows *j, struct mm_bytes line, struct mm_why *why)
{
	ssize_t n;

	if (j->dirty)
		MM_TRY(cut(j, why));
	n = write(j->fd, line.p, line.n);
	if (n == (ssize_t)line.n)
		return MM_OK;
	j->dirty = n > 0;
	if (j->dirty)
		(void)cut(j, NULL);
	return MM_FAIL(why, MM_ESYS, "journal: cannot be written: %s",
	    n < 0 ? strerror(errno) : "the disk is full");
}

/* see rows.h */
enum mm_err
mm_rows_add(struct mm_rows *j, const struct mm_unit *u, bool syncs,
    struct mm_why *why)
{
	struct mm_buf line = MM_BUF_INIT(MM_ROW_MAX + 1);
	struct mm_row r = { .n = j->n + 1, .at_ms = mm_now_ms(), .unit = *u };
	enum mm_err rc;

	if (j->bad)
		return MM_FAIL(why, MM_ESYS, "journal: it could not be synced "
		    "before: start the station again");
	mm_row_encode(&r, &line);
	rc = mm_buf_ok(&line, why);
	if (rc == MM_OK)
		rc = write_row(j, mm_buf_view(&line), why);
	if (rc == MM_OK) {
		j->n++;
		j->last_at = r.at_ms;
		j->end += (off_t)line.n;
	}
	mm_buf_done(&line);
	if (rc != MM_OK || !syncs)
		return rc;
	return sync_file(j, why);
}

/* see rows.h */
enum mm_err
mm_rows_reserve(struct mm_rows *j, struct mm_why *why)
{
	if (j->end + RESERVE / 2 <= j->reserved)
		return MM_OK;
	/* A file system that cannot promise is asked for nothing. */
	if (fallocate(j->fd, FALLOC_FL_KEEP_SIZE, j->end, RESERVE) != 0 &&
	    errno != EOPNOTSUPP)
		return MM_FAIL(why, MM_ESYS, "journal: no room on the disk: "
		    "%s", strerror(errno));
	j->reserved = j->end + RESERVE;
	return MM_OK;
}

/* ---- a new file ---- */

static enum mm_err
put_rows(struct mm_rows *j, bool (*next)(void *ctx, struct mm_unit *out),
    void *ctx, struct mm_buf *out, struct mm_why *why)
{
	struct mm_row r = { .n = j->n, .at_ms = mm_now_ms() };

	while (next(ctx, &r.unit)) {
		r.n++;
		mm_row_encode(&r, out);
	}
	j->n = r.n;
	return mm_buf_ok(out, why);
}

/* The old one keeps a name before the new one takes its. */
static enum mm_err
exchange(const struct mm_rows *j, uint64_t last, struct mm_bytes rows,
    struct mm_why *why)
{
	char old[PATH_MAX + 24];

	snprintf(old, sizeof(old), "%s.%" PRIu64, j->path, last);
	/* It has that name already if power went just here. */
	if (link(j->path, old) != 0 && !is_at(j->fd, old))
		return MM_FAIL(why, MM_ESYS, "journal: %.100s: %s", old,
		    strerror(errno));
	return mm_file_replace(j->path, rows, 0600, why);
}

/* see rows.h */
enum mm_err
mm_rows_renew(struct mm_rows *j, bool (*next)(void *ctx, struct mm_unit *out),
    void *ctx, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf rows = MM_BUF_INIT(FILE_MAX);
	uint64_t last = j->n;
	enum mm_err rc;
	int fd = -1;

	MM_TRY(sync_file(j, why));
	rc = put_rows(j, next, ctx, &rows, why);
	if (rc == MM_OK)
		rc = exchange(j, last, mm_buf_view(&rows), why);
	if (rc != MM_OK) {
		j->n = last;
		return rc;
	}
	/* From here on the old file is another's name. */
	j->bad = true;
	MM_TRY(open_file(j->path, &fd, why));
	(void)close(j->fd);
	j->fd = fd;
	j->end = (off_t)rows.n;
	j->reserved = 0;
	j->bad = j->dirty = false;
	return MM_OK;
}

/* see rows.h */
size_t
mm_rows_size(const struct mm_rows *j)
{
	return (size_t)j->end;
}

/* see rows.h */
size_t
mm_rows_torn(const struct mm_rows *j)
{
	return j->torn;
}

/* see rows.h */
uint64_t
mm_rows_last(const struct mm_rows *j)
{
	return j->n;
}

/* see rows.h */
int64_t
mm_rows_last_at(const struct mm_rows *j)
{
	return j->last_at;
}
