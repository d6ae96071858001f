#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/faults.h"
#include "base/name.h"

#define READ_STEP 16384

static enum mm_err
sys_fail(struct mm_why *why, const char *verb, const char *path)
{
	static const struct {
		int errnum;
		enum mm_err code;
	} rows[] = {
		{ ENOENT, MM_ENOTFOUND },
		{ EEXIST, MM_ECONFLICT },
		{ ENOMEM, MM_ENOMEM },
	};
	int errnum = errno;
	enum mm_err code = MM_ESYS;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].errnum == errnum)
			code = rows[i].code;
	return MM_FAIL(why, code, "cannot %s %.90s: %s", verb, path,
	    strerror(errnum));
}

/* One byte past max is asked for, so that a longer file is noticed. */
static enum mm_err
read_all(int fd, const char *path, struct mm_buf *out, struct mm_why *why)
{
	for (;;) {
		size_t left = out->max - out->n;
		size_t step = left < READ_STEP ? left : READ_STEP;
		uint8_t spill, *room = step == 0 ? &spill :
						   mm_buf_room(out, step);
		ssize_t got;

		if (room == NULL)
			return mm_buf_ok(out, why);
		got = read(fd, room, step == 0 ? 1 : step);
		if (step > 0)
			out->n -= got > 0 ? step - (size_t)got : step;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return sys_fail(why, "read", path);
		if (got == 0)
			return MM_OK;
		if (step == 0)
			return MM_FAIL(why, MM_ELIMIT,
			    "%.90s: more than %zu bytes", path, out->max);
	}
}

/* Growing step by step would copy, and wipe, what was read so far. */
static void
make_room(int fd, struct mm_buf *out)
{
	struct stat st;
	size_t n = out->n;

	if (fstat(fd, &st) != 0 || st.st_size <= 0 ||
	    (uint64_t)st.st_size + READ_STEP > out->max - n)
		return;
	(void)mm_buf_room(out, (size_t)st.st_size + READ_STEP);
	out->n = n;
}

/* see file.h */
enum mm_err
mm_fd_read(int fd, const char *name, struct mm_buf *out, struct mm_why *why)
{
	size_t start = out->n;
	enum mm_err err;

	MM_TRY(mm_buf_ok(out, why));
	make_room(fd, out);
	err = read_all(fd, name, out, why);
	if (err != MM_OK)
		out->n = start;
	return err;
}

/* see file.h */
enum mm_err
mm_file_read(const char *path, struct mm_buf *out, struct mm_why *why)
{
	enum mm_err err;
	int fd;

	MM_TRY(mm_buf_ok(out, why));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return sys_fail(why, "open", path);
	err = mm_fd_read(fd, path, out, why);
	close(fd);
	return err;
}

