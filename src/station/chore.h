#ifndef MM_STATION_CHORE_H
#define MM_STATION_CHORE_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * A thread for what takes long, one thing at a time, beside the line's thread,
 * which waits for nothing.  What a chore works on is its own until it is done.
 */
struct mm_chore;
MM_MUST enum mm_err mm_chore_new(struct mm_chore **out, struct mm_why *why);
/*
 * Waits at most ms for what is being done.  false: it hangs, and whatever it
 * works on must be left as it is: thread and chore go with the process.
 */
bool mm_chore_free(struct mm_chore **owner, int64_t ms);
/* does(arg), there.  The one before must be done. */
void mm_chore_begin(struct mm_chore *c, void (*does)(void *arg), void *arg);
/* What was done is seen by who hears that nothing is being done. */
bool mm_chore_busy(struct mm_chore *c);
/* Ready when something was done since it was asked for last: who looks first
 * and waits then misses nothing that ended in between. */
struct pollfd mm_chore_wish(struct mm_chore *c);

/* A thread that takes no signals: they are the line's. */
MM_MUST enum mm_err mm_thread_begin(pthread_t *out, void *(*run)(void *arg),
    void *arg, struct mm_why *why);
/* At most ms; false: it has not ended. */
bool mm_thread_end(pthread_t thread, int64_t ms);

#endif
