#include "station/unit.h"

#include <string.h>

/* see unit.h */
const char *const mm_unit_state_names[MM_UNIT_STATES] = {
#define X(state, name, effect) [state] = name,
	MM_UNIT_STATES_X(X)
#undef X
};

static const enum mm_unit_effect effects[MM_UNIT_STATES] = {
#define X(state, name, effect) [state] = effect,
	MM_UNIT_STATES_X(X)
#undef X
};

/* see unit.h */
const char *const mm_unit_effect_names[MM_EFFECTS] = {
	[MM_DO_NOTHING] = "nothing",
	[MM_DO_HELLO] = "hello",
	[MM_DO_ADMIT] = "admit",
	[MM_DO_KEY] = "key",
	[MM_DO_CSR] = "csr",
	[MM_DO_ISSUE] = "issue",
	[MM_DO_PUT] = "put",
	[MM_DO_COMMIT] = "commit",
	[MM_DO_READ_BACK] = "read-back",
	[MM_DO_PROVE] = "prove",
	[MM_DO_CONFIRM] = "confirm",
	[MM_DO_LOCK] = "lock",
	[MM_DO_CHECK] = "check",
	[MM_DO_RECORD] = "record",
	[MM_DO_LABEL] = "label",
	[MM_DO_GET] = "get",
	[MM_DO_ADOPT] = "adopt",
};

/* see unit.h */
const char *const mm_unit_event_names[MM_EVENTS] = {
	[MM_EV_SCAN] = "scan",
	[MM_EV_DONE] = "done",
	[MM_EV_SKIP] = "skip",
	[MM_EV_AGAIN] = "again",
	[MM_EV_FAIL] = "fail",
	[MM_EV_HOLD] = "hold",
	[MM_EV_STOP] = "stop",
	[MM_EV_RESTART] = "restart",
	[MM_EV_RELEASE] = "release",
	[MM_EV_SCRAP] = "scrap",
	[MM_EV_ADOPT] = "adopt",
};

/*
 * The edges.  FAIL, HOLD and STOP end a unit in whatever active state it is,
 * and stand below, once.
 */
static const struct edge {
	enum mm_unit_state from;
	enum mm_unit_event event;
	enum mm_unit_state to;
} edges[] = {
	{ MM_UNIT_IDLE, MM_EV_SCAN, MM_UNIT_SCANNED },
	{ MM_UNIT_SCANNED, MM_EV_DONE, MM_UNIT_IDENTIFIED },
	{ MM_UNIT_IDENTIFIED, MM_EV_DONE, MM_UNIT_ADMITTED },
	{ MM_UNIT_ADMITTED, MM_EV_DONE, MM_UNIT_KEYED },
	{ MM_UNIT_ADMITTED, MM_EV_SKIP, MM_UNIT_KEYED },
	{ MM_UNIT_KEYED, MM_EV_DONE, MM_UNIT_REQUESTED },
	{ MM_UNIT_REQUESTED, MM_EV_DONE, MM_UNIT_ISSUED },
	/* A board that comes back: what it has is what it would get. */
	{ MM_UNIT_REQUESTED, MM_EV_SKIP, MM_UNIT_WRITTEN },
	{ MM_UNIT_ISSUED, MM_EV_DONE, MM_UNIT_STORED },
	{ MM_UNIT_STORED, MM_EV_DONE, MM_UNIT_WRITTEN },
	/* Power went between put and commit. */
	{ MM_UNIT_STORED, MM_EV_AGAIN, MM_UNIT_ISSUED },
	{ MM_UNIT_WRITTEN, MM_EV_DONE, MM_UNIT_READ },
	{ MM_UNIT_READ, MM_EV_DONE, MM_UNIT_PROVED },
	{ MM_UNIT_PROVED, MM_EV_DONE, MM_UNIT_CONFIRMED },
	{ MM_UNIT_PROVED, MM_EV_SKIP, MM_UNIT_CONFIRMED },
	{ MM_UNIT_CONFIRMED, MM_EV_DONE, MM_UNIT_LOCKED },
	/* A product whose boards stay open, or a board that is locked. */
	{ MM_UNIT_CONFIRMED, MM_EV_SKIP, MM_UNIT_CHECKED },
	{ MM_UNIT_LOCKED, MM_EV_DONE, MM_UNIT_CHECKED },
	{ MM_UNIT_CHECKED, MM_EV_DONE, MM_UNIT_RECORDED },
	{ MM_UNIT_RECORDED, MM_EV_DONE, MM_UNIT_PASSED },
	{ MM_UNIT_RECORDED, MM_EV_SKIP, MM_UNIT_PASSED },
	/* Once more: all of it is asked for again, nothing is made anew. */
	{ MM_UNIT_PASSED, MM_EV_SCAN, MM_UNIT_SCANNED },
	{ MM_UNIT_FAILED, MM_EV_SCAN, MM_UNIT_SCANNED },
	{ MM_UNIT_INTERRUPTED, MM_EV_SCAN, MM_UNIT_SCANNED },
	/* A board that has its certificate: one that is known after all goes
	 * on as if its label was scanned. */
	{ MM_UNIT_IDLE, MM_EV_ADOPT, MM_UNIT_CLAIMED },
	{ MM_UNIT_FAILED, MM_EV_ADOPT, MM_UNIT_CLAIMED },
	{ MM_UNIT_INTERRUPTED, MM_EV_ADOPT, MM_UNIT_CLAIMED },
	{ MM_UNIT_CLAIMED, MM_EV_DONE, MM_UNIT_ANSWERED },
	{ MM_UNIT_ANSWERED, MM_EV_DONE, MM_UNIT_FETCHED },
	{ MM_UNIT_FETCHED, MM_EV_DONE, MM_UNIT_SHOWN },
	{ MM_UNIT_SHOWN, MM_EV_DONE, MM_UNIT_IDENTIFIED },
	/* People. */
	{ MM_UNIT_QUARANTINED, MM_EV_RELEASE, MM_UNIT_FAILED },
	{ MM_UNIT_QUARANTINED, MM_EV_SCRAP, MM_UNIT_SCRAPPED },
	{ MM_UNIT_FAILED, MM_EV_SCRAP, MM_UNIT_SCRAPPED },
	{ MM_UNIT_INTERRUPTED, MM_EV_SCRAP, MM_UNIT_SCRAPPED },
	{ MM_UNIT_PASSED, MM_EV_SCRAP, MM_UNIT_SCRAPPED },
};

