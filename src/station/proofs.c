/*
 * What devices signed at the end, for the centre, which verifies it at the
 * sync: a line of JSON each.  The ledger has its hash.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "station/own_priv.h"

enum { LINE_MAX_N = 4096 + 2 };

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

/* What was read of the file goes on with it. */
static void
remember(struct mm_own *o, struct mm_bytes json)
{
	if (o->proofs.n == 0)
		return;
	mm_buf_u8(&o->proofs, '\n');
	mm_buf_bytes(&o->proofs, json);
	mm_buf_u8(&o->proofs, '\n');
	if (mm_buf_ok(&o->proofs, NULL) != MM_OK)
		mm_buf_reset(&o->proofs);
}

/* see own_priv.h */
enum mm_err
mm_own_keep_proof(struct mm_own *o, struct mm_bytes json, struct mm_why *why)
{
	char path[PATH_MAX + 16];
	bool ok;
	int fd;

	MM_TRY(path_of(o, path, why));
	fd = open(
	    path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	ok = fd >= 0 && append(fd, json);
	if (fd >= 0)
		(void)close(fd);
	if (ok)
		remember(o, json);
	return ok ? MM_OK
		  : MM_FAIL(why, MM_ESYS,
			"proofs: cannot be "
			"written: is the disk full?");
}

/* see own.h */
bool
mm_own_proof(struct mm_own *o, const char *serial, struct mm_bytes *out)
{
	char path[PATH_MAX + 16], key[80];
	const uint8_t *at, *from, *end;
	int n = snprintf(key, sizeof(key), ",\"serial\":\"%s\",", serial);

	if (o->proofs.n == 0 &&
	    (path_of(o, path, NULL) != MM_OK ||
		mm_file_read(path, &o->proofs, NULL) != MM_OK))
		return false;
	end = o->proofs.p + o->proofs.n;
	at = memmem(o->proofs.p, o->proofs.n, key, (size_t)n);
	if (at == NULL)
		return false;
	from = memrchr(o->proofs.p, '\n', (size_t)(at - o->proofs.p));
	from = from == NULL ? o->proofs.p : from + 1;
	at = memchr(at, '\n', (size_t)(end - at));
	*out =
	    (struct mm_bytes){ from, (size_t)((at == NULL ? end : at) - from) };
	return at != NULL;
}
