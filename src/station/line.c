#include "station/line.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/faults.h"
#include "base/file.h"
#include "base/time.h"
#include "station/mes.h"
#include "station/record.h"
#include "station/steps.h"

enum { DER_MAX = 16384, ROOM = 1 << 20, RENEW = 1 << 20, WAIT_MS = 20,
	CLOCK_BACK_MS = 300000, AWAY_MS = 60000 };

/* ---- opening ---- */

static enum mm_err
take_row(void *ctx, const struct mm_row *r)
{
	struct mm_line *l = ctx;
	struct mm_unit *u;

	MM_TRY(mm_book_need(l->book, r->unit.serial, &u, &l->why));
	MM_TRY(mm_book_key(l->book, u, r->unit.spki, &l->why));
	*u = r->unit;
	u->at_ms = r->at_ms;
	u->told = r->n <= l->telling.row ? MM_UNIT_TOLD : MM_UNIT_UNTOLD;
	l->telling.news |= u->told == MM_UNIT_UNTOLD;
	return MM_OK;
}

/* Only what did not pass has a reason. */
static void
set_state(struct mm_unit *u, enum mm_unit_state state,
    enum mm_unit_reason reason)
{
	u->state = state;
	u->reason = mm_unit_active(state) || state == MM_UNIT_PASSED
	    ? MM_UR_NONE : reason;
}

/* What was under way when the station was switched off is no more. */
static enum mm_err
interrupt_all(struct mm_line *l, struct mm_why *why)
{
	for (size_t i = 0; i < mm_book_n(l->book); i++) {
		struct mm_unit *u = mm_book_at(l->book, i);
		enum mm_unit_state next = mm_unit_after(u, MM_EV_RESTART,
		    MM_UR_INTERRUPTED);

		if (next == MM_UNIT_STATES)
			continue;
		set_state(u, next, MM_UR_INTERRUPTED);
		MM_TRY(mm_rows_add(l->rows, u, true, why));
		l->interrupted++;
	}
	return MM_OK;
}

/* ---- a journal that is long ---- */

struct kept {
	const struct mm_line *l;
	size_t at, n;
};

/* Units that are over, have their record and were told of are found by that.
 * One row there must be: rows are numbered on from it. */
static bool
is_kept(const struct kept *k, const struct mm_unit *u)
{
	bool last = k->at == mm_book_n(k->l->book);

	return u->state != MM_UNIT_IDLE && (u->state != MM_UNIT_PASSED ||
	    (last && k->n == 0) || mm_line_owes(k->l, u) ||
	    !mm_record_is_there(k->l->conf, u->serial));
}

static bool
next_kept(void *ctx, struct mm_unit *out)
{
	struct kept *k = ctx;

	while (k->at < mm_book_n(k->l->book)) {
		const struct mm_unit *u = mm_book_at(k->l->book, k->at++);

		if (!is_kept(k, u))
			continue;
		k->n++;
		*out = *u;
		return true;
	}
	return false;
}

static enum mm_err
renew_if_long(struct mm_line *l, struct mm_why *why)
{
	struct kept k = { l, 0, 0 };

	/* what is kept each time is not what makes it long */
	if (mm_rows_size(l->rows) < RENEW + l->kept)
		return MM_OK;
	MM_TRY(mm_rows_renew(l->rows, next_kept, &k, why));
	l->kept = mm_rows_size(l->rows);
	return MM_OK;
}

static enum mm_err
open_state(struct mm_line *l, struct mm_why *why)
{
	char path[PATH_MAX + 16];

	MM_TRY(mm_path_join(path, sizeof(path), l->conf->state, "records",
	    why));
	MM_TRY(mm_dir_make(path, 0750, why));
	MM_TRY(mm_path_join(path, sizeof(path), l->conf->state, "journal",
	    why));
	MM_TRY(mm_book_new(&l->book, why));
	l->telling.row = mm_line_told(l);
	MM_TRY(mm_rows_open(path, take_row, l, &l->rows, why));
	MM_TRY(interrupt_all(l, why));
	return renew_if_long(l, why);
}

