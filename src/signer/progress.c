#include <time.h>

#include "base/time.h"
#include "signer/run.h"

/* -1 where the thread has gone. */
static int64_t
cpu_of(pthread_t thread)
{
	struct timespec t;
	clockid_t clock;

	if (pthread_getcpuclockid(thread, &clock) != 0 ||
	    clock_gettime(clock, &t) != 0)
		return -1;
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* see run.h */
bool
mm_progress_stuck(struct mm_progress *p, pthread_t thread, bool busy,
    int64_t limit_ms)
{
	int64_t now = mm_mono_ms(), cpu = busy ? cpu_of(thread) : -1;

	if (cpu < 0 || cpu != p->cpu_ns || p->since_ms == 0) {
		p->cpu_ns = cpu;
		p->since_ms = now;
	}
	return cpu >= 0 && limit_ms > 0 && now - p->since_ms > limit_ms;
}
