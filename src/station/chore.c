#include "station/chore.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"

struct mm_chore {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work;
	int event;
	/* Under the lock: */
	void (*does)(void *arg);
	void *arg;
	bool busy, stop;
	uint64_t ended, heard; /* how many; at the last wish */
};

/* see chore.h */
enum mm_err
mm_thread_begin(pthread_t *out, void *(*run)(void *arg), void *arg,
    struct mm_why *why)
{
	sigset_t all, was;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &was);
	rc = pthread_create(out, NULL, run, arg);
	(void)pthread_sigmask(SIG_SETMASK, &was, NULL);
	return rc == 0 ? MM_OK
		       : MM_FAIL(why, MM_ESYS, "thread: %s", strerror(rc));
}

/* see chore.h */
bool
mm_thread_end(pthread_t thread, int64_t ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0;
}

static void *
run(void *arg)
{
	struct mm_chore *c = arg;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (!c->busy && !c->stop)
			pthread_cond_wait(&c->work, &c->lock);
		if (!c->busy)
			break;
		pthread_mutex_unlock(&c->lock);
		c->does(c->arg);
		pthread_mutex_lock(&c->lock);
		c->busy = false;
		c->ended++;
		(void)!write(c->event, &(uint64_t){ 1 }, sizeof(uint64_t));
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void
release(struct mm_chore **owner)
{
	struct mm_chore *c = *owner;

	if (c == NULL)
		return;
	pthread_cond_destroy(&c->work);
	pthread_mutex_destroy(&c->lock);
	if (c->event >= 0)
		(void)close(c->event);
	free(c);
	*owner = NULL;
}

/* see chore.h */
enum mm_err
mm_chore_new(struct mm_chore **out, struct mm_why *why)
{
	MM_OWN(release) struct mm_chore *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->work, NULL);
	c->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->event < 0)
		return MM_FAIL(why, MM_ESYS, "eventfd: %s", strerror(errno));
	MM_TRY(mm_thread_begin(&c->thread, run, c, why));
	*out = MM_MOVE(c);
	return MM_OK;
}

/* see chore.h */
bool
mm_chore_free(struct mm_chore **owner, int64_t ms)
{
	struct mm_chore *c = *owner;
	bool ended;

	if (c == NULL)
		return true;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	ended = mm_thread_end(c->thread, ms);
	if (ended)
		release(owner);
	*owner = NULL;
	return ended;
}

/* see chore.h */
void
mm_chore_begin(struct mm_chore *c, void (*does)(void *arg), void *arg)
{
	pthread_mutex_lock(&c->lock);
	MM_INVARIANT(!c->busy);
	c->does = does;
	c->arg = arg;
	c->busy = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
}

/* see chore.h */
bool
mm_chore_busy(struct mm_chore *c)
{
	bool busy;

	pthread_mutex_lock(&c->lock);
	busy = c->busy;
	pthread_mutex_unlock(&c->lock);
	return busy;
}

/* see chore.h */
struct pollfd
mm_chore_wish(struct mm_chore *c)
{
	uint64_t n;

	pthread_mutex_lock(&c->lock);
	if (c->ended == c->heard)
		(void)!read(c->event, &n, sizeof(n));
	c->heard = c->ended;
	pthread_mutex_unlock(&c->lock);
	return (struct pollfd){ .fd = c->event, .events = POLLIN };
}
