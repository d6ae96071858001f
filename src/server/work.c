#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/time.h"
#include "core/group.h"
#include "server/attempts.h"
#include "server/bootstrap.h"
#include "server/calls.h"
#include "server/ends.h"
#include "server/metrics.h"

/*
 * Two threads with a desk each for calls that may block, and one for
 * housekeeping: lists are signed and published however long a call takes.  The
 * queue is bounded: above it a request is told to come again.
 */
enum {
	TLS_EVERY_MS = 10000,
	IDLE_S = 3,
	LATE_MS = 10000, /* what has waited so long is told to come again */
	RETRY_S = 1,
	THREADS = MM_WORKERS + 1, /* the first keeps house */
};

struct mm_work {
	struct mm_server *s;
	pthread_mutex_t lock;
	pthread_cond_t more, due; /* calls; housekeeping */
	struct mm_calls calls;
	bool closed;
	bool tick, reload; /* wanted */
	int64_t tls_at;    /* the housekeeper's own */
	struct mm_worker worker[THREADS];
	pthread_t thread[THREADS];
	unsigned started;
};

/* ---- calls ---- */

/* Moves v behind what data holds; its room was reserved. */
static void
keep(struct mm_call *c, struct mm_bytes *v)
{
	size_t at = c->data.n;

	mm_buf_bytes(&c->data, *v);
	v->p = c->data.p + at;
}

static void
keep_header(const struct mm_http_req *req, const char *name, char *out,
    size_t outn)
{
	struct mm_bytes v = mm_http_header(req, name, NULL);
	size_t n = v.n < outn ? v.n : outn - 1;

	if (n > 0)
		memcpy(out, v.p, n);
	out[n] = '\0';
}

/* see priv.h */
struct mm_call *
mm_call_new(const struct mm_http_req *req)
{
	struct mm_call *c = calloc(1, sizeof(*c));
	const struct mm_conn *conn = req->conn_data;
	size_t n = req->path.n + req->query.n + req->body.n + req->rest.n;

	if (c == NULL)
		return NULL;
	if (conn != NULL && conn->operator_)
		c->certificate = mm_buf_view(&conn->der);
	n += c->certificate.n;
	c->req = *req;
	c->req.head = NULL;
	c->req.ssl = NULL;
	c->req.conn_data = NULL;
	mm_buf_init(&c->data, n + 1);
	if (mm_buf_room(&c->data, n + 1) == NULL) {
		mm_call_free(&c);
		return NULL;
	}
	mm_buf_reset(&c->data);
	keep(c, &c->req.path);
	keep(c, &c->req.query);
	keep(c, &c->req.body);
	keep(c, &c->req.rest);
	keep(c, &c->certificate);
	keep_header(req, "Authorization", c->authorization,
	    sizeof(c->authorization));
	keep_header(req, "Accept", c->accept, sizeof(c->accept));
	keep_header(req, "Idempotency-Key", c->idempotency,
	    sizeof(c->idempotency));
	keep_header(req, "If-Match", c->if_match, sizeof(c->if_match));
	keep_header(req, "If-None-Match", c->if_none_match,
	    sizeof(c->if_none_match));
	keep_header(req, "Mintmark-Approval", c->approval,
	    sizeof(c->approval));
	return c;
}

/* see priv.h */
void
mm_call_free(struct mm_call **owner)
{
	struct mm_call *c = MM_MOVE(*owner);

	if (c == NULL)
		return;
	mm_answer_end(&c->hold);
	mm_job_free(&c->job);
	mm_buf_wipe(&c->data);
	mm_wipe(c, sizeof(*c));
	free(c);
}

