#include "signer/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "base/settings.h"
#include "base/time.h"

#define DAY_S    86400
#define MINUTE_S 60
/* What fills the journal without a certificate; no line makes so many. */
#define TOKENS_A_MINUTE 100000
/* 64 lines and room to spare; one batch. */
#define BATCH_MAX (128 * MM_JOURNAL_LINE_MAX)

struct minute {
	int64_t minute, n;
};

struct mm_record {
	pthread_mutex_t lock;
	char dir[MM_PATH_MAX];
	int fd;
	bool sync, dirty;
	bool torn;   /* a write failed half way: cut before the next */
	bool broken; /* the last write failed */
	uint64_t end;
	struct mm_journal_chain chain;
	struct mm_buf buf;
	struct mm_outset *out;
	struct mm_state *state;
	struct minute minute[MM_STATE_ROWS]; /* as state->day */
	struct minute token;
	struct mm_clocks clocks;
};

static bool
in_state(const struct mm_state *s, const uint8_t serial[16])
{
	for (size_t i = 0; i < s->nserial; i++)
		if (memcmp(s->serial[i], serial, 16) == 0)
			return true;
	return false;
}

static struct mm_state_row *
day_row(struct mm_state *s, const struct mm_journal_line *l)
{
	char name[sizeof(l->profile)];

	memcpy(name, l->profile, sizeof(name));
	name[strcspn(name, "@")] = '\0';
	return mm_state_row(s->day, &s->nday, name);
}

static void
count_day(struct mm_state *s, const struct mm_journal_line *l)
{
	struct mm_state_row *row = day_row(s, l);
	int64_t day = l->at_ms / 1000 / DAY_S;

	if (row == NULL || day < row->day)
		return;
	if (day > row->day)
		row->count = 0;
	row->day = day;
	row->count++;
}

static void
note_crl(struct mm_state *s, const struct mm_journal_line *l)
{
	struct mm_state_row *row = mm_state_row(s->crl, &s->ncrl, l->issuer);

	if (row != NULL && l->number > row->count)
		row->count = l->number;
}

/* A line that was read: what the state does not cover is remembered. */
static enum mm_err
replay(struct mm_record *r, const struct mm_journal_line *l,
    struct mm_why *why)
{
	bool later = r->end >= r->state->journal_at;

	if (l->kind == MM_J_CRL)
		note_crl(r->state, l);
	if (l->kind == MM_J_CLOCK)
		MM_TRY(mm_clocks_note(&r->clocks, l, later ? r->state : NULL,
		    why));
	if (l->kind != MM_J_CERTIFICATE)
		return MM_OK;
	if (later)
		count_day(r->state, l);
	if (later || in_state(r->state, l->serial))
		return mm_outset_put(r->out, l, r->end, why);
	return MM_OK;
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
	    day_row(r->state, l);
	struct minute *m = row == NULL ? NULL :
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
	int64_t now = mm_now_s() / MINUTE_S;

