#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "station/mirror_priv.h"

/*
 * The second disk's folder and the files in it.  A stick comes from anywhere,
 * and a disk may be one that others write to: what lies there may have been
 * prepared, a link to one of the station's own files (which would be cut off,
 * or written over), a file that has a second name elsewhere, a pipe that
 * nobody fills.  So the folder is opened, and a file in it by that and by its
 * name alone; what is not a file of its own is neither read nor written.  The
 * way to the disk is the configuration's: it may lead over links, as a
 * desktop's mounts do, but not end in one of another user's.
 */

/* see mirror_priv.h */
enum mm_err
mm_mirror_failed(const char *path, struct mm_why *why)
{
	return MM_FAIL(
	    why, MM_EAGAIN, "mirror: %.100s: %s", path, strerror(errno));
}

static enum mm_err
failed(const struct mm_mirror_dir *d, const char *name, struct mm_why *why)
{
	return MM_FAIL(why, MM_EAGAIN, "mirror: %.90s/%.60s: %s", d->path,
	    name, strerror(errno));
}

static enum mm_err
is_planted(const struct mm_mirror_dir *d, const char *name,
    struct mm_why *why)
{
	return MM_FAIL(why, MM_EPOLICY, "mirror: %.80s/%.50s is a link, or "
	    "not a file with one name: put that folder aside", d->path, name);
}

/* see mirror_priv.h */
void
mm_mirror_dir_done(struct mm_mirror_dir *d)
{
	if (d->fd >= 0)
		(void)close(d->fd);
	d->fd = -1;
}

/* ---- folders ---- */

static enum mm_err
open_disk(const struct mm_mirror_files *f, struct mm_mirror_dir *out,
    struct mm_why *why)
{
	size_t n = strlen(f->disk);
	char path[PATH_MAX];
	struct stat st;
	bool link;

	while (n > 1 && f->disk[n - 1] == '/')
		n--;
	memcpy(path, f->disk, n);
	path[n] = '\0';
	link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
	if (link && st.st_uid != 0 && st.st_uid != geteuid())
		return MM_FAIL(why, MM_EPOLICY, "mirror: %.100s is a link of "
		    "another user's: name the folder itself", path);
	out->path = f->disk;
	out->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
	    (link ? 0 : O_NOFOLLOW));
	return out->fd >= 0 ? MM_OK : mm_mirror_failed(f->disk, why);
}

/* One that is there and no link; it may be another user's: a stick without
 * owners has whom it was mounted by. */
static enum mm_err
enter(const struct mm_mirror_dir *in, const char *name, const char *path,
    struct mm_mirror_dir *out, struct mm_why *why)
{
	struct stat st;

	out->path = path;
	out->fd = openat(in->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
	    O_NOFOLLOW);
	if (out->fd >= 0)
		return MM_OK;
	if (fstatat(in->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISDIR(st.st_mode))
		return MM_FAIL(why, MM_EPOLICY, "mirror: %.80s/%.50s is a "
		    "link, or no folder: remove it", in->path, name);
	return failed(in, name, why);
}

static const char *
name_of(const struct mm_mirror_files *f)
{
	return strrchr(f->to, '/') + 1;
}

/* see mirror_priv.h */
enum mm_err
mm_mirror_enter(const struct mm_mirror_files *f, enum mm_mirror_in in,
    struct mm_mirror_dir *out, struct mm_why *why)
{
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir disk = { -1, NULL };
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir top = { -1, NULL };

	MM_TRY(open_disk(f, &disk, why));
	if (in == MM_MIRROR_DISK) {
		*out = disk;
		disk.fd = -1;
		return MM_OK;
	}
	MM_TRY(enter(&disk, name_of(f), f->to, &top, why));
	if (in == MM_MIRROR_RECORDS)
		return enter(&top, "records", f->to, out, why);
	*out = top;
	top.fd = -1;
	return MM_OK;
}

static enum mm_err
make(const struct mm_mirror_dir *in, const char *name, struct mm_why *why)
{
	if (mkdirat(in->fd, name, 0700) != 0)
		return errno == EEXIST ? MM_OK : failed(in, name, why);
	return fsync(in->fd) == 0 ? MM_OK : failed(in, name, why);
}

/* see mirror_priv.h */
enum mm_err
mm_mirror_make(const struct mm_mirror_files *f, struct mm_why *why)
{
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir disk = { -1, NULL };
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir top = { -1, NULL };
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir records = { -1, NULL };

	MM_TRY(open_disk(f, &disk, why));
	MM_TRY(make(&disk, name_of(f), why));
	MM_TRY(enter(&disk, name_of(f), f->to, &top, why));
	MM_TRY(make(&top, "records", why));
	return enter(&top, "records", f->to, &records, why);
}

/* ---- files ---- */

static enum mm_err
is_file(int fd, const struct mm_mirror_dir *d, const char *name,
    struct mm_why *why)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return failed(d, name, why);
	return S_ISREG(st.st_mode) && st.st_nlink <= 1
		   ? MM_OK
		   : is_planted(d, name, why);
}

