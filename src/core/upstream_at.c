#include "core/upstream_at.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"

#define NO_FIRST_MS 60000
#define MOST_MS 3600000
#define PENDING_MOST_S 86400
#define AWAY_MOST_S 3600
#define FULL_EVERY_MS 60000

/* What an end says of each of the three brakes. */
enum says { NOTHING, WELL, ILL };
static const struct {
	enum says rests, wrongs, noes;
} says[MM_FORWARDS] = {
	[MM_FORWARD_MADE] = { WELL, WELL, WELL },
	[MM_FORWARD_REFUSED] = { WELL, NOTHING, ILL },
	[MM_FORWARD_WRONG] = { WELL, ILL, WELL },
	[MM_FORWARD_AWAY] = { ILL, NOTHING, NOTHING },
	[MM_FORWARD_LOST] = { ILL, NOTHING, NOTHING },
	[MM_FORWARD_PENDING] = { WELL, NOTHING, WELL },
	[MM_FORWARD_OURS] = { NOTHING, NOTHING, ILL },
};

/* see upstream_at.h */
bool
mm_at_init(struct mm_at_issuer *at, size_t profiles)
{
	at->of = calloc(profiles + 1, sizeof(*at->of));
	for (size_t i = 0; at->of != NULL && i < profiles; i++) {
		at->of[i].wrongs.most_ms = MOST_MS;
		at->of[i].noes.first_ms = NO_FIRST_MS;
		at->of[i].noes.most_ms = MOST_MS;
	}
	return at->of != NULL;
}

/* see upstream_at.h */
void
mm_at_done(struct mm_at_issuer *at)
{
	mm_waits_done(&at->waits);
	free(at->of);
	at->of = NULL;
}

/* see upstream_at.h */
bool
mm_at_may(const struct mm_at_issuer *at, const struct mm_at_who *who,
    int64_t most, unsigned *again_s)
{
	const struct mm_rests *brakes[] = { &at->rests,
		&at->of[who->profile].wrongs, &at->of[who->profile].noes };
	const struct mm_wait_of wait = { who->device, who->spki };
	int64_t now = mm_mono_ms(), when = now, until;

	until = mm_waits_until(&at->waits, &wait);
	if (until > when)
		when = until;
	for (size_t i = 0; i < sizeof(brakes) / sizeof(brakes[0]); i++)
		if (!mm_rests_may(brakes[i], who->device, now, &until) &&
		    until > when)
			when = until;
	*again_s = MM_AGAIN_BUSY_S;
	if (when == now)
		return at->under_way < most;
	*again_s = (unsigned)((when - now + 999) / 1000);
	return false;
}

/* see upstream_at.h */
void
mm_at_ask(struct mm_at_issuer *at, const struct mm_at_who *who,
    int64_t now_ms)
{
	mm_rests_ask(&at->rests, now_ms);
	mm_rests_ask(&at->of[who->profile].wrongs, now_ms);
	mm_rests_ask(&at->of[who->profile].noes, now_ms);
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

/* see upstream_at.h; RFC 9110 10.2.3: of the service, and so of all; one that
 * says a year by mistake is asked again in an hour */
unsigned
mm_at_away_s(uint64_t said)
{
	return said == 0 ? MM_AGAIN_BUSY_S : said > AWAY_MOST_S ?
	    AWAY_MOST_S : (unsigned)said;
}

/* see upstream_at.h */
void
mm_at_tally(struct mm_at_issuer *at, enum mm_forwarded how, const char *why)
{
	at->stats.n[how]++;
	snprintf(at->stats.why, sizeof(at->stats.why), "%s", why);
}

/* A trial that proved nothing holds up nobody: else they would wait another
 * hour for it. */
static void
brake(struct mm_rests *r, enum says what, const char *device,
    int64_t asked_at, int64_t now)
{
	if (what == ILL)
		mm_rests_silent(r, device, asked_at, now);
	else if (what == WELL && device != NULL)
		mm_rests_answered(r, device, asked_at);
	else
		mm_rests_unproved(r, asked_at);
}

/* What the registrar had no time for, none of its rules is against. */
static enum says
noes_say(const struct mm_forward_rep *rep)
{
	return rep->how == MM_FORWARD_OURS && rep->retry_after_s > 0 ?
	    NOTHING : says[rep->how].noes;
}

/* One odd end is no CA that does not answer: some in a row are. */
static void
is_there(struct mm_at_issuer *at, enum says what, const char *device)
{
	if (what == WELL) {
		at->silent = 0;
		at->stats.failed_at = 0;
	}
	if (what != ILL)
		return;
	if (at->silent++ == 0)
		at->silent_at = mm_now_ms();
	if (device == NULL || at->silent >= MM_REST_ALL)
		at->stats.failed_at = at->silent_at;
}

static bool
keep_waiting(struct mm_at_issuer *at, const struct mm_wait_of *d,
    uint64_t said, int64_t now)
{
	const int64_t until = now + 1000LL * mm_at_pending_s(said);

	if (mm_waits_put(&at->waits, d, until, now) ||
	    (at->full_at != 0 && now - at->full_at < FULL_EVERY_MS))
		return true;
	at->full_at = now;
	return false;
}

/* see upstream_at.h */
bool
mm_at_tell(struct mm_at_issuer *at, const struct mm_forward_rep *rep,
    const struct mm_at_who *who, int64_t asked_at)
{
	const struct mm_wait_of wait = { who->device, who->spki };
	struct mm_at_profile *of = &at->of[who->profile];
	const int64_t now = mm_mono_ms();

	if (rep->how != MM_FORWARD_MADE)
		mm_at_tally(at, (enum mm_forwarded)rep->how, rep->why);
	brake(&at->rests, says[rep->how].rests, who->device, asked_at, now);
	brake(&of->wrongs, says[rep->how].wrongs, who->device, asked_at, now);
	brake(&of->noes, noes_say(rep), who->device, asked_at, now);
	is_there(at, says[rep->how].rests, who->device);
	if (rep->how == MM_FORWARD_AWAY && rep->retry_after_s > 0)
		mm_rests_pause(&at->rests, now, now +
		    1000LL * mm_at_away_s(rep->retry_after_s));
	if (who->device == NULL)
		return true;
	if (rep->how == MM_FORWARD_PENDING)
		return keep_waiting(at, &wait, rep->retry_after_s, now);
	mm_waits_end(&at->waits, &wait);
	return true;
}

/* see upstream_at.h */
int64_t
mm_at_next(const struct mm_at_issuer *at)
{
	return at->rests.all.until;
}

/* see upstream_at.h */
int64_t
mm_at_next_of(const struct mm_at_issuer *at, size_t profile)
{
	const struct mm_at_profile *of = &at->of[profile];

	return of->wrongs.all.until > of->noes.all.until ?
	    of->wrongs.all.until : of->noes.all.until;
}