/* What ends any active state. */
static const struct {
	enum mm_unit_event event;
	enum mm_unit_state to;
} ends[] = {
	{ MM_EV_FAIL, MM_UNIT_FAILED },
	{ MM_EV_HOLD, MM_UNIT_QUARANTINED },
	{ MM_EV_STOP, MM_UNIT_INTERRUPTED },
	{ MM_EV_RESTART, MM_UNIT_INTERRUPTED },
};

/* see unit.h */
const char *const mm_unit_by_names[MM_UNIT_BYS] = { "", "centre", "station" };

/* see unit.h */
const char *const mm_unit_was_names[MM_UNIT_WASES] = { "", "passed" };

/* see unit.h */
const char *const mm_unit_label_names[MM_UNIT_LABELS] = { "", "begun",
	"printed" };

/* see unit.h */
enum mm_unit_state
mm_unit_next(enum mm_unit_state state, enum mm_unit_event event)
{
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		if (edges[i].from == state && edges[i].event == event)
			return edges[i].to;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (mm_unit_active(state) && ends[i].event == event)
			return ends[i].to;
	return MM_UNIT_STATES;
}

/* Whether an attempt that ends so says nothing of the unit's own board. */
static bool
says_nothing(enum mm_unit_state state, enum mm_unit_event event,
    enum mm_unit_reason reason)
{
	return event != MM_EV_HOLD && (state == MM_UNIT_SCANNED ||
	    mm_unit_reasons[reason].exit == MM_EXIT_LATER);
}

/* see unit.h */
enum mm_unit_state
mm_unit_after(const struct mm_unit *u, enum mm_unit_event event,
    enum mm_unit_reason reason)
{
	enum mm_unit_state next = mm_unit_next(u->state, event);

	if (u->was != MM_UNIT_WAS_PASSED || !mm_unit_active(u->state) ||
	    next == MM_UNIT_STATES || mm_unit_active(next))
		return next;
	return says_nothing(u->state, event, reason) ? MM_UNIT_PASSED : next;
}

/* see unit.h */
enum mm_unit_effect
mm_unit_effect(enum mm_unit_state state)
{
	return effects[state];
}

/* see unit.h */
bool
mm_unit_active(enum mm_unit_state state)
{
	return effects[state] != MM_DO_NOTHING;
}

/* see unit.h */
bool
mm_unit_syncs(enum mm_unit_state state)
{
	static const bool irrevocable[MM_EFFECTS] = {
		[MM_DO_NOTHING] = true,
		[MM_DO_ISSUE] = true,
		[MM_DO_COMMIT] = true,
		[MM_DO_LOCK] = true,
		[MM_DO_LABEL] = true,
		[MM_DO_ADOPT] = true,
	};

	return irrevocable[effects[state]];
}

/* ---- its label ---- */

/* see unit.h */
void
mm_unit_take_back_label(struct mm_unit *u)
{
	u->labels--;
	u->label = u->labels > 0 ? MM_UNIT_LABEL_BEGUN : MM_UNIT_LABEL_NONE;
}

