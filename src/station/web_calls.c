#include <string.h>

#include "base/json.h"
#include "base/secret.h"
#include "base/time.h"
#include "station/record.h"
#include "station/report.h"
#include "station/web_priv.h"

/* What can be asked of a station; all of it on the line's thread. */
static const char type_json[] = "application/json";

enum { ANSWER_MAX = 1 << 18 };

static void
answer(struct mm_web *w, const struct mm_ask *a, int status,
    struct mm_buf *take_out)
{
	mm_buf_text(take_out, "\n");
	mm_web_answer(w, a, status, type_json, take_out);
}

/* ---- the whole, and its fixtures ---- */

static bool
call_status(struct mm_web *w, struct mm_ask *a, bool due)
{
	struct mm_buf out = MM_BUF_INIT(ANSWER_MAX);

	(void)due;
	mm_shift_json(w->shift, &out);
	answer(w, a, 200, &out);
	return true;
}
const struct mm_web_call mm_call_status = { call_status,
	"station, fixtures, counters, last failures, centre: what the "
	"screen shows" };

static bool
call_fixtures(struct mm_web *w, struct mm_ask *a, bool due)
{
	struct mm_buf out = MM_BUF_INIT(ANSWER_MAX);
	struct mm_json j = mm_json_over(&out);

	(void)due;
	mm_json_open(&j, '{');
	mm_shift_put_fixtures(&j, w->shift, "items");
	mm_json_close(&j, '}');
	answer(w, a, 200, &out);
	return true;
}
const struct mm_web_call mm_call_fixtures = { call_fixtures,
	"`items`: the fixtures alone. `tile` is `empty`, `ready`, "
	"`working`, `passed` or `failed`. `selftest`, `tool`, `version` are "
	"what a fixture's program says of itself: `failed`, with `reason` "
	"and `selftest_note`, is `empty` and gets no label" };

/* ---- one unit ---- */

static enum mm_err
find(const struct mm_web *w, const char *serial, struct mm_unit *out)
{
	const struct mm_line *l = &w->shift->line;
	const struct mm_unit *u;

	if (!mm_device_id_valid(serial))
		return MM_ENOTFOUND;
	u = mm_book_find(l->book, serial);
	if (u == NULL || u->state == MM_UNIT_IDLE)
		return mm_record_find(l->conf, serial, out, NULL);
	*out = *u;
	return MM_OK;
}

/* Where it was made, if nothing was made there since: it knows times. */
static const struct mm_place *
place_of(const struct mm_web *w, const struct mm_unit *u)
{
	const struct mm_place *p = mm_shift_place(w->shift, u->fixture);

	return p != NULL && !mm_place_busy(p) && p->ended == u->state &&
		       strcmp(p->last, u->serial) == 0
		   ? p
		   : NULL;
}

