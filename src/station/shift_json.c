#include <string.h>

#include "base/json.h"
#include "base/time.h"
#include "station/report.h"
#include "station/shift.h"

/* see shift.h */
const char *
mm_shift_tile(const struct mm_shift *s, unsigned place)
{
	const struct mm_place *p = &s->line.place[place];

	if (mm_place_busy(p))
		return "working";
	if (p->ended != MM_UNIT_IDLE && !s->gone[place])
		return p->ended == MM_UNIT_PASSED ? "passed" : "failed";
	return s->there[place] ? "ready" : "empty";
}

/* see shift.h */
bool
mm_shift_ill(const struct mm_place *p)
{
	return p->driver->test.is == MM_SELFTEST_FAILED;
}

/* How far a unit is: its effects stand in the order in which they are done. */
static const uint8_t step_of[MM_EFFECTS] = {
	/* a board is taken over: about as far as that */
	[MM_DO_GET] = MM_DO_KEY,
	[MM_DO_ADOPT] = MM_DO_ISSUE,
};

static void
put_step(struct mm_json *j, const struct mm_place *p)
{
	enum mm_unit_effect e = mm_unit_effect(p->unit->state);

	mm_json_str(j, "device", p->unit->serial);
	mm_json_str(j, "state", mm_unit_state_names[p->unit->state]);
	mm_json_str(j, "step", mm_unit_effect_names[e]);
	mm_json_int(j, "step_n", step_of[e] != 0 ? step_of[e] : e);
	mm_json_int(j, "attempt", (int64_t)p->unit->attempt);
	mm_json_bool(j, "waits_for_centre", p->away_ms != 0);
}

static void
put_fixture(struct mm_json *j, const struct mm_shift *s, unsigned i)
{
	const struct mm_place *p = &s->line.place[i];
	const char *tile = mm_shift_tile(s, i);

	mm_json_open(j, '{');
	mm_json_str(j, "name", p->conf->name);
	mm_json_str(j, "tile", tile);
	mm_json_bool(j, "board", s->there[i]);
	mm_selftest_json(j, &p->driver->test);
	if (strcmp(tile, "empty") == 0 && mm_shift_ill(p)) {
		mm_report_reason(j, p->driver->test.reason);
	} else if (mm_place_busy(p)) {
		put_step(j, p);
	} else if (strcmp(tile, "passed") == 0) {
		mm_json_str(j, "device", p->last);
		mm_json_bool(j, "again", p->known || p->replayed);
		if (p->labels > 0)
			mm_json_str(j, "label", mm_report_labelled(p));
		mm_json_int(j, "ms", p->took_ms);
	} else if (strcmp(tile, "failed") == 0) {
		mm_json_str(j, "device", p->last);
		mm_report_reason(j, p->reason);
		mm_json_int(j, "ms", p->took_ms);
	}
	mm_json_close(j, '}');
}

/* see shift.h */
void
mm_shift_put_fixtures(
    struct mm_json *j, const struct mm_shift *s, const char *key)
{
	mm_json_open_key(j, key, '[');
	for (unsigned i = 0; i < s->line.nplaces; i++)
		put_fixture(j, s, i);
	mm_json_close(j, ']');
}

static void
put_number(struct mm_json *j, const char *key, int64_t n)
{
	if (n < 0)
		mm_json_null(j, key);
	else
		mm_json_int(j, key, n);
}

static void
put_sums(struct mm_json *j, const struct mm_shift *s)
{
	mm_json_open_key(j, "counters", '{');
	mm_json_int(j, "passed", s->line.passed);
	mm_json_int(j, "failed", s->line.failed);
	put_number(j, "left", s->left);
	put_number(j, "of", s->of);
	mm_json_str(j, "level", s->level);
	put_number(j, "units_per_hour", mm_sums_per_hour(s));
	put_number(j, "p99_ms", mm_sums_p99_ms(s));
	mm_json_close(j, '}');
}

