#include "station/shift.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"

enum { LOOK_MS = 500 };

/* see shift.h */
const struct mm_no_text mm_nos[MM_NOS] = {
#define X(no, code, text) { code, text },
	MM_NOS_X(X)
#undef X
};

/* see shift.h */
void
mm_shift_tell(struct mm_shift *s, const struct mm_said *what)
{
	s->changes++;
	for (unsigned i = 0; i < s->nears; i++)
		s->ear[i].hear(s->ear[i].ctx, s, what);
}

/* ---- what the line tells ---- */

static void
note_failure(struct mm_shift *s, const char *fixture, const char *device,
    enum mm_unit_reason reason)
{
	struct mm_shift_failure *f =
	    &s->failure[s->nfailures++ % MM_SHIFT_FAILURES];

	f->at_ms = mm_now_ms();
	f->reason = reason;
	snprintf(f->fixture, sizeof(f->fixture), "%s", fixture);
	snprintf(f->device, sizeof(f->device), "%s", device);
}

static void
stepped(void *ctx, const struct mm_place *p)
{
	struct mm_shift *s = ctx;
	struct mm_said what = { .kind = MM_SAID_STEP, .place = p };

	s->gone[p->number] = false;
	if (p->ended != MM_UNIT_IDLE) {
		what.kind = MM_SAID_UNIT;
		mm_sums_take(s, p);
		if (p->ended != MM_UNIT_PASSED)
			note_failure(s, p->conf->name, p->last, p->reason);
	}
	mm_shift_tell(s, &what);
}

/* ---- boards come and go ---- */

/* A board that is out has nothing to say any more, unless it was for that
 * that it failed. */
static bool
is_over(const struct mm_place *p, bool there)
{
	return there ||
	       (p->reason != MM_UR_NO_PORT && p->reason != MM_UR_UNPLUGGED &&
		   p->reason != MM_UR_FILES);
}

static void
look(struct mm_shift *s, bool all)
{
	s->looked_ms = mm_mono_ms();
	for (unsigned i = 0; i < s->line.nplaces; i++) {
		struct mm_place *p = &s->line.place[i];
		bool there;

		if (mm_place_busy(p))
			continue;
		there = mm_driver_there(p->driver);
		if (there == s->there[i] && !all)
			continue;
		s->there[i] = there;
		s->gone[i] |= is_over(p, there);
		mm_shift_tell(
		    s, &(struct mm_said){
			   .kind = MM_SAID_BOARD, .place = p, .there = there });
	}
}

/* see shift.h */
void
mm_shift_look(struct mm_shift *s)
{
	look(s, true);
}

/* ---- beginning a unit ---- */

/* A board that was not made yet before one that is still in after PASS. */
static struct mm_place *
free_place(struct mm_shift *s)
{
	struct mm_place *done = NULL;

	for (unsigned i = 0; i < s->line.nplaces; i++) {
		struct mm_place *p = &s->line.place[i];

		if (mm_place_busy(p) || !s->there[i])
			continue;
		if (p->ended != MM_UNIT_PASSED || s->gone[i])
			return p;
		if (done == NULL)
			done = p;
	}
	return done;
}

/* see shift.h */
struct mm_place *
mm_shift_place(struct mm_shift *s, const char *fixture)
{
	for (unsigned i = 0; i < s->line.nplaces; i++)
		if (strcmp(s->line.place[i].conf->name, fixture) == 0)
			return &s->line.place[i];
	return NULL;
}

static enum mm_no
say_no(struct mm_shift *s, enum mm_no no)
{
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_NO, .no = no });
	return no;
}

/* What was scanned, if it may be told on: a text that came while nobody was
 * in, or could be, or that is no label where people badge in, may be a badge;
 * "" then. */
static const char *
sayable(const struct mm_shift *s, const char *serial,
    enum mm_unit_reason reason)
{
	bool hidden = reason == MM_UR_OPERATOR ||
	    (reason == MM_UR_SERIAL && mm_crew_asks(s->line.crew)) ||
	    mm_crew_unknown(s->line.crew) != MM_UR_NONE;

	return hidden || !mm_device_id_valid(serial) ? "" : serial;
}

static enum mm_no
find_place(struct mm_shift *s, const char *fixture, struct mm_place **place)
{
	struct mm_place *p =
	    fixture[0] == '\0' ? free_place(s) : mm_shift_place(s, fixture);

	if (p == NULL)
		return say_no(
		    s, fixture[0] == '\0' ? MM_NO_FREE : MM_NO_FIXTURE);
	*place = p;
	if (mm_place_busy(p))
		return say_no(s, MM_NO_BUSY);
	if (s->first_ms == 0)
		s->first_ms = mm_mono_ms();
	return MM_NO_NONE;
}

static enum mm_no
say_refused(struct mm_shift *s, const struct mm_place *p, const char *serial,
    enum mm_unit_reason reason)
{
	if (reason == MM_UR_NONE)
		return MM_NO_NONE;
	serial = sayable(s, serial, reason);
	note_failure(s, p->conf->name, serial[0] != '\0' ? serial : "?",
	    reason);
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_REFUSED,
			     .place = p,
			     .serial = serial,
			     .reason = reason });
	return MM_NO_REFUSED;
}

