#ifndef MM_SERVER_ENDS_H
#define MM_SERVER_ENDS_H

#include "core/ends.h"
#include "server/priv.h"

/*
 * All that ends and is not a device's certificate, in one list: what the core
 * knows (core/ends.h), the TLS certificate and the published lists.  Made anew
 * by housekeeping, a small one every second or so and a large one so that it
 * takes a hundredth of a processor; what is asked is answered from the last.
 */
struct mm_endlist;
struct mm_ends_seen {
	int64_t as_of; /* ms; 0: none was made yet */
	int64_t age_ms;
	const struct mm_end *end; /* the nearest first */
	size_t n;
};
MM_MUST enum mm_err mm_ends_new(const struct mm_config *c,
    struct mm_endlist **out, struct mm_why *why);
void mm_ends_free(struct mm_endlist **owner);
/* Housekeeping: makes the list if that is due, and has the ledger told of what
 * is near, at most once a minute. */
void mm_ends_keep(struct mm_server *s, struct mm_desk *d);
/* The last list, until it is given back: meanwhile nobody makes one. */
struct mm_ends_seen mm_ends_take(struct mm_endlist *e);
void mm_ends_give(struct mm_endlist *e);

#endif