/* see file.h */
enum mm_err
mm_fd_write(int fd, struct mm_bytes data, struct mm_why *why)
{
	while (data.n > 0) {
		ssize_t put = write(fd, data.p, data.n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return MM_FAIL(why, MM_ESYS, "cannot write: %s",
			    strerror(errno));
		data.p += put;
		data.n -= (size_t)put;
	}
	return MM_OK;
}

/* The owner first: changing it may clear bits of the mode. */
static enum mm_err
set_own(int fd, const char *path, const struct mm_file_own *own,
    struct mm_why *why)
{
	if ((own->uid != (uid_t)-1 || own->gid != (gid_t)-1) &&
	    fchown(fd, own->uid, own->gid) != 0)
		return sys_fail(why, "set the owner of", path);
	if (own->mode != 0 && fchmod(fd, own->mode) != 0)
		return sys_fail(why, "set the mode of", path);
	return MM_OK;
}

static enum mm_err
fill(int fd, struct mm_bytes data, const struct mm_file_own *own,
    struct mm_why *why)
{
	MM_TRY(mm_fd_write(fd, data, why));
	MM_TRY(set_own(fd, "a temporary file", own, why));
	if (fsync(fd) != 0)
		return sys_fail(why, "sync", "a temporary file");
	return MM_OK;
}

/* Makes a filled and synced temporary file beside path. */
static enum mm_err
make_temporary(const char *path, struct mm_bytes data,
    const struct mm_file_own *own, char tmp[PATH_MAX], struct mm_why *why)
{
	enum mm_err err;
	int fd, n = snprintf(tmp, PATH_MAX, "%s.XXXXXX", path);

	if (n < 0 || n >= PATH_MAX)
		return MM_FAIL(why, MM_ELIMIT, "path is too long");
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return sys_fail(why, "write", path);
	err = fill(fd, data, own, why);
	if (close(fd) != 0 && err == MM_OK)
		err = sys_fail(why, "write", path);
	if (err != MM_OK)
		unlink(tmp);
	return err;
}

/* see file.h */
enum mm_err
mm_file_replace_as(const char *path, struct mm_bytes data,
    const struct mm_file_own *own, struct mm_why *why)
{
	char tmp[PATH_MAX];

	MM_TRY(make_temporary(path, data, own, tmp, why));
	if (rename(tmp, path) != 0) {
		enum mm_err err = sys_fail(why, "replace", path);
		unlink(tmp);
		return err;
	}
	return mm_name_sync(path, why);
}

/* see file.h */
enum mm_err
mm_file_replace(const char *path, struct mm_bytes data, mode_t mode,
    struct mm_why *why)
{
	const struct mm_file_own own = { mode, (uid_t)-1, (gid_t)-1 };

	return mm_file_replace_as(path, data, &own, why);
}

/* see file.h */
enum mm_err
mm_file_new_begin(const char *path, struct mm_file_new *out,
    struct mm_why *why)
{
	int n = snprintf(out->tmp, PATH_MAX, "%s.XXXXXX", path);

	out->fd = -1;
	if (n < 0 || n >= PATH_MAX)
		return MM_FAIL(why, MM_ELIMIT, "path is too long");
	strcpy(out->path, path);
	out->fd = mkostemp(out->tmp, O_CLOEXEC);
	return out->fd >= 0 ? MM_OK : sys_fail(why, "write", path);
}

/* see file.h */
void
mm_file_new_drop(struct mm_file_new *f)
{
	if (f->fd < 0)
		return;
	close(f->fd);
	unlink(f->tmp);
	f->fd = -1;
}

/* see file.h */
enum mm_err
mm_file_new_end(struct mm_file_new *f, mode_t mode, struct mm_why *why)
{
	const struct mm_file_own own = { mode, (uid_t)-1, (gid_t)-1 };

	MM_TRY(fill(f->fd, (struct mm_bytes){ NULL, 0 }, &own, why));
	if (rename(f->tmp, f->path) != 0)
		return sys_fail(why, "replace", f->path);
	close(f->fd);
	f->fd = -1;
	return mm_name_sync(f->path, why);
}

/* see file.h */
enum mm_err
mm_file_map(const char *path, struct mm_bytes *out, struct mm_why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	enum mm_err rc = MM_OK;
	struct stat st;
	void *p = NULL;

	if (fd < 0)
		return sys_fail(why, "open", path);
	if (fstat(fd, &st) != 0)
		rc = sys_fail(why, "read", path);
	else if (st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd,
		    0);
	if (p == MAP_FAILED)
		rc = sys_fail(why, "read", path);
	close(fd);
	if (rc == MM_OK)
		*out = (struct mm_bytes){ p, p == NULL ? 0 :
						     (size_t)st.st_size };
	return rc;
}

/* see file.h */
void
mm_file_unmap(struct mm_bytes *map)
{
	if (map->n > 0)
		(void)munmap((void *)(uintptr_t)map->p, map->n);
	*map = (struct mm_bytes){ NULL, 0 };
}

/* The file of a descriptor that has no name gets one. */
static bool
give_name(int fd, const char *path)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}

/* What a file without a name takes: a file system that has it, and /proc. */
static int
open_nameless(const char *path)
{
	char dir[PATH_MAX];

	if (mm_name_folder(path, dir, NULL) != MM_OK ||
	    access("/proc/self/fd", X_OK) != 0)
		return -1;
	return open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
}

/* A file's next state, and whether it has the file's own name already. */
struct next {
	const char *path;
	char name[PATH_MAX];
	struct mm_file_own own;
	bool placed;
	bool wipes;
};

static void overwrite(int fd);