/* As the journal has it: what was last known, and no times. */
static void
put_unit(struct mm_buf *out, const struct mm_unit *u)
{
	bool active = mm_unit_active(u->state);
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_str(&j, "device", u->serial);
	mm_json_str(&j, "fixture", u->fixture);
	mm_json_str(
	    &j, "result", active ? "working" : mm_unit_state_names[u->state]);
	mm_json_str(&j, "state", mm_unit_state_names[u->state]);
	mm_json_int(&j, "attempt", (int64_t)u->attempt);
	if (u->state == MM_UNIT_PASSED)
		mm_json_int(&j, "exit", MM_EXIT_PASSED);
	else if (!active)
		mm_report_reason(&j, u->reason);
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

static void
answer_unit(struct mm_web *w, const struct mm_ask *a)
{
	const struct mm_place *p;
	struct mm_buf out = MM_BUF_INIT(ANSWER_MAX);
	struct mm_unit u;

	if (find(w, a->name, &u) != MM_OK) {
		mm_web_refuse(w, a, MM_ENOTFOUND,
		    "this station has no unit of that serial number", NULL);
		return;
	}
	p = place_of(w, &u);
	if (p != NULL)
		mm_report_unit(&out, w->shift->line.conf, p, true);
	else
		put_unit(&out, &u);
	mm_web_answer(
	    w, a, mm_unit_active(u.state) ? 202 : 200, type_json, &out);
}

static bool
is_made(const struct mm_web *w, const char *serial)
{
	const struct mm_unit *u =
	    mm_device_id_valid(serial)
		? mm_book_find(w->shift->line.book, serial)
		: NULL;

	return u != NULL && mm_unit_active(u->state);
}

static bool
call_unit(struct mm_web *w, struct mm_ask *a, bool due)
{
	if (!due && a->wait_ms > 0 && is_made(w, a->name))
		return false;
	answer_unit(w, a);
	return true;
}
const struct mm_web_call mm_call_unit = { call_unit,
	"the unit of that serial number: 200 and its result, or 202 "
	"while it is made; `?wait=S` waits up to 60 s for the end" };

/* ---- to begin ---- */

/* see web_priv.h */
enum mm_err
mm_web_texts(struct mm_bytes body, const char *const name[2],
    char text[2][256], struct mm_why *why)
{
	json_error_t where;
	json_t *o = json_loadb(
	    (const char *)body.p, body.n, JSON_REJECT_DUPLICATES, &where);
	enum mm_err rc = json_is_object(o)
			     ? MM_OK
			     : MM_FAIL(why, MM_EINPUT, "want a JSON object");
	size_t known = 0;

	for (unsigned i = 0; i < 2 && name[i] != NULL && rc == MM_OK; i++) {
		const json_t *v = json_object_get(o, name[i]);
		struct mm_bytes b = { (const uint8_t *)json_string_value(v),
			json_string_length(v) };

		text[i][0] = '\0';
		known += v != NULL;
		if ((v == NULL && i == 0) ||
		    (v != NULL &&
			(!json_is_string(v) || !mm_text_copy(text[i], 256, b))))
			rc = MM_FAIL(why, MM_EINPUT,
			    "%s: want a text of at "
			    "most 255 bytes",
			    name[i]);
	}
	if (rc == MM_OK && known != json_object_size(o))
		rc = MM_FAIL(why, MM_EINPUT, "a member that is not known");
	json_decref(o);
	return rc;
}

static void
answer_refused(struct mm_web *w, const struct mm_ask *a,
    const struct mm_place *p, const char *serial, enum mm_unit_reason reason)
{
	struct mm_buf out = MM_BUF_INIT(ANSWER_MAX);

	mm_report_refused(&out, p, serial, reason, true);
	mm_web_answer(w, a, 409, type_json, &out);
}

typedef enum mm_no begin_fn(struct mm_shift *s, const char *fixture,
    const char *serial, struct mm_place **place, enum mm_unit_reason *reason);

static bool
start(struct mm_web *w, struct mm_ask *a, begin_fn *begin, const char *serial,
    const char *fixture)
{
	struct mm_place *p = NULL;
	enum mm_unit_reason reason = MM_UR_NONE;
	enum mm_no no = begin(w->shift, fixture, serial, &p, &reason);

	if (no == MM_NO_REFUSED) {
		answer_refused(w, a, p, serial, reason);
		return true;
	}
	if (no != MM_NO_NONE) {
		mm_web_refuse(w, a,
		    no == MM_NO_FIXTURE ? MM_ENOTFOUND : MM_ECONFLICT,
		    mm_nos[no].text, mm_nos[no].code);
		return true;
	}
	a->begun = true;
	memcpy(a->name, p->unit->serial, sizeof(a->name));
	return call_unit(w, a, false);
}

static bool
call_start(struct mm_web *w, struct mm_ask *a, bool due)
{
	static const char *const names[2] = { "serial", "fixture" };
	char text[2][256] = { "", "" };
	struct mm_why why = { 0 };

	if (a->begun)
		return call_unit(w, a, due);
	if (mm_web_texts(mm_buf_view(&a->body), names, text, &why) == MM_OK)
		return start(w, a, mm_shift_scan, text[0], text[1]);
	mm_web_refuse(w, a, why.code, why.text, NULL);
	return true;
}
const struct mm_web_call mm_call_start = { call_start,
	"begins a unit: `serial` and, if it matters, `fixture`. 202; "
	"409 with `exit` and `reason` if it is not begun. `?wait=S` "
	"as above" };

static bool
call_adopt(struct mm_web *w, struct mm_ask *a, bool due)
{
	static const char *const names[2] = { "fixture", NULL };
	char text[2][256] = { "", "" }, serial[sizeof(a->name)];
	struct mm_why why = { 0 };

	if (a->begun)
		return call_unit(w, a, due);
	memcpy(serial, a->name, sizeof(serial));
	if (mm_web_texts(mm_buf_view(&a->body), names, text, &why) == MM_OK)
		return start(w, a, mm_shift_adopt, serial, text[0]);
	mm_web_refuse(w, a, why.code, why.text, NULL);
	return true;
}
const struct mm_web_call mm_call_adopt = { call_adopt,
	"the board at `fixture` has a certificate that no record knows: it is "
	"taken over for that serial number, and put aside (`adopted`). As "
	"`POST /api/v1/units`" };

static enum mm_err
type(struct mm_web *w, struct mm_ask *a, struct mm_why *why)
{
	static const char *const names[2] = { "text", NULL };
	char text[2][256] = { "", "" };
	enum mm_err rc = mm_web_texts(mm_buf_view(&a->body), names, text, why);

	if (rc == MM_OK && !mm_shift_type(w->shift, a->door, text[0]))
		rc = MM_FAIL(why, MM_ERATE, "%s", mm_nos[MM_NO_ROOM].text);
	mm_wipe(text, sizeof(text)); /* it may have been a badge */
	return rc;
}

/* As a scanner types it; what becomes of it is told by the events.  One that
 * may be a badge is answered when whose it is has been found. */
static bool
call_scan(struct mm_web *w, struct mm_ask *a, bool due)
{
	struct mm_buf out = MM_BUF_INIT(64);
	struct mm_why why = { 0 };

	(void)due;
	if (!a->begun && type(w, a, &why) != MM_OK) {
		mm_web_refuse(w, a, why.code, why.text, NULL);
		return true;
	}
	a->begun = true;
	if (mm_shift_typing(w->shift, a->door))
		return false;
	mm_buf_text(&out, "{}");
	answer(w, a, 202, &out);
	return true;
}
const struct mm_web_call mm_call_scan = { call_scan,
	"`text` as a scanner types it: a label, `FIXTURE LABEL`, "
	"`LABEL+N`. 202; the events say what became of it. 429: too much "
	"at a time; or what may be a badge, after ten wrong ones" };

static bool
call_stop(struct mm_web *w, struct mm_ask *a, bool due)
{
	struct mm_place *p = mm_shift_place(w->shift, a->name);
	struct mm_buf out = MM_BUF_INIT(64);

	(void)due;
	if (p == NULL) {
		mm_web_refuse(w, a, MM_ENOTFOUND, mm_nos[MM_NO_FIXTURE].text,
		    mm_nos[MM_NO_FIXTURE].code);
		return true;
	}
	mm_line_stop(&w->shift->line, p);
	mm_buf_text(&out, "{}");
	answer(w, a, 202, &out);
	return true;
}
const struct mm_web_call mm_call_stop = { call_stop,
	"takes the unit off that fixture: it fails with `stopped`" };
