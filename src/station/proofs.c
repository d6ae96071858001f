/*
 * What devices signed at the end, for the centre, which verifies it at the
 * sync: a line of JSON each.  The ledger has its hash.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/name.h"
#include "base/own.h"
#include "pki/key.h"
#include "station/own_priv.h"

enum { LINE_MAX_N = 4096 + 2, DROP = 4 << 20 };

static enum mm_err
path_of(const struct mm_own *o, char path[PATH_MAX + 16], struct mm_why *why)
{
	return mm_path_join(path, PATH_MAX + 16, o->conf->state, "proofs", why);
}

/* Behind a line that was torn a new one must begin. */
static bool
append(int fd, struct mm_bytes json)
{
	struct mm_buf b = MM_BUF_INIT(LINE_MAX_N);
	bool ok;

	mm_buf_u8(&b, '\n');
	mm_buf_bytes(&b, json);
	mm_buf_u8(&b, '\n');
	ok = mm_buf_ok(&b, NULL) == MM_OK &&
	     mm_fd_write(fd, mm_buf_view(&b), NULL) == MM_OK &&
	     fdatasync(fd) == 0;
	mm_buf_done(&b);
	return ok;
}

/* see own_priv.h */
void
mm_own_forget_proofs(struct mm_own *o)
{
	if (o->proofs.p != NULL)
		(void)munmap(o->proofs.p, o->proofs.n);
	o->proofs.p = NULL;
	o->proofs.n = 0;
}

/* As long as the file is by now. */
static bool
map(struct mm_own *o, int fd)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) != 0 || st.st_size <= 0)
		return false;
	if ((size_t)st.st_size == o->proofs.n)
		return true;
	mm_own_forget_proofs(o);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return false;
	o->proofs.p = p;
	o->proofs.n = (size_t)st.st_size;
	o->proofs.dropped = 0;
	return true;
}

static bool
look_up(struct mm_own *o)
{
	char path[PATH_MAX + 16];
	bool ok;
	int fd;

	if (path_of(o, path, NULL) != MM_OK)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ok = fd >= 0 && map(o, fd);
	if (fd >= 0)
		(void)close(fd);
	return ok;
}

/* What was gone through need not stay in memory; it can be read again. */
static void
drop(struct mm_own *o, size_t at)
{
	if (at < o->proofs.dropped)
		o->proofs.dropped = at / DROP * DROP;
	while (at - o->proofs.dropped >= 2 * DROP) {
		(void)madvise(o->proofs.p + o->proofs.dropped, DROP,
		    MADV_DONTNEED);
		o->proofs.dropped += DROP;
	}
}

/* see own_priv.h */
enum mm_err
mm_own_keep_proof(struct mm_own *o, struct mm_bytes json, struct mm_why *why)
{
	char path[PATH_MAX + 16];
	struct stat st;
	bool ok;
	int fd;

	MM_TRY(path_of(o, path, why));
	fd = open(
	    path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	/* the first one makes the file, or power went just then */
	ok = fd >= 0 && fstat(fd, &st) == 0 &&
	     (st.st_size > 0 || mm_name_sync(path, NULL) == MM_OK) &&
	     append(fd, json);
	if (fd >= 0)
		(void)close(fd);
	return ok ? MM_OK
		  : MM_FAIL(why, MM_ESYS,
			"proofs: cannot be "
			"written: is the disk full?");
}

/* The line that begins there, without its end; what was torn: none. */
static struct mm_bytes
line_at(struct mm_bytes all, size_t at)
{
	const uint8_t *from = all.p + at;
	const uint8_t *end = memchr(from, '\n', all.n - at);

	return end == NULL ? (struct mm_bytes){ from, 0 }
			   : (struct mm_bytes){ from, (size_t)(end - from) };
}

/* A device that comes again after a cut signs anew: of its lines the one is
 * meant that the entry has the hash of. */
static bool
is_the_one(struct mm_bytes line, struct mm_bytes key, const uint8_t sha256[32])
{
	uint8_t hash[32];

	if (memmem(line.p, line.n, key.p, key.n) == NULL)
		return false;
	mm_sha256(line, hash);
	return memcmp(hash, sha256, sizeof(hash)) == 0;
}

/* From one place up to another. */
static bool
look(struct mm_own *o, size_t at, size_t end, struct mm_bytes key,
    const uint8_t sha256[32], struct mm_bytes *out)
{
	while (at < end) {
		*out = line_at((struct mm_bytes){ o->proofs.p, o->proofs.n },
		    at);
		at += out->n + 1;
		if (is_the_one(*out, key, sha256)) {
			o->proofs.at = at;
			return true;
		}
		drop(o, at);
	}
	return false;
}

/* see own.h; entries come in the order of their proofs: each is looked for
 * behind the one before, so that all of them are one way through the file */
bool
mm_own_proof(struct mm_own *o, const char *serial, const uint8_t sha256[32],
    struct mm_bytes *out)
{
	char key[80];
	struct mm_bytes k = { (const uint8_t *)key, 0 };
	size_t from;

	k.n = (size_t)snprintf(key, sizeof(key), ",\"serial\":\"%s\",", serial);
	if (k.n >= sizeof(key) || !look_up(o))
		return false;
	from = o->proofs.at <= o->proofs.n ? o->proofs.at : 0;
	return look(o, from, o->proofs.n, k, sha256, out) ||
	       look(o, 0, from, k, sha256, out);
}