/* Where names cannot be exchanged, a kill in here leaves the old bytes in
 * blocks without a name. */
static bool
rename_over(const struct next *x)
{
	int old = x->wipes ? open(x->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW |
	    O_NOCTTY | O_NONBLOCK) : -1;
	bool ok = rename(x->name, x->path) == 0;

	if (old >= 0 && ok)
		overwrite(old);
	if (old >= 0)
		(void)close(old);
	return ok;
}

/* What is to be wiped takes the name of what is put in its place: under that
 * it is found and wiped, whenever this ends. */
static bool
put_over(const struct next *x)
{
	return (x->wipes && renameat2(AT_FDCWD, x->name, AT_FDCWD, x->path,
	    RENAME_EXCHANGE) == 0) || rename_over(x);
}

static bool
place(struct next *x, int fd)
{
	x->placed = give_name(fd, x->path);
	return x->placed || (errno == EEXIST && give_name(fd, x->name));
}

static enum mm_err
put_next(struct next *x, struct mm_bytes data, struct mm_why *why)
{
	int fd = open_nameless(x->path);
	bool named = fd < 0;
	enum mm_err err;

	if (named)
		fd = open(x->name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC |
		    O_NOFOLLOW, 0600);
	if (fd < 0)
		return sys_fail(why, "write", x->path);
	err = fill(fd, data, &x->own, why);
	if (err == MM_OK && !named && !place(x, fd))
		err = sys_fail(why, "write", x->path);
	if (close(fd) != 0 && err == MM_OK)
		err = sys_fail(why, "write", x->path);
	if (err == MM_OK && !x->placed && !put_over(x))
		err = sys_fail(why, "replace", x->path);
	return err;
}

static enum mm_err
replace_locked(struct next *x, struct mm_bytes data, struct mm_why *why)
{
	int n = snprintf(x->name, sizeof(x->name), "%s" MM_FILE_NEXT, x->path);
	enum mm_err err;

	if (n < 0 || n >= PATH_MAX)
		return MM_FAIL(why, MM_ELIMIT, "path is too long");
	MM_TRY(mm_file_wipe(x->name, why));
	err = put_next(x, data, why);
	if (err != MM_OK) {
		(void)!mm_file_wipe(x->name, NULL);
		return err;
	}
	return mm_name_sync(x->path, why);
}

/* see file.h */
enum mm_err
mm_file_replace_locked(const char *path, struct mm_bytes data, mode_t mode,
    struct mm_why *why)
{
	struct next x = { .path = path,
		.own = { mode, (uid_t)-1, (gid_t)-1 } };

	return replace_locked(&x, data, why);
}

/* see file.h; what is wiped before the exchange is on the disk is, after a
 * power cut, the file */
enum mm_err
mm_file_replace_wiping(const char *path, struct mm_bytes data, mode_t mode,
    struct mm_why *why)
{
	struct next x = { .path = path,
		.own = { mode, (uid_t)-1, (gid_t)-1 }, .wipes = true };

	MM_TRY(replace_locked(&x, data, why));
	mm_die_at("exchanged");
	return mm_file_wipe(x.name, why);
}

static void
overwrite(int fd)
{
	static const uint8_t zeros[4096];
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return;
	for (off_t left = st.st_size; left > 0;
	    left -= (off_t)sizeof(zeros)) {
		size_t n = left < (off_t)sizeof(zeros) ? (size_t)left :
							 sizeof(zeros);
		if (mm_fd_write(fd, (struct mm_bytes){ zeros, n }, NULL) !=
		    MM_OK)
			break;
	}
	(void)fsync(fd);
}

/* see file.h */
enum mm_err
mm_file_wipe(const char *path, struct mm_why *why)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY |
	    O_NONBLOCK);

	if (fd >= 0) {
		overwrite(fd);
		close(fd);
	}
	if (unlink(path) != 0)
		return errno == ENOENT ? MM_OK : sys_fail(why, "remove", path);
	return mm_name_sync(path, why);
}

static bool
is_left(const char *name, const char *ending)
{
	size_t n = strlen(name), end = strlen(ending);
	const size_t next = sizeof(MM_FILE_NEXT) - 1;

	return n > next + end && strcmp(name + n - next, MM_FILE_NEXT) == 0 &&
	    strncmp(name + n - next - end, ending, end) == 0;
}

