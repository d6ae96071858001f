#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "station/mirror_priv.h"
#include "station/rows.h"

/*
 * What a second disk has, and that it is this station's: numbers alone do not
 * say so.  The newest row and the newest entry that it has must be the
 * station's own of those numbers.
 */
enum { LINE_MAX_N = 1 << 20 };

/* ---- whether it is there ---- */

/* Which folder it is, how long its files are, and when a record was made or
 * removed. */
static void
look(const struct mm_mirror_files *f, struct mm_mirror_left *out)
{
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir d = { -1, NULL };
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (mm_mirror_enter(f, MM_MIRROR_TOP, &d, NULL) != MM_OK)
		return;
	if (fstat(d.fd, &st) == 0) {
		out->dev = st.st_dev;
		out->ino = st.st_ino;
	}
	if (fstatat(d.fd, "journal", &st, AT_SYMLINK_NOFOLLOW) == 0)
		out->rows = st.st_size;
	if (fstatat(d.fd, "entries.jsonl", &st, AT_SYMLINK_NOFOLLOW) == 0)
		out->lines = st.st_size;
	if (fstatat(d.fd, "checkpoint", &st, AT_SYMLINK_NOFOLLOW) == 0)
		out->ends = st.st_size;
	if (fstatat(d.fd, "records", &st, AT_SYMLINK_NOFOLLOW) == 0) {
		out->records = st.st_ino;
		out->changed = st.st_mtim;
	}
}

/* see mirror_priv.h */
void
mm_mirror_note(struct mm_mirror_files *f)
{
	look(f, &f->left);
}

/* see mirror_priv.h */
bool
mm_mirror_is_as_left(const struct mm_mirror_files *f)
{
	struct mm_mirror_left now;

	look(f, &now);
	return now.dev == f->left.dev && now.ino == f->left.ino &&
	    now.rows == f->left.rows && now.lines == f->left.lines &&
	    now.ends == f->left.ends && now.records == f->left.records &&
	    now.changed.tv_sec == f->left.changed.tv_sec &&
	    now.changed.tv_nsec == f->left.changed.tv_nsec;
}

/* A folder that nothing is mounted at is of the same disk, or of the root's,
 * where the station's own folder may be a disk for itself. */
static enum mm_err
is_another_disk(const struct mm_mirror_files *f, struct mm_why *why)
{
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir disk = { -1, NULL };
	struct stat home, root, there;

	MM_TRY(mm_mirror_enter(f, MM_MIRROR_DISK, &disk, why));
	if (fstat(disk.fd, &there) != 0)
		return mm_mirror_failed(f->disk, why);
	if ((stat(f->from, &home) == 0 && home.st_dev == there.st_dev) ||
	    (stat("/", &root) == 0 && root.st_dev == there.st_dev))
		return MM_FAIL(why, MM_EAGAIN,
		    "mirror: %.100s is on the "
		    "station's own disk: nothing is mounted there",
		    f->disk);
	return MM_OK;
}

/* see mirror.h */
enum mm_err
mm_mirror_find(struct mm_mirror_files *f, struct mm_why *why)
{
	MM_TRY(is_another_disk(f, why));
	if (f->known && !mm_mirror_is_as_left(f))
		f->known = false;
	return mm_mirror_make(f, why);
}

static enum mm_err
another(const char *path, struct mm_why *why)
{
	return MM_FAIL(why, MM_EPOLICY, "mirror: %.100s is of another history "
	    "than this station's: put that folder aside", path);
}

/* ---- rows ---- */

/* The journal that was put by when it had the row, of those that have more
 * the oldest. */
static bool
find_older(const struct mm_mirror_files *f, uint64_t row, char out[PATH_MAX])
{
	DIR *d = opendir(f->from);
	const struct dirent *e;
	int64_t n, best = INT64_MAX;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (strncmp(e->d_name, "journal.", 8) == 0 &&
		    mm_int_parse(e->d_name + 8, &n, NULL) == MM_OK &&
		    n >= 0 && (uint64_t)n >= row && n < best &&
		    mm_mirror_join(f->from, e->d_name, out, NULL) == MM_OK)
			best = n;
	if (d != NULL)
		(void)closedir(d);
	return best != INT64_MAX;
}

/* Its last row is the station's, wherever that stands now. */
static enum mm_err
compare_rows(const struct mm_mirror_files *f,
    const struct mm_mirror_journal *mine,
    const struct mm_mirror_journal *there, struct mm_why *why)
{
	struct mm_mirror_journal old = *mine;
	char path[PATH_MAX];

	if (there->last == 0)
		return MM_OK;
	if (!old.has_row && find_older(f, there->last, path))
		MM_TRY(mm_mirror_own_rows(path, 0, there->last, NULL, &old,
		    why));
	return old.has_row && memcmp(old.row_crc, there->last_crc,
	    sizeof(old.row_crc)) == 0 ? MM_OK : another(f->to, why);
}

static enum mm_err
read_copy(const struct mm_mirror_files *f, struct mm_mirror_journal *j,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf text = MM_BUF_INIT(MM_MIRROR_JOURNAL_MAX);

	MM_TRY(mm_mirror_read(f, "journal", &text, why));
	return mm_mirror_read_rows(mm_buf_view(&text), 0, 0, NULL, j, NULL) ==
	    MM_OK ? MM_OK : MM_FAIL(why, MM_EPOLICY, "mirror: "
	    "%.100s/journal is damaged: put that folder aside", f->to);
}