/* see shift.h */
enum mm_no
mm_shift_scan(struct mm_shift *s, const char *fixture, const char *serial,
    struct mm_place **place, enum mm_unit_reason *reason)
{
	enum mm_no no = find_place(s, fixture, place);

	if (no != MM_NO_NONE)
		return no;
	*reason = mm_line_scan(&s->line, *place, serial);
	return say_refused(s, *place, serial, *reason);
}

/* see shift.h */
enum mm_no
mm_shift_adopt(struct mm_shift *s, const char *fixture, const char *serial,
    struct mm_place **place, enum mm_unit_reason *reason)
{
	enum mm_no no = find_place(s, fixture, place);

	if (no != MM_NO_NONE)
		return no;
	*reason = mm_line_adopt(&s->line, *place, serial);
	return say_refused(s, *place, serial, *reason);
}

/* ---- a label once more ---- */

static void
printed(void *ctx, const struct mm_unit *u, enum mm_unit_reason reason)
{
	struct mm_shift *s = ctx;

	if (reason != MM_UR_NONE)
		note_failure(s, "", u->serial, reason);
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_LABEL,
			     .serial = u->serial,
			     .reason = reason });
}

/* see shift.h */
enum mm_no
mm_shift_print(struct mm_shift *s, const char *serial)
{
	struct mm_why why = { 0 };

	if (s->line.conf->printer[0] == '\0')
		return say_no(s, MM_NO_PRINTER);
	switch (mm_line_print(&s->line, serial, &why)) {
	case MM_OK:
		return MM_NO_NONE;
	case MM_ECONFLICT:
		return say_no(s, MM_NO_PRINTING);
	default:
		return say_no(s, MM_NO_PASSED);
	}
}

/* ---- an order's extension ---- */

/* see shift.h */
enum mm_no
mm_shift_extend(struct mm_shift *s, const char *line)
{
	struct mm_why why = { 0 };
	enum mm_err rc = MM_EINPUT;

	if (s->line.conf->signer[0] != '\0')
		rc = mm_line_own(&s->line, &why);
	else
		rc = MM_FAIL(&why, rc, "this station has no signer of its own");
	if (rc == MM_OK)
		rc = mm_own_extend(s->line.own, line, &why);
	if (rc != MM_OK) {
		MM_LOG(MM_LOG_WARN, "extension.refused", MM_S("why", why.text));
		return say_no(s, MM_NO_EXTENSION);
	}
	s->own_stale = true;
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_ORDER });
	return MM_NO_NONE;
}

/* ---- the whole ---- */

/* see shift.h */
enum mm_err
mm_shift_open(
    struct mm_shift *s, const struct mm_station_conf *conf, struct mm_why *why)
{
	const struct mm_fixture_conf *f[MM_FIXTURES_MOST];

	memset(s, 0, sizeof(*s));
	s->left = s->of = -1;
	if (conf->nfixture == 0)
		return MM_FAIL(why, MM_EINPUT,
		    "the configuration has no "
		    "fixture");
	for (size_t i = 0; i < conf->nfixture; i++)
		f[i] = &conf->fixture[i];
	MM_TRY(mm_line_open(&s->line, conf, f, (unsigned)conf->nfixture, why));
	s->line.stepped = stepped;
	s->line.printed = printed;
	s->line.ctx = s;
	return MM_OK;
}

/* see shift.h */
void
mm_shift_stop(struct mm_shift *s)
{
	for (unsigned i = 0; i < s->line.nplaces; i++)
		mm_line_stop(&s->line, &s->line.place[i]);
}

/* see shift.h */
void
mm_shift_close(struct mm_shift *s)
{
	mm_wipe(s->typed, sizeof(s->typed));
	mm_line_close(&s->line);
}

/* see shift.h */
void
mm_shift_listen(struct mm_shift *s, mm_shift_ear_fn *hear, void *ctx)
{
	MM_INVARIANT(s->nears < MM_SHIFT_EARS);
	s->ear[s->nears].hear = hear;
	s->ear[s->nears].ctx = ctx;
	s->nears++;
}

/* see shift.h */
void
mm_shift_run(struct mm_shift *s, const struct pollfd *more, unsigned n, int ms)
{
	mm_shift_go_on_typing(s);
	mm_line_run(&s->line, more, n, ms < LOOK_MS ? ms : LOOK_MS);
	mm_shift_go_on_typing(s);
	if (mm_mono_ms() - s->looked_ms >= LOOK_MS)
		look(s, false);
}

/* see shift.h */
bool
mm_shift_busy(const struct mm_shift *s)
{
	for (unsigned i = 0; i < s->line.nplaces; i++)
		if (mm_place_busy(&s->line.place[i]))
			return true;
	for (unsigned door = 0; door < MM_DOORS; door++)
		if (mm_shift_typing(s, door))
			return true;
	return mm_line_prints(&s->line);
}