/* see file.h */
enum mm_err
mm_file_wipe_left(const char *dir, const char *ending, struct mm_why *why)
{
	DIR *d = opendir(dir);
	enum mm_err rc = MM_OK;
	const struct dirent *e;
	char path[PATH_MAX];

	if (d == NULL)
		return errno == ENOENT ? MM_OK : sys_fail(why, "open", dir);
	while (rc == MM_OK && (e = readdir(d)) != NULL) {
		if (!is_left(e->d_name, ending))
			continue;
		rc = mm_path_join(path, sizeof(path), dir, e->d_name, why);
		if (rc == MM_OK)
			rc = mm_file_wipe(path, why);
	}
	(void)closedir(d);
	return rc;
}

/* link() refuses an existing name, which rename() would overwrite. */
enum mm_err
mm_file_create_as(const char *path, struct mm_bytes data,
    const struct mm_file_own *own, struct mm_why *why)
{
	enum mm_err err = MM_OK;
	char tmp[PATH_MAX];

	MM_TRY(make_temporary(path, data, own, tmp, why));
	if (link(tmp, path) != 0)
		err = sys_fail(why, "create", path);
	unlink(tmp);
	MM_TRY(err);
	return mm_name_sync(path, why);
}

/* see file.h */
enum mm_err
mm_file_create(const char *path, struct mm_bytes data, mode_t mode,
    struct mm_why *why)
{
	const struct mm_file_own own = { mode, (uid_t)-1, (gid_t)-1 };

	return mm_file_create_as(path, data, &own, why);
}

/* O_NOFOLLOW looks at the last part only, and not before a slash. */
enum mm_err
mm_dir_own(const char *path, const struct mm_file_own *own,
    struct mm_why *why)
{
	char name[PATH_MAX];
	size_t n = strlen(path);
	enum mm_err err;
	int fd;

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n >= sizeof(name))
		return MM_FAIL(why, MM_ELIMIT, "path is too long");
	memcpy(name, path, n);
	name[n] = '\0';
	fd = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return sys_fail(why, "open", name);
	err = set_own(fd, name, own, why);
	close(fd);
	return err;
}

static enum mm_err
make_one(const char *path, mode_t mode, struct mm_why *why)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return MM_OK;
	if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return MM_OK;
	return sys_fail(why, "make", path);
}

/* see file.h */
enum mm_err
mm_dir_make(const char *path, mode_t mode, struct mm_why *why)
{
	char part[PATH_MAX];

	if (!(strlen(path) < sizeof(part)) || path[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "path is empty or too long");
	for (size_t i = 1; path[i] != '\0'; i++) {
		if (path[i] != '/' || path[i - 1] == '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		MM_TRY(make_one(part, mode, why));
	}
	return make_one(path, mode, why);
}

/* see file.h */
enum mm_err
mm_file_lock(const char *path, int *fd, struct mm_why *why)
{
	int f = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY |
	    O_NOFOLLOW | O_NONBLOCK, 0600);

	if (f < 0)
		return sys_fail(why, "open", path);
	if (flock(f, LOCK_EX | LOCK_NB) != 0) {
		bool held = errno == EWOULDBLOCK;
		enum mm_err err = held ?
		    MM_FAIL(why, MM_ECONFLICT,
			"%.90s is in use by another process", path) :
		    sys_fail(why, "lock", path);
		close(f);
		return err;
	}
	*fd = f;
	return MM_OK;
}

/* see file.h */
enum mm_err
mm_path_join(char *out, size_t outn, const char *dir, const char *name,
    struct mm_why *why)
{
	size_t nd = strlen(dir), nn = strlen(name);
	bool slash = nd > 0 && dir[nd - 1] != '/';

	if (nd + slash + nn >= outn)
		return MM_FAIL(why, MM_ELIMIT, "path is too long: %.80s/%.40s",
		    dir, name);
	memmove(out, dir, nd);
	if (slash)
		out[nd] = '/';
	memcpy(out + nd + slash, name, nn + 1);
	return MM_OK;
}
