#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "station/steps.h"

/*
 * The last step: what is known of the unit is on the mirror, then its label
 * comes out.
 */
enum {
	LINES_MAX = 4 << 20,
	ENDS_MAX = 1 << 16,
	STUCK_MS = 10000,
	FEW = 4,       /* entries that a unit brings with it; else it waits */
	STEP = 128,    /* and of one turn, */
	STEP_MS = 5,   /* which takes no longer */
	AGAIN_MS = 1000 /* after it could not */
};

/* What the disk lacks could not be brought for so long that nobody waits. */
static bool
is_stuck(const struct mm_line *l)
{
	return l->stuck_ms != 0 && mm_mono_ms() - l->stuck_ms > STUCK_MS;
}

/* see line.h */
enum mm_unit_reason
mm_line_mirror(const struct mm_line *l)
{
	enum mm_mirror_is is;

	if (l->mirror == NULL || l->conf->mirror_gone != MM_MIRROR_STOP)
		return MM_UR_NONE;
	is = mm_mirror_is(l->mirror, NULL, NULL);
	return is == MM_MIRROR_AWAY || (is == MM_MIRROR_COPIES && is_stuck(l))
		   ? MM_UR_MIRROR
		   : MM_UR_NONE;
}

/* What a mirror is behind goes there a few at a time, beside the units. */
static enum mm_err
copy_some(struct mm_line *l, uint64_t n, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf lines = MM_BUF_INIT(LINES_MAX);
	int64_t until = mm_mono_ms() + STEP_MS;
	struct mm_mirror_job job = { .first = mm_mirror_entries(l->mirror) };
	uint64_t most = job.first + STEP < n ? job.first + STEP : n;

	for (uint64_t i = job.first; i < most && mm_mono_ms() < until; i++)
		MM_TRY(mm_own_put_entry(l->own, i, &lines, why));
	job.lines = mm_buf_view(&lines);
	return mm_mirror_ask(l->mirror, &job) != 0
		   ? MM_OK
		   : MM_FAIL(why, MM_ENOMEM, "mirror: out of memory");
}

static void
copy_failed(struct mm_line *l, const struct mm_why *why)
{
	int64_t now = mm_mono_ms();

	l->copy_due_ms = now + AGAIN_MS;
	if (l->stuck_ms == 0)
		l->stuck_ms = now;
	snprintf(l->stuck_why, sizeof(l->stuck_why), "%s", why->text);
	MM_LOG(MM_LOG_WARN, "mirror.copy", MM_S("why", why->text));
}

/* see line.h */
void
mm_line_copy(struct mm_line *l)
{
	uint64_t n = l->own != NULL ? mm_entries_n(l->own->entries) : 0;
	struct mm_why why = { 0 };

	if (l->mirror == NULL)
		return;
	/* the last few come with the unit that made them; where nothing is
	 * made offline any more, there is nothing to wait for */
	mm_mirror_want(l->mirror, n > FEW ? n - FEW : 0);
	if (mm_mirror_entries(l->mirror) + FEW >= n) {
		l->stuck_ms = 0;
		return;
	}
	if (mm_mono_ms() < l->copy_due_ms || !mm_mirror_takes(l->mirror))
		return;
	if (copy_some(l, n, &why) == MM_OK)
		l->stuck_ms = 0;
	else
		copy_failed(l, &why);
}

/* What was made offline, from what the mirror has on. */
static enum mm_err
put_entries(struct mm_line *l, struct mm_mirror_job *job, struct mm_buf *lines,
    struct mm_buf *ends, struct mm_why *why)
{
	uint64_t n = l->own != NULL ? mm_entries_n(l->own->entries) : 0;

	job->first = mm_mirror_entries(l->mirror);
	if (n == 0)
		return MM_OK;
	MM_TRY(mm_own_checkpoint(l->own, why));
	for (uint64_t i = job->first; i < n; i++)
		MM_TRY(mm_own_put_entry(l->own, i, lines, why));
	mm_own_put_head(l->own, ends);
	mm_own_put_end(l->own, ends);
	job->lines = mm_buf_view(lines);
	job->checkpoint = mm_buf_view(ends);
	return mm_buf_ok(ends, why);
}

static enum mm_err
ask(struct mm_line *l, struct mm_place *p, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf lines = MM_BUF_INIT(LINES_MAX);
	MM_OWN(mm_buf_done) struct mm_buf ends = MM_BUF_INIT(ENDS_MAX);
	struct mm_mirror_job job = { .serial = p->unit->serial };

	MM_TRY(put_entries(l, &job, &lines, &ends, why));
	p->ticket = mm_mirror_ask(l->mirror, &job);
	return p->ticket != 0
		   ? MM_OK
		   : MM_FAIL(why, MM_ENOMEM, "mirror: out of memory");
}

/* It gets its turn, unless nobody is to wait for the disk: then its record
 * goes there when the disk has come so far. */
static enum mm_mirror_got
look_at_copying(struct mm_line *l, struct mm_place *p)
{
	const struct mm_mirror_job job = { .serial = p->unit->serial };

	if (l->conf->mirror_gone == MM_MIRROR_WARN) {
		(void)mm_mirror_ask(l->mirror, &job);
		return MM_MIRROR_GONE;
	}
	if (!is_stuck(l))
		return MM_MIRROR_WAIT;
	strcpy(p->mirror_why, l->stuck_why);
	return MM_MIRROR_GONE;
}

static enum mm_mirror_got
look(struct mm_line *l, struct mm_place *p)
{
	enum mm_mirror_is is = mm_mirror_is(l->mirror, NULL, p->mirror_why);
	struct mm_why why = { 0 };
	enum mm_mirror_got got = MM_MIRROR_AGAIN;

	if (is == MM_MIRROR_UNKNOWN)
		return MM_MIRROR_WAIT;
	if (is == MM_MIRROR_AWAY)
		return MM_MIRROR_GONE;
	if (is == MM_MIRROR_COPIES)
		return look_at_copying(l, p);
	if (p->ticket != 0)
		got = mm_mirror_look(l->mirror, p->ticket);
	if (got != MM_MIRROR_AGAIN)
		return got;
	if (ask(l, p, &why) == MM_OK)
		return MM_MIRROR_WAIT;
	snprintf(p->mirror_why, sizeof(p->mirror_why), "%s", why.text);
	return MM_MIRROR_GONE;
}

/* see steps.h */
enum mm_unit_event
mm_step_last(struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	p->ticket = 0;
	p->mirrored = l->mirror == NULL;
	if (p->mirrored)
		return mm_step_label(l, p, reason);
	return MM_EV_DONE;
}

/* see steps.h */
enum mm_unit_event
mm_step_last_end(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason)
{
	enum mm_unit_event e;
	enum mm_mirror_got got;

	if (p->mirrored)
		return mm_step_labelled(l, p, a, reason);
	got = look(l, p);
	if (got == MM_MIRROR_WAIT)
		return MM_EVENTS;
	if (got == MM_MIRROR_GONE && l->conf->mirror_gone == MM_MIRROR_STOP) {
		mm_step_note(p, p->mirror_why);
		return mm_step_fail(MM_UR_MIRROR, reason);
	}
	p->mirrored = true;
	e = mm_step_label(l, p, reason);
	return e == MM_EV_DONE ? MM_EVENTS : e;
}
