#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/priv.h"

/*
 * A first enrolment may have to be allowed by somebody outside: the question
 * goes out through conf.ask, the job is parked with its reservation held, and
 * is decided anew with the answer in hand.  What is asked about is compared
 * with what is decided then, so that a yes for one thing is none for another.
 */
struct mm_asking {
	pthread_mutex_t lock;
	struct mm_flight *first, **last; /* oldest first */
	unsigned n;
	uint64_t number;
};

/* see priv.h */
enum mm_err
mm_asking_new(struct mm_asking **out, struct mm_why *why)
{
	struct mm_asking *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return MM_FAIL(why, MM_ENOMEM, "ask: no memory");
	pthread_mutex_init(&a->lock, NULL);
	a->last = &a->first;
	*out = a;
	return MM_OK;
}

/* see priv.h */
void
mm_asking_free(struct mm_asking **owner)
{
	struct mm_asking *a = MM_MOVE(*owner);

	if (a == NULL)
		return;
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* ---- the parked ---- */

static bool
park(struct mm_asking *a, struct mm_flight *f, int64_t until)
{
	bool room;

	pthread_mutex_lock(&a->lock);
	room = a->n < MM_ASKED_MOST;
	if (room) {
		f->ask.q.number = ++a->number;
		f->ask.until = until;
		f->ask.next = NULL;
		*a->last = f;
		a->last = &f->ask.next;
		a->n++;
	}
	pthread_mutex_unlock(&a->lock);
	return room;
}

/* The one of that number, 0: the oldest if it is older than now; NULL. */
static struct mm_flight *
unpark(struct mm_asking *a, uint64_t number, int64_t now)
{
	struct mm_flight **at, *f;

	pthread_mutex_lock(&a->lock);
	at = &a->first;
	while (number != 0 && *at != NULL && (*at)->ask.q.number != number)
		at = &(*at)->ask.next;
	f = *at;
	if (f != NULL && number == 0 && f->ask.until > now)
		f = NULL;
	if (f != NULL) {
		*at = f->ask.next;
		if (*at == NULL)
			a->last = at;
		a->n--;
	}
	pthread_mutex_unlock(&a->lock);
	return f;
}

static void
go_on(struct mm_core *c, struct mm_flight *f, enum mm_said said,
    const char *text)
{
	f->ask.answered = true;
	f->ask.said = said;
	snprintf(f->ask.text, sizeof(f->ask.text), "%s", text);
	f->job->next = NULL;
	mm_queue_put(&c->jobs, f->job);
}

/* see core.h */
void
mm_core_said(struct mm_core *c, uint64_t number, enum mm_said said,
    const char *text)
{
	struct mm_flight *f = number != 0 ? unpark(c->asking, number, 0) : NULL;

	if (f != NULL)
		go_on(c, f, said, text);
}

/* see priv.h */
void
mm_ask_late(struct mm_core *c)
{
	int64_t now = c->stopping ? INT64_MAX : mm_mono_ms();
	struct mm_flight *f;

	while ((f = unpark(c->asking, 0, now)) != NULL)
		go_on(c, f, MM_SAID_NOTHING, "no answer in time");
}

/* ---- asking ---- */

static void
question(const struct mm_flight *f, struct mm_question *q)
{
	const struct mm_verdict *v = &f->verdict;
	const struct mm_job *job = f->job;

	memset(q, 0, sizeof(*q));
	q->kind = job->authority.kind;
	if (q->kind == MM_AUTH_TOKEN_PSK || q->kind == MM_AUTH_TOKEN_BASIC)
		strcpy(q->token, job->authority.token);
	strcpy(q->device, v->device);
	strcpy(q->product, v->product);
	strcpy(q->profile, v->profile->name);
	if (job->kind != MM_JOB_KEYGEN)
		memcpy(q->spki, f->spki, sizeof(q->spki));
	memcpy(q->peer, job->peer, sizeof(q->peer));
}

/* But for the number, and for where it came from. */
static bool
same(const struct mm_question *a, const struct mm_question *b)
{
	return a->kind == b->kind && strcmp(a->token, b->token) == 0 &&
	    strcmp(a->device, b->device) == 0 &&
	    strcmp(a->product, b->product) == 0 &&
	    strcmp(a->profile, b->profile) == 0 &&
	    memcmp(a->spki, b->spki, sizeof(a->spki)) == 0;
}

static bool
listed(const struct mm_conf_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->item[i], name) == 0)
			return true;
	return l->n == 0;
}

/* An answer may come before ask returns: then the job is another's already,
 * and whoever takes it out of the list is who goes on with it. */
static enum mm_asked
post(struct mm_core *c, struct mm_flight *f, const struct mm_question *q)
{
	struct mm_question mine = *q;
	int64_t now = mm_mono_ms();

	f->ask.answered = false;
	/* who has waited for others' questions so long asks none */
	if (now - f->posted_us / 1000 > c->conf.ask_ms)
		return MM_ASKED_AWAY;
	f->ask.q = *q;
	if (!park(c->asking, f, now + c->conf.ask_ms))
		return MM_ASKED_AWAY;
	mine.number = f->ask.q.number;
	if (c->conf.ask(c->conf.ctx, &mine) ||
	    unpark(c->asking, mine.number, 0) == NULL)
		return MM_ASKED_WAITS;
	return MM_ASKED_AWAY;
}

/* see priv.h */
enum mm_asked
mm_ask(struct mm_core *c, struct mm_flight *f)
{
	struct mm_question q;

	if (c->conf.ask == NULL || (f->verdict.effects & MM_FX_RENEWAL) ||
	    !listed(&c->config->set.authorise_profiles,
	    f->verdict.profile->name))
		return MM_ASKED_YES;
	question(f, &q);
	if (!f->ask.answered || !same(&q, &f->ask.q))
		return post(c, f, &q);
	if (f->ask.said == MM_SAID_YES)
		return MM_ASKED_YES;
	return f->ask.said == MM_SAID_NO ? MM_ASKED_NO : MM_ASKED_AWAY;
}

/* see priv.h */
void
mm_ask_pass(const struct mm_flight *from, struct mm_flight *to)
{
	if (from->ask.answered && from->job->kind == to->job->kind &&
	    memcmp(from->spki, to->spki, sizeof(to->spki)) == 0)
		to->ask = from->ask;
}
