#ifndef MM_AGENT_PACE_H
#define MM_AGENT_PACE_H

#include "agent/agent.h"

/*
 * When the service goes to its server next.  Pure: the caller has the clocks
 * and the dice, so that a table tests all of it.
 */
struct mm_pace {
	int64_t every_s; /* if the server does not say when to ask again */
	int64_t least_s, most_s; /* after the first failure; ever */
};

/* What is known once a visit is over. */
struct mm_pace_of {
	enum mm_err err;
	unsigned failures;   /* in a row, this one too */
	int32_t retry_s;     /* said by the server: to ask again in; -1 */
	int64_t now_s;       /* the time as best known */
	int64_t renew_at_s;  /* 0: never */
	int64_t end_s;       /* of the certificate; 0: none, or it has none */
};

/*
 * Milliseconds until the next visit, dice being uniform.
 *
 * After a visit that went well: when the server said to ask again, or every_s,
 * by up to an eighth earlier; but at renew_at_s, if that is before it.  After
 * one that failed: what the server said, by up to half longer; else least_s,
 * doubled for each failure, by up to half shorter.  Both are never more than
 * most_s, nor than an eighth of what is left of the certificate (but least_s
 * may be): who says "later" does not have the device lose it.
 */
int64_t mm_pace_next_ms(const struct mm_pace *p, const struct mm_pace_of *of,
    uint16_t dice);

/*
 * The time as best known: what the server told last and what has passed since
 * by a clock that nobody sets, unless the system's agrees with it.
 */
struct mm_pace_clock {
	int64_t told_s;    /* 0: never */
	int64_t told_ms;   /* when, by the clock since boot */
};
/* What to add to the system's clock; 0: it may be believed. */
int64_t mm_pace_skew_s(const struct mm_pace_clock *c, int64_t boot_ms,
    int64_t system_s);

/*
 * The system's clock was set while the next visit was due in left_ms: when it
 * is due now.  Only who never heard the server's time need go earlier, and
 * not all of a fleet at once.
 */
int64_t mm_pace_jump_ms(const struct mm_pace_clock *c, int64_t left_ms,
    uint16_t dice);

#endif