/* Where the copy ends, without what was being written when it went away. */
static enum mm_err
find_row(struct mm_mirror_files *f, struct mm_why *why)
{
	struct mm_mirror_journal mine, there;
	struct mm_why copy = { 0 };
	char own[PATH_MAX];
	enum mm_err rc;

	MM_TRY(mm_mirror_join(f->from, "journal", own, why));
	f->row = 0;
	f->at = 0;
	f->inode = 0;
	rc = read_copy(f, &there, &copy);
	mm_mirror_tick(f);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", copy.text);
	MM_TRY(mm_mirror_own_rows(own, 0, there.last, NULL, &mine, why));
	mm_mirror_tick(f);
	if (there.last > mine.last)
		return MM_FAIL(why, MM_EPOLICY,
		    "mirror: %.100s/journal has more than "
		    "this station's journal: was its disk put back?",
		    f->to);
	MM_TRY(compare_rows(f, &mine, &there, why));
	if (there.whole < there.all)
		MM_TRY(mm_mirror_cut(f, "journal", (off_t)there.whole, why));
	f->row = there.last;
	return mine.first > there.first && there.first > 0
		   ? mm_mirror_put_by(f, why)
		   : MM_OK;
}

/* ---- entries ---- */

struct lines {
	uint64_t n;        /* whole ones */
	off_t last, end;   /* the last of them */
	off_t all;
};

static enum mm_err
count_in(const struct mm_mirror_files *f, int fd, struct lines *l,
    struct mm_why *why)
{
	static const size_t chunk = 65536;
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(chunk);
	uint8_t *room = mm_buf_room(&b, chunk);
	ssize_t n = 0;

	MM_TRY(mm_buf_ok(&b, why));
	while ((n = read(fd, room, chunk)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (room[i] == '\n') {
				l->n++;
				l->last = l->end;
				l->end = l->all + i + 1;
			}
		l->all += n;
		mm_mirror_tick(f);
	}
	return n < 0 ? mm_mirror_failed(f->to, why) : MM_OK;
}

static enum mm_err
count_lines(const struct mm_mirror_files *f, struct lines *l,
    struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc;
	int fd = -1;

	memset(l, 0, sizeof(*l));
	rc = mm_mirror_open_file(f, "entries.jsonl", O_RDONLY, &fd, &own);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", own.text);
	rc = count_in(f, fd, l, why);
	(void)close(fd);
	return rc;
}

static enum mm_err
read_line(const struct mm_mirror_files *f, const struct lines *l,
    struct mm_buf *out, struct mm_why *why)
{
	size_t n = (size_t)(l->end - l->last);
	uint8_t *room = mm_buf_room(out, n);
	bool whole;
	int fd = -1;

	MM_TRY(mm_buf_ok(out, why));
	MM_TRY(mm_mirror_open_file(f, "entries.jsonl", O_RDONLY, &fd, why));
	whole = pread(fd, room, n, l->last) == (ssize_t)n;
	(void)close(fd);
	return whole ? MM_OK : mm_mirror_failed(f->to, why);
}

/* The index-th of the station's own, as it keeps them (entries.h). */
static enum mm_err
read_own(const struct mm_mirror_files *f, uint64_t index, struct mm_buf *out,
    struct mm_why *why)
{
	uint8_t head[2] = { 0 };
	char path[PATH_MAX];
	bool there;
	FILE *in;

	MM_TRY(mm_mirror_join(f->from, "ledger", path, why));
	in = fopen(path, "re");
	there = in != NULL && fread(head, 1, 2, in) == 2;
	for (; there && index > 0; index--)
		there = fseek(in, head[0] << 8 | head[1], SEEK_CUR) == 0 &&
		    fread(head, 1, 2, in) == 2;
	if (there) {
		size_t n = (size_t)head[0] << 8 | head[1];
		uint8_t *room = mm_buf_room(out, n);

		there = room != NULL && fread(room, 1, n, in) == n;
	}
	if (in != NULL)
		(void)fclose(in);
	return there ? mm_buf_ok(out, why)
		     : MM_FAIL(why, MM_EPOLICY, "mirror: %.100s has more "
		     "entries than this station's ledger: was its disk put "
		     "back?", f->to);
}

static enum mm_err
compare_entries(const struct mm_mirror_files *f, const struct lines *l,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf line = MM_BUF_INIT(LINE_MAX_N);
	MM_OWN(mm_buf_done) struct mm_buf own = MM_BUF_INIT(LINE_MAX_N);
	json_t *o, *entry;
	bool same;

	if (l->n == 0)
		return MM_OK;
	MM_TRY(read_line(f, l, &line, why));
	MM_TRY(read_own(f, l->n - 1, &own, why));
	o = json_loadb((const char *)line.p, line.n, 0, NULL);
	entry = json_object_get(o, "entry");
	same = json_is_string(entry) && json_string_length(entry) == own.n &&
	    memcmp(json_string_value(entry), own.p, own.n) == 0;
	json_decref(o);
	return same ? MM_OK : another(f->to, why);
}

/* Both are compared before anything is written. */
static enum mm_err
find_all(struct mm_mirror_files *f, struct mm_why *why)
{
	struct lines l;

	MM_TRY(count_lines(f, &l, why));
	MM_TRY(compare_entries(f, &l, why));
	MM_TRY(find_row(f, why));
	f->entries = l.n;
	return l.end < l.all ? mm_mirror_cut(f, "entries.jsonl", l.end, why) : MM_OK;
}

/* see mirror.h */
enum mm_err
mm_mirror_catch_up(struct mm_mirror_files *f, struct mm_why *why)
{
	MM_TRY(find_all(f, why));
	MM_TRY(mm_mirror_copy_records(f, why));
	mm_mirror_note(f);
	f->known = true;
	return MM_OK;
}