static void
put_failures(struct mm_json *j, const struct mm_shift *s)
{
	unsigned n =
	    s->nfailures < MM_SHIFT_FAILURES ? s->nfailures : MM_SHIFT_FAILURES;

	mm_json_open_key(j, "failures", '[');
	for (unsigned i = 1; i <= n; i++) {
		const struct mm_shift_failure *f =
		    &s->failure[(s->nfailures - i) % MM_SHIFT_FAILURES];

		mm_json_open(j, '{');
		mm_json_time(j, "at", f->at_ms);
		mm_json_str(j, "device", f->device);
		mm_json_str(j, "fixture", f->fixture);
		mm_report_reason(j, f->reason);
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
}

/* What stops every unit, before one is scanned to find out. */
static void
put_stopped(struct mm_json *j, const struct mm_shift *s)
{
	enum mm_unit_reason why = mm_shift_stopped(s);

	if (why == MM_UR_NONE) {
		mm_json_null(j, "stopped");
		return;
	}
	mm_json_open_key(j, "stopped", '{');
	mm_report_reason(j, why);
	if (why == s->stopped_for)
		mm_json_str(j, "note", s->stopped);
	mm_json_close(j, '}');
}

static void
put_next(struct mm_json *j, const struct mm_shift *s)
{
	const struct mm_place *p;
	enum mm_next next = mm_shift_next(s, &p);

	mm_json_open_key(j, "next", '{');
	mm_json_str(j, "do", mm_next_name(next));
	if (p != NULL)
		mm_json_str(j, "fixture", p->conf->name);
	mm_json_close(j, '}');
}

static void
put_centre(struct mm_json *j, const struct mm_shift *s)
{
	static const char *const is[] = { [MM_CENTRE_UNKNOWN] = "unknown",
		[MM_CENTRE_THERE] = "there",
		[MM_CENTRE_AWAY] = "away" };
	static const char *const modes[] = { [MM_OFFLINE_NEVER] = "online",
		[MM_OFFLINE_AWAY] = "when-away",
		[MM_OFFLINE_ALWAYS] = "offline" };
	int64_t since;
	enum mm_centre_is now = mm_centre_is(s->line.centre, &since);

	mm_json_open_key(j, "centre", '{');
	mm_json_str(j, "mode", modes[s->line.conf->offline]);
	mm_json_str(j, "is", is[now]);
	if (now != MM_CENTRE_UNKNOWN)
		mm_json_time(j, "since", since);
	mm_json_close(j, '}');
}

static void
put_sync(struct mm_json *j, const struct mm_shift *s)
{
	if (!s->syncs) {
		mm_json_null(j, "sync");
		return;
	}
	mm_json_open_key(j, "sync", '{');
	mm_json_int(j, "unsynced", (int64_t)s->unsynced.units);
	if (s->unsynced.units > 0)
		mm_json_time(j, "since", s->unsynced.since_ms);
	if (s->unsynced.limit_s > 0)
		mm_json_int(j, "limit_s", s->unsynced.limit_s);
	mm_json_bool(j, "late", mm_shift_sync_late(s));
	mm_json_close(j, '}');
}

static void
put_mirror(struct mm_json *j, const struct mm_shift *s)
{
	static const char *const is[] = { [MM_MIRROR_UNKNOWN] = "unknown",
		[MM_MIRROR_THERE] = "there",
		[MM_MIRROR_COPIES] = "copies",
		[MM_MIRROR_AWAY] = "away" };
	uint64_t done, of;
	enum mm_mirror_is now;
	int64_t since = 0;
	char why[160];

	if (s->line.mirror == NULL) {
		mm_json_null(j, "mirror");
		return;
	}
	now = mm_mirror_is(s->line.mirror, &since, why);
	mm_json_open_key(j, "mirror", '{');
	mm_json_str(j, "is", is[now]);
	if (now != MM_MIRROR_UNKNOWN)
		mm_json_time(j, "since", since);
	if (now == MM_MIRROR_AWAY)
		mm_json_str(j, "why", why);
	if (now == MM_MIRROR_COPIES) {
		mm_mirror_far(s->line.mirror, &done, &of);
		mm_json_int(j, "copied", (int64_t)done);
		mm_json_int(j, "of", (int64_t)of);
	}
	mm_json_close(j, '}');
}

static void
put_results(struct mm_json *j, const struct mm_shift *s)
{
	if (!s->results.tells) {
		mm_json_null(j, "results");
		return;
	}
	mm_json_open_key(j, "results", '{');
	mm_json_int(j, "waiting", (int64_t)s->results.waiting);
	mm_json_int(j, "refused", (int64_t)s->results.refused);
	mm_json_bool(j, "failing", s->results.failing);
	mm_json_close(j, '}');
}

static void
put_person(struct mm_json *j, const char *key, const char *id)
{
	if (id[0] == '\0')
		mm_json_null(j, key);
	else
		mm_json_str(j, key, id);
}

/* see shift.h */
void
mm_shift_put_crew(struct mm_json *j, const struct mm_shift *s)
{
	const struct mm_crew *c = s->line.crew;

	mm_json_bool(j, "badges", mm_crew_asks(c));
	put_person(j, "operator", mm_crew_operator(c));
	put_person(j, "supervisor", mm_crew_supervisor(c));
}

/* see shift.h */
void
mm_shift_json(const struct mm_shift *s, struct mm_buf *out)
{
	const struct mm_station_conf *c = s->line.conf;
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_str(&j, "station", c->name);
	mm_json_str(&j, "product", c->product);
	mm_json_str(&j, "batch", c->batch);
	mm_json_str(&j, "version", MM_VERSION);
	mm_json_str(&j, "language", mm_languages[c->language]);
	mm_json_time(&j, "at", mm_now_ms());
	mm_json_int(&j, "steps", MM_DO_LABEL);
	mm_shift_put_crew(&j, s);
	mm_shift_put_fixtures(&j, s, "fixtures");
	put_sums(&j, s);
	put_failures(&j, s);
	put_centre(&j, s);
	put_sync(&j, s);
	put_mirror(&j, s);
	put_results(&j, s);
	put_stopped(&j, s);
	put_next(&j, s);
	mm_json_close(&j, '}');
}