static enum mm_err
open_place(struct mm_line *l, const struct mm_fixture_conf *conf,
    struct mm_why *why)
{
	struct mm_place *p = &l->place[l->nplaces];

	p->number = l->nplaces;
	p->conf = conf;
	mm_buf_init(&p->csr, DER_MAX);
	mm_buf_init(&p->cert, DER_MAX);
	mm_buf_init(&p->chain, DER_MAX);
	mm_child_init(&p->mes);
	mm_given_init(&p->given);
	l->nplaces++;
	return mm_driver_new(conf, &p->driver, why);
}

static enum mm_err
open_all(struct mm_line *l, const struct mm_fixture_conf *const *fixture,
    unsigned n, struct mm_why *why)
{
	MM_INVARIANT(n <= MM_FIXTURES_MOST);
	MM_TRY(mm_print_open(&l->print, l->conf, why));
	MM_TRY(open_state(l, why));
	MM_TRY(mm_mirror_open(l->conf, &l->mirror, why));
	MM_TRY(mm_centre_open(l->conf, &l->centre, why));
	MM_TRY(mm_crew_open(l->conf, l->centre, n > 0, &l->crew, why));
	for (unsigned i = 0; i < n; i++)
		MM_TRY(open_place(l, fixture[i], why));
	return MM_OK;
}

/* see line.h */
enum mm_err
mm_line_open(struct mm_line *l, const struct mm_station_conf *conf,
    const struct mm_fixture_conf *const *fixture, unsigned n,
    struct mm_why *why)
{
	enum mm_err rc;

	memset(l, 0, sizeof(*l));
	l->conf = conf;
	l->rules = (struct mm_unit_rules){ conf->lock, conf->replace };
	rc = open_all(l, fixture, n, why);
	if (rc != MM_OK)
		mm_line_close(l);
	return rc;
}

/* see line.h */
void
mm_line_close(struct mm_line *l)
{
	for (unsigned i = 0; i < l->nplaces; i++) {
		struct mm_place *p = &l->place[i];

		mm_driver_free(&p->driver);
		mm_buf_done(&p->csr);
		mm_buf_done(&p->cert);
		mm_buf_done(&p->chain);
		mm_child_done(&p->mes);
		mm_given_done(&p->given);
	}
	l->nplaces = 0;
	mm_revoking_done(&l->revoking);
	mm_crew_close(&l->crew);
	mm_centre_close(&l->centre);
	mm_own_close(&l->own);
	mm_print_close(&l->print);
	mm_mirror_close(&l->mirror);
	mm_rows_close(&l->rows);
	mm_book_free(&l->book);
}

/* ---- one step of one unit ---- */

/* see line.h */
bool
mm_place_busy(const struct mm_place *p)
{
	return p->unit != NULL;
}

/* The unit as its new row says, or nothing has happened. */
static enum mm_err
write_row(struct mm_line *l, struct mm_unit *u, const struct mm_unit *now)
{
	enum mm_err rc;

	mm_die_at("row");
	rc = mm_book_key(l->book, u, now->spki, &l->why);
	if (rc == MM_OK)
		rc = mm_rows_add(
		    l->rows, now, mm_unit_syncs(now->state), &l->why);
	mm_die_at("rowed");
	if (rc == MM_OK) {
		*u = *now;
		mm_line_note(l, u);
	} else {
		l->broken = rc;
	}
	return rc;
}

static void
leave(struct mm_line *l, struct mm_place *p, enum mm_unit_state state,
    enum mm_unit_reason reason)
{
	p->ended = state;
	p->reason = reason;
	p->took_ms = mm_mono_ms() - p->began_ms;
	snprintf(p->last, sizeof(p->last), "%s", p->unit->serial);
	p->driver->class->close(p->driver);
	mm_print_drop(&l->print, p->unit);
	mm_given_forget(&p->given);
	mm_child_close(&p->mes);
	mm_centre_drop(l->centre, p->number);
	if (state == MM_UNIT_PASSED)
		l->passed++;
	else
		l->failed++;
}

