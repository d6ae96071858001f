#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "server/event.h"

/*
 * Long polls.  Who waits is a row in a list, not a thread: one thread reads
 * each new entry once, shows it to all that wait, and answers those that
 * wanted it.  Nobody waits longer than a minute, so the list needs no order.
 */
enum {
	ROUND = 256,                /* entries looked at in one go */
	PAGE_BYTES = 64 * 1024,     /* of one answer, and one entry more: a
	                             * thousand of them are in memory at once */
	OUT_MAX = PAGE_BYTES + MM_ENTRY_MAX + 4096,
	RETRY_MS = 200,             /* after the store could not be read */
	RETRY_S = 5,                /* what is damaged is not soon mended */
	LEFT_MOST = 256,            /* between two turns; more wait it out */
};

struct waiting {
	struct waiting *next;
	struct mm_wish wish;
	int64_t until; /* monotonic */
	struct mm_why why; /* its own, which cannot be read: that is its end */
	unsigned n;    /* items in out */
	struct mm_buf out;
	struct mm_json j;
};

struct mm_watch {
	struct mm_server *s;
	struct mm_store_reader *reader;
	int kick;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* what follows */
	struct waiting *first;
	unsigned n;
	uint64_t seen;        /* entries before it are nobody's here */
	bool closed;
	/* Held for a moment only, by the event loops too. */
	pthread_mutex_t left_lock;
	struct mm_http_ref left[LEFT_MOST]; /* whose peers have gone */
	unsigned nleft;
};

/* ---- one that waits ---- */

static void
waiting_free(struct waiting *w)
{
	mm_buf_done(&w->out);
	free(w);
}

static void
page_open(struct waiting *w)
{
	mm_json_open(&w->j, '{');
	mm_json_open_key(&w->j, "items", '[');
}

/* Takes w. */
static void
answer(struct mm_watch *h, struct waiting *w)
{
	struct mm_http_resp resp = { .status = 200,
		.content_type = "application/json" };

	if (w->n == 0)
		page_open(w);
	mm_json_close(&w->j, ']');
	mm_event_put_next(&w->j, w->wish.from, w->wish.from < h->seen);
	mm_json_close(&w->j, '}');
	if (mm_buf_ok(&w->out, NULL) == MM_OK) {
		resp.body = w->out;
		w->out = (struct mm_buf){ 0 };
	} else {
		mm_http_problem(&resp, 503, mm_err_slug(MM_EAGAIN),
		    "the page became too large", NULL, w->wish.id);
	}
	mm_http_answer(h->s->http, w->wish.ref, &resp);
	waiting_free(w);
}

/* Takes w. */
static void
refuse(struct mm_watch *h, struct waiting *w)
{
	struct mm_http_resp resp = { .status = 0 };

	mm_http_problem(&resp, mm_err_http(w->why.code),
	    mm_err_slug(w->why.code), w->why.text, NULL, w->wish.id);
	if (resp.status == 503)
		mm_answer_retry(&resp, RETRY_S);
	mm_http_answer(h->s->http, w->wish.ref, &resp);
	waiting_free(w);
}

/* A login that is over does not move on: what it has not seen is there for
 * the next one. */
static enum mm_err
show(struct waiting *w, struct mm_event *e, struct mm_why *why)
{
	char ca_serial[MM_CA_SERIAL_TEXT];
	bool yes = false;

	if (e->index < w->wish.from || w->n >= w->wish.most ||
	    w->out.n > PAGE_BYTES || mm_event_login_over(&w->wish.login))
		return MM_OK;
	MM_TRY(mm_event_wanted(&w->wish.filter, e, &yes, why));
	if (yes)
		MM_TRY(mm_event_may_see(&w->wish.login, &w->wish.memo, e,
		    &yes, why));
	if (yes)
		MM_TRY(mm_event_ca_serial(e->reader, &e->v, ca_serial, why));
	w->wish.from = e->index + 1;
	if (!yes)
		return MM_OK;
	if (w->n++ == 0)
		page_open(w);
	mm_event_put(&w->j, e->index, e->json, ca_serial);
	return MM_OK;
}

/* A key that is revoked while it waits gets nothing more. */
static void
shut_out(struct waiting *w, const struct mm_entry_view *v)
{
	if (mm_bytes_eq(v->type, mm_bytes_of("operator.revoked")) &&
	    mm_bytes_eq(v->key, mm_bytes_of(w->wish.login.id)))
		w->wish.login.roles = 0;
}

/* ---- the thread ---- */

