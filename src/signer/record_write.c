#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/time.h"
#include "signer/record_priv.h"

/* Writing the journal and the state file. */

/* One write() for all; a short one is taken back. */
static enum mm_err
append(struct mm_record *r, struct mm_why *why)
{
	ssize_t n;

	do {
		n = write(r->fd, r->buf.p, r->buf.n);
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)r->buf.n) {
		r->dirty = true;
		if (!r->sync || fdatasync(r->fd) == 0)
			return MM_OK;
	}
	r->torn = ftruncate(r->fd, (off_t)r->end) != 0;
	return MM_FAIL(why, MM_EAGAIN, "the journal cannot be written");
}

static enum mm_err
write_locked(struct mm_record *r, struct mm_journal_line *lines, size_t n,
    struct mm_why *why)
{
	struct mm_journal_chain chain;
	uint64_t cut, at;

	if (r->torn && ftruncate(r->fd, (off_t)r->end) != 0)
		return MM_FAIL(why, MM_EAGAIN, "the journal cannot be cut");
	r->torn = false;
	MM_TRY(mm_record_absorb(r, &cut, why));
	chain = r->chain;
	mm_buf_reset(&r->buf);
	for (size_t i = 0; i < n; i++)
		mm_journal_link(&chain, &lines[i], mm_now_ms(), &r->buf);
	MM_TRY(mm_buf_ok(&r->buf, why));
	MM_TRY(append(r, why));
	at = r->end;
	r->end += r->buf.n;
	r->chain = chain;
	for (size_t i = 0; i < n; i++) {
		struct mm_journal_line l;

		if (lines[i].kind == MM_J_CRL || lines[i].kind == MM_J_SHARD)
			mm_record_note_crl(r->state, &lines[i]);
		if (mm_outset_of(&lines[i], &l))
			MM_TRY(mm_outset_put(r->out, &l, at, why));
	}
	return MM_OK;
}

/* see record.h */
enum mm_err
mm_record_write(struct mm_record *r, struct mm_journal_line *lines, size_t n,
    struct mm_why *why)
{
	enum mm_err err;

	pthread_mutex_lock(&r->lock);
	(void)flock(r->fd, LOCK_EX);
	err = write_locked(r, lines, n, why);
	(void)flock(r->fd, LOCK_UN);
	r->broken = err != MM_OK;
	pthread_mutex_unlock(&r->lock);
	return err == MM_OK ? MM_OK : MM_EAGAIN;
}

/* Is there room again?  Zeros after the last line are what a power cut leaves
 * too: whoever reads the journal cuts them. */
static void
try_room(struct mm_record *r)
{
	static const char zeros[4 * MM_JOURNAL_LINE_MAX];
	uint64_t cut;

	(void)flock(r->fd, LOCK_EX);
	if (mm_record_absorb(r, &cut, NULL) == MM_OK) {
		r->broken = write(r->fd, zeros, sizeof(zeros)) !=
		    (ssize_t)sizeof(zeros);
		r->torn = ftruncate(r->fd, (off_t)r->end) != 0;
	}
	(void)flock(r->fd, LOCK_UN);
}

/* The descriptor is synced outside the lock: nobody waits for the disk. */
void
mm_record_sync(struct mm_record *r)
{
	bool dirty;

	pthread_mutex_lock(&r->lock);
	if (r->broken)
		try_room(r);
	dirty = r->dirty;
	r->dirty = false;
	pthread_mutex_unlock(&r->lock);
	if (dirty && fdatasync(r->fd) != 0) {
		pthread_mutex_lock(&r->lock);
		r->dirty = true;
		pthread_mutex_unlock(&r->lock);
	}
}

/* see record.h */
enum mm_err
mm_record_flush(struct mm_record *r, struct mm_why *why)
{
	if (fdatasync(r->fd) != 0)
		return MM_FAIL(why, MM_EAGAIN, "the journal cannot be synced");
	return MM_OK;
}

/* The journal is read again from its oldest outstanding line. */
static void
fill_state(struct mm_record *r)
{
	const struct mm_outset_item *it = mm_outset_each(r->out, NULL);
	struct mm_state *s = r->state;

	s->journal_at = s->settled_at = r->end;
	s->settled = r->chain;
	if (it != NULL) {
		s->settled_at = it->offset;
		s->settled.n = it->line.n - 1;
		s->settled.at_ms = it->line.at_ms;
		memcpy(s->settled.hash, it->line.prev, sizeof(it->line.prev));
	}
	for (s->nserial = 0; it != NULL; it = mm_outset_each(r->out, it))
		memcpy(s->serial[s->nserial++], it->line.serial, 16);
}

/* see record.h */
enum mm_err
mm_record_save(struct mm_record *r, const struct mm_frontier *f,
    struct mm_why *why)
{
	struct mm_state *copy = malloc(sizeof(*copy));
	enum mm_err err;

	if (copy == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	pthread_mutex_lock(&r->lock);
	r->state->frontier = *f;
	fill_state(r);
	*copy = *r->state;
	pthread_mutex_unlock(&r->lock);
	err = mm_record_flush(r, why);
	if (err == MM_OK)
		err = mm_state_write(r->dir, copy, why);
	free(copy);
	return err;
}
