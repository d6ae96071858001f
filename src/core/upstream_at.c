#include "core/upstream_at.h"

#include <stdio.h>

#include "base/time.h"

#define WRONG_MOST_MS 3600000
#define PENDING_MOST_S 86400

/* see upstream_at.h */
void
mm_at_init(struct mm_at_issuer *at)
{
	at->wrongs.most_ms = WRONG_MOST_MS;
}

/* see upstream_at.h */
bool
mm_at_may(const struct mm_at_issuer *at, const char *device, int64_t most,
    unsigned *again_s)
{
	int64_t now = mm_mono_ms(), when, also;
	bool answers = mm_rests_may(&at->rests, device, now, &when);
	bool right = mm_rests_may(&at->wrongs, device, now, &also);

	*again_s = MM_AGAIN_BUSY_S;
	if (answers && right)
		return at->under_way < most;
	if (also > when)
		when = also;
	*again_s = (unsigned)((when - now) / 1000 + 1);
	return false;
}

/* see upstream_at.h */
void
mm_at_ask(struct mm_at_issuer *at, int64_t now_ms)
{
	mm_rests_ask(&at->rests, now_ms);
	mm_rests_ask(&at->wrongs, now_ms);
	at->under_way++;
}

/* see upstream_at.h; a person may take an hour, and one that is gone is not to
 * wait for ever */
unsigned
mm_at_pending_s(uint64_t said)
{
	return said == 0 ? MM_AGAIN_NO_S : said > PENDING_MOST_S ?
	    PENDING_MOST_S : (unsigned)said;
}

/* see upstream_at.h */
void
mm_at_tally(struct mm_at_issuer *at, enum mm_forwarded how, const char *why)
{
	at->stats.n[how]++;
	snprintf(at->stats.why, sizeof(at->stats.why), "%s", why);
}

/* One odd end is no CA that does not answer: some in a row are. */
static void
silent(struct mm_at_issuer *at, const char *device, int64_t asked_at,
    int64_t now)
{
	mm_rests_silent(&at->rests, device, asked_at, now);
	if (at->silent++ == 0)
		at->silent_at = mm_now_ms();
	if (device == NULL || at->silent >= MM_REST_ALL)
		at->stats.failed_at = at->silent_at;
}

/* A template that is one purpose off makes a certificate each time. */
static void
answered(struct mm_at_issuer *at, const struct mm_forward_rep *rep,
    const char *device, int64_t asked_at, int64_t now)
{
	mm_rests_answered(&at->rests, device);
	at->silent = 0;
	at->stats.failed_at = 0;
	if (rep->how == MM_FORWARD_PENDING)
		mm_rests_wait(&at->rests, device, now +
		    1000LL * mm_at_pending_s(rep->retry_after_s));
	if (rep->how == MM_FORWARD_MADE)
		mm_rests_answered(&at->wrongs, device);
	if (rep->how == MM_FORWARD_WRONG)
		mm_rests_silent(&at->wrongs, device, asked_at, now);
}

/* see upstream_at.h */
void
mm_at_tell(struct mm_at_issuer *at, const struct mm_forward_rep *rep,
    const char *device, int64_t asked_at)
{
	if (rep->how != MM_FORWARD_MADE)
		mm_at_tally(at, (enum mm_forwarded)rep->how, rep->why);
	if (rep->how == MM_FORWARD_AWAY || rep->how == MM_FORWARD_LOST)
		silent(at, device, asked_at, mm_mono_ms());
	else if (rep->how != MM_FORWARD_OURS && device != NULL)
		answered(at, rep, device, asked_at, mm_mono_ms());
}

/* see upstream_at.h */
int64_t
mm_at_next(const struct mm_at_issuer *at)
{
	return at->rests.all.until > at->wrongs.all.until ?
	    at->rests.all.until : at->wrongs.all.until;
}
