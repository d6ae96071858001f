#include <string.h>

#include "base/json.h"
#include "base/secret.h"
#include "station/web_priv.h"

/* People, for programs beside the line: a badge's text is in a body alone. */
static const char type_json[] = "application/json";

enum { ANSWER_MAX = 1024 };

static void
answer(struct mm_web *w, const struct mm_ask *a, struct mm_buf *take_out)
{
	mm_buf_text(take_out, "\n");
	mm_web_answer(w, a, 200, type_json, take_out);
}

static enum mm_err
enter(struct mm_web *w, const struct mm_ask *a, struct mm_why *why)
{
	static const char *const names[2] = { "badge", NULL };
	struct mm_crew *c = w->shift->line.crew;
	char text[2][256] = { "", "" }, id[MM_DEVICE_ID_MAX + 1];
	enum mm_err rc;

	rc = mm_web_texts(mm_buf_view(&a->body), names, text, why);
	if (rc == MM_OK)
		rc = mm_crew_who(c, mm_bytes_of(text[0]), MM_WORK_OPERATOR, id,
		    why);
	mm_wipe(text, sizeof(text));
	if (rc == MM_OK)
		mm_crew_enter(c, id);
	return rc;
}

static bool
call_badge(struct mm_web *w, struct mm_ask *a, bool due)
{
	struct mm_buf out = MM_BUF_INIT(ANSWER_MAX);
	struct mm_json j = mm_json_over(&out);
	struct mm_why why = { 0 };

	(void)due;
	if (enter(w, a, &why) != MM_OK) {
		mm_web_refuse(w, a, why.code, why.text, NULL);
		return true;
	}
	mm_shift_tell(w->shift, &(struct mm_said){ .kind = MM_SAID_CREW });
	mm_json_open(&j, '{');
	mm_shift_put_crew(&j, w->shift);
	mm_json_close(&j, '}');
	answer(w, a, &out);
	return true;
}
const struct mm_web_call mm_call_badge = { call_badge,
	"somebody badges in: `badge` is its text. 403: nobody's whom the batch "
	"names; 429 for a second after that" };

/* ---- a supervisor's decisions ---- */

static enum mm_err
decide(struct mm_web *w, const struct mm_ask *a, enum mm_unit_event e,
    const char *what, struct mm_why *why)
{
	static const char *const names[2] = { "badge", "reason" };
	char text[2][256] = { "", "" }, id[MM_DEVICE_ID_MAX + 1] = "";
	const struct mm_crew_decision d = { what, a->name, id, text[1] };
	enum mm_err rc;

	rc = mm_web_texts(mm_buf_view(&a->body), names, text, why);
	if (rc == MM_OK)
		rc = mm_crew_who(w->shift->line.crew, mm_bytes_of(text[0]),
		    MM_WORK_SUPERVISOR, id, why);
	mm_wipe(text[0], sizeof(text[0]));
	return rc != MM_OK ? rc
			   : mm_shift_decide(w->shift, a->name, e, &d, why);
}

static bool
answer_decided(struct mm_web *w, struct mm_ask *a, enum mm_unit_event e,
    const char *what)
{
	struct mm_buf out = MM_BUF_INIT(ANSWER_MAX);
	struct mm_json j = mm_json_over(&out);
	struct mm_why why = { 0 };

	if (decide(w, a, e, what, &why) != MM_OK) {
		mm_web_refuse(w, a, why.code, why.text, NULL);
		return true;
	}
	mm_json_open(&j, '{');
	mm_json_str(&j, "device", a->name);
	mm_json_str(&j, "decision", what);
	mm_json_close(&j, '}');
	answer(w, a, &out);
	return true;
}

static bool
call_release(struct mm_web *w, struct mm_ask *a, bool due)
{
	(void)due;
	return answer_decided(w, a, MM_EV_RELEASE, "release");
}
const struct mm_web_call mm_call_release = { call_release,
	"a supervisor, by `badge` and with a `reason`: a unit that was put "
	"aside may be tried again. 403, 404, 409" };

static bool
call_scrap(struct mm_web *w, struct mm_ask *a, bool due)
{
	(void)due;
	return answer_decided(w, a, MM_EV_SCRAP, "scrap");
}
const struct mm_web_call mm_call_scrap = { call_scrap,
	"the same: a unit is thrown away, its label is used up" };
