#include "station/print.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "line/label.h"
#include "station/steps.h"

enum { RETRY_MS = 500 };

/* see print.h */
enum mm_err
mm_print_open(
    struct mm_print *t, const struct mm_station_conf *conf, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_FILL_MAX);

	t->conf = conf;
	mm_printer_init(&t->printer);
	mm_buf_init(&t->zpl, MM_FILL_MAX);
	MM_TRY(mm_filing_new(conf, &t->filing, why));
	if (conf->label_template[0] == '\0')
		return MM_OK;
	MM_TRY(mm_file_read(conf->label_template, &text, why));
	MM_TRY(
	    mm_fill_parse(MM_FILL_ZPL, mm_buf_view(&text), &t->template, why));
	return mm_label_check(t->template, why);
}

/* see print.h */
void
mm_print_close(struct mm_print *t)
{
	mm_printer_close(&t->printer);
	mm_filing_free(&t->filing);
	mm_buf_done(&t->zpl);
	mm_fill_free(&t->template);
	t->unit = NULL;
	t->again = NULL;
}

static enum mm_err
render(const struct mm_print *t, const struct mm_unit *u, struct mm_buf *out,
    struct mm_why *why)
{
	const struct mm_label label = { .device = u->serial,
		.product = t->conf->product,
		.batch = u->batch };

	mm_buf_reset(out);
	return mm_label_zpl(t->template, &label, out, why);
}

/* ---- to the printer ---- */

static enum mm_err
start(struct mm_print *t, const struct mm_unit *u, int64_t left_ms,
    struct mm_why *why)
{
	struct mm_printer_job job = { .printer = t->conf->printer,
		.deadline_ms = left_ms,
		.asks = t->conf->printer_asks,
		.address = true };

	MM_TRY(render(t, u, &t->zpl, why));
	job.data = mm_buf_view(&t->zpl);
	mm_printer_begin(&t->printer, &job);
	t->unit = u;
	return MM_OK;
}

/* see print.h */
bool
mm_print_turn(const struct mm_print *t, const struct mm_unit *u, int64_t now,
    int64_t *from_ms)
{
	bool printing = t->unit != NULL && t->unit != u;

	if (printing && t->is == MM_OK)
		*from_ms = now;
	return !printing && (t->unit == u || now >= t->retry_ms);
}

static enum mm_err
not_in_time(const struct mm_print *t, struct mm_why *why)
{
	return MM_FAIL(why, t->is != MM_OK ? t->is : MM_EAGAIN, "%s",
	    t->is != MM_OK ? t->why.text
			   : "the printer was not free in time");
}

/*
 * Sends the label of u as soon as the printer is free and takes it; true: it
 * is over, and *rc says how (line/printer.h).  For printer_limit from *from_ms
 * on it is tried again, as long as nothing of it was sent.
 */
static bool
go_on(struct mm_print *t, const struct mm_unit *u, int64_t *from_ms,
    enum mm_err *rc, struct mm_why *why)
{
	int64_t now = mm_mono_ms(), limit = t->conf->printer_limit_s * 1000;
	bool turn = mm_print_turn(t, u, now, from_ms);
	int64_t until = *from_ms + limit;

	if (!turn) {
		if (now >= until)
			*rc = not_in_time(t, why);
		return now >= until;
	}
	if (t->unit == NULL) {
		*rc = start(t, u, now >= until ? 1 : until - now, why);
		if (*rc != MM_OK)
			return true;
	}
	if (!mm_printer_run(&t->printer, rc, why))
		return false;
	t->unit = NULL;
	t->is = *rc != MM_EAGAIN && *rc != MM_EPOLICY ? MM_OK : *rc;
	if (t->is == MM_OK || mm_mono_ms() >= until)
		return true;
	t->retry_ms = now + RETRY_MS;
	t->why = *why;
	*why = (struct mm_why){ 0 };
	return false;
}

static enum mm_unit_reason
reason_of(enum mm_err rc)
{
	switch (rc) {
	case MM_OK:
		return MM_UR_NONE;
	case MM_EAGAIN:
		return MM_UR_PRINTER;
	case MM_EPOLICY:
		return MM_UR_PRINTER_STOPS;
	case MM_EUNSURE:
		return MM_UR_LABEL_UNSURE;
	default:
		return MM_UR_LABEL;
	}
}

/* Its label is to be sent, or there is none to send. */
static enum mm_unit_event
next_of(const struct mm_unit *u)
{
	return u->label == MM_UNIT_LABEL_BEGUN ? MM_EV_DONE : MM_EV_SKIP;
}

/* see steps.h */
enum mm_unit_event
mm_step_label(
    struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	(void)reason;
	p->turn_ms = mm_mono_ms();
	p->filed = l->print.filing == NULL;
	return p->filed ? next_of(p->unit) : MM_EV_DONE;
}

/* It has gone on with nobody's for so long. */
static bool
filing_hangs(const struct mm_line *l, const struct mm_place *p)
{
	int64_t from = mm_filing_begun_ms(l->print.filing);

	if (from < p->turn_ms)
		from = p->turn_ms;
	return mm_mono_ms() - from > l->conf->printer_limit_s * 1000;
}

