#ifndef BENCH_PKI_H
#define BENCH_PKI_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"

static inline void
must(enum mm_err rc, const struct mm_why *why)
{
	if (rc == MM_OK)
		return;
	fprintf(stderr, "bench: %s\n", why->text);
	exit(1);
}

/* What this thread has used of the processor. */
static inline double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

#endif