/* The one that it counts in; "" none. */
static const char *
batch_of(const struct mm_line *l, const struct mm_place *p)
{
	return p->offline && l->own != NULL ? l->own->order->batch
					    : l->conf->batch;
}

/* Whoever is asked for the certificate has the unit from here on: but for a
 * centre whose only answer is that it never signs such a request. */
static void
note_by(struct mm_place *p, enum mm_unit_event e, struct mm_unit *now)
{
	if (now->state == MM_UNIT_REQUESTED) {
		p->asked_once = now->by == MM_UNIT_BY_NOBODY && !p->offline;
		now->by = p->offline ? MM_UNIT_BY_STATION : MM_UNIT_BY_CENTRE;
	} else if (p->unit->state == MM_UNIT_REQUESTED && e == MM_EV_FAIL &&
	    p->asked_once && p->signs_none) {
		now->by = MM_UNIT_BY_NOBODY;
	}
}

/* The row of what came, before anything else is done on its account. */
static void
step(struct mm_line *l, struct mm_place *p, enum mm_unit_event e,
    enum mm_unit_reason reason)
{
	enum mm_unit_state next = mm_unit_next(p->unit->state, e);
	struct mm_unit now = *p->unit;

	MM_INVARIANT(next != MM_UNIT_STATES);
	set_state(&now, mm_unit_after(p->unit, e, reason), reason);
	if (now.state == MM_UNIT_ADMITTED)
		strcpy(now.batch, batch_of(l, p));
	note_by(p, e, &now);
	mm_unit_note_label(&now, l->conf->printer[0] != '\0', p->unit->state,
	    e, reason);
	p->step_ms[mm_unit_effect(p->unit->state)] = mm_mono_ms() -
	    p->step_began_ms;
	p->begun = false;
	p->retry_ms = p->away_ms = 0;
	if (write_row(l, p->unit, &now) != MM_OK) {
		snprintf(p->note, sizeof(p->note), "%s", l->why.text);
		leave(l, p, MM_UNIT_FAILED, MM_UR_JOURNAL);
	} else if (!mm_unit_active(next)) {
		leave(l, p, next, reason);
	}
	if (l->stepped != NULL)
		l->stepped(l->ctx, p);
	if (p->ended != MM_UNIT_IDLE)
		p->unit = NULL;
}

static void
begin(struct mm_line *l, struct mm_place *p)
{
	const struct mm_step *s = mm_step_of(p);
	enum mm_unit_reason reason = MM_UR_NONE;
	enum mm_unit_event e;

	p->begun = true;
	if (p->away_ms == 0)
		p->step_began_ms = mm_mono_ms();
	mm_die_at("effect");
	e = s->begin(l, p, &reason);
	if (e != MM_EV_DONE || s->by == MM_BY_US)
		step(l, p, e, reason);
}

static void
look_at_device(struct mm_line *l, struct mm_place *p, const struct mm_step *s)
{
	enum mm_unit_reason reason = MM_UR_NONE;
	enum mm_driver_got got = p->driver->class->run(p->driver, &p->answer,
	    &reason);

	if (got == MM_DRIVER_WAIT)
		return;
	if (got == MM_DRIVER_AGAIN && ++p->again <= MM_AGAIN_MOST) {
		step(l, p, MM_EV_AGAIN, reason);
	} else if (got == MM_DRIVER_DONE) {
		enum mm_unit_event e = s->end(l, p, NULL, &reason);

		step(l, p, e, reason);
	} else {
		snprintf(p->note, sizeof(p->note), "%s", p->driver->note);
		step(l, p, MM_EV_FAIL, got == MM_DRIVER_AGAIN ? MM_UR_BOARD
							      : reason);
	}
}

/*
 * Whether the station may go on without the centre: not once that was asked
 * for a certificate, for its answer may only have been lost.
 */
static bool
switches(const struct mm_line *l, const struct mm_place *p)
{
	return l->conf->offline == MM_OFFLINE_AWAY &&
	    p->unit->by == MM_UNIT_BY_NOBODY &&
	    p->unit->state < MM_UNIT_REQUESTED;
}

