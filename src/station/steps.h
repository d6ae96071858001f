#ifndef MM_STATION_STEPS_H
#define MM_STATION_STEPS_H

#include <stdio.h>

#include "base/json.h"
#include "station/line.h"

/* How each effect is begun and what its answer is worth; for line.c alone. */
struct mm_step {
	/* Who does it. */
	enum { MM_BY_NOBODY, MM_BY_DEVICE, MM_BY_CENTRE, MM_BY_OUTSIDE,
		MM_BY_US } by;
	/*
	 * Begins it: DONE: it is under way; SKIP: it is not needed; FAIL, HOLD
	 * with *reason.  For MM_BY_US all of it: DONE: it is done.
	 */
	enum mm_unit_event (*begin)(struct mm_line *l, struct mm_place *p,
	    enum mm_unit_reason *reason);
	/* What came: of a device p->answer, of the centre a.  MM_EVENTS:
	 * it asked for something more, or waits till p->retry_ms; or of
	 * mirror and printer nothing yet. */
	enum mm_unit_event (*end)(struct mm_line *l, struct mm_place *p,
	    struct mm_centre_answer *a, enum mm_unit_reason *reason);
};
extern const struct mm_step mm_steps[MM_EFFECTS];
/* Offline: those of the centre's that the station does itself. */
extern const struct mm_step mm_steps_own[MM_EFFECTS];
/* What is done in the unit's state. */
const struct mm_step *mm_step_of(const struct mm_place *p);
/* How long until the centre is asked again. */
#define MM_RETRY_MS 500
/* How often a bundle is put again that a device has lost. */
#define MM_AGAIN_MOST 10

static inline enum mm_unit_event
mm_step_fail(enum mm_unit_reason why, enum mm_unit_reason *reason)
{
	*reason = why;
	return MM_EV_FAIL;
}

static inline enum mm_unit_event
mm_step_hold(enum mm_unit_reason why, enum mm_unit_reason *reason)
{
	*reason = why;
	return MM_EV_HOLD;
}

/* What the centre's refusal (rc is not MM_OK) means at the line. */
enum mm_unit_reason mm_step_refusal(const struct mm_centre_answer *a);
/* Words for the log. */
static inline void
mm_step_note(struct mm_place *p, const char *text)
{
	snprintf(p->note, sizeof(p->note), "%.*s", (int)sizeof(p->note) - 1,
	    text);
}

/* What is to be done with a certificate, now that all is here that goes with
 * it: see mm_given_judge. */
enum mm_unit_event mm_step_given(struct mm_place *p, enum mm_unit_event cert,
    enum mm_unit_reason *reason);
/* The board is given it, unless its library is too old for that: DONE; FAIL.
 * What has a certificate is judged when that is known: mm_given_judge. */
enum mm_unit_event mm_step_may_give(const struct mm_line *l,
    struct mm_place *p, enum mm_unit_reason *reason);
/* Has the board do what its unit's state says.  over: with these random bytes,
 * not our own. */
enum mm_unit_event mm_step_tell(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
enum mm_unit_event mm_step_tell_over(struct mm_place *p,
    const uint8_t random[MM_DRIVER_RANDOM]);
/* What a board has signed, as fields of an object. */
void mm_step_put_proof(const struct mm_place *p, struct mm_json *j);

/* steps_own.c */
/* Whether the order lets this unit be made now, or it was before; renders its
 * configuration. */
enum mm_unit_event mm_step_own_right(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
/* What the board has signed is kept, and entered of that issuer's certificate;
 * once. */
MM_MUST enum mm_err mm_step_own_prove(struct mm_line *l, struct mm_place *p,
    const char *issuer, struct mm_why *why);
enum mm_unit_event mm_step_own_admit(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
enum mm_unit_event mm_step_own_issue(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
/* Whether p's certificate and chain lead to the anchor: MM_EV_DONE if so. */
enum mm_unit_event mm_step_leads(const struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
/* Whether the centre has revoked that certificate, or holds it, as far as is
 * known here: MM_EV_DONE if not. */
enum mm_unit_event mm_step_own_revoked(const struct mm_line *l,
    struct mm_place *p, const char *serial, enum mm_unit_reason *reason);
enum mm_unit_event mm_step_own_confirm(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
enum mm_unit_event mm_step_own_record(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
/* steps_centre.c */
enum mm_unit_event mm_step_admit(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
enum mm_unit_event mm_step_issue(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
enum mm_unit_event mm_step_confirm(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
enum mm_unit_event mm_step_record(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
enum mm_unit_event mm_step_admitted(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason);
enum mm_unit_event mm_step_issued(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason);
enum mm_unit_event mm_step_confirmed(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason);
enum mm_unit_event mm_step_recorded(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason);

/* A refusal's end; MM_EVENTS: it is asked again a little later. */
enum mm_unit_event mm_step_refused(struct mm_place *p,
    const struct mm_centre_answer *a, enum mm_unit_reason *reason);
/* adopt.c */
enum mm_unit_event mm_step_get(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
enum mm_unit_event mm_step_got(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason);
enum mm_unit_event mm_step_adopt(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
enum mm_unit_event mm_step_adopted(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason);
/* A board that is to be taken over proves what it has over the signer's nonce,
 * every other one over the station's. */
enum mm_unit_event mm_step_own_challenge(struct mm_line *l,
    struct mm_place *p, enum mm_unit_reason *reason);
enum mm_unit_event mm_step_own_adopt(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
/* A board that was taken over: it waits for a supervisor.  Its row has its
 * certificate from then on, so that it is known whether one has spoken. */
enum mm_unit_event mm_step_put_aside(struct mm_place *p,
    enum mm_unit_reason *reason);

/* mirror_line.c: the mirror, then the label */
enum mm_unit_event mm_step_last(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
enum mm_unit_event mm_step_last_end(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason);
/* print.c */
enum mm_unit_event mm_step_label(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason);
enum mm_unit_event mm_step_labelled(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason);

#endif
