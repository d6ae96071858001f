#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "station/mirror_priv.h"
#include "station/rows.h"

enum { RECORD_MAX = 1 << 20, PAPER_MAX = 64 << 20,
	EXPORT_MAX = 1 << 30, LOOKED = 100 };

/* ---- rows ---- */

/* see mirror_priv.h */
enum mm_err
mm_mirror_read_rows(struct mm_bytes text, off_t at, uint64_t row,
    struct mm_buf *out, struct mm_mirror_journal *j, struct mm_why *why)
{
	struct mm_bytes rest;
	struct mm_row r;
	uint64_t n = 0;
	enum mm_err rc;

	memset(j, 0, sizeof(*j));
	j->all = text.n;
	if ((size_t)at > text.n)
		at = 0;
	rest = (struct mm_bytes){ text.p + at, text.n - (size_t)at };
	for (;;) {
		const uint8_t *from = rest.p;

		rc = mm_row_next(&rest, &n, &r, why);
		if (rc != MM_OK)
			break;
		j->first = j->first == 0 ? r.n : j->first;
		j->last = r.n;
		memcpy(j->last_crc, r.crc, sizeof(r.crc));
		if (r.n == row)
			memcpy(j->row_crc, r.crc, sizeof(r.crc));
		j->has_row |= r.n == row;
		if (out != NULL && r.n > row)
			mm_buf_put(out, from, (size_t)(rest.p - from));
	}
	j->whole = text.n - rest.n;
	return rc == MM_ENOTFOUND || rc == MM_EAGAIN ? MM_OK : rc;
}

/* see mirror_priv.h */
enum mm_err
mm_mirror_own_rows(const char *path, off_t at, uint64_t row,
    struct mm_buf *out, struct mm_mirror_journal *j, struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf text = MM_BUF_INIT(MM_MIRROR_JOURNAL_MAX);

	MM_TRY(mm_file_read(path, &text, why));
	return mm_mirror_read_rows(mm_buf_view(&text), at, row, out, j, why);
}

static enum mm_err
inode_of(const char *path, uint64_t *out, struct mm_why *why)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return mm_mirror_failed(path, why);
	*out = st.st_ino;
	return MM_OK;
}

/* see mirror_priv.h */
enum mm_err
mm_mirror_put_by(struct mm_mirror_files *f, struct mm_why *why)
{
	char old[32];

	snprintf(old, sizeof(old), "journal.%" PRIu64, f->row);
	return mm_mirror_rename(f, "journal", old, why);
}

static enum mm_err
sync_own(const char *path, struct mm_why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum mm_err rc = fd >= 0 && fdatasync(fd) == 0
			     ? MM_OK
			     : mm_mirror_failed(path, why);

	if (fd >= 0)
		(void)close(fd);
	return rc;
}

/* see mirror.h */
enum mm_err
mm_mirror_rows(struct mm_mirror_files *f, struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf news = MM_BUF_INIT(MM_MIRROR_JOURNAL_MAX);
	struct mm_mirror_journal j;
	char own[PATH_MAX];
	uint64_t inode = 0;

	MM_TRY(mm_mirror_join(f->from, "journal", own, why));
	MM_TRY(inode_of(own, &inode, why));
	if (inode != f->inode && f->inode != 0)
		MM_TRY(mm_mirror_put_by(f, why));
	if (inode != f->inode)
		f->at = 0;
	f->inode = inode;
	MM_TRY(mm_mirror_own_rows(own, f->at, f->row, &news, &j, why));
	MM_TRY(mm_buf_ok(&news, why));
	/* what a power cut takes from the station the copy must not have */
	if (news.n > 0)
		MM_TRY(sync_own(own, why));
	if (news.n > 0)
		MM_TRY(mm_mirror_append(
		    f, "journal", mm_buf_view(&news), why));
	f->at = (off_t)j.whole;
	if (j.last > f->row)
		f->row = j.last;
	mm_mirror_note(f);
	return MM_OK;
}

/* ---- records ---- */

/* see mirror.h */
enum mm_err
mm_mirror_record(
    struct mm_mirror_files *f, const char *name, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(RECORD_MAX);
	char own[PATH_MAX], dir[PATH_MAX];

	MM_TRY(mm_mirror_join(f->from, "records", dir, why));
	MM_TRY(mm_mirror_join(dir, name, own, why));
	MM_TRY(mm_file_read(own, &text, why));
	return mm_mirror_replace(
	    f, MM_MIRROR_RECORDS, name, mm_buf_view(&text), why);
}