/* It is asked again until the line's patience is over. */
static void
wait_for_centre(struct mm_line *l, struct mm_place *p)
{
	int64_t now = mm_mono_ms();

	if (p->away_ms == 0)
		p->away_ms = now;
	if (now - p->away_ms < l->conf->patience_s * 1000)
		return;
	if (switches(l, p)) {
		mm_centre_drop(l->centre, p->number);
		l->away_until_ms = now + AWAY_MS;
		p->offline = true;
		p->begun = false;
		p->retry_ms = p->away_ms = 0;
		return;
	}
	step(l, p, MM_EV_FAIL, MM_UR_AWAY);
}

/* What the lost answer was is not known. */
static void
ask_again(struct mm_line *l, struct mm_place *p)
{
	p->asked_once = false;
	wait_for_centre(l, p);
}

static void
look_at_centre(struct mm_line *l, struct mm_place *p, const struct mm_step *s)
{
	enum mm_unit_reason reason = MM_UR_NONE;
	struct mm_centre_answer a;
	enum mm_unit_event e;

	if (p->retry_ms != 0 && mm_mono_ms() >= p->retry_ms) {
		p->retry_ms = 0;
		begin(l, p);
		return;
	}
	if (p->retry_ms != 0 || !mm_centre_take(l->centre, p->number, &a))
		return;
	e = s->end(l, p, &a, &reason);
	mm_centre_answer_done(&a);
	if (e != MM_EVENTS)
		step(l, p, e, reason);
	else if (p->retry_ms != 0)
		ask_again(l, p);
	else
		p->away_ms = 0;
}

static void
look_outside(struct mm_line *l, struct mm_place *p, const struct mm_step *s)
{
	enum mm_unit_reason reason = MM_UR_NONE;
	enum mm_unit_event e = s->end(l, p, NULL, &reason);

	if (e != MM_EVENTS)
		step(l, p, e, reason);
}

/* Before the authority is: a unit that the maker's own system does not let be
 * made costs neither certificate nor quota. */
static bool
waits_for_mes(struct mm_line *l, struct mm_place *p)
{
	enum mm_unit_reason reason = MM_UR_NONE;
	enum mm_mes_got got;

	if (p->begun || mm_unit_effect(p->unit->state) != MM_DO_ADMIT)
		return false;
	if (p->mes_is == MM_MES_UNASKED)
		p->step_began_ms = mm_mono_ms();
	got = mm_mes_may(l, p, &reason);
	if (got == MM_MES_NO)
		step(l, p, MM_EV_FAIL, reason);
	return got != MM_MES_YES;
}

static void
look(struct mm_line *l, struct mm_place *p)
{
	const struct mm_step *s = mm_step_of(p);

	if (waits_for_mes(l, p))
		return;
	if (!p->begun)
		begin(l, p);
	else if (s->by == MM_BY_DEVICE)
		look_at_device(l, p, s);
	else if (s->by == MM_BY_OUTSIDE)
		look_outside(l, p, s);
	else
		look_at_centre(l, p, s);
}

/* ---- the line ---- */

/* For the records of the units that are under way, beside the journal's own
 * reserve: what has begun can end. */
static bool
has_room(const struct mm_line *l)
{
	struct statvfs fs;

	return statvfs(l->conf->state, &fs) == 0 &&
	    (uint64_t)fs.f_bavail * fs.f_frsize >= ROOM;
}

/* see line.h */
enum mm_err
mm_line_find(struct mm_line *l, const char *serial, struct mm_unit **out)
{
	struct mm_unit was;
	enum mm_err rc = MM_OK;

	*out = mm_book_find(l->book, serial);
	if (*out != NULL)
		return MM_OK;
	/* one that cannot be read is not one that was never made */
	rc = mm_record_find(l->conf, serial, &was, &l->why);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return rc;
	MM_TRY(mm_book_need(l->book, rc == MM_OK ? was.serial : serial, out,
	    &l->why));
	if (rc == MM_OK) {
		MM_TRY(mm_book_key(l->book, *out, was.spki, &l->why));
		**out = was;
	}
	return MM_OK;
}

