#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "station/shift.h"

/* What stands beside the fixtures: how many, how fast, how many are left. */
enum {
	MINUTES = 60,
	MINUTE_MS = 60000,
	ASK_MS = 10000,
	ASK_AWAY_MS = 2000,
	ASK_BUSY_MS = 60000,
	ASK_OWN_MS = 300,
	ASK_SYNC_MS = 1000,
	LATE_MS = 1000
};

/* ---- how fast ---- */

/* A machine that has just started has had no sixty minutes: what was before
 * it is below 0. */
static size_t
slot(int64_t minute)
{
	return (size_t)((minute % MINUTES + MINUTES) % MINUTES);
}

/* Minutes that nobody counted in are empty. */
static void
turn(struct mm_shift *s, int64_t now)
{
	int64_t at = now / MINUTE_MS, from = s->minute_at;

	if (at - from > MINUTES)
		from = at - MINUTES;
	while (from < at)
		s->minute[slot(++from)] = 0;
	s->minute_at = at;
}

static void
ask_signer(struct mm_shift *s)
{
	struct mm_duty_status_rep r;

	if (s->line.own == NULL ||
	    mm_own_status(s->line.own, &r, NULL) != MM_OK)
		return;
	s->of = (int64_t)r.share;
	s->left = (int64_t)(r.share - r.lost);
	s->left = (int64_t)r.counted < s->left ? s->left - (int64_t)r.counted
					       : 0;
	snprintf(s->level, sizeof(s->level), "%s", r.level);
	snprintf(s->stopped, sizeof(s->stopped), "%s", r.why);
	s->stopped_for = r.may != 0 ? MM_UR_NONE : mm_own_why_not(&r);
}

/* see shift.h */
void
mm_sums_take(struct mm_shift *s, const struct mm_place *p)
{
	s->own_stale |= p->offline;
	if (p->ended != MM_UNIT_PASSED)
		return;
	turn(s, mm_mono_ms());
	s->minute[slot(s->minute_at)]++;
	s->took_ms[s->ntook++ % MM_SHIFT_TOOK] =
	    p->took_ms < INT32_MAX ? (int32_t)p->took_ms : INT32_MAX;
	/* until the centre says it */
	if (!p->offline && !p->known && s->left > 0)
		s->left--;
}

/* see shift.h */
int64_t
mm_sums_per_hour(const struct mm_shift *s)
{
	int64_t now = mm_mono_ms(), span = now - s->first_ms, n = 0;

	if (s->ntook == 0)
		return -1;
	for (int64_t i = 0; i < MINUTES; i++)
		if (s->minute_at - i > now / MINUTE_MS - MINUTES)
			n += s->minute[slot(s->minute_at - i)];
	if (span > MINUTES * MINUTE_MS)
		span = MINUTES * MINUTE_MS;
	/* the first minute says little: it counts as a whole one */
	return n * 3600000 / (span > MINUTE_MS ? span : MINUTE_MS);
}

static int
by_ms(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

/* see shift.h */
int64_t
mm_sums_p99_ms(const struct mm_shift *s)
{
	unsigned n = s->ntook < MM_SHIFT_TOOK ? s->ntook : MM_SHIFT_TOOK;
	int32_t sorted[MM_SHIFT_TOOK];

	if (n == 0)
		return -1;
	memcpy(sorted, s->took_ms, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), by_ms);
	return sorted[(n * 99 + 99) / 100 - 1];
}

/* ---- how many are left ---- */

static const json_t *
our_share(const json_t *report, const char *station)
{
	const json_t *all = json_object_get(report, "stations"), *one;
	size_t i;

	json_array_foreach(all, i, one)
	{
		const char *name =
		    json_string_value(json_object_get(one, "station"));

		if (name != NULL && strcmp(name, station) == 0)
			return one;
	}
	return report;
}

/* A station without a share of its own takes from what all have. */
static void
take_report(struct mm_shift *s, const json_t *report)
{
	const json_t *mine = our_share(report, s->line.conf->name);
	const json_t *left = json_object_get(mine, "left");
	const json_t *made = json_object_get(mine, "issued");

	if (!json_is_integer(left) || !json_is_integer(made))
		return;
	s->left = json_integer_value(left);
	/* "authorised" has the scrap that is allowed in it: nothing to make */
	s->of = s->left + json_integer_value(made);
	s->level[0] = '\0';
}