static bool
is_newer(const struct stat *a, const struct stat *b)
{
	return a->st_size != b->st_size ||
	       a->st_mtim.tv_sec > b->st_mtim.tv_sec ||
	       (a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		   a->st_mtim.tv_nsec > b->st_mtim.tv_nsec);
}

static bool
is_record(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, ".json") == 0;
}

static bool
lacks(int own, int there, const char *name)
{
	struct stat a, b;

	return fstatat(own, name, &a, 0) == 0 &&
	       (fstatat(there, name, &b, AT_SYMLINK_NOFOLLOW) != 0 ||
		   is_newer(&a, &b));
}

/* Those that are looked at one after the other, and how many there are. */
struct records {
	DIR *own;
	struct mm_mirror_dir there;
	uint64_t done, of;
};

static enum mm_err
open_records(const struct mm_mirror_files *f, struct records *r,
    struct mm_why *why)
{
	const struct dirent *e;
	char path[PATH_MAX];

	MM_TRY(mm_mirror_join(f->from, "records", path, why));
	r->own = opendir(path);
	while (r->own != NULL && (e = readdir(r->own)) != NULL)
		r->of += is_record(e->d_name);
	if (r->own != NULL)
		rewinddir(r->own);
	return mm_mirror_enter(f, MM_MIRROR_RECORDS, &r->there, why);
}

static enum mm_err
copy_lacking(struct mm_mirror_files *f, struct records *r, struct mm_why *why)
{
	const struct dirent *e;
	bool lack;

	while (r->own != NULL && (e = readdir(r->own)) != NULL) {
		if (!is_record(e->d_name))
			continue;
		lack = lacks(dirfd(r->own), r->there.fd, e->d_name);
		r->done++;
		if (lack)
			MM_TRY(mm_mirror_record(f, e->d_name, why));
		if (f->moved != NULL && (lack || r->done % LOOKED == 0))
			f->moved(f->ctx, r->done, r->of);
	}
	return MM_OK;
}

/* see mirror_priv.h */
enum mm_err
mm_mirror_copy_records(struct mm_mirror_files *f, struct mm_why *why)
{
	struct records r = { .there = { -1, NULL } };
	enum mm_err rc = open_records(f, &r, why);

	if (rc == MM_OK)
		rc = copy_lacking(f, &r, why);
	if (r.own != NULL)
		(void)closedir(r.own);
	mm_mirror_dir_done(&r.there);
	return rc;
}

/* ---- papers ---- */

/* What a supervisor decided, and whom batches name. */
static bool
is_paper(const char *name)
{
	/* one that is being written has another name */
	return strcmp(name, "decisions") == 0 ||
	    (strncmp(name, "people-", 7) == 0 && mm_name_valid(name + 7));
}

static enum mm_err
read_if_there(const struct mm_mirror_files *f, const char *name,
    struct mm_buf *out, struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc = mm_mirror_read(f, name, out, &own);

	return rc == MM_OK || rc == MM_ENOTFOUND
		   ? MM_OK
		   : MM_FAIL(why, rc, "%s", own.text);
}