/* see line.h */
enum mm_crew_label
mm_line_label(const struct mm_line *l, const char *serial)
{
	const struct mm_unit *u;

	if (!mm_device_id_valid(serial))
		return MM_CREW_NO_LABEL;
	if (!mm_crew_asks(l->crew))
		return MM_CREW_A_LABEL;
	u = mm_book_find(l->book, serial);
	if ((u != NULL && u->state != MM_UNIT_IDLE) ||
	    mm_record_is_there(l->conf, serial))
		return MM_CREW_A_LABEL;
	return mm_crew_label(l->crew, serial);
}

static enum mm_unit_reason
may_begin(struct mm_line *l, const char *serial, struct mm_unit **u)
{
	/* Before anything is said of what may be a badge. */
	if (mm_crew_unknown(l->crew) != MM_UR_NONE)
		return mm_crew_unknown(l->crew);
	if (mm_crew_asks(l->crew) && mm_crew_operator(l->crew)[0] == '\0')
		return MM_UR_OPERATOR;
	/* What is no label here may be a badge: it goes into no journal and to
	 * no centre. */
	if (mm_line_label(l, serial) == MM_CREW_NO_LABEL)
		return MM_UR_SERIAL;
	if (!l->accept_clock &&
	    mm_now_ms() + CLOCK_BACK_MS < mm_rows_last_at(l->rows))
		return MM_UR_CLOCK;
	if (mm_line_mirror(l) != MM_UR_NONE)
		return MM_UR_MIRROR;
	if (l->broken != MM_OK || !has_room(l) ||
	    mm_rows_reserve(l->rows, &l->why) != MM_OK ||
	    renew_if_long(l, &l->why) != MM_OK ||
	    mm_line_find(l, serial, u) != MM_OK)
		return MM_UR_JOURNAL;
	if (mm_unit_active((*u)->state))
		return MM_UR_IN_WORK;
	/* One label, one spelling: SN-1 is not sn-1's. */
	if (strcmp((*u)->serial, serial) != 0)
		return MM_UR_SERIAL;
	return mm_unit_next((*u)->state, MM_EV_SCAN) == MM_UNIT_STATES
	    ? MM_UR_HELD : MM_UR_NONE;
}

static void
forget_last(struct mm_place *p)
{
	p->ended = MM_UNIT_IDLE;
	p->reason = MM_UR_NONE;
	p->note[0] = '\0';
	p->again = 0;
	p->begun = p->known = p->replayed = false;
	p->retry_ms = p->away_ms = 0;
	p->proof_n = 0;
	p->labels = 0;
	p->asked_once = p->signs_none = false;
	p->mes_is = MM_MES_UNASKED;
	p->cert_serial[0] = p->profile[0] = '\0';
	mm_buf_reset(&p->csr);
	mm_buf_reset(&p->cert);
	mm_buf_reset(&p->chain);
	memset(&p->said, 0, sizeof(p->said));
	for (unsigned i = 0; i < MM_EFFECTS; i++)
		p->step_ms[i] = -1;
	p->began_ms = p->step_began_ms = mm_mono_ms();
}

/* Who had it keeps it; else as the configuration says, and the network is. */
static bool
is_offline(const struct mm_line *l, const struct mm_unit *u)
{
	if (u->by != MM_UNIT_BY_NOBODY)
		return u->by == MM_UNIT_BY_STATION;
	if (l->conf->offline != MM_OFFLINE_AWAY)
		return l->conf->offline == MM_OFFLINE_ALWAYS;
	/* A share is one's alone: what this station may sign by itself the
	 * centre does not. */
	return mm_order_has(l->conf, l->conf->batch) ||
	    mm_mono_ms() < l->away_until_ms;
}

/* What the station may sign by itself it may take over by itself. */
static bool
adopts_offline(struct mm_line *l, const char *serial)
{
	if (l->conf->offline != MM_OFFLINE_AWAY)
		return l->conf->offline == MM_OFFLINE_ALWAYS;
	return mm_line_own(l, NULL) == MM_OK && mm_own_has(l->own, serial);
}

