#include <pthread.h>
#include <stdlib.h>

#include "base/own.h"
#include "base/time.h"
#include "server/event.h"

/*
 * Calls whose entry no checkpoint covers yet: receipts.  They wait in a list
 * and hold no worker; the thread of the long polls hands them back.
 */
enum { WAIT_MS = 2000, MOST = 1000 };

struct mm_cover {
	struct mm_server *s;
	pthread_mutex_t lock; /* what follows */
	struct mm_call *first;
	unsigned n;
	bool closed;
};

/* see event.h */
enum mm_err
mm_cover_new(struct mm_server *s, struct mm_cover **out, struct mm_why *why)
{
	struct mm_cover *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	c->s = s;
	pthread_mutex_init(&c->lock, NULL);
	*out = c;
	return MM_OK;
}

/* see event.h */
void
mm_cover_free(struct mm_cover **owner)
{
	struct mm_cover *c = MM_MOVE(*owner);

	if (c == NULL)
		return;
	while (c->first != NULL) {
		struct mm_call *call = c->first;

		c->first = call->next;
		mm_call_free(&call);
	}
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* see event.h */
bool
mm_cover_wait(struct mm_cover *c, struct mm_call *take_call, uint64_t index)
{
	bool room;

	pthread_mutex_lock(&c->lock);
	room = !take_call->waited && !c->closed && c->n < MOST;
	if (room) {
		take_call->waited = true;
		take_call->covers = index;
		take_call->until = mm_mono_ms() + WAIT_MS;
		take_call->next = c->first;
		c->first = take_call;
		c->n++;
	}
	pthread_mutex_unlock(&c->lock);
	if (room)
		mm_watch_grown(c->s->watch);
	return room;
}

/* With the lock: out of the list comes whose checkpoint there is, or who has
 * waited long enough. */
static struct mm_call *
take_due(struct mm_cover *c, uint64_t covered, int64_t *soonest)
{
	struct mm_call **at = &c->first, *due = NULL, *call;
	int64_t now = mm_mono_ms();

	*soonest = INT64_MAX;
	while ((call = *at) != NULL) {
		if (call->covers >= covered && call->until > now &&
		    !c->closed) {
			if (call->until < *soonest)
				*soonest = call->until;
			at = &call->next;
			continue;
		}
		*at = call->next;
		call->next = due;
		due = call;
		c->n--;
	}
	return due;
}

/* see event.h */
int64_t
mm_cover_turn(struct mm_cover *c, bool closed)
{
	uint64_t covered = mm_core_covered(c->s->core);
	struct mm_call *due, *next;
	int64_t soonest;

	pthread_mutex_lock(&c->lock);
	c->closed = c->closed || closed;
	due = take_due(c, covered, &soonest);
	pthread_mutex_unlock(&c->lock);
	for (; due != NULL; due = next) {
		next = due->next;
		mm_work_again(c->s, due);
	}
	return soonest;
}