/* Of one whose batch or product cannot be read, that is the end, and nobody
 * else's: it has what came before.  A store that is away is everybody's. */
static enum mm_err
show_or_end(struct waiting *w, struct mm_event *e, struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc = w->why.code != MM_OK ? MM_OK : show(w, e, &own);

	if (rc == MM_EAGAIN || rc == MM_ENOMEM)
		return MM_FAIL(why, rc, "%s", own.text);
	if (rc == MM_OK)
		return MM_OK;
	(void)MM_FAIL(&w->why, rc, "entry %llu: %s",
	    (unsigned long long)e->index, own.text);
	MM_LOG(MM_LOG_WARN, "events", MM_S("who", w->wish.login.id),
	    MM_S("why", w->why.text));
	return MM_OK;
}

/* Fails where the store is away: the entry is then read again, and shown to
 * who has not seen it. */
static enum mm_err
look(void *ctx, struct mm_event *e, struct mm_why *why)
{
	struct mm_watch *h = ctx;

	for (struct waiting *w = h->first; w != NULL; w = w->next) {
		shut_out(w, &e->v);
		MM_TRY(show_or_end(w, e, why));
	}
	h->seen = e->index + 1;
	return MM_OK;
}

/* With the lock, which nobody else has for as long. */
static unsigned
round_of(const struct mm_watch *h)
{
	unsigned n = ROUND, one;

	for (struct waiting *w = h->first; w != NULL; w = w->next) {
		mm_scope_memo_none(&w->wish.memo); /* it may be there by now */
		one = mm_event_round(&w->wish.login, ROUND);
		n = one < n ? one : n;
	}
	return n;
}

/* With the lock.  false: it could not be read. */
static bool
read_new(struct mm_watch *h, uint64_t size)
{
	struct mm_why why = { 0 };
	uint64_t round = round_of(h);
	uint64_t to = h->seen + round < size ? h->seen + round : size;

	if (h->first == NULL) {
		h->seen = size;
		return true;
	}
	if (h->seen >= to || mm_event_each(h->reader, h->seen, to, look, h,
	    &why) == MM_OK)
		return true;
	MM_LOG(MM_LOG_WARN, "events", MM_S("why", why.text));
	return false;
}

/* With the lock: out of the list comes who has something, or is at its end;
 * *soonest is when the next one is. */