/* By the batch's recipe, which must be installed. */
static enum mm_unit_reason
take_recipe(const struct mm_line *l, struct mm_place *p, bool offline)
{
	const char *name = mm_crew_recipe(l->crew, offline);
	const struct mm_recipe_conf *r = mm_station_recipe(l->conf, name);

	return mm_driver_cook(p->driver, r) && (name[0] == '\0' || r != NULL)
	    ? MM_UR_NONE : MM_UR_RECIPE;
}

static enum mm_unit_reason
begin_unit(struct mm_line *l, struct mm_place *p, struct mm_unit *u,
    enum mm_unit_event e)
{
	struct mm_unit now = *u;
	bool offline = e == MM_EV_ADOPT ? adopts_offline(l, u->serial)
					: is_offline(l, u);

	if (take_recipe(l, p, offline) != MM_UR_NONE)
		return MM_UR_RECIPE;
	now.was = u->state == MM_UNIT_PASSED ? MM_UNIT_WAS_PASSED
	    : MM_UNIT_WAS_NOTHING;
	set_state(&now, mm_unit_next(u->state, e), MM_UR_NONE);
	now.attempt++;
	snprintf(now.fixture, sizeof(now.fixture), "%s", p->conf->name);
	if (write_row(l, u, &now) != MM_OK)
		return MM_UR_JOURNAL;
	l->accept_clock = false; /* the journal's last row has it now */
	forget_last(p);
	p->unit = u;
	p->offline = offline;
	snprintf(p->operator, sizeof(p->operator), "%s",
	    mm_crew_operator(l->crew));
	if (l->stepped != NULL)
		l->stepped(l->ctx, p);
	return MM_UR_NONE;
}

/* see line.h */
enum mm_unit_reason
mm_line_scan(struct mm_line *l, struct mm_place *p, const char *serial)
{
	struct mm_unit *u = NULL;
	enum mm_unit_reason why = may_begin(l, serial, &u);

	MM_INVARIANT(p->unit == NULL);
	return why != MM_UR_NONE ? why : begin_unit(l, p, u, MM_EV_SCAN);
}

/* see line.h; one that the journal has a certificate of needs no other */
enum mm_unit_reason
mm_line_adopt(struct mm_line *l, struct mm_place *p, const char *serial)
{
	static const uint8_t none[32];
	struct mm_unit *u = NULL;
	enum mm_unit_reason why = may_begin(l, serial, &u);

	MM_INVARIANT(p->unit == NULL);
	if (why != MM_UR_NONE)
		return why;
	return begin_unit(l, p, u, memcmp(u->cert, none, 32) != 0 ||
	    mm_unit_next(u->state, MM_EV_ADOPT) == MM_UNIT_STATES
	    ? MM_EV_SCAN : MM_EV_ADOPT);
}

/* see line.h */
void
mm_line_stop(struct mm_line *l, struct mm_place *p)
{
	if (p->unit != NULL)
		step(l, p, MM_EV_STOP, MM_UR_STOPPED);
}

/* see line.h */
enum mm_err
mm_line_write(struct mm_line *l, struct mm_unit *u, const struct mm_unit *now)
{
	return write_row(l, u, now);
}

/* see line.h */
enum mm_err
mm_line_may_decide(struct mm_line *l, const char *serial,
    enum mm_unit_event e, struct mm_why *why)
{
	struct mm_unit *u = NULL;

	if (!mm_device_id_valid(serial))
		return MM_FAIL(why, MM_EINPUT, "not a serial");
	if (mm_line_find(l, serial, &u) != MM_OK || u->state == MM_UNIT_IDLE)
		return MM_FAIL(why, MM_ENOTFOUND, "this station has no unit "
		    "%.64s", serial);
	return mm_unit_next(u->state, e) != MM_UNIT_STATES ? MM_OK
	    : MM_FAIL(why, MM_ECONFLICT, "unit %s: its state is \"%s\"%s",
	    u->serial, mm_unit_state_names[u->state], e == MM_EV_RELEASE
	    ? "; only what was put aside is released" : "");
}

