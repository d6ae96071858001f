#include "server/upstream.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "core/upstream.h"

/* A tag is a place here, so that an answer names its question. */
enum { MOST = 256 };

struct asked {
	uint64_t number;      /* 0: free */
	size_t issuer;
	int64_t began;        /* monotonic */
};

struct mm_registrar {
	struct mm_server *s;
	bool est;             /* whose issuers */
	struct mm_upstream_times *times; /* of each issuer */
	struct mm_hist *took;
	pthread_t thread;
	bool has_thread;
	int kick;
	pthread_mutex_t lock; /* what follows */
	int link, fresh;      /* -1: none; link is the thread's to close */
	bool closed;
	uint64_t ends;
	int64_t ended_at;
	struct asked at[MOST];/* what the registrar has */
	struct mm_buf out;
};

static void
lost(struct mm_registrar *r, uint64_t number)
{
	const struct mm_forward_rep rep = { .how = MM_FORWARD_LOST,
		.why = "the registrar ended meanwhile" };

	mm_core_forwarded(r->s->core, number, &rep);
}

/* All that was with it; answered without the lock, which asking takes. */
static void
link_down(struct mm_registrar *r)
{
	struct asked at[MOST];

	pthread_mutex_lock(&r->lock);
	if (r->link >= 0) {
		close(r->link);
		r->ends++;
		r->ended_at = mm_now_ms();
	}
	r->link = -1;
	memcpy(at, r->at, sizeof(at));
	memset(r->at, 0, sizeof(r->at));
	pthread_mutex_unlock(&r->lock);
	for (size_t i = 0; i < MOST; i++)
		if (at[i].number != 0)
			lost(r, at[i].number);
}

/* A CA that has said something, whatever it is, has answered. */
static uint64_t
take(struct mm_registrar *r, uint32_t tag, uint8_t how)
{
	struct asked a = { .number = 0 };

	pthread_mutex_lock(&r->lock);
	if (tag < MOST) {
		a = r->at[tag];
		r->at[tag].number = 0;
	}
	if (a.number != 0 && how != MM_FORWARD_AWAY && how != MM_FORWARD_LOST &&
	    how != MM_FORWARD_OURS)
		r->times[a.issuer].answered_at = mm_now_ms();
	pthread_mutex_unlock(&r->lock);
	if (a.number != 0)
		mm_hist_add(&r->took[a.issuer], &mm_hist_time,
		    (uint64_t)(mm_mono_ms() - a.began) * 1000);
	return a.number;
}

/* false: the link is of no use any more. */
static bool
hear_one(struct mm_registrar *r, struct mm_buf *in)
{
	struct mm_forward_rep rep;
	struct mm_frame f;
	struct mm_bytes body;
	uint64_t number;
	uint32_t tag;

	if (mm_frame_parse(mm_buf_view(in), &f, NULL) != MM_OK || !f.answer ||
	    f.kind != MM_IPC_FORWARD || !mm_frame_next(&f, &tag, &body) ||
	    mm_answer_get(MM_IPC_FORWARD, body, &rep, NULL) != MM_OK)
		return false;
	number = take(r, tag, rep.how);
	if (number != 0)
		mm_core_forwarded(r->s->core, number, &rep);
	return true;
}

static void
hear(struct mm_registrar *r, struct mm_buf *in)
{
	enum mm_err rc = MM_OK;

	while (rc == MM_OK) {
		rc = mm_ipc_recv(r->link, in, NULL);
		if (rc == MM_OK && !hear_one(r, in))
			rc = MM_EINPUT;
	}
	if (rc != MM_EAGAIN)
		link_down(r);
}

/* false: it is time to go. */
static bool
take_news(struct mm_registrar *r)
{
	bool closed, fresh;

	pthread_mutex_lock(&r->lock);
	closed = r->closed;
	fresh = r->fresh >= 0;
	pthread_mutex_unlock(&r->lock);
	if (fresh || closed)
		link_down(r);
	if (!fresh)
		return !closed;
	pthread_mutex_lock(&r->lock);
	r->link = r->fresh;
	r->fresh = -1;
	pthread_mutex_unlock(&r->lock);
	return !closed;
}

static void *
run(void *arg)
{
	struct mm_registrar *r = arg;
	struct mm_buf in = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	uint64_t times;

	while (take_news(r)) {
		struct pollfd p[2] = { { .fd = r->kick, .events = POLLIN },
			{ .fd = r->link, .events = POLLIN } };

		if (poll(p, 2, -1) <= 0)
			continue;
		if (p[0].revents != 0)
			(void)!read(r->kick, &times, sizeof(times));
		if (p[1].revents != 0)
			hear(r, &in);
	}
	mm_buf_done(&in);
	return NULL;
}

static void
kick(struct mm_registrar *r)
{
	const uint64_t one = 1;

	(void)!write(r->kick, &one, sizeof(one));
}

