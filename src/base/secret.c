#include "base/secret.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#define LINE_MAX_N 1024

static size_t
whole(size_t n)
{
	return sizeof(struct mm_secret) + n;
}

/*
 * Pages of its own, so that unmapping one secret never unlocks another.
 * The lock is asked for within mmap: where the limit refuses it, a secret in
 * memory that may be swapped is still better than no service.
 */
enum mm_err
mm_secret_new(size_t n, struct mm_secret **out, struct mm_why *why)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	struct mm_secret *s;

	if (n > SIZE_MAX / 2)
		return MM_FAIL(why, MM_ELIMIT, "secret: %zu bytes", n);
	s = mmap(NULL, whole(n), PROT_READ | PROT_WRITE, flags | MAP_LOCKED,
	    -1, 0);
	if (s == MAP_FAILED)
		s = mmap(NULL, whole(n), PROT_READ | PROT_WRITE, flags, -1, 0);
	if (s == MAP_FAILED)
		return MM_FAIL(why, MM_ENOMEM, "secret: out of memory");
	(void)madvise(s, whole(n), MADV_DONTDUMP);
	s->n = n;
	*out = s;
	return MM_OK;
}

/* see secret.h */
void
mm_secret_free(struct mm_secret **owner)
{
	struct mm_secret *s = *owner;
	size_t size;

	if (s == NULL)
		return;
	size = whole(s->n);
	mm_wipe(s, size);
	munmap(s, size);
	*owner = NULL;
}

/* see secret.h */
struct mm_bytes
mm_secret_view(const struct mm_secret *s)
{
	return (struct mm_bytes){ s->p, s->n };
}

/* see secret.h */
void
mm_wipe(void *p, size_t n)
{
	if (n > 0)
		explicit_bzero(p, n);
}

/*
 * One byte at a time: what follows the line belongs to whoever reads the
 * descriptor next.
 */
static enum mm_err
read_line(int fd, struct mm_secret *line, size_t *n, struct mm_why *why)
{
	for (*n = 0; *n < line->n;) {
		ssize_t got = read(fd, line->p + *n, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return MM_FAIL(why, MM_ESYS, "passphrase: %s",
			    strerror(errno));
		if (got == 0 || line->p[*n] == '\n')
			break;
		(*n)++;
	}
	if (*n > 0 && line->p[*n - 1] == '\r')
		(*n)--;
	if (*n == 0)
		return MM_FAIL(why, MM_EINPUT, "passphrase: empty");
	if (*n > LINE_MAX_N)
		return MM_FAIL(why, MM_ELIMIT,
		    "passphrase: more than %d bytes", LINE_MAX_N);
	return MM_OK;
}

/* see secret.h */
enum mm_err
mm_secret_from_fd(int fd, struct mm_secret **out, struct mm_why *why)
{
	MM_OWN(mm_secret_free) struct mm_secret *line = NULL;
	struct mm_secret *s;
	size_t n;

	/* Room for a CR and for the byte that shows a line is too long. */
	MM_TRY(mm_secret_new(LINE_MAX_N + 2, &line, why));
	MM_TRY(read_line(fd, line, &n, why));
	MM_TRY(mm_secret_new(n, &s, why));
	memcpy(s->p, line->p, n);
	*out = s;
	return MM_OK;
}

/* see secret.h */
enum mm_err
mm_secret_from_file(const char *path, struct mm_secret **out,
    struct mm_why *why)
{
	enum mm_err err;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return MM_FAIL(why, errno == ENOENT ? MM_ENOTFOUND : MM_ESYS,
		    "passphrase file %.100s: %s", path, strerror(errno));
	err = mm_secret_from_fd(fd, out, why);
	close(fd);
	return err;
}

static enum mm_err
ask(int fd, const char *prompt, struct mm_secret **out, struct mm_why *why)
{
	struct termios was, quiet;
	enum mm_err err;

	if (tcgetattr(fd, &was) != 0)
		return MM_FAIL(why, MM_ESYS, "passphrase: there is no "
		    "terminal to ask on: set passphrase_file, or give "
		    "--passphrase-fd");
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	quiet.c_lflag |= ICANON;
	tcsetattr(fd, TCSAFLUSH, &quiet);
	dprintf(fd, "%s", prompt);
	err = mm_secret_from_fd(fd, out, why);
	tcsetattr(fd, TCSAFLUSH, &was);
	dprintf(fd, "\n");
	return err;
}

/* see secret.h */
enum mm_err
mm_secret_from_tty(const char *prompt, struct mm_secret **out,
    struct mm_why *why)
{
	enum mm_err err;
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return MM_FAIL(why, MM_ESYS, "passphrase: there is no "
		    "terminal to ask on: set passphrase_file, or give "
		    "--passphrase-fd");
	err = ask(fd, prompt, out, why);
	close(fd);
	return err;
}