static bool
has_newest(const struct mm_mirror_files *f, const char *name,
    const struct stat *own)
{
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir d = { -1, NULL };
	struct stat st;

	return mm_mirror_enter(f, MM_MIRROR_TOP, &d, NULL) == MM_OK &&
	    fstatat(d.fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !is_newer(own, &st);
}

/* They are only appended to, so what the copy has is the beginning. */
static enum mm_err
append_decisions(struct mm_mirror_files *f, const char *own,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf mine = MM_BUF_INIT(MM_MIRROR_JOURNAL_MAX);
	MM_OWN(mm_buf_done)
	struct mm_buf there = MM_BUF_INIT(MM_MIRROR_JOURNAL_MAX);

	MM_TRY(read_if_there(f, "decisions", &there, why));
	MM_TRY(mm_file_read(own, &mine, why));
	if (there.n > mine.n ||
	    (there.n > 0 && memcmp(mine.p, there.p, there.n) != 0))
		return MM_FAIL(why, MM_EPOLICY, "mirror: %.100s has decisions "
		    "that this station has not: put that folder aside", f->to);
	if (there.n == mine.n)
		return MM_OK;
	MM_TRY(sync_own(own, why));
	return mm_mirror_append(f, "decisions", (struct mm_bytes){
	    mine.p + there.n, mine.n - there.n }, why);
}

static enum mm_err
copy_paper(struct mm_mirror_files *f, const char *name, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(PAPER_MAX);
	char own[PATH_MAX];
	struct stat st;
	enum mm_err rc;

	MM_TRY(mm_mirror_join(f->from, name, own, why));
	if (stat(own, &st) != 0 || has_newest(f, name, &st))
		return MM_OK;
	if (strcmp(name, "decisions") == 0)
		return append_decisions(f, own, why);
	rc = mm_file_read(own, &text, why);
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK : rc;
	return mm_mirror_replace(
	    f, MM_MIRROR_TOP, name, mm_buf_view(&text), why);
}

/* see mirror.h */
enum mm_err
mm_mirror_papers(struct mm_mirror_files *f, struct mm_why *why)
{
	DIR *d = opendir(f->from);
	const struct dirent *e;
	enum mm_err rc = MM_OK;

	while (d != NULL && rc == MM_OK && (e = readdir(d)) != NULL)
		if (is_paper(e->d_name))
			rc = copy_paper(f, e->d_name, why);
	if (d != NULL)
		(void)closedir(d);
	return rc;
}

/* ---- entries ---- */

/* see mirror.h */
enum mm_err
mm_mirror_put_entries(struct mm_mirror_files *f,
    const struct mm_mirror_job *job, struct mm_why *why)
{
	struct mm_bytes lines = job->lines;
	uint64_t at = job->first, n = 0;

	if (job->checkpoint.n == 0 && lines.n == 0)
		return MM_OK;
	if (at > f->entries)
		return MM_FAIL(why, MM_EAGAIN, "mirror: a gap");
	while (lines.n > 0 && at < f->entries) {
		const uint8_t *lf = memchr(lines.p, '\n', lines.n);

		MM_INVARIANT(lf != NULL);
		lines.n -= (size_t)(lf + 1 - lines.p);
		lines.p = lf + 1;
		at++;
	}
	for (size_t i = 0; i < lines.n; i++)
		n += lines.p[i] == '\n';
	if (lines.n > 0)
		MM_TRY(mm_mirror_append(f, "entries.jsonl", lines, why));
	f->entries += n;
	mm_mirror_note(f);
	if (job->checkpoint.n == 0)
		return MM_OK;
	return mm_mirror_replace(
	    f, MM_MIRROR_TOP, "checkpoint", job->checkpoint, why);
}

/* ---- what the centre gets of it ---- */

/* The checkpoint file's second line says how many entries it is of. */
static enum mm_err
read_size(
    struct mm_bytes ends, size_t *head, uint64_t *size, struct mm_why *why)
{
	const uint8_t *lf = memchr(ends.p, '\n', ends.n);
	json_t *last = lf == NULL
			   ? NULL
			   : json_loadb((const char *)lf + 1,
				 (size_t)(ends.p + ends.n - lf - 1), 0, NULL);
	json_int_t n = json_is_integer(json_object_get(last, "size"))
			   ? json_integer_value(json_object_get(last, "size"))
			   : -1;

	json_decref(last);
	if (n < 0)
		return MM_FAIL(why, MM_EINPUT,
		    "mirror: its checkpoint cannot "
		    "be read");
	*head = (size_t)(lf + 1 - ends.p);
	*size = (uint64_t)n;
	return MM_OK;
}

static enum mm_err
first_lines(
    struct mm_bytes all, uint64_t n, struct mm_buf *out, struct mm_why *why)
{
	size_t end = 0;

	for (; end < all.n && n > 0; end++)
		n -= all.p[end] == '\n';
	if (n > 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "mirror: %" PRIu64 " entries "
		    "are missing in entries.jsonl",
		    n);
	mm_buf_put(out, all.p, end);
	return mm_buf_ok(out, why);
}

/* see mirror.h */
enum mm_err
mm_mirror_export(
    const char *folder, struct mm_buf *out, uint64_t *n, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf ends = MM_BUF_INIT(RECORD_MAX);
	MM_OWN(mm_buf_done) struct mm_buf lines = MM_BUF_INIT(EXPORT_MAX);
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir d = { open(folder,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC), folder };
	size_t head = 0;

	if (d.fd < 0)
		return mm_mirror_failed(folder, why);
	MM_TRY(mm_mirror_read_at(&d, "checkpoint", &ends, why));
	MM_TRY(read_size(mm_buf_view(&ends), &head, n, why));
	MM_TRY(mm_mirror_read_at(&d, "entries.jsonl", &lines, why));
	mm_buf_put(out, ends.p, head);
	MM_TRY(first_lines(mm_buf_view(&lines), *n, out, why));
	mm_buf_put(out, ends.p + head, ends.n - head);
	return mm_buf_ok(out, why);
}
