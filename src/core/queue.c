#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/priv.h"

static void **
next_of(const struct mm_queue *q, void *item)
{
	return (void **)((char *)item + q->link);
}

/* see priv.h */
void
mm_queue_init(struct mm_queue *q, size_t link, int kick)
{
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->more, NULL);
	q->head = q->last = NULL;
	q->link = link;
	q->kick = kick;
	q->closed = false;
}

/* see priv.h */
void
mm_queue_done(struct mm_queue *q)
{
	pthread_cond_destroy(&q->more);
	pthread_mutex_destroy(&q->lock);
}

/* A full counter is as good as a kick: the taker has not looked yet. */
void
mm_kick(int eventfd)
{
	uint64_t one = 1;

	if (write(eventfd, &one, sizeof(one)) < 0)
		return;
}

/* see priv.h */
bool
mm_queue_put(struct mm_queue *q, void *list)
{
	void *last = list;
	bool open;

	while (*next_of(q, last) != NULL)
		last = *next_of(q, last);
	pthread_mutex_lock(&q->lock);
	open = !q->closed;
	if (open) {
		*(q->head == NULL ? &q->head : next_of(q, q->last)) = list;
		q->last = last;
		pthread_cond_signal(&q->more);
	}
	pthread_mutex_unlock(&q->lock);
	if (q->kick >= 0)
		mm_kick(q->kick);
	return open;
}

/* Whoever had to wait lets the others run first where cores are short: they
 * add to what is taken.  Where a core is idle this costs nothing. */
static void
let_others_add(struct mm_queue *q)
{
	pthread_mutex_unlock(&q->lock);
	sched_yield();
	pthread_mutex_lock(&q->lock);
}

/* see priv.h */
void *
mm_queue_take(struct mm_queue *q, bool wait)
{
	bool waited = false;
	void *list;

	pthread_mutex_lock(&q->lock);
	while (wait && q->head == NULL && !q->closed) {
		pthread_cond_wait(&q->more, &q->lock);
		waited = true;
	}
	if (waited)
		let_others_add(q);
	list = q->head;
	q->head = q->last = NULL;
	pthread_mutex_unlock(&q->lock);
	return list;
}

/* see priv.h */
void
mm_queue_close(struct mm_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->more);
	pthread_mutex_unlock(&q->lock);
}

/* see priv.h */
void
mm_waiter_init(struct mm_waiter *w)
{
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->done, NULL);
	w->landed = false;
}

/* The waiter's memory may be gone as soon as the lock is free. */
void
mm_waiter_land(struct mm_waiter *w)
{
	pthread_mutex_lock(&w->lock);
	w->landed = true;
	pthread_cond_signal(&w->done);
	pthread_mutex_unlock(&w->lock);
}

/* see priv.h */
void
mm_waiter_wait(struct mm_waiter *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->landed)
		pthread_cond_wait(&w->done, &w->lock);
	pthread_mutex_unlock(&w->lock);
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->lock);
}