static void
take_answer(struct mm_shift *s)
{
	enum mm_centre_is was = s->centre_was;
	struct mm_centre_answer a;
	int64_t left = s->left;

	if (!mm_centre_take(s->line.centre, MM_CENTRE_ASIDE, &a))
		return;
	s->asking = false;
	if (a.rc == MM_OK && s->line.conf->batch[0] != '\0')
		take_report(s, a.body);
	mm_centre_answer_done(&a);
	s->centre_was = mm_centre_is(s->line.centre, NULL);
	if (s->centre_was != was || s->left != left)
		mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_SUMS });
}

static void
ask_centre(struct mm_shift *s)
{
	const char *batch = s->line.conf->batch;
	char path[MM_NAME_MAX + 32] = "/whoami";

	if (batch[0] != '\0')
		snprintf(path, sizeof(path), "/batches/%s/report", batch);
	s->asked_ms = mm_mono_ms();
	s->asking = mm_centre_ask(s->line.centre, MM_CENTRE_ASIDE, path, NULL,
			NULL) == MM_OK;
}

/* A station that never asks a centre has its signer's word from the start;
 * one that has no order yet is told so by its first unit. */
static void
open_own(struct mm_shift *s)
{
	struct mm_why why = { 0 };
	enum mm_err rc;

	s->asked_ms = mm_mono_ms();
	s->own_stale = true;
	if (s->line.own != NULL)
		return;
	rc = mm_own_open(s->line.conf, 0, &s->line.own, &why);
	if (rc == MM_OK)
		return;
	s->stopped_for = rc == MM_ENOTFOUND ? MM_UR_NO_ORDER : MM_UR_SIGNER;
	snprintf(s->stopped, sizeof(s->stopped), "%s", why.text);
}

/* Its units change what the signer says; it is asked for those who look, and
 * not more often than they can. */
static void
ask_own(struct mm_shift *s)
{
	int64_t now = mm_mono_ms();

	if (!s->own_stale || now - s->own_asked_ms < ASK_OWN_MS)
		return;
	s->own_stale = false;
	s->own_asked_ms = now;
	ask_signer(s);
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_SUMS });
}

/* What time alone changes: what is late, the second disk. */
static void
look_at_lateness(struct mm_shift *s)
{
	enum mm_unit_reason stopped = mm_shift_stopped(s);
	bool late = mm_shift_sync_late(s);
	int64_t now = mm_mono_ms();
	enum mm_mirror_is mirror = s->line.mirror == NULL ? MM_MIRROR_UNKNOWN
	    : mm_mirror_is(s->line.mirror, NULL, NULL);

	if (s->late_ms != 0 && now - s->late_ms < LATE_MS)
		return;
	s->late_ms = now;
	if (late == s->sync_late && stopped == s->stopped_was &&
	    mirror == s->mirror_was && mirror != MM_MIRROR_COPIES)
		return;
	s->mirror_was = mirror;
	s->sync_late = late;
	s->stopped_was = stopped;
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_SUMS });
}

/* What the centre does not have yet; counted anew only when it is another
 * number, for each of them is read. */
static void
ask_synced(struct mm_shift *s)
{
	int64_t now = mm_mono_ms();
	struct mm_synced have;
	uint64_t n;

	if (s->line.own == NULL ||
	    (s->syncs && now - s->sync_ms < ASK_SYNC_MS) ||
	    mm_synced_read(s->line.conf, &have, NULL) != MM_OK)
		return;
	s->sync_ms = now;
	n = mm_entries_n(s->line.own->entries);
	if ((s->syncs && n == s->sync_of && have.size == s->sync_have) ||
	    mm_unsynced_get(s->line.own, true, &s->unsynced, NULL) != MM_OK)
		return;
	s->syncs = true;
	s->sync_of = n;
	s->sync_have = have.size;
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_SUMS });
}

/* Units that are made ask it themselves, and have the one connection. */
static int64_t
span_ms(const struct mm_shift *s)
{
	if (mm_centre_is(s->line.centre, NULL) != MM_CENTRE_THERE)
		return ASK_AWAY_MS;
	return mm_shift_busy(s) ? ASK_BUSY_MS : ASK_MS;
}

/* see shift.h */
void
mm_sums_ask(struct mm_shift *s)
{
	if (s->line.conf->offline == MM_OFFLINE_ALWAYS && s->asked_ms == 0)
		open_own(s);
	look_at_lateness(s);
	ask_own(s);
	ask_synced(s);
	if (s->line.conf->offline == MM_OFFLINE_ALWAYS)
		return;
	if (s->asking)
		take_answer(s);
	else if (s->asked_ms == 0 || mm_mono_ms() - s->asked_ms >= span_ms(s))
		ask_centre(s);
}
