#ifndef MM_CORE_UPSTREAM_WAIT_H
#define MM_CORE_UPSTREAM_WAIT_H

#include "pki/profile.h"

/*
 * Devices that an existing CA has yet to decide about (RFC 7030 4.2.3), which
 * may take a person a day: none of them is asked for before the time that the
 * CA has said.  Memory alone: after a start a device that comes too soon is
 * asked for once more, with the request that it brings, and gets what has been
 * decided.  It is a device with its key: another key that is brought under its
 * name does not make it wait.  So many have a place; of more, the one whose
 * time comes first has lost its.  Times are monotonic milliseconds, the
 * caller's.  No lock.
 */
enum { MM_WAITS_MOST = 8192 };

struct mm_wait_of {
	const char *device;
	const uint8_t *spki;   /* SHA-256 of it */
};
struct mm_waits {
	size_t n;
	struct mm_waiting {
		uint64_t who;  /* of its hash */
		int64_t until;
	} *of;                 /* NULL: nobody ever waited */
};
void mm_waits_done(struct mm_waits *w);
/* 0: it does not wait. */
int64_t mm_waits_until(const struct mm_waits *w, const struct mm_wait_of *d);
/* false: another one has lost its place. */
bool mm_waits_put(struct mm_waits *w, const struct mm_wait_of *d, int64_t until,
    int64_t now);
void mm_waits_end(struct mm_waits *w, const struct mm_wait_of *d);

#endif
