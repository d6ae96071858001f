#ifndef MM_CORE_UPSTREAM_AT_H
#define MM_CORE_UPSTREAM_AT_H

#include "core/upstream.h"
#include "core/upstream_rest.h"
#include "core/upstream_wait.h"

/*
 * How an existing CA does, and who may ask it now: what it is spared where it
 * does not answer, answers wrongly, or says no.  A no, or a wrong answer, may
 * be of one profile (a ceiling that is used up, a template), so that its
 * devices alone wait for it.  The caller has the lock.
 */
enum { MM_AGAIN_BUSY_S = 3, MM_AGAIN_NO_S = 60 };

struct mm_at_issuer {
	struct mm_upstream_stats stats;
	struct mm_rests rests;       /* of no answer */
	struct mm_waits waits;       /* for its decision */
	int64_t full_at;             /* monotonic: so many wait, it was said */
	struct mm_at_profile {
		struct mm_rests wrongs; /* of wrong ones: certificates */
		struct mm_rests noes;   /* refused, not asked */
	} *of;                       /* each profile */
	unsigned under_way;
	unsigned silent;             /* questions without answer, since ... */
	int64_t silent_at;           /* ... then; ms */
};
struct mm_at_who {
	const char *device;          /* NULL: nobody was asked */
	const uint8_t *spki;         /* SHA-256 of its key */
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
 * known what became of it.  false: so many wait for its decision that not all
 * of them can be kept; not oftener than each minute. */
bool mm_at_tell(struct mm_at_issuer *at, const struct mm_forward_rep *rep,
    const struct mm_at_who *who, int64_t asked_at);
void mm_at_tally(struct mm_at_issuer *at, enum mm_forwarded how,
    const char *why);
/* Before that (monotonic ms) nobody is asked; 0.  And nobody of that
 * profile, on account of its own answers. */
int64_t mm_at_next(const struct mm_at_issuer *at);
int64_t mm_at_next_of(const struct mm_at_issuer *at, size_t profile);
/* A wait that the CA said, within reason: 0 is that it said none. */
unsigned mm_at_pending_s(uint64_t said);
unsigned mm_at_away_s(uint64_t said);

#endif
