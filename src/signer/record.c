#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "base/time.h"
#include "signer/record_priv.h"

/* Opening: what the state and the journal know is remembered. */

static bool
in_state(const struct mm_state *s, const uint8_t serial[16])
{
	for (size_t i = 0; i < s->nserial; i++)
		if (memcmp(s->serial[i], serial, 16) == 0)
			return true;
	return false;
}

static void
count_day(struct mm_state *s, const struct mm_journal_line *l)
{
	struct mm_state_row *row = mm_record_day(s, l);
	int64_t day = l->at_ms / 1000 / MM_RECORD_DAY_S;

	if (row == NULL || day < row->day)
		return;
	if (day > row->day)
		row->count = 0;
	row->day = day;
	row->count++;
}

/* What the ledger may not have yet is outstanding. */
static enum mm_err
await(struct mm_record *r, const struct mm_journal_line *l, bool later,
    struct mm_why *why)
{
	struct mm_journal_line one;

	if (!mm_outset_of(l, &one) ||
	    (!later && !in_state(r->state, one.serial)))
		return MM_OK;
	return mm_outset_put(r->out, &one, r->end, why);
}

/* A line that was read: what the state does not cover is remembered. */
static enum mm_err
replay(struct mm_record *r, const struct mm_journal_line *l,
    struct mm_why *why)
{
	bool later = r->end >= r->state->journal_at;

	if (l->kind == MM_J_CRL || l->kind == MM_J_SHARD)
		mm_record_note_crl(r->state, l);
	if (l->kind == MM_J_CLOCK)
		MM_TRY(mm_clocks_note(&r->clocks, l, later ? r->state : NULL,
		    why));
	if (l->kind == MM_J_CERTIFICATE && later)
		count_day(r->state, l);
	return await(r, l, later, why);
}

/*
 * Reads b, which begins at r->end, to its last whole line.  A power cut
 * leaves a line without its LF, or zeros where data had not arrived.
 */
static enum mm_err
absorb_bytes(struct mm_record *r, struct mm_bytes b, struct mm_why *why)
{
	for (;;) {
		struct mm_journal_line l;
		size_t before = b.n;
		enum mm_err err;
		if (b.n > 0 && b.p[0] == '\0')
			return MM_OK;
		err = mm_journal_next(&b, &r->chain, &l, why);
		if (err == MM_ENOTFOUND || err == MM_EAGAIN)
			return MM_OK;
		MM_TRY(err);
		MM_TRY(replay(r, &l, why));
		r->end += before - b.n;
	}
}

/* The line is not later than those that were counted before. */
static void
recall(struct mm_record *r, const struct mm_journal_line *l, int64_t minute)
{
	const struct mm_state_row *row = l->kind != MM_J_CERTIFICATE ? NULL :
	    mm_record_day(r->state, l);
	struct mm_minute *m = row == NULL ? NULL :
	    &r->minute[row - r->state->day];

	if (l->kind == MM_J_TOKEN)
		m = &r->token;
	if (m == NULL)
		return;
	if (m->minute == 0)
		m->minute = minute;
	if (m->minute == minute)
		m->n++;
}

/* This minute's lines, from the last back: whoever starts the signer again
 * does not start its counters again. */
static enum mm_err
recall_minute(struct mm_record *r, const uint8_t *p, size_t n,
    struct mm_why *why)
{
	int64_t now = mm_now_s() / MM_RECORD_MINUTE_S;

	while (n > 0) {
		const uint8_t *lf = memrchr(p, '\n', n - 1);
		size_t at = lf == NULL ? 0 : (size_t)(lf - p) + 1;
		struct mm_journal_line l;
		int64_t minute;
		MM_TRY(mm_journal_parse((struct mm_bytes){ p + at,
		    n - 1 - at }, &l, why));
		minute = l.at_ms / 1000 / MM_RECORD_MINUTE_S;
		if (minute < now || l.kind == MM_J_CLOCK)
			return MM_OK; /* before it the clock was another */
		recall(r, &l, minute);
		n = at;
	}
	return MM_OK;
}