/* again: its work is done, and only its answer is left. */
static enum mm_err
post(struct mm_work *w, struct mm_call *c, bool again)
{
	enum mm_err rc = MM_EAGAIN;

	pthread_mutex_lock(&w->lock);
	if (!w->closed && mm_calls_put(&w->calls, c, again)) {
		c->posted_at = mm_mono_ms();
		c->again = again;
		rc = MM_OK;
		pthread_cond_signal(&w->more);
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}

/* see priv.h */
enum mm_err
mm_work_post(struct mm_work *w, struct mm_call *c)
{
	return post(w, c, false);
}

/* MM_EAGAIN promises that nothing has happened. */
static void
answer_later(struct mm_server *s, const struct mm_http_req *req,
    enum mm_err code, const char *text)
{
	struct mm_http_resp resp = { 0 };

	mm_http_problem(&resp, mm_err_http(code), mm_err_slug(code), text,
	    NULL, req->id);
	mm_answer_retry(&resp, RETRY_S);
	mm_http_answer(s->http, req->ref, &resp);
}

/* see priv.h */
void
mm_work_hand(struct mm_server *s, const struct mm_http_req *req,
    void (*run)(struct mm_worker *w, struct mm_call *c),
    const struct mm_authority *a)
{
	struct mm_call *c = mm_call_new(req);

	if (c != NULL) {
		c->run = run;
		c->device = a != NULL;
		if (a != NULL)
			c->authority = *a;
		if (mm_work_post(s->work, c) == MM_OK)
			return;
	}
	answer_later(s, req, MM_EAGAIN, "the server is busy");
	mm_call_free(&c);
}

/* see priv.h */
void
mm_work_again(struct mm_server *s, struct mm_call *take_call)
{
	bool issued = take_call->job != NULL &&
	    take_call->job->result == MM_OK;

	if (post(s->work, take_call, true) == MM_OK)
		return;
	if (!issued)
		mm_answer_void(&take_call->hold);
	mm_answer_end(&take_call->hold); /* before it comes again */
	answer_later(s, &take_call->req, issued ? MM_ESYS : MM_EAGAIN,
	    issued ? "the certificate was issued, and the server is "
	    "stopping: ask again" : "the server is stopping");
	mm_call_free(&take_call);
}

/* ---- housekeeping ---- */

static void
look_at_tls(struct mm_work *w, bool force)
{
	struct mm_why why = { 0 };
	bool changed = false;
	enum mm_err rc;

	if (!force && mm_mono_ms() < w->tls_at)
		return;
	w->tls_at = mm_mono_ms() + TLS_EVERY_MS;
	if (w->s->listener[MM_DEVICES] < 0 &&
	    w->s->listener[MM_LEGACY] < 0 && w->s->listener[MM_OPERATORS] < 0)
		return;
	rc = mm_tls_reload(w->s->tls, force, &changed, &why);
	if (rc == MM_OK && changed)
		rc = mm_http_reload(w->s->http, &why);
	if (rc != MM_OK)
		MM_LOG(MM_LOG_ERROR, "tls-reload", MM_S("why", why.text));
	else if (changed)
		MM_LOG(MM_LOG_INFO, "tls-reload", MM_S("result", "ok"));
}

static void
keep_attempts(struct mm_work *w, struct mm_desk *d)
{
	struct mm_why why = { 0 };

	if (mm_attempts_flush(w->s->attempts, d, &why) != MM_OK)
		MM_LOG(MM_LOG_WARN, "attempts", MM_S("why", why.text));
}

/* Before the complete lists, which may take seconds. */
static void
keep_shards(struct mm_work *w, struct mm_worker *me)
{
	const struct mm_config *config = w->s->config;

	for (size_t i = 0; i < config->nissuer; i++) {
		struct mm_why why = { 0 };

		if (mm_issuer_lists(&config->issuer[i]) &&
		    mm_desk_shards(me->desk, config->issuer[i].name, false,
		    &why) != MM_OK)
			MM_LOG(MM_LOG_WARN, "crl", MM_S("why", why.text));
	}
	mm_public_refresh_shards(w->s->pub, mm_desk_reader(me->desk));
}

static void
keep_pairing(struct mm_desk *d)
{
	struct mm_why why = { 0 };

	if (mm_desk_pairing_tidy(d, &why) != MM_OK)
		MM_LOG(MM_LOG_WARN, "pairing", MM_S("why", why.text));
}

static void
housekeep(struct mm_work *w, struct mm_worker *me, bool reload)
{
	look_at_tls(w, reload);
	keep_shards(w, me);
	mm_desk_housekeeping(me->desk);
	keep_attempts(w, me->desk);
	mm_approvals_tidy(me);
	mm_order_keep(&w->s->order, me->desk);
	mm_public_refresh(w->s->pub, mm_desk_reader(me->desk));
	mm_ends_keep(w->s, me->desk);
	keep_pairing(me->desk);
	mm_boot_refresh(w->s->boot, mm_desk_reader(me->desk));
	mm_scrapers_tidy(w->s->scrapers, mm_desk_reader(me->desk));
}

/* ---- threads ---- */

/* After a while with nothing to do the desk gives back what it keeps. */
static void
wait_for_call(struct mm_work *w, struct mm_desk *desk)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += IDLE_S;
	while (w->calls.first == NULL && !w->closed && rc == 0)
		rc = pthread_cond_timedwait(&w->more, &w->lock, &until);
	if (rc != 0) {
		pthread_mutex_unlock(&w->lock);
		mm_desk_idle(desk);
		pthread_mutex_lock(&w->lock);
	}
	while (w->calls.first == NULL && !w->closed)
		pthread_cond_wait(&w->more, &w->lock);
}

