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

struct who {
	enum mm_work_role role; /* the least that it must be */
	bool says;              /* the body may have a reason */
	char id[MM_DEVICE_ID_MAX + 1], reason[256];
	enum mm_err rc;
	struct mm_why why;
};

/* Begins to compare the badge that the body has. */
static enum mm_err
ask(struct mm_web *w, struct mm_ask *a, struct who *who)
{
	const char *const names[2] = { "badge", who->says ? "reason" : NULL };
	struct mm_crew *c = w->shift->line.crew;
	char text[2][256] = { "", "" };
	enum mm_err rc;

	rc = mm_web_texts(mm_buf_view(&a->body), names, text, &who->why);
	if (rc == MM_OK)
		rc = mm_crew_known(c, &who->why);
	if (rc == MM_OK && a->ticket == 0 && !mm_crew_may(c, a->door))
		rc = MM_FAIL(&who->why, MM_ERATE,
		    "badge: too many wrong ones came before");
	if (rc == MM_OK && a->ticket == 0)
		a->ticket = mm_crew_ask(c, a->door, mm_bytes_of(text[0]));
	memcpy(who->reason, text[1], sizeof(text[1]));
	mm_wipe(text, sizeof(text));
	return rc;
}

/* false: whose it is is not known yet. */
static bool
find(struct mm_web *w, struct mm_ask *a, struct who *who)
{
	struct mm_crew_badge b;

	who->rc = ask(w, a, who);
	if (who->rc != MM_OK)
		return true;
	if (a->ticket == 0 ||
	    !mm_crew_look(w->shift->line.crew, a->ticket, &b))
		return false;
	who->rc = mm_crew_judge(&b, who->role, who->id, &who->why);
	return true;
}

static void
answer_crew(struct mm_web *w, struct mm_ask *a)
{
	struct mm_buf out = MM_BUF_INIT(ANSWER_MAX);
	struct mm_json j = mm_json_over(&out);

	mm_shift_tell(w->shift, &(struct mm_said){ .kind = MM_SAID_CREW });
	mm_json_open(&j, '{');
	mm_shift_put_crew(&j, w->shift);
	mm_json_close(&j, '}');
	answer(w, a, &out);
}

static bool
call_badge(struct mm_web *w, struct mm_ask *a, bool due)
{
	struct who who = { .role = MM_WORK_OPERATOR };

	(void)due;
	if (!find(w, a, &who))
		return false;
	if (who.rc != MM_OK) {
		mm_web_refuse(w, a, who.rc, who.why.text, NULL);
		return true;
	}
	mm_crew_enter(w->shift->line.crew, who.id);
	answer_crew(w, a);
	return true;
}
const struct mm_web_call mm_call_badge = { call_badge,
	"somebody badges in: `badge` is its text. 403: nobody's whom the batch "
	"names; 429 after ten of them, for a second each" };

/* ---- a supervisor's decisions ---- */

static void
answer_decided(struct mm_web *w, struct mm_ask *a, const char *what)
{
	struct mm_buf out = MM_BUF_INIT(ANSWER_MAX);
	struct mm_json j = mm_json_over(&out);

	mm_json_open(&j, '{');
	mm_json_str(&j, "device", a->name);
	mm_json_str(&j, "decision", what);
	mm_json_close(&j, '}');
	answer(w, a, &out);
}

static bool
decide(struct mm_web *w, struct mm_ask *a, enum mm_unit_event e,
    const char *what)
{
	struct who who = { .role = MM_WORK_SUPERVISOR, .says = true };
	const struct mm_crew_decision d = { what, a->name, who.id,
		who.reason };

	if (!find(w, a, &who))
		return false;
	if (who.rc == MM_OK)
		who.rc = mm_shift_decide(w->shift, a->name, e, &d, &who.why);
	if (who.rc == MM_OK)
		answer_decided(w, a, what);
	else
		mm_web_refuse(w, a, who.rc, who.why.text, NULL);
	return true;
}

static bool
call_release(struct mm_web *w, struct mm_ask *a, bool due)
{
	(void)due;
	return decide(w, a, MM_EV_RELEASE, "release");
}
const struct mm_web_call mm_call_release = { call_release,
	"a supervisor, by `badge` and with a `reason`: a unit that was put "
	"aside may be tried again. 403, 404, 409" };

static bool
call_scrap(struct mm_web *w, struct mm_ask *a, bool due)
{
	(void)due;
	return decide(w, a, MM_EV_SCRAP, "scrap");
}
const struct mm_web_call mm_call_scrap = { call_scrap,
	"the same: a unit is thrown away, its label is used up" };

static bool
call_scrap_over(struct mm_web *w, struct mm_ask *a, bool due)
{
	(void)due;
	return decide(w, a, MM_EV_SCRAP, MM_CREW_SCRAP_OVER);
}
const struct mm_web_call mm_call_scrap_over = { call_scrap_over,
	"the same where no more may be scrapped within the order's allowance: "
	"it gives no quota back" };