/* see mirror_priv.h */
enum mm_err
mm_mirror_open_at(const struct mm_mirror_dir *d, const char *name, int flags,
    int *fd, struct mm_why *why)
{
	/* a pipe is not waited for */
	int got = openat(d->fd, name, flags | O_CLOEXEC | O_NOFOLLOW |
	    O_NOCTTY | O_NONBLOCK, 0600);
	enum mm_err rc;

	if (got < 0 && errno == ENOENT)
		return MM_FAIL(why, MM_ENOTFOUND, "mirror: %.80s/%.50s: not "
		    "there", d->path, name);
	if (got < 0)
		return errno == ELOOP || errno == ENXIO
			   ? is_planted(d, name, why)
			   : failed(d, name, why);
	rc = is_file(got, d, name, why);
	if (rc == MM_OK)
		*fd = got;
	else
		(void)close(got);
	return rc;
}

/* see mirror_priv.h */
enum mm_err
mm_mirror_read_at(const struct mm_mirror_dir *d, const char *name,
    struct mm_buf *out, struct mm_why *why)
{
	enum mm_err rc;
	int fd = -1;

	MM_TRY(mm_mirror_open_at(d, name, O_RDONLY, &fd, why));
	rc = mm_fd_read(fd, name, out, why);
	(void)close(fd);
	return rc;
}

/* see mirror_priv.h */
enum mm_err
mm_mirror_open_file(const struct mm_mirror_files *f, const char *name,
    int flags, int *fd, struct mm_why *why)
{
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir d = { -1, NULL };

	MM_TRY(mm_mirror_enter(f, MM_MIRROR_TOP, &d, why));
	return mm_mirror_open_at(&d, name, flags, fd, why);
}

/* see mirror_priv.h */
enum mm_err
mm_mirror_read(const struct mm_mirror_files *f, const char *name,
    struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir d = { -1, NULL };

	MM_TRY(mm_mirror_enter(f, MM_MIRROR_TOP, &d, why));
	return mm_mirror_read_at(&d, name, out, why);
}

/* A file that is new is one of its folder's, too. */
static enum mm_err
open_end(const struct mm_mirror_dir *d, const char *name, int *fd,
    struct mm_why *why)
{
	const int flags = O_WRONLY | O_APPEND;
	enum mm_err rc = mm_mirror_open_at(d, name, flags, fd, NULL);

	if (rc == MM_OK)
		return MM_OK;
	if (rc != MM_ENOTFOUND)
		return mm_mirror_open_at(d, name, flags, fd, why);
	MM_TRY(mm_mirror_open_at(d, name, flags | O_CREAT | O_EXCL, fd, why));
	return fsync(d->fd) == 0 ? MM_OK : failed(d, name, why);
}

/* see mirror_priv.h */
enum mm_err
mm_mirror_append(const struct mm_mirror_files *f, const char *name,
    struct mm_bytes data, struct mm_why *why)
{
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir d = { -1, NULL };
	enum mm_err rc;
	int fd = -1;

	MM_TRY(mm_mirror_enter(f, MM_MIRROR_TOP, &d, why));
	rc = open_end(&d, name, &fd, why);
	if (rc == MM_OK)
		rc = mm_fd_write(fd, data, why);
	if (rc == MM_OK && fdatasync(fd) != 0)
		rc = failed(&d, name, why);
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

/* see mirror_priv.h */
enum mm_err
mm_mirror_cut(const struct mm_mirror_files *f, const char *name, off_t at,
    struct mm_why *why)
{
	enum mm_err rc = MM_OK;
	int fd = -1;

	MM_TRY(mm_mirror_open_file(f, name, O_WRONLY, &fd, why));
	if (ftruncate(fd, at) != 0)
		rc = mm_mirror_failed(f->to, why);
	(void)close(fd);
	return rc;
}

static enum mm_err
fill(int fd, const struct mm_mirror_dir *d, const char *name,
    struct mm_bytes data, struct mm_why *why)
{
	MM_TRY(mm_fd_write(fd, data, why));
	return fsync(fd) == 0 ? MM_OK : failed(d, name, why);
}

/* see mirror_priv.h */
enum mm_err
mm_mirror_replace(const struct mm_mirror_files *f, enum mm_mirror_in in,
    const char *name, struct mm_bytes data, struct mm_why *why)
{
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir d = { -1, NULL };
	char next[NAME_MAX + sizeof(MM_FILE_NEXT)];
	enum mm_err rc;
	int fd = -1;

	MM_TRY(mm_mirror_enter(f, in, &d, why));
	snprintf(next, sizeof(next), "%.*s" MM_FILE_NEXT, NAME_MAX, name);
	(void)unlinkat(d.fd, next, 0); /* of one that was cut off */
	MM_TRY(mm_mirror_open_at(&d, next, O_WRONLY | O_CREAT | O_EXCL, &fd,
	    why));
	rc = fill(fd, &d, name, data, why);
	if (close(fd) != 0 && rc == MM_OK)
		rc = failed(&d, name, why);
	if (rc == MM_OK && (renameat(d.fd, next, d.fd, name) != 0 ||
	    fsync(d.fd) != 0))
		rc = failed(&d, name, why);
	if (rc != MM_OK)
		(void)unlinkat(d.fd, next, 0);
	return rc;
}

/* see mirror_priv.h */
enum mm_err
mm_mirror_rename(const struct mm_mirror_files *f, const char *from,
    const char *to, struct mm_why *why)
{
	MM_OWN(mm_mirror_dir_done) struct mm_mirror_dir d = { -1, NULL };

	MM_TRY(mm_mirror_enter(f, MM_MIRROR_TOP, &d, why));
	if (renameat(d.fd, from, d.fd, to) != 0)
		return errno == ENOENT ? MM_OK : failed(&d, from, why);
	return fsync(d.fd) == 0 ? MM_OK : failed(&d, to, why);
}
