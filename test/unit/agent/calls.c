#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"

struct calls calls;

/* False: the disk is full. */
static bool
step(void)
{
	server_step(server_in_use());
	if (++calls.n != calls.fail_at)
		return true;
	errno = ENOSPC;
	return false;
}

#define WRAP(type, name, params, args)                \
	type __real_##name params;                    \
	type __wrap_##name params;                    \
	type __wrap_##name params                     \
	{                                             \
		return step() ? __real_##name args : -1; \
	}

WRAP(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(int, symlink, (const char *target, const char *path), (target, path))
WRAP(int, unlink, (const char *path), (path))
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, linkat, (int fd, const char *from, int to_fd, const char *to,
    int flags), (fd, from, to_fd, to, flags))

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

int
__wrap_open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if ((flags & O_TMPFILE) == O_TMPFILE && calls.no_tmpfile) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if ((flags & O_ACCMODE) != O_RDONLY && !step())
		return -1;
	return __real_open64(path, flags, mode);
}
