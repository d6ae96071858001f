#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include "hsm/priv.h"

/*
 * What the keepers of one token's keys share.  Each has a process and a module
 * of its own, and all of them would try the PIN that was changed or the token
 * that came back: one does, and the others take its word for it.
 */
#define TAKE_MOST_S 10

/* see priv.h */
enum mm_err
mm_guard_new(struct mm_guard **out, struct mm_why *why)
{
	pthread_mutexattr_t how;
	struct mm_guard *g = mmap(NULL, sizeof(*g), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (g == MAP_FAILED)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	pthread_mutexattr_init(&how);
	pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&g->lock, &how);
	pthread_mutexattr_destroy(&how);
	*out = g;
	return MM_OK;
}

/* Who had it may have been killed in its module. */
static bool
is_taken(struct mm_guard *g, int rc)
{
	if (rc == EOWNERDEAD)
		rc = pthread_mutex_consistent(&g->lock);
	if (rc != 0)
		return false;
	atomic_store(&g->trying, false);
	if (atomic_exchange(&g->anew, false))
		g->refused[0] = '\0';
	return true;
}

/* see priv.h */
enum mm_err
mm_guard_take(struct mm_guard *g, struct mm_why *why)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += TAKE_MOST_S;
	return is_taken(g, pthread_mutex_timedlock(&g->lock, &end)) ? MM_OK :
	    MM_FAIL(why, MM_EAGAIN, "login: another key of this token waits "
		"for it");
}

/* see priv.h */
void
mm_guard_give(struct mm_guard *g)
{
	pthread_mutex_unlock(&g->lock);
}

/* see priv.h; while one is tried there is nothing to forget.  Who has the lock
 * and only looks at the token is not waited for: whoever takes it next
 * forgets. */
void
mm_guard_forget(struct mm_guard *g)
{
	if (is_taken(g, pthread_mutex_trylock(&g->lock))) {
		g->refused[0] = '\0';
		mm_guard_give(g);
	} else if (!atomic_load(&g->trying))
		atomic_store(&g->anew, true);
}
