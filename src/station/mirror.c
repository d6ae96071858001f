#include "station/mirror_priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "station/chore.h"

enum { LOOK_S = 2, CLOSE_MS = 5000, QUEUE_MAX = 64 << 20 };

static void
free_items(struct mm_mirror_item *i)
{
	while (i != NULL) {
		struct mm_mirror_item *next = i->next;

		mm_buf_done(&i->lines);
		mm_buf_done(&i->checkpoint);
		free(i);
		i = next;
	}
}

/* ---- the thread ---- */

/* Something was read or is there: a disk that has much to take, or to show,
 * does not hang. */
static void
ticked(void *ctx)
{
	struct mm_mirror *m = ctx;

	pthread_mutex_lock(&m->lock);
	m->waits_ms = mm_mono_ms();
	pthread_mutex_unlock(&m->lock);
}

static void
moved(void *ctx, uint64_t done, uint64_t of)
{
	struct mm_mirror *m = ctx;

	pthread_mutex_lock(&m->lock);
	if (m->is != MM_MIRROR_COPIES) {
		m->since_ms = mm_now_ms();
		m->is = MM_MIRROR_COPIES;
	}
	m->waits_ms = mm_mono_ms();
	m->far = done;
	m->of = of;
	pthread_mutex_unlock(&m->lock);
}

static enum mm_err
copy_one(
    struct mm_mirror *m, const struct mm_mirror_item *i, struct mm_why *why)
{
	const struct mm_mirror_job job = { .first = i->first,
		.lines = mm_buf_view(&i->lines),
		.checkpoint = mm_buf_view(&i->checkpoint) };

	if (i->name[0] != '\0')
		MM_TRY(mm_mirror_record(&m->files, i->name, why));
	ticked(m);
	return mm_mirror_put_entries(&m->files, &job, why);
}

/* Rows last: one that says what became of a unit has its record there. */
static enum mm_err
copy_all(
    struct mm_mirror *m, const struct mm_mirror_item *i, struct mm_why *why)
{
	MM_TRY(mm_mirror_find(&m->files, why));
	if (!m->files.known)
		MM_TRY(mm_mirror_catch_up(&m->files, why));
	for (; i != NULL; i = i->next) {
		ticked(m);
		MM_TRY(copy_one(m, i, why));
	}
	ticked(m);
	MM_TRY(mm_mirror_papers(&m->files, why));
	ticked(m);
	return mm_mirror_rows(&m->files, why);
}

static void
wait_for_work(struct mm_mirror *m)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LOOK_S;
	while (m->head == NULL && !m->stop && m->is != MM_MIRROR_UNKNOWN)
		if (pthread_cond_timedwait(&m->work, &m->lock, &until) ==
		    ETIMEDOUT)
			return;
}

static void
note(struct mm_mirror *m, enum mm_err rc, uint64_t ticket,
    const struct mm_why *why)
{
	enum mm_mirror_is is = rc == MM_OK ? MM_MIRROR_THERE : MM_MIRROR_AWAY;

	if (rc == MM_OK)
		m->done = ticket;
	else
		m->lost = ticket;
	m->entries = m->files.entries;
	m->files.known = rc == MM_OK;
	m->far = m->of = 0;
	if (is != m->is) {
		m->since_ms = mm_now_ms();
		MM_LOG(rc == MM_OK ? MM_LOG_INFO : MM_LOG_WARN,
		    rc == MM_OK ? "mirror.there" : "mirror.away",
		    MM_S("why", why->text));
	}
	m->is = is;
	snprintf(m->why, sizeof(m->why), "%s", why->text);
}

