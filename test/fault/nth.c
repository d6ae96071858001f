/*
 * Preloaded: makes one call fail.  FAIL_ALLOC=n: the n-th allocation;
 * FAIL_WRITE=n: the n-th write, pwrite, fsync, fdatasync or rename, with
 * ENOSPC.  FAIL_SAY=path: a file that is made when it happened.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static atomic_long allocs = -1, writes = -1;

static void
say(void)
{
	const char *path = getenv("FAIL_SAY");
	int fd = path ? open(path, O_CREAT | O_WRONLY, 0644) : -1;

	if (fd >= 0)
		close(fd);
}

__attribute__((constructor)) static void
begin(void)
{
	const char *a = getenv("FAIL_ALLOC"), *w = getenv("FAIL_WRITE");

	allocs = a ? atol(a) : 0;
	writes = w ? atol(w) : 0;
}

static int
hit(atomic_long *left)
{
	if (*left <= 0 || atomic_fetch_sub(left, 1) != 1)
		return 0;
	say();
	return 1;
}

void *
malloc(size_t n)
{
	return hit(&allocs) ? (errno = ENOMEM, NULL) : __libc_malloc(n);
}

void *
calloc(size_t n, size_t m)
{
	return hit(&allocs) ? (errno = ENOMEM, NULL) : __libc_calloc(n, m);
}

void *
realloc(void *p, size_t n)
{
	return hit(&allocs) ? (errno = ENOMEM, NULL) : __libc_realloc(p, n);
}

#define REAL(name) \
	static typeof(name) *real; \
	if (real == NULL) \
		*(void **)&real = dlsym(RTLD_NEXT, #name)

ssize_t
write(int fd, const void *p, size_t n)
{
	REAL(write);
	return fd > 2 && hit(&writes) ? (errno = ENOSPC, -1) : real(fd, p, n);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	REAL(pwrite);
	return hit(&writes) ? (errno = ENOSPC, -1) : real(fd, p, n, at);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	REAL(pwrite64);
	return hit(&writes) ? (errno = ENOSPC, -1) : real(fd, p, n, at);
}

int
fsync(int fd)
{
	REAL(fsync);
	return hit(&writes) ? (errno = ENOSPC, -1) : real(fd);
}

int
fdatasync(int fd)
{
	REAL(fdatasync);
	return hit(&writes) ? (errno = ENOSPC, -1) : real(fd);
}

int
rename(const char *from, const char *to)
{
	REAL(rename);
	return hit(&writes) ? (errno = ENOSPC, -1) : real(from, to);
}
