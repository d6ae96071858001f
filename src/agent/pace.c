#include "agent/pace.h"

#define ASK_LEAST_S 60
#define ASK_MOST_S  (7 * 86400)
#define SKEW_MAX_S  300
#define JUMP_MS     (5 * 60 * 1000)
#define ENDS_SHARE  8 /* of what is left of a certificate, at most a wait */

/* So much of n, by dice. */
static int64_t
share(int64_t n, uint16_t dice)
{
	return n * dice / 65536;
}

static int64_t
clamp(int64_t v, int64_t least, int64_t most)
{
	return v < least ? least : v > most ? most : v;
}

static int64_t
failed_ms(const struct mm_pace *p, const struct mm_pace_of *of, uint16_t dice)
{
	int64_t s = p->least_s, ms, most_s = p->most_s;

	if (of->end_s > of->now_s)
		most_s = clamp((of->end_s - of->now_s) / ENDS_SHARE,
		    p->least_s, most_s);
	if (of->retry_s >= 0) {
		ms = clamp(of->retry_s * INT64_C(1000), 1000,
		    most_s * 1000 / 3 * 2);
		return ms + share(ms / 2, dice);
	}
	for (unsigned i = 1; i < of->failures && s < most_s; i++)
		s *= 2;
	s = clamp(s, 1, most_s);
	return s * 1000 - share(s * 500, dice);
}

/* see pace.h */
int64_t
mm_pace_next_ms(const struct mm_pace *p, const struct mm_pace_of *of,
    uint16_t dice)
{
	int64_t ms, left_s;

	if (of->err != MM_OK)
		return failed_ms(p, of, dice);
	ms = of->retry_s >= 0
	    ? clamp(of->retry_s, ASK_LEAST_S, ASK_MOST_S) * 1000
	    : p->every_s * 1000;
	ms -= share(ms / 8, dice);
	left_s = of->renew_at_s - of->now_s;
	if (of->renew_at_s == 0 || left_s >= ms / 1000)
		return ms;
	return clamp(left_s, 1, ASK_MOST_S) * 1000;
}

/* see pace.h */
int64_t
mm_pace_skew_s(const struct mm_pace_clock *c, int64_t boot_ms,
    int64_t system_s)
{
	int64_t skew = c->told_s + (boot_ms - c->told_ms) / 1000 - system_s;

	if (c->told_s == 0 || (skew > -SKEW_MAX_S && skew < SKEW_MAX_S))
		return 0;
	return skew;
}

/* see pace.h */
int64_t
mm_pace_jump_ms(const struct mm_pace_clock *c, int64_t left_ms, uint16_t dice)
{
	int64_t soon = share(JUMP_MS, dice);

	return c->told_s == 0 && soon < left_ms ? soon : left_ms;
}