static struct mm_call *
take(struct mm_work *w, struct mm_desk *desk)
{
	struct mm_call *c;

	pthread_mutex_lock(&w->lock);
	wait_for_call(w, desk);
	c = mm_calls_take(&w->calls);
	pthread_mutex_unlock(&w->lock);
	return c;
}

static bool
is_due(struct mm_work *w, bool *reload)
{
	bool closed;

	pthread_mutex_lock(&w->lock);
	while (!w->tick && !w->reload && !w->closed)
		pthread_cond_wait(&w->due, &w->lock);
	*reload = w->reload;
	w->tick = w->reload = false;
	closed = w->closed;
	pthread_mutex_unlock(&w->lock);
	return !closed;
}

/* Where the store is slow, nobody waits for all who came before. */
static void
run_call(struct mm_worker *me, struct mm_call *c)
{
	if (c->again || mm_mono_ms() - c->posted_at <= LATE_MS) {
		c->run(me, c);
		return;
	}
	answer_later(me->s, &c->req, MM_EAGAIN, "the server is busy");
	mm_call_free(&c);
}

static void *
work_thread(void *arg)
{
	struct mm_worker *me = arg;
	struct mm_call *c;

	while ((c = take(me->s->work, me->desk)) != NULL)
		run_call(me, c);
	return NULL;
}

static void *
house_thread(void *arg)
{
	struct mm_worker *me = arg;
	struct mm_work *w = me->s->work;
	bool reload;

	while (is_due(w, &reload)) {
		housekeep(w, me, reload);
		atomic_store(&me->s->tidied, true);
	}
	return NULL;
}

static void
want(struct mm_work *w, bool *what)
{
	pthread_mutex_lock(&w->lock);
	*what = true;
	pthread_cond_signal(&w->due);
	pthread_mutex_unlock(&w->lock);
}

/* see priv.h */
void
mm_work_tick(struct mm_work *w)
{
	want(w, &w->tick);
}

/* see priv.h */
unsigned
mm_work_depth(struct mm_work *w)
{
	unsigned n;

	pthread_mutex_lock(&w->lock);
	n = w->calls.n;
	pthread_mutex_unlock(&w->lock);
	return n;
}

/* see priv.h */
void
mm_work_reload(struct mm_work *w)
{
	want(w, &w->reload);
}

static enum mm_err
start(struct mm_work *w, struct mm_why *why)
{
	for (; w->started < THREADS; w->started++) {
		struct mm_worker *me = &w->worker[w->started];

		me->s = w->s;
		MM_TRY(mm_desk_open(w->s->core, &me->desk, why));
		if (pthread_create(&w->thread[w->started], NULL,
		    w->started == 0 ? house_thread : work_thread, me) != 0)
			return MM_FAIL(why, MM_ESYS, "cannot make a thread");
	}
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_work_open(struct mm_server *s, struct mm_work **out, struct mm_why *why)
{
	struct mm_work *w = calloc(1, sizeof(*w));
	enum mm_err rc;

	if (w == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	w->s = s;
	mm_calls_init(&w->calls);
	w->tls_at = mm_mono_ms() + TLS_EVERY_MS;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	pthread_cond_init(&w->due, NULL);
	*out = w; /* the threads look for it there */
	rc = start(w, why);
	if (rc != MM_OK)
		mm_work_close(out);
	return rc;
}

/* see priv.h */
void
mm_work_stop(struct mm_work *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->closed = true;
	pthread_cond_broadcast(&w->more);
	pthread_cond_signal(&w->due);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->started; i++)
		pthread_join(w->thread[i], NULL);
	if (w->started > 0)
		keep_attempts(w, w->worker[0].desk);
	w->started = 0;
	for (unsigned i = 0; i < THREADS; i++)
		mm_desk_close(&w->worker[i].desk);
}

/* see priv.h */
void
mm_work_close(struct mm_work **owner)
{
	struct mm_work *w = *owner;
	struct mm_call *c;

	if (w == NULL)
		return;
	mm_work_stop(w);
	while ((c = mm_calls_take(&w->calls)) != NULL)
		mm_call_free(&c);
	pthread_cond_destroy(&w->more);
	pthread_cond_destroy(&w->due);
	pthread_mutex_destroy(&w->lock);
	free(w);
	*owner = NULL;
}