/* One that had passed has its label, whoever printed it. */
static bool
wants_label(const struct mm_unit *u)
{
	return u->label == MM_UNIT_LABEL_BEGUN ||
	    (u->label == MM_UNIT_LABEL_NONE && u->was != MM_UNIT_WAS_PASSED);
}

/* see unit.h */
void
mm_unit_note_label(struct mm_unit *now, bool prints, enum mm_unit_state from,
    enum mm_unit_event event, enum mm_unit_reason reason)
{
	if (now->state == MM_UNIT_RECORDED && prints && wants_label(now)) {
		now->label = MM_UNIT_LABEL_BEGUN;
		now->labels++;
	}
	if (from != MM_UNIT_RECORDED || now->label != MM_UNIT_LABEL_BEGUN)
		return;
	if (event == MM_EV_DONE)
		now->label = MM_UNIT_LABEL_PRINTED;
	else if (event == MM_EV_FAIL && reason != MM_UR_LABEL_UNSURE)
		mm_unit_take_back_label(now);
}

/* ---- what a device said ---- */

static bool
known(const uint8_t hash[32])
{
	static const uint8_t none[32];

	return memcmp(hash, none, 32) != 0;
}

static enum mm_unit_event
end(enum mm_unit_event event, enum mm_unit_reason why,
    enum mm_unit_reason *reason)
{
	*reason = why;
	return event;
}

/* A label that a certificate was made for belongs to one key of one board,
 * unless a test authority lets it be replaced. */
static enum mm_unit_event
was_made_for(const struct mm_unit *u, const struct mm_unit_said *said,
    enum mm_unit_reason *reason)
{
	if (u->hw[0] != '\0' && strcmp(u->hw, said->hw) != 0)
		return end(MM_EV_HOLD, MM_UR_OTHER_BOARD, reason);
	if (!said->has_key)
		return end(MM_EV_HOLD, MM_UR_KEY_GONE, reason);
	return memcmp(u->spki, said->spki, 32) == 0 ? MM_EV_DONE
	    : end(MM_EV_HOLD, MM_UR_OTHER_KEY, reason);
}

/* see unit.h */
enum mm_unit_event
mm_unit_hear(struct mm_unit *u, const struct mm_unit_said *said,
    const struct mm_unit_rules *rules, enum mm_unit_reason *reason)
{
	enum mm_unit_event e = MM_EV_DONE;

	if (known(u->cert) && !rules->replace)
		e = was_made_for(u, said, reason);
	if (e != MM_EV_DONE)
		return e;
	if (strcmp(u->hw, said->hw) != 0 || !said->has_key ||
	    memcmp(u->spki, said->spki, 32) != 0) {
		memset(u->cert, 0, sizeof(u->cert));
		u->was = MM_UNIT_WAS_NOTHING;
	}
	strcpy(u->hw, said->hw);
	memset(u->spki, 0, sizeof(u->spki));
	if (said->has_key)
		memcpy(u->spki, said->spki, sizeof(u->spki));
	return MM_EV_DONE;
}

/* see unit.h */
enum mm_unit_event
mm_unit_hear_key(struct mm_unit *u, const uint8_t spki[32],
    enum mm_unit_reason *reason)
{
	if (known(u->spki) && memcmp(u->spki, spki, 32) != 0)
		return end(MM_EV_FAIL, MM_UR_KEY_CHANGED, reason);
	memcpy(u->spki, spki, 32);
	return MM_EV_DONE;
}

/* see unit.h */
enum mm_unit_event
mm_unit_take_cert(struct mm_unit *u, const struct mm_unit_said *said,
    const uint8_t cert[32], enum mm_unit_reason *reason)
{
	bool same = said->has_cert && memcmp(said->cert, cert, 32) == 0;

	if (said->locked && !same)
		return end(MM_EV_HOLD, MM_UR_LOCKED_OTHER, reason);
	memcpy(u->cert, cert, 32);
	return same ? MM_EV_SKIP : MM_EV_DONE;
}

/* see unit.h */
enum mm_unit_event
mm_unit_read_back(const struct mm_unit *u, const struct mm_unit_said *said,
    bool locked, enum mm_unit_reason *reason)
{
	if (strcmp(u->hw, said->hw) != 0)
		return end(MM_EV_FAIL, MM_UR_SWAPPED, reason);
	if (!said->has_cert || memcmp(said->cert, u->cert, 32) != 0)
		return end(MM_EV_FAIL, MM_UR_READ_BACK, reason);
	return !locked || said->locked ? MM_EV_DONE
	    : end(MM_EV_FAIL, MM_UR_NOT_LOCKED, reason);
}