	while (n > 0) {
		const uint8_t *lf = memrchr(p, '\n', n - 1);
		size_t at = lf == NULL ? 0 : (size_t)(lf - p) + 1;
		struct mm_journal_line l;
		int64_t minute;
		MM_TRY(mm_journal_parse((struct mm_bytes){ p + at,
		    n - 1 - at }, &l, why));
		minute = l.at_ms / 1000 / MINUTE_S;
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

/* Reads what is in the file from r->end on and cuts what is no whole line. */
static enum mm_err
absorb(struct mm_record *r, uint64_t *cut, struct mm_why *why)
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
	err = absorb(r, cut, why);
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
	mm_buf_init(&r->buf, BATCH_MAX);
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
	MM_TRY(absorb(r, &cut, why));
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
		if (lines[i].kind == MM_J_CERTIFICATE)
			MM_TRY(mm_outset_put(r->out, &lines[i], at, why));
		if (lines[i].kind == MM_J_CRL)
			note_crl(r->state, &lines[i]);
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
	if (absorb(r, &cut, NULL) == MM_OK) {
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
	enum mm_err err = MM_OK;

	if (copy == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	pthread_mutex_lock(&r->lock);
	r->state->frontier = *f;
	fill_state(r);
	*copy = *r->state;
	pthread_mutex_unlock(&r->lock);
	if (fdatasync(r->fd) != 0)
		err = MM_FAIL(why, MM_EAGAIN, "the journal cannot be synced");
	if (err == MM_OK)
		err = mm_state_write(r->dir, copy, why);
	free(copy);
	return err;
}

/* see record.h */
const struct mm_frontier *
mm_record_frontier(const struct mm_record *r)
{
	return &r->state->frontier;
}

static enum mm_err
spend_locked(struct mm_record *r, struct mm_state_row *row,
    const int64_t limit[2], int64_t now_s, struct mm_why *why)
{
	struct minute *m = &r->minute[row - r->state->day];

	if (now_s / DAY_S > row->day) {
		row->day = now_s / DAY_S;
		row->count = 0;
	}
	if (now_s / MINUTE_S > m->minute)
		*m = (struct minute){ .minute = now_s / MINUTE_S };
	if (limit[0] > 0 && m->n >= limit[0])
		return MM_FAIL(why, MM_EPOLICY, "profile %s: the signer's "
		    "ceiling of %" PRId64 " a minute", row->name, limit[0]);
	if (limit[1] > 0 && row->count >= (uint64_t)limit[1])
		return MM_FAIL(why, MM_EPOLICY, "profile %s: the signer's "
		    "ceiling of %" PRId64 " a day", row->name, limit[1]);
	m->n++;
	row->count++;
	return MM_OK;
}

/* see record.h */
enum mm_err
mm_record_spend(struct mm_record *r, const char *profile, int64_t per_minute,
    int64_t per_day, int64_t now_s, struct mm_why *why)
{
	const int64_t limit[2] = { per_minute, per_day };
	struct mm_state_row *row;
	enum mm_err err;

	pthread_mutex_lock(&r->lock);
	row = mm_state_row(r->state->day, &r->state->nday, profile);
	err = row == NULL ? MM_FAIL(why, MM_ELIMIT, "too many profiles") :
			    spend_locked(r, row, limit, now_s, why);
	pthread_mutex_unlock(&r->lock);
	return err;
}

static unsigned
percent(uint64_t n, int64_t limit)
{
	uint64_t v = limit > 0 ? n * 100 / (uint64_t)limit : 0;

	return v < 100 ? (unsigned)v : 100;
}

/* see record.h; a profile without a row has signed nothing */
unsigned
mm_record_used(struct mm_record *r, const char *profile, int64_t per_minute,
    int64_t per_day, int64_t now_s)
{
	unsigned minute = 0, day = 0;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->state->nday; i++) {
		const struct mm_state_row *row = &r->state->day[i];

		if (strcmp(row->name, profile) != 0)
			continue;
		if (row->day == now_s / DAY_S)
			day = percent(row->count, per_day);
		if (r->minute[i].minute == now_s / MINUTE_S)
			minute = percent((uint64_t)r->minute[i].n, per_minute);
	}
	pthread_mutex_unlock(&r->lock);
	return day > minute ? day : minute;
}

/* see record.h */
enum mm_err
mm_record_spend_token(struct mm_record *r, int64_t now_s, struct mm_why *why)
{
	enum mm_err err = MM_OK;

	pthread_mutex_lock(&r->lock);
	if (now_s / MINUTE_S > r->token.minute)
		r->token = (struct minute){ .minute = now_s / MINUTE_S };
	if (r->token.n >= TOKENS_A_MINUTE)
		err = MM_FAIL(why, MM_ERATE, "token: the signer's ceiling of "
		    "%d a minute", TOKENS_A_MINUTE);
	else
		r->token.n++;
	pthread_mutex_unlock(&r->lock);
	return err;
}

static bool
same_certificate(const struct mm_journal_line *a,
    const struct mm_journal_line *b)
{
	return strcmp(a->device, b->device) == 0 &&
	    strcmp(a->profile, b->profile) == 0 &&
	    memcmp(a->spki_sha256, b->spki_sha256, 32) == 0;
}

/* see record.h */
enum mm_err
mm_record_settle(struct mm_record *r, const struct mm_journal_line *claim,
    struct mm_why *why)
{
	const struct mm_outset_item *it;
	enum mm_err err = MM_OK;

	pthread_mutex_lock(&r->lock);
	it = mm_outset_get(r->out, claim->serial);
	if (it == NULL)
		err = MM_FAIL(why, MM_ENOTFOUND, "not outstanding");
	else if (!same_certificate(&it->line, claim))
		err = MM_FAIL(why, MM_EPOLICY, "entry names another device, "
		    "profile or key");
	else
		mm_outset_drop(r->out, claim->serial);
	pthread_mutex_unlock(&r->lock);
	return err;
}

/* see record.h */
enum mm_err
mm_record_crl_number(struct mm_record *r, const char *issuer, uint64_t number,
    struct mm_why *why)
{
	struct mm_state_row *row;
	enum mm_err err = MM_OK;

	pthread_mutex_lock(&r->lock);
	row = mm_state_row(r->state->crl, &r->state->ncrl, issuer);
	if (row == NULL)
		err = MM_FAIL(why, MM_ELIMIT, "too many issuers");
	else if (number <= row->count || number > INT64_MAX)
		err = MM_FAIL(why, MM_ECONFLICT, "CRL number %" PRIu64
		    ": issuer %s is at %" PRIu64, number, issuer, row->count);
	pthread_mutex_unlock(&r->lock);
	return err;
}

/* see record.h */
uint64_t
mm_record_crl_next(struct mm_record *r, const char *issuer)
{
	struct mm_state_row *row;
	uint64_t next;

	pthread_mutex_lock(&r->lock);
	row = mm_state_row(r->state->crl, &r->state->ncrl, issuer);
	next = row == NULL ? 0 : row->count + 1;
	pthread_mutex_unlock(&r->lock);
	return next;
}

/* see record.h */
const struct mm_clocks *
mm_record_clocks(const struct mm_record *r)
{
	return &r->clocks;
}

/* see record.h */
void
mm_record_sum(struct mm_record *r, struct mm_record_sum *out)
{
	const struct mm_outset_item *it;

	pthread_mutex_lock(&r->lock);
	it = mm_outset_each(r->out, NULL);
	*out = (struct mm_record_sum){ .n = r->chain.n,
		.at_ms = r->chain.at_ms, .broken = r->broken,
		.outstanding = mm_outset_count(r->out),
		.oldest_ms = it == NULL ? 0 : it->line.at_ms };
	pthread_mutex_unlock(&r->lock);
}

static void
put_outstanding(struct mm_buf *out, const struct mm_journal_line *l)
{
	struct mm_outstanding o = { .journal_n = l->n,
		.not_after_s = (uint64_t)l->not_after_s };
	struct mm_buf body = MM_BUF_INIT(MM_JOURNAL_LINE_MAX);

	memcpy(o.serial, l->serial, sizeof(o.serial));
	memcpy(o.issuer, l->issuer, sizeof(o.issuer));
	memcpy(o.device, l->device, sizeof(o.device));
	memcpy(o.profile, l->profile, sizeof(o.profile));
	memcpy(o.spki_sha256, l->spki_sha256, sizeof(o.spki_sha256));
	memcpy(o.tbs_sha256, l->tbs_sha256, sizeof(o.tbs_sha256));
	mm_fields_put(&body, mm_outstanding_fields, mm_outstanding_nfields,
	    &o);
	mm_buf_block16(out, mm_buf_view(&body));
	mm_buf_done(&body);
}

/* see record.h */
unsigned
mm_record_outstanding(struct mm_record *r, int64_t before_ms, unsigned most,
    struct mm_buf *out)
{
	const struct mm_outset_item *it = NULL;
	unsigned n = 0;

	pthread_mutex_lock(&r->lock);
	/* a clock that was set back leaves later times before earlier ones */
	while (n < most && (it = mm_outset_each(r->out, it)) != NULL)
		if (it->line.at_ms < before_ms) {
			put_outstanding(out, &it->line);
			n++;
		}
	pthread_mutex_unlock(&r->lock);
	return n;
}