static enum mm_err
recall_tail(struct mm_record *r, struct mm_why *why)
{
	size_t n = (size_t)r->end;
	enum mm_err err;
	uint8_t *map;

	if (n == 0)
		return MM_OK;
	map = mmap(NULL, n, PROT_READ, MAP_PRIVATE, r->fd, 0);
	if (map == MAP_FAILED)
		return MM_FAIL(why, MM_ESYS, "journal: %s", strerror(errno));
	err = recall_minute(r, map, n, why);
	munmap(map, n);
	return err;
}

/* see record_priv.h */
enum mm_err
mm_record_absorb(struct mm_record *r, uint64_t *cut, struct mm_why *why)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), from;
	struct stat st;
	enum mm_err err;
	uint8_t *map;
	size_t n;

	if (fstat(r->fd, &st) != 0)
		return MM_FAIL(why, MM_ESYS, "journal: %s", strerror(errno));
	if ((uint64_t)st.st_size < r->end)
		return MM_FAIL(why, MM_EPOLICY, "journal: shorter than it was");
	if ((uint64_t)st.st_size == r->end)
		return MM_OK;
	from = r->end / page * page;
	n = (size_t)((uint64_t)st.st_size - from);
	map = mmap(NULL, n, PROT_READ, MAP_PRIVATE, r->fd, (off_t)from);
	if (map == MAP_FAILED)
		return MM_FAIL(why, MM_ESYS, "journal: %s", strerror(errno));
	err = absorb_bytes(r, (struct mm_bytes){ map + (r->end - from),
	    n - (size_t)(r->end - from) }, why);
	munmap(map, n);
	MM_TRY(err);
	*cut = (uint64_t)st.st_size - r->end;
	if (*cut > 0 && ftruncate(r->fd, (off_t)r->end) != 0)
		return MM_FAIL(why, MM_ESYS, "journal: cannot cut a torn "
		    "line: %s", strerror(errno));
	return MM_OK;
}

static enum mm_err
open_in(struct mm_record *r, uint64_t *cut, struct mm_why *why)
{
	char path[MM_PATH_MAX];
	enum mm_err err;

	MM_TRY(mm_path_join(path, sizeof(path), r->dir, "journal.jsonl", why));
	MM_TRY(mm_outset_new(&r->out, why));
	r->state = calloc(1, sizeof(*r->state));
	if (r->state == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(mm_state_read(r->dir, r->state, why));
	r->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOCTTY);
	if (r->fd < 0)
		return MM_FAIL(why, MM_ESYS, "%.90s: %s", path,
		    strerror(errno));
	r->end = r->state->settled_at;
	r->chain = r->state->settled;
	(void)flock(r->fd, LOCK_EX);
	err = mm_record_absorb(r, cut, why);
	if (err == MM_OK)
		err = recall_tail(r, why);
	(void)flock(r->fd, LOCK_UN);
	MM_TRY(err);
	if (r->end < r->state->journal_at)
		return MM_FAIL(why, MM_EPOLICY, "journal: ends before what the "
		    "state file knows of it: restore it");
	return MM_OK;
}

/* see record.h */
enum mm_err
mm_record_open(const char *dir, bool sync, struct mm_record **out,
    uint64_t *cut, struct mm_why *why)
{
	MM_OWN(mm_record_close) struct mm_record *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	pthread_mutex_init(&r->lock, NULL);
	mm_buf_init(&r->buf, MM_RECORD_BATCH_MAX);
	r->fd = -1;
	r->sync = sync;
	if (!mm_text_copy(r->dir, sizeof(r->dir), mm_bytes_of(dir)))
		return MM_FAIL(why, MM_ELIMIT, "signer_dir: too long");
	*cut = 0;
	MM_TRY(open_in(r, cut, why));
	*out = MM_MOVE(r);
	return MM_OK;
}

/* see record.h */
void
mm_record_close(struct mm_record **owner)
{
	struct mm_record *r = *owner;

	if (r == NULL)
		return;
	if (r->fd >= 0) {
		(void)fdatasync(r->fd);
		close(r->fd);
	}
	mm_buf_done(&r->buf);
	mm_outset_free(&r->out);
	free(r->state);
	pthread_mutex_destroy(&r->lock);
	free(r);
	*owner = NULL;
}

/* see record.h */
const struct mm_frontier *
mm_record_frontier(const struct mm_record *r)
{
	return &r->state->frontier;
}