static struct waiting *
take_due(struct mm_watch *h, int64_t now, int64_t *soonest)
{
	struct waiting **at = &h->first, *due = NULL, *w;

	*soonest = INT64_MAX;
	while ((w = *at) != NULL) {
		if (w->n == 0 && w->why.code == MM_OK && w->until > now &&
		    !h->closed &&
		    !mm_event_login_over(&w->wish.login)) {
			if (w->until < *soonest)
				*soonest = w->until;
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = due;
		due = w;
		h->n--;
	}
	return due;
}

static bool
is_among(const struct mm_http_ref *refs, unsigned n, struct mm_http_ref ref)
{
	for (unsigned i = 0; i < n; i++)
		if (refs[i].loop == ref.loop && refs[i].slot == ref.slot &&
		    refs[i].generation == ref.generation)
			return true;
	return false;
}

/* With the lock: those whose peers have gone are at their end. */
static void
end_left(struct mm_watch *h)
{
	struct mm_http_ref left[LEFT_MOST];
	unsigned n;

	pthread_mutex_lock(&h->left_lock);
	n = h->nleft;
	memcpy(left, h->left, n * sizeof(left[0]));
	h->nleft = 0;
	pthread_mutex_unlock(&h->left_lock);
	for (struct waiting *w = h->first; n > 0 && w != NULL; w = w->next)
		if (is_among(left, n, w->wish.ref))
			w->until = 0;
}

static void
wait_for_news(struct mm_watch *h, int64_t ms)
{
	struct pollfd p = { .fd = h->kick, .events = POLLIN };
	uint64_t times;

	if (poll(&p, 1, ms > 60000 ? 60000 : (int)ms) > 0)
		(void)!read(h->kick, &times, sizeof(times));
}

/* One turn; how long nothing can happen by itself. */
static int64_t
turn(struct mm_watch *h, bool *closed)
{
	uint64_t size = mm_core_ledger_size(h->s->core);
	int64_t now = mm_mono_ms(), soonest, other;
	struct waiting *due, *next;
	bool good;

	pthread_mutex_lock(&h->lock);
	end_left(h);
	good = read_new(h, size);
	due = take_due(h, now, &soonest);
	if (h->first == NULL)
		h->seen = size > h->seen ? size : h->seen;
	*closed = h->closed;
	if (h->seen < size)
		soonest = now + (good ? 0 : RETRY_MS);
	pthread_mutex_unlock(&h->lock);
	for (; due != NULL; due = next) {
		next = due->next;
		if (due->n == 0 && due->why.code != MM_OK)
			refuse(h, due);
		else
			answer(h, due);
	}
	other = mm_cover_turn(h->s->cover, *closed);
	if (other < soonest)
		soonest = other;
	return soonest == INT64_MAX ? 60000 : soonest - mm_mono_ms();
}

static void *
watch_thread(void *arg)
{
	struct mm_watch *h = arg;
	bool closed = false;

	while (!closed) {
		int64_t ms = turn(h, &closed);

		if (!closed && ms > 0)
			wait_for_news(h, ms);
	}
	return NULL;
}

/* ---- from outside ---- */

/* see event.h */
void
mm_watch_grown(struct mm_watch *w)
{
	const uint64_t one = 1;

	if (w != NULL)
		(void)!write(w->kick, &one, sizeof(one));
}

/* Its wait, or what is left of its credential. */
static int64_t
until_its_end(const struct mm_wish *wish)
{
	int64_t left = wish->login.expires_at - mm_now_ms();

	if (wish->login.expires_at == 0 || left > wish->wait_ms)
		return wish->wait_ms;
	return left > 0 ? left : 0;
}

/* see event.h */
enum mm_err
mm_watch_add(struct mm_watch *h, const struct mm_wish *wish,
    struct mm_why *why)
{
	struct waiting *w = calloc(1, sizeof(*w));
	enum mm_err rc = MM_OK;

	if (w == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	w->wish = *wish;
	w->until = mm_mono_ms() + until_its_end(wish);
	mm_buf_init(&w->out, OUT_MAX);
	w->j = mm_json_over(&w->out);
	pthread_mutex_lock(&h->lock);
	if (h->n >= MM_WATCH_MOST || h->closed) {
		rc = MM_FAIL(why, MM_EAGAIN, "too many wait for events");
	} else if (wish->from < h->seen) {
		rc = MM_FAIL(why, MM_ECONFLICT, "there are entries to read");
	} else {
		w->next = h->first;
		h->first = w;
		h->n++;
	}
	pthread_mutex_unlock(&h->lock);
	if (rc != MM_OK)
		waiting_free(w);
	else
		mm_watch_grown(h); /* its deadline, and what came meanwhile */
	return rc;
}

/* see event.h */
void
mm_watch_left(struct mm_watch *h, struct mm_http_ref ref)
{
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->left_lock);
	if (h->nleft < LEFT_MOST)
		h->left[h->nleft++] = ref;
	pthread_mutex_unlock(&h->left_lock);
	mm_watch_grown(h);
}

/* see event.h */
unsigned
mm_watch_waiting(struct mm_watch *h)
{
	unsigned n;

	pthread_mutex_lock(&h->lock);
	n = h->n;
	pthread_mutex_unlock(&h->lock);
	return n;
}

/* see event.h */
enum mm_err
mm_watch_open(struct mm_server *s, struct mm_watch **out, struct mm_why *why)
{
	MM_OWN(mm_watch_close) struct mm_watch *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	h->s = s;
	h->seen = mm_core_ledger_size(s->core);
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->left_lock, NULL);
	h->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->kick < 0)
		return MM_FAIL(why, MM_ESYS, "no eventfd");
	MM_TRY(mm_reader_open(s->config->set.database, &h->reader, why));
	if (pthread_create(&h->thread, NULL, watch_thread, h) != 0)
		return MM_FAIL(why, MM_ESYS, "cannot make a thread");
	h->started = true;
	*out = MM_MOVE(h);
	return MM_OK;
}

/* see event.h */
void
mm_watch_stop(struct mm_watch *h)
{
	if (h == NULL || !h->started)
		return;
	pthread_mutex_lock(&h->lock);
	h->closed = true;
	pthread_mutex_unlock(&h->lock);
	mm_watch_grown(h);
	pthread_join(h->thread, NULL);
	h->started = false;
}

/* see event.h */
void
mm_watch_close(struct mm_watch **owner)
{
	struct mm_watch *h = MM_MOVE(*owner);

	if (h == NULL)
		return;
	mm_watch_stop(h);
	mm_reader_close(&h->reader);
	if (h->kick >= 0)
		close(h->kick);
	pthread_mutex_destroy(&h->lock);
	pthread_mutex_destroy(&h->left_lock);
	free(h);
}
