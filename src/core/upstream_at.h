#ifndef MM_CORE_UPSTREAM_AT_H
#define MM_CORE_UPSTREAM_AT_H

#include "core/upstream.h"
#include "core/upstream_rest.h"

/*
 * How an existing CA does, and who may ask it now: what it is spared where it
 * does not answer, answers wrongly, or says no.  A no may be of one profile (a
 * ceiling that is used up), so that its devices alone wait for it.  The caller
 * has the lock.
 */
enum { MM_AGAIN_BUSY_S = 3, MM_AGAIN_NO_S = 60 };

struct mm_at_issuer {
	struct mm_upstream_stats stats;
	struct mm_rests rests;       /* of no answer */
	struct mm_rests wrongs;      /* of wrong ones, which are certificates */
	struct mm_rests *noes;       /* of each profile: refused, not asked */
	unsigned under_way;
	unsigned silent;             /* questions without answer, since ... */
	int64_t silent_at;           /* ... then; ms */
};
struct mm_at_who {
	const char *device;          /* NULL: nobody was asked */
	size_t profile;
};
bool mm_at_init(struct mm_at_issuer *at, size_t profiles);
void mm_at_done(struct mm_at_issuer *at);
/* most: so many at a time; *again_s: if not, when to come again. */
bool mm_at_may(const struct mm_at_issuer *at, const struct mm_at_who *who,
    int64_t most, unsigned *again_s);
/* It may, and is. */
void mm_at_ask(struct mm_at_issuer *at, const struct mm_at_who *who,
    int64_t now_ms);
/* How it ended.  One that is made is not counted yet: that is when it is
 * known what became of it. */
void mm_at_tell(struct mm_at_issuer *at, const struct mm_forward_rep *rep,
    const struct mm_at_who *who, int64_t asked_at);
void mm_at_tally(struct mm_at_issuer *at, enum mm_forwarded how,
    const char *why);
/* Before that (monotonic ms) nobody is asked; 0. */
int64_t mm_at_next(const struct mm_at_issuer *at);
/* A wait that the CA said, within reason: 0 is that it said none. */
unsigned mm_at_pending_s(uint64_t said);

#endif
