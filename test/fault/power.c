/*
 * Preloaded: remembers what would survive a power cut.  Beside every file of
 * a folder that has a ".durable" folder, that holds a copy of it as it was
 * when it was last synced, which is the least that a disk may keep; a new
 * name appears there when its folder is synced.  Files that were not synced
 * at all are not there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FDS  1024
#define PATH 300
#define DIR_ "/.durable/"

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char path_of[FDS][PATH];
static struct {
	char from[PATH], to[PATH];
} renamed[32];
static unsigned nrenamed;

#define REAL(name) \
	static typeof(name) *real; \
	if (real == NULL) \
		*(void **)&real = dlsym(RTLD_NEXT, #name)

static int
shadow(const char *path, char out[PATH], const char *tail)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL && snprintf(out, PATH, "%.*s" DIR_ "%s%s",
	    (int)(slash - path), path, slash + 1, tail) < PATH;
}

static int
note(int fd, const char *path)
{
	if (fd >= 0 && fd < FDS)
		snprintf(path_of[fd], PATH, "%s", path);
	return fd;
}

static void
copy(int fd, const char *path)
{
	static char block[1 << 16];
	char to[PATH], tmp[PATH];
	off_t at = 0;
	ssize_t n;
	int out;

	if (!shadow(path, to, "") || !shadow(path, tmp, ".tmp"))
		return;
	out = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (out < 0)
		return;
	for (; (n = pread(fd, block, sizeof(block), at)) > 0; at += n)
		if (write(out, block, (size_t)n) != n)
			abort();
	close(out);
	if (n < 0 || rename(tmp, to) != 0)
		abort();
}

/* A name that was given to a file never synced is an empty file. */
static void
apply_renames(void)
{
	REAL(rename);
	for (unsigned i = 0; i < nrenamed; i++)
		if (real(renamed[i].from, renamed[i].to) != 0)
			close(open(renamed[i].to, O_WRONLY | O_CREAT | O_TRUNC,
			    0600));
	nrenamed = 0;
}

static void
synced(int fd)
{
	struct stat st;

	if (fd < 0 || fd >= FDS || path_of[fd][0] == '\0' ||
	    fstat(fd, &st) != 0)
		return;
	pthread_mutex_lock(&lock);
	if (S_ISDIR(st.st_mode))
		apply_renames();
	else
		copy(fd, path_of[fd]);
	pthread_mutex_unlock(&lock);
}

int
fsync(int fd)
{
	REAL(fsync);
	int rc = real(fd);

	if (rc == 0)
		synced(fd);
	return rc;
}

int
fdatasync(int fd)
{
	REAL(fdatasync);
	int rc = real(fd);

	if (rc == 0)
		synced(fd);
	return rc;
}

int
rename(const char *from, const char *to)
{
	REAL(rename);
	int rc = real(from, to);

	pthread_mutex_lock(&lock);
	if (rc == 0 && strstr(from, DIR_) == NULL &&
	    nrenamed < sizeof(renamed) / sizeof(renamed[0]) &&
	    shadow(from, renamed[nrenamed].from, "") &&
	    shadow(to, renamed[nrenamed].to, ""))
		nrenamed++;
	pthread_mutex_unlock(&lock);
	return rc;
}

#define OPEN(name) \
int \
name(const char *path, int flags, ...) \
{ \
	REAL(name); \
	va_list ap; \
	mode_t mode; \
	va_start(ap, flags); \
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0; \
	va_end(ap); \
	return note(real(path, flags, mode), path); \
}
OPEN(open)
OPEN(open64)

int
mkostemp(char *template, int flags)
{
	REAL(mkostemp);
	int fd = real(template, flags);

	return note(fd, template);
}

int
mkostemp64(char *template, int flags)
{
	REAL(mkostemp64);
	int fd = real(template, flags);

	return note(fd, template);
}
