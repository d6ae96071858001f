/*
 * Preloaded: makes one call fail.  FAIL_ALLOC=n: the n-th allocation;
 * FAIL_WRITE=n: the n-th write, pwrite, fsync, fdatasync or rename, with
 * ENOSPC; FAIL_READ=n: the n-th read of a file, with EIO.  FAIL_SAY=path: a
 * file that is made when it happened, and grows by a byte with each later read.
 *
 * For processes that serve: if this library's folder has a file of the name of
 * a process ("serve" of mintmarkd, "run" of mintmark-signer) it is mapped at the start, when no sandbox is in place yet, and holds struct ctl:
 * a test arms it, and counts calls, at any time from outside.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

struct ctl { /* of long: 0 is not armed, n counts down to the fault */
	atomic_long allocs, writes;
	atomic_long hits;  /* faults that happened */
	atomic_long calls; /* allocations since the test set it to 0 */
};

static atomic_long allocs = -1, writes = -1, reads = -1;
static struct ctl *_Atomic ctl;

static void
say(void)
{
	const char *path = getenv("FAIL_SAY");
	int fd = path ? open(path, O_CREAT | O_WRONLY, 0644) : -1;

	if (fd >= 0)
		close(fd);
}

static void
say_more(void)
{
	const char *path = getenv("FAIL_SAY");
	int fd = path ? open(path, O_WRONLY | O_APPEND) : -1;

	if (fd < 0)
		return;
	dprintf(fd, ".");
	close(fd);
}

/* glibc gives constructors main's arguments. */
static void
map_ctl(const char *folder, int argc, char **argv)
{
	const char *slash = argc > 1 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argv[0];
	char path[512];
	void *p;
	int fd;

	if (argc < 2 || !((!strcmp(name, "mintmarkd") &&
	    !strcmp(argv[1], "serve")) || (!strcmp(name, "mintmark-signer") &&
	    !strcmp(argv[1], "run"))))
		return;
	snprintf(path, sizeof(path), "%s/%s", folder, argv[1]);
	fd = open(path, O_RDWR | O_CLOEXEC);
	p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(struct ctl),
	    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		ctl = p;
	if (fd >= 0)
		close(fd);
}

__attribute__((constructor)) static void
begin(int argc, char **argv)
{
	const char *a = getenv("FAIL_ALLOC"), *w = getenv("FAIL_WRITE");
	const char *r = getenv("FAIL_READ");
	char folder[512];
	Dl_info own;

	allocs = a ? atol(a) : 0;
	writes = w ? atol(w) : 0;
	reads = r ? atol(r) : 0;
	if (dladdr((void *)begin, &own) == 0 || own.dli_fname == NULL ||
	    strlen(own.dli_fname) >= sizeof(folder))
		return;
	strcpy(folder, own.dli_fname);
	if (strrchr(folder, '/') != NULL) {
		*strrchr(folder, '/') = 0;
		map_ctl(folder, argc, argv);
	}
}

/* Down to 0 and no further: armed once, it happens once. */
static int
count_down(atomic_long *left)
{
	long n = *left;

	while (n > 0)
		if (atomic_compare_exchange_weak(left, &n, n - 1))
			return n == 1;
	return 0;
}

static int
hit_ctl(int alloc)
{
	struct ctl *c = ctl;

	if (c == NULL)
		return 0;
	if (alloc)
		atomic_fetch_add(&c->calls, 1);
	if (!count_down(alloc ? &c->allocs : &c->writes))
		return 0;
	atomic_fetch_add(&c->hits, 1);
	return 1;
}

/* A wake-up through an eventfd cannot find a disk full. */
static int
is_file(int fd)
{
	struct stat st;

	return ctl != NULL && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int
hit(atomic_long *left)
{
	if (*left <= 0 || atomic_fetch_sub(left, 1) != 1)
		return 0;
	say();
	return 1;
}

static int
hit_alloc(void)
{
	return hit(&allocs) || hit_ctl(1);
}

static int
hit_write(int fd)
{
	return hit(&writes) || (is_file(fd) && hit_ctl(0));
}

void *
malloc(size_t n)
{
	return hit_alloc() ? (errno = ENOMEM, NULL) : __libc_malloc(n);
}

void *
calloc(size_t n, size_t m)
{
	return hit_alloc() ? (errno = ENOMEM, NULL) : __libc_calloc(n, m);
}

void *
realloc(void *p, size_t n)
{
	return hit_alloc() ? (errno = ENOMEM, NULL) : __libc_realloc(p, n);
}

#define REAL(name) \
	static typeof(name) *real; \
	if (real == NULL) \
		*(void **)&real = dlsym(RTLD_NEXT, #name)

ssize_t
read(int fd, void *p, size_t n)
{
	REAL(read);
	struct stat st;

	if (getenv("FAIL_READ") == NULL || fstat(fd, &st) != 0 ||
	    !S_ISREG(st.st_mode))
		return real(fd, p, n);
	if (hit(&reads))
		return errno = EIO, -1;
	if (reads <= 0)
		say_more();
	return real(fd, p, n);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	REAL(write);
	return fd > 2 && hit_write(fd) ? (errno = ENOSPC, -1) : real(fd, p, n);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	REAL(pwrite);
	return hit_write(fd) ? (errno = ENOSPC, -1) : real(fd, p, n, at);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	REAL(pwrite64);
	return hit_write(fd) ? (errno = ENOSPC, -1) : real(fd, p, n, at);
}

int
fsync(int fd)
{
	REAL(fsync);
	return hit_write(fd) ? (errno = ENOSPC, -1) : real(fd);
}

int
fdatasync(int fd)
{
	REAL(fdatasync);
	return hit_write(fd) ? (errno = ENOSPC, -1) : real(fd);
}

int
rename(const char *from, const char *to)
{
	REAL(rename);
	return hit(&writes) || hit_ctl(0) ? (errno = ENOSPC, -1) :
	    real(from, to);
}