/* see line.h */
enum mm_err
mm_line_decide(struct mm_line *l, const char *serial, enum mm_unit_event e,
    bool over, struct mm_why *why)
{
	struct mm_unit *u = NULL, now;

	MM_TRY(mm_line_may_decide(l, serial, e, why));
	if (mm_line_find(l, serial, &u) != MM_OK)
		return MM_FAIL(why, MM_ESYS, "%s", l->why.text);
	if (e == MM_EV_SCRAP && !over)
		MM_TRY(mm_line_give_back(l, u, why));
	now = *u;
	now.state = mm_unit_next(u->state, e);
	now.reason = MM_UR_NONE;
	/* of one that was taken over: this very board is let go on */
	if (e == MM_EV_RELEASE && u->reason != MM_UR_ADOPTED) {
		now.hw[0] = '\0';
		memset(now.spki, 0, sizeof(now.spki));
		memset(now.cert, 0, sizeof(now.cert));
		/* whether it may be tried is the centre's to say, once it
		 * was asked: no network makes it the station's */
		if (now.by != MM_UNIT_BY_CENTRE)
			now.by = MM_UNIT_BY_NOBODY;
	}
	if (write_row(l, u, &now) == MM_OK)
		return MM_OK;
	return MM_FAIL(why, MM_ESYS, "%s", l->why.text);
}

/* What can be done at once is done at once: most steps wait for nobody. */
static bool
look_at_all(struct mm_line *l)
{
	bool fresh = false;

	for (unsigned i = 0; i < l->nplaces; i++) {
		struct mm_place *p = &l->place[i];

		if (p->unit != NULL)
			look(l, p);
		fresh |= p->unit != NULL && !p->begun &&
		    p->mes_is != MM_MES_ASKED;
	}
	return fresh;
}

static unsigned
wishes(struct mm_line *l, const struct pollfd *more, unsigned n,
    struct pollfd *out)
{
	unsigned at = 0;

	for (unsigned i = 0; i < l->nplaces; i++) {
		struct mm_place *p = &l->place[i];

		if (p->unit != NULL && p->begun &&
		    mm_step_of(p)->by == MM_BY_DEVICE)
			out[at++] = p->driver->class->wish(p->driver);
		else if (p->unit != NULL && p->mes_is == MM_MES_ASKED)
			out[at++] = mm_child_wish(&p->mes);
	}
	out[at++] = mm_crew_wish(l->crew);
	out[at++] = mm_print_wish(&l->print);
	out[at++] = mm_filing_wish(l->print.filing);
	if (l->mirror != NULL)
		out[at++] = mm_mirror_wish(l->mirror);
	for (unsigned i = 0; i < n; i++)
		out[at++] = more[i];
	return at;
}

/* So that programs are asked whether they work before the first label. */
static void
look_at_recipes(struct mm_line *l)
{
	bool offline = mm_crew_recipe(l->crew, false)[0] == '\0';

	for (unsigned i = 0; i < l->nplaces && l->conf->nrecipe > 0; i++)
		if (l->place[i].unit == NULL)
			(void)take_recipe(l, &l->place[i], offline);
}

/* see line.h */
void
mm_line_run(struct mm_line *l, const struct pollfd *more, unsigned n, int ms)
{
	struct pollfd p[MM_FIXTURES_MOST + 10];
	unsigned ended = l->passed + l->failed, at;
	bool busy = false;

	/* and the badges', the mirror's, the printer's, the labels' */
	MM_INVARIANT(n <= 6);
	for (unsigned i = 0; i < MM_EFFECTS && look_at_all(l); i++)
		continue;
	for (unsigned i = 0; i < l->nplaces; i++)
		busy |= l->place[i].unit != NULL;
	mm_print_run(l);
	busy |= mm_line_prints(l);
	mm_line_copy(l);
	mm_line_sync(l);
	mm_line_tell(l);
	mm_crew_run(l->crew, l->centre);
	look_at_recipes(l);
	at = wishes(l, more, n, p);
	/* A link wants to be looked at within 20 ms: its times run.  Who waits
	 * for a unit's end has it at once. */
	if (ended != l->passed + l->failed)
		ms = 0;
	mm_centre_wait(l->centre, p, at, busy && ms > WAIT_MS ? WAIT_MS : ms);
}