static void *
run(void *arg)
{
	struct mm_mirror *m = arg;
	bool last = false;

	pthread_mutex_lock(&m->lock);
	while (!last) {
		struct mm_why why = { 0 };
		struct mm_mirror_item *i;
		uint64_t ticket;
		enum mm_err rc;

		wait_for_work(m);
		last = m->stop;
		i = m->head;
		m->head = NULL;
		m->tail = &m->head;
		ticket = m->asked;
		m->waits_ms = mm_mono_ms();
		pthread_mutex_unlock(&m->lock);
		rc = copy_all(m, i, &why);
		free_items(i);
		pthread_mutex_lock(&m->lock);
		note(m, rc, ticket, &why);
		m->waits_ms = m->head != NULL ? mm_mono_ms() : 0;
		m->ended++;
		(void)!write(m->event, &(uint64_t){ 1 }, sizeof(uint64_t));
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

/* ---- the line's side ---- */

static void
free_mirror(struct mm_mirror **owner)
{
	struct mm_mirror *m = *owner;

	if (m == NULL)
		return;
	free_items(m->head);
	pthread_cond_destroy(&m->work);
	pthread_mutex_destroy(&m->lock);
	if (m->event >= 0)
		(void)close(m->event);
	free(m);
	*owner = NULL;
}

static enum mm_err
set_up(
    struct mm_mirror *m, const struct mm_station_conf *conf, struct mm_why *why)
{
	pthread_condattr_t attr;

	m->tail = &m->head;
	m->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->work, &attr);
	pthread_condattr_destroy(&attr);
	if (m->event < 0)
		return MM_FAIL(why, MM_ESYS, "eventfd: %s", strerror(errno));
	m->files.ticked = ticked;
	m->files.moved = moved;
	m->files.ctx = m;
	strcpy(m->files.from, conf->state);
	strcpy(m->files.disk, conf->mirror);
	MM_TRY(mm_path_join(
	    m->files.to, sizeof(m->files.to), conf->mirror, conf->name, why));
	return mm_thread_begin(&m->thread, run, m, why);
}

/* see mirror.h */
enum mm_err
mm_mirror_open(const struct mm_station_conf *conf, struct mm_mirror **out,
    struct mm_why *why)
{
	MM_OWN(free_mirror) struct mm_mirror *m = NULL;

	*out = NULL;
	if (conf->mirror[0] == '\0')
		return MM_OK;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	m->waits_ms = mm_mono_ms();
	MM_TRY(set_up(m, conf, why));
	*out = MM_MOVE(m);
	return MM_OK;
}

/* see mirror.h */
void
mm_mirror_close(struct mm_mirror **owner)
{
	struct mm_mirror *m = *owner;

	if (m == NULL)
		return;
	pthread_mutex_lock(&m->lock);
	m->stop = true;
	pthread_cond_signal(&m->work);
	pthread_mutex_unlock(&m->lock);
	/* A disk that hangs has its thread: that goes with the process. */
	if (mm_thread_end(m->thread, CLOSE_MS))
		free_mirror(owner);
	*owner = NULL;
}

static bool
fill(struct mm_mirror_item *i, const struct mm_mirror_job *job)
{
	size_t n = job->serial != NULL ? strlen(job->serial) : 0;

	MM_INVARIANT(n <= MM_DEVICE_ID_MAX);
	for (size_t k = 0; k < n; k++)
		i->name[k] = (char)tolower((unsigned char)job->serial[k]);
	if (n > 0)
		strcpy(i->name + n, ".json");
	i->first = job->first;
	mm_buf_init(&i->lines, QUEUE_MAX);
	mm_buf_init(&i->checkpoint, QUEUE_MAX);
	mm_buf_bytes(&i->lines, job->lines);
	mm_buf_bytes(&i->checkpoint, job->checkpoint);
	return mm_buf_ok(&i->lines, NULL) == MM_OK &&
	       mm_buf_ok(&i->checkpoint, NULL) == MM_OK;
}

/* see mirror.h */
uint64_t
mm_mirror_ask(struct mm_mirror *m, const struct mm_mirror_job *job)
{
	struct mm_mirror_item *i = calloc(1, sizeof(*i));
	uint64_t ticket;

	if (i == NULL || !fill(i, job)) {
		free_items(i);
		return 0;
	}
	pthread_mutex_lock(&m->lock);
	ticket = i->ticket = ++m->asked;
	*m->tail = i;
	m->tail = &i->next;
	if (m->waits_ms == 0)
		m->waits_ms = mm_mono_ms();
	for (size_t k = 0; k < job->lines.n; k++)
		m->entries += job->lines.p[k] == '\n';
	pthread_cond_signal(&m->work);
	pthread_mutex_unlock(&m->lock);
	return ticket;
}

/* A disk that takes nothing any more is away, too. */
static bool
hangs(const struct mm_mirror *m)
{
	return m->waits_ms != 0 &&
	       mm_mono_ms() - m->waits_ms > MM_MIRROR_HANG_MS;
}

/* see mirror.h */
enum mm_mirror_got
mm_mirror_look(struct mm_mirror *m, uint64_t ticket)
{
	enum mm_mirror_got got = MM_MIRROR_WAIT;

	pthread_mutex_lock(&m->lock);
	if (m->is == MM_MIRROR_AWAY || hangs(m))
		got = MM_MIRROR_GONE;
	else if (ticket <= m->lost)
		got = MM_MIRROR_AGAIN;
	else if (ticket <= m->done)
		got = MM_MIRROR_DONE;
	pthread_mutex_unlock(&m->lock);
	return got;
}

/* see mirror.h */
enum mm_mirror_is
mm_mirror_is(struct mm_mirror *m, int64_t *since_ms, char *why)
{
	enum mm_mirror_is is;

	pthread_mutex_lock(&m->lock);
	is = hangs(m) ? MM_MIRROR_AWAY : m->is;
	if (is == MM_MIRROR_THERE && m->entries < m->want)
		is = MM_MIRROR_COPIES;
	if (since_ms != NULL)
		*since_ms = m->since_ms;
	if (why != NULL)
		snprintf(why, sizeof(m->why), "%s",
		    hangs(m) ? "mirror: the disk hangs" : m->why);
	pthread_mutex_unlock(&m->lock);
	return is;
}

/* see mirror.h */
uint64_t
mm_mirror_entries(struct mm_mirror *m)
{
	uint64_t n;

	pthread_mutex_lock(&m->lock);
	n = m->entries;
	pthread_mutex_unlock(&m->lock);
	return n;
}

/* see mirror.h */
void
mm_mirror_want(struct mm_mirror *m, uint64_t entries)
{
	pthread_mutex_lock(&m->lock);
	m->want = entries;
	pthread_mutex_unlock(&m->lock);
}

/* see mirror.h */
bool
mm_mirror_takes(struct mm_mirror *m)
{
	bool takes;

	pthread_mutex_lock(&m->lock);
	takes = m->is == MM_MIRROR_THERE && m->head == NULL;
	pthread_mutex_unlock(&m->lock);
	return takes;
}

/* see mirror.h */
void
mm_mirror_far(struct mm_mirror *m, uint64_t *done, uint64_t *of)
{
	pthread_mutex_lock(&m->lock);
	*done = m->of > 0 ? m->far : m->entries;
	*of = m->of > 0 ? m->of : m->want;
	pthread_mutex_unlock(&m->lock);
}

/* see mirror.h; as mm_chore_wish */
struct pollfd
mm_mirror_wish(struct mm_mirror *m)
{
	uint64_t n;

	pthread_mutex_lock(&m->lock);
	if (m->ended == m->heard)
		(void)!read(m->event, &n, sizeof(n));
	m->heard = m->ended;
	pthread_mutex_unlock(&m->lock);
	return (struct pollfd){ .fd = m->event, .events = POLLIN };
}