/* see upstream.h */
enum mm_err
mm_registrar_open(struct mm_server *s, bool est, struct mm_registrar **out,
    struct mm_why *why)
{
	MM_OWN(mm_registrar_close) struct mm_registrar *r =
	    calloc(1, sizeof(*r));

	if (r == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	r->s = s;
	r->est = est;
	r->link = r->fresh = r->kick = -1;
	mm_buf_init(&r->out, MM_IPC_FRAME_MAX);
	pthread_mutex_init(&r->lock, NULL);
	r->times = calloc(s->config->nissuer + 1, sizeof(*r->times));
	r->took = calloc(s->config->nissuer + 1, sizeof(*r->took));
	if (r->times == NULL || r->took == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	r->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->kick < 0)
		return MM_FAIL(why, MM_ESYS, "eventfd: %s", strerror(errno));
	if (mm_config_asks(s->config, est) &&
	    pthread_create(&r->thread, NULL, run, r) != 0)
		return MM_FAIL(why, MM_ESYS, "registrar: no thread");
	r->has_thread = mm_config_asks(s->config, est);
	*out = MM_MOVE(r);
	return MM_OK;
}

/* see upstream.h */
void
mm_registrar_link(struct mm_registrar *r, int take_fd)
{
	pthread_mutex_lock(&r->lock);
	if (r->fresh >= 0)
		close(r->fresh);
	r->fresh = take_fd;
	pthread_mutex_unlock(&r->lock);
	kick(r);
}

/* see upstream.h */
void
mm_registrar_close(struct mm_registrar **owner)
{
	struct mm_registrar *r = MM_MOVE(*owner);

	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->closed = true;
	pthread_mutex_unlock(&r->lock);
	if (r->kick >= 0)
		kick(r);
	if (r->has_thread)
		pthread_join(r->thread, NULL);
	if (r->fresh >= 0)
		close(r->fresh);
	if (r->kick >= 0)
		close(r->kick);
	pthread_mutex_destroy(&r->lock);
	mm_buf_done(&r->out);
	free(r->times);
	free(r->took);
	free(r);
}

/* The caller has the lock.  The answer may come before this returns. */
static bool
send_it(struct mm_registrar *r, uint64_t number,
    const struct mm_forward_req *q)
{
	const struct mm_config *c = r->s->config;
	size_t issuer = (size_t)(mm_config_issuer(c, q->issuer) - c->issuer);
	uint32_t tag = 0;

	while (tag < MOST && r->at[tag].number != 0)
		tag++;
	if (tag == MOST || r->link < 0)
		return false;
	mm_frame_begin(&r->out, MM_IPC_FORWARD);
	if (!mm_frame_put_req(&r->out, tag, q))
		return false;
	if (mm_ipc_send(r->link, mm_buf_view(&r->out), NULL) != MM_OK)
		return false;
	r->at[tag] = (struct asked){ number, issuer, mm_mono_ms() };
	r->times[issuer].asked_at = mm_now_ms();
	return true;
}

/* see upstream.h */
bool
mm_upstream_forward(void *ctx, uint64_t number,
    const struct mm_forward_req *q)
{
	const struct mm_server *s = ctx;
	const struct mm_issuer_conf *i = mm_config_issuer(s->config,
	    q->issuer);
	struct mm_registrar *r = s->registrar[mm_issuer_est(i)];
	bool sent;

	if (r == NULL)
		return false;
	pthread_mutex_lock(&r->lock);
	sent = send_it(r, number, q);
	pthread_mutex_unlock(&r->lock);
	return sent;
}

/* see upstream.h */
bool
mm_upstream_now(struct mm_server *s, const struct mm_issuer_conf *i,
    struct mm_upstream_now *out)
{
	struct mm_registrar *r = s->registrar[mm_issuer_est(i)];
	size_t issuer = (size_t)(i - s->config->issuer);

	if (r == NULL || !mm_core_upstream(s->core, i->name, &out->core))
		return false;
	pthread_mutex_lock(&r->lock);
	out->times = r->times[issuer];
	out->registrar = r->link >= 0;
	out->ends = r->ends;
	out->ended_at = r->ended_at;
	pthread_mutex_unlock(&r->lock);
	out->took = &r->took[issuer];
	out->rest_ms = out->core.next_at - mm_mono_ms();
	if (out->rest_ms < 0)
		out->rest_ms = 0;
	return true;
}

/* see upstream.h; in enum mm_forwarded's order */
const char *const mm_upstream_words[MM_FORWARDS] = {
	[MM_FORWARD_MADE] = "made", [MM_FORWARD_REFUSED] = "refused",
	[MM_FORWARD_WRONG] = "wrong", [MM_FORWARD_AWAY] = "unavailable",
	[MM_FORWARD_LOST] = "unknown", [MM_FORWARD_PENDING] = "pending",
	[MM_FORWARD_OURS] = "not_asked",
};
