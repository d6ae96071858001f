#include "core/upstream_rest.h"

#include <stdio.h>
#include <string.h>

#define FIRST_MS 1000
#define MOST_MS  60000

static struct mm_rested *
find(struct mm_rests *r, const char *device)
{
	for (size_t i = 0; i < MM_REST_DEVICES; i++)
		if (strcmp(r->of[i].device, device) == 0)
			return &r->of[i];
	return NULL;
}

/* Its own, or a free one, or that of who has waited longest. */
static struct mm_rested *
place(struct mm_rests *r, const char *device)
{
	struct mm_rested *at = find(r, device);

	for (size_t i = 0; at == NULL && i < MM_REST_DEVICES; i++)
		if (r->of[i].device[0] == '\0')
			at = &r->of[i];
	if (at == NULL)
		at = &r->of[0];
	for (size_t i = 0; at->device[0] != '\0' &&
	     strcmp(at->device, device) != 0 && i < MM_REST_DEVICES; i++)
		if (r->of[i].rest.until < at->rest.until)
			at = &r->of[i];
	if (strcmp(at->device, device) == 0)
		return at;
	*at = (struct mm_rested){ .round = r->round - 1 };
	snprintf(at->device, sizeof(at->device), "%s", device);
	return at;
}

static void
longer(const struct mm_rests *r, struct mm_rest *rest, int64_t asked_at,
    int64_t now)
{
	const int64_t first = r->first_ms != 0 ? r->first_ms : FIRST_MS;
	const int64_t most = r->most_ms != 0 ? r->most_ms : MOST_MS;

	if (rest->ms != 0 && asked_at <= rest->since)
		return;
	rest->since = now;
	rest->ms = rest->ms == 0 ? first : 2 * rest->ms;
	if (rest->ms > most)
		rest->ms = most;
	rest->until = now + rest->ms;
}

/* see upstream_rest.h */
bool
mm_rests_may(const struct mm_rests *r, const char *device, int64_t now,
    int64_t *at)
{
	*at = r->all.until;
	for (size_t i = 0; i < MM_REST_DEVICES; i++)
		if (strcmp(r->of[i].device, device) == 0 &&
		    r->of[i].rest.until > *at)
			*at = r->of[i].rest.until;
	return now >= *at;
}

/* see upstream_rest.h */
void
mm_rests_ask(struct mm_rests *r, int64_t now)
{
	if (r->all.ms > 0)
		r->all.until = now + r->all.ms;
}

/* see upstream_rest.h; only the one that has tried for all takes it back */
void
mm_rests_unproved(struct mm_rests *r, int64_t asked_at)
{
	if (r->all.ms > 0 && asked_at > r->all.since &&
	    r->all.until == asked_at + r->all.ms)
		r->all.until = asked_at;
}

/* see upstream_rest.h */
void
mm_rests_answered(struct mm_rests *r, const char *device, int64_t asked_at)
{
	struct mm_rested *own = find(r, device);

	if (own != NULL)
		memset(own, 0, sizeof(*own));
	if (r->paused_at != 0 && asked_at <= r->paused_at)
		return;
	r->paused_at = 0;
	r->all = (struct mm_rest){ 0, 0, 0 };
	r->silent = 0;
	r->round++;
}

/* see upstream_rest.h; how long they wait for one that tries after it is as
 * ever */
void
mm_rests_pause(struct mm_rests *r, int64_t now, int64_t until)
{
	if (r->all.ms == 0)
		r->all.ms = FIRST_MS;
	r->all.since = r->paused_at = now;
	if (r->silent < MM_REST_ALL) /* it has said so of all */
		r->silent = MM_REST_ALL;
	if (until > r->all.until)
		r->all.until = until;
}

/* see upstream_rest.h */
void
mm_rests_silent(struct mm_rests *r, const char *device, int64_t asked_at,
    int64_t now)
{
	struct mm_rested *own;

	if (device == NULL) {
		longer(r, &r->all, asked_at, now);
		return;
	}
	own = place(r, device);
	longer(r, &own->rest, asked_at, now);
	if (own->round != r->round)
		r->silent++;
	own->round = r->round;
	if (r->silent >= MM_REST_ALL)
		longer(r, &r->all, asked_at, now);
}
