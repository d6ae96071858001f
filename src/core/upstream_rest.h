#ifndef MM_CORE_UPSTREAM_REST_H
#define MM_CORE_UPSTREAM_REST_H

#include "pki/profile.h"

/*
 * Whom a CA that gives no answer is spared for a while: else each device that
 * comes again would leave two entries.  It may be the device's own doing (a
 * request that its program falls over), so at first the device alone waits,
 * a second, then two, up to a minute; all wait once some devices in a row had
 * no answer, and one that does not wait by itself tries for them each time.
 * Others of these brake a CA whose answers are wrong, each of which makes a
 * certificate, or are no, each of which is on record.
 * Times are monotonic milliseconds, the caller's.  No lock.
 */
enum { MM_REST_DEVICES = 32, MM_REST_ALL = 3 };

struct mm_rest {
	int64_t ms, until; /* 0: none */
	int64_t since;     /* it began, or became longer */
};
struct mm_rests {
	int64_t first_ms;       /* 0: a second */
	int64_t most_ms;        /* 0: a minute */
	struct mm_rest all;
	int64_t paused_at;      /* 0: it has not said when it will answer */
	unsigned round, silent; /* since the last answer, so many devices */
	struct mm_rested {
		char device[MM_DEVICE_ID_MAX + 1];
		struct mm_rest rest;
		unsigned round;
	} of[MM_REST_DEVICES];
};

/* Whether it may be asked for that device now; *at: if not, when. */
bool mm_rests_may(const struct mm_rests *r, const char *device, int64_t now,
    int64_t *at);
/* It is asked now: whoever comes next does not try for all as well. */
void mm_rests_ask(struct mm_rests *r, int64_t now);
/* That one's end says neither: the next may try for all. */
void mm_rests_unproved(struct mm_rests *r, int64_t asked_at);
/* It answered, whatever it said: it is there.  One that was asked before a
 * pause does not end it. */
void mm_rests_answered(struct mm_rests *r, const char *device,
    int64_t asked_at);
/* It says when it will answer: until then nobody asks. */
void mm_rests_pause(struct mm_rests *r, int64_t now, int64_t until);
/* It did not; device NULL: whoever it had been.  asked_at: one that was asked
 * before a rest began says nothing new of it, however many there are. */
void mm_rests_silent(struct mm_rests *r, const char *device, int64_t asked_at,
    int64_t now);

#endif
