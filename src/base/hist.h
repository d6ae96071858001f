#ifndef MM_BASE_HIST_H
#define MM_BASE_HIST_H

#include <stdatomic.h>

#include "base/buf.h"

/*
 * A histogram that any thread may add to, without a lock: a bucket for each
 * upper bound of its shape, and one above.  Its numbers are read one by one,
 * so that a reader may see an addition half: good enough for a graph.
 */
#define MM_HIST_MAX 16
struct mm_hist_shape {
	size_t n;
	uint64_t bound[MM_HIST_MAX];   /* growing; each is inside its bucket */
	const char *text[MM_HIST_MAX]; /* the bounds as they are shown */
	double unit;                   /* what 1 is: 1e-6 for microseconds */
};
extern const struct mm_hist_shape mm_hist_time; /* of microseconds */
extern const struct mm_hist_shape mm_hist_size; /* of things: 1, 2, 4 ... */

struct mm_hist {
	atomic_uint_fast64_t bucket[MM_HIST_MAX + 1], sum;
};
void mm_hist_add(
    struct mm_hist *h, const struct mm_hist_shape *shape, uint64_t v);
/* Adds h's numbers to out, for one histogram kept in several. */
void mm_hist_merge(const struct mm_hist *h, struct mm_hist *out);

#endif
