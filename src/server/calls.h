#ifndef MM_SERVER_CALLS_H
#define MM_SERVER_CALLS_H

#include "server/priv.h"

/*
 * Calls that wait for a worker, the oldest first; the caller has the lock.
 * There is always room for operators: devices have half of it, and one
 * certificate or token a few places, so that nobody with a stolen identity,
 * from however many addresses, keeps others waiting, or an operator from
 * revoking it.
 */
struct mm_calls {
	struct mm_call *first, **last;
	unsigned n, devices;
	size_t bytes;
};
void mm_calls_init(struct mm_calls *q);
/* again: its work is done, and only its answer is left: there is room.  false:
 * there is none, and c is the caller's. */
MM_MUST bool mm_calls_put(struct mm_calls *q, struct mm_call *c, bool again);
struct mm_call *mm_calls_take(struct mm_calls *q); /* NULL: none */

#endif