/* MM_EVENTS: they are not there yet. */
static enum mm_unit_event
file_it(struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	MM_OWN(mm_buf_done) struct mm_buf zpl = MM_BUF_INIT(MM_FILL_MAX);
	struct mm_print *t = &l->print;
	struct mm_why why = { 0 };
	enum mm_err rc = render(t, p->unit, &zpl, &why);

	if (rc == MM_OK && !mm_filing_run(t->filing, p->unit,
	    mm_buf_view(&zpl), &rc, &why)) {
		if (!filing_hangs(l, p))
			return MM_EVENTS;
		rc = MM_FAIL(&why, MM_EAGAIN,
		    "the folder of label_files does not answer");
	}
	if (rc != MM_OK) {
		mm_step_note(p, why.text);
		return mm_step_fail(MM_UR_LABEL, reason);
	}
	p->filed = true;
	p->turn_ms = mm_mono_ms();
	return next_of(p->unit);
}

/* see steps.h */
enum mm_unit_event
mm_step_labelled(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason)
{
	struct mm_why why = { 0 };
	enum mm_err rc = MM_OK;
	enum mm_unit_event e = p->filed ? MM_EV_DONE : file_it(l, p, reason);

	(void)a;
	if (e != MM_EV_DONE)
		return e;
	if (!go_on(&l->print, p->unit, &p->turn_ms, &rc, &why))
		return MM_EVENTS;
	if (rc == MM_OK) {
		p->labels = p->unit->labels;
		return MM_EV_DONE;
	}
	mm_step_note(p, why.text);
	return mm_step_fail(reason_of(rc), reason);
}

/* see print.h */
void
mm_print_drop(struct mm_print *t, const struct mm_unit *u)
{
	mm_filing_drop(t->filing, u);
	if (t->unit != u)
		return;
	mm_printer_close(&t->printer);
	t->unit = NULL;
}

/* see print.h */
struct pollfd
mm_print_wish(const struct mm_print *t)
{
	return t->unit != NULL ? mm_printer_wish(&t->printer)
			       : (struct pollfd){ .fd = -1 };
}

/* ---- once more ---- */

/* see line.h */
bool
mm_line_prints(const struct mm_line *l)
{
	return l->print.again != NULL;
}

/* see line.h */
enum mm_err
mm_line_print(struct mm_line *l, const char *serial, struct mm_why *why)
{
	struct mm_print *t = &l->print;
	struct mm_unit *u = NULL, now;

	if (l->conf->printer[0] == '\0')
		return MM_FAIL(why, MM_ENOTFOUND,
		    "this station has no label "
		    "printer");
	if (t->again != NULL)
		return MM_FAIL(why, MM_ECONFLICT,
		    "another label is being "
		    "printed again");
	if (mm_line_label(l, serial) == MM_CREW_NO_LABEL ||
	    mm_line_find(l, serial, &u) != MM_OK ||
	    u->state != MM_UNIT_PASSED || strcmp(u->serial, serial) != 0)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "no unit %.64s has passed "
		    "at this station",
		    serial);
	now = *u;
	now.was = MM_UNIT_WAS_PASSED;
	now.label = MM_UNIT_LABEL_BEGUN;
	/* it had one, whoever printed it */
	now.labels = now.labels > 0 ? now.labels + 1 : 2;
	if (mm_line_write(l, u, &now) != MM_OK)
		return MM_FAIL(why, MM_ESYS, "%s", l->why.text);
	t->again = u;
	t->again_from_ms = mm_mono_ms();
	return MM_OK;
}

/* What came of it, as a row and for who asked. */
static void
end_again(struct mm_line *l, enum mm_unit_reason reason)
{
	struct mm_unit *u = l->print.again, now = *u;

	l->print.again = NULL;
	if (reason != MM_UR_NONE && reason != MM_UR_LABEL_UNSURE)
		mm_unit_take_back_label(&now);
	if (reason != MM_UR_LABEL_UNSURE)
		now.label = MM_UNIT_LABEL_PRINTED;
	if (mm_line_write(l, u, &now) != MM_OK)
		reason = MM_UR_JOURNAL;
	if (l->printed != NULL)
		l->printed(l->ctx, u, reason);
}

/* Its board is in work again, and gets one there; who asked is told whether
 * another may be out. */
static void
cut_short(struct mm_line *l)
{
	struct mm_print *t = &l->print;
	const struct mm_unit *u = t->again;
	bool sent = u != NULL && t->unit == u;

	if (u == NULL || u->state == MM_UNIT_PASSED)
		return;
	mm_print_drop(t, u);
	t->again = NULL;
	if (l->printed != NULL)
		l->printed(l->ctx, u,
		    sent ? MM_UR_LABEL_UNSURE : MM_UR_STOPPED);
}

/* see print.h */
void
mm_print_run(struct mm_line *l)
{
	struct mm_print *t = &l->print;
	struct mm_why why = { 0 };
	enum mm_err rc = MM_OK;

	cut_short(l);
	if (t->again == NULL ||
	    !go_on(t, t->again, &t->again_from_ms, &rc, &why))
		return;
	if (rc != MM_OK)
		MM_LOG(MM_LOG_WARN, "label", MM_S("device", t->again->serial),
		    MM_S("why", why.text));
	end_again(l, reason_of(rc));
}
