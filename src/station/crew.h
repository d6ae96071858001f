#ifndef MM_STATION_CREW_H
#define MM_STATION_CREW_H

#include "station/centre.h"
#include "station/unit.h"
#include "work/order.h"

/*
 * Who stands at the line: the people that a batch names, known by their badges
 * (the hash of a badge's text; docs/protocol/order.md), with and without a
 * network.  An operator badges in and units are made under that id, which is
 * opaque; a supervisor decides what needs a reason.  Where a batch names
 * nobody, nobody is asked for: once the centre or the order has said so.  Until
 * then nothing is made, and nothing decided.
 *
 * A badge's text is in memory as long as it is compared, and nowhere else.
 * Kept are a supervisor's decisions; not who stood there how long, nor how
 * much a person made.
 */
#define MM_CREW_SHIFT_MS      (12 * 3600000) /* then an operator badges anew */
#define MM_CREW_SUPERVISOR_MS 60000 /* within it a supervisor has decided */

/*
 * Where a text comes in.  At each of them wrong badges are limited by
 * themselves (guess.h): who guesses at one holds nobody up at another.  API:
 * the line's network, where a supervisor decides with the badge beside each
 * decision alone.
 */
enum mm_crew_door { MM_DOOR_TYPED, MM_DOOR_SCREEN, MM_DOOR_API, MM_DOORS };

struct mm_crew;
/*
 * The people of conf's batch, as the centre tells them once (waits
 * for that at most 5 s, and only if waits is set; kept in
 * state/people-<batch>), and of the order that this station makes by itself.
 */
MM_MUST enum mm_err mm_crew_open(const struct mm_station_conf *conf,
    struct mm_centre *centre, bool waits, struct mm_crew **out,
    struct mm_why *why);
void mm_crew_close(struct mm_crew **owner);
/* Whether units are made under somebody's id, and decisions a supervisor's;
 * NULL: not. */
bool mm_crew_asks(const struct mm_crew *c);
/* Of a batch whose people nobody could tell yet: why; nothing is made, and
 * nothing decided.  NONE: they are known. */
enum mm_unit_reason mm_crew_unknown(const struct mm_crew *c);
/* Asks again, if it is time (1 s after the first answer that was none, up to
 * 30 s after later ones), and takes what has come; waits for nothing. */
void mm_crew_run(struct mm_crew *c, struct mm_centre *centre);
/* Asks at once, and waits for the answer; at most 5 s. */
void mm_crew_wait(struct mm_crew *c, struct mm_centre *centre);

/* Whether that is one of the serial numbers that are made here, as batch and
 * order say.  MAYBE: they have some that are not known here. */
enum mm_crew_label { MM_CREW_NO_LABEL, MM_CREW_A_LABEL, MM_CREW_MAYBE_LABEL };
enum mm_crew_label mm_crew_label(const struct mm_crew *c, const char *serial);

/* The recipe that the batch names: that of the order (offline), or that of
 * conf's batch at the centre; "": none, or not known yet. */
const char *mm_crew_recipe(const struct mm_crew *c, bool offline);

/* What that batch says of locking, and of another key under a label that was
 * done; false: it says nothing, or there is none. */
bool mm_crew_rules(const struct mm_crew *c, bool offline,
    struct mm_unit_rules *out);

struct mm_crew_badge {
	char id[MM_DEVICE_ID_MAX + 1]; /* "" nobody's */
	int role; /* enum mm_work_role */
};
/*
 * Whose badge a text is takes about 50 ms: it is found beside the line's
 * thread.  A number to ask by; 0: ask again a little later: another is being
 * compared, or there were too many wrong ones at that door (mm_crew_may says
 * which).
 */
uint64_t mm_crew_ask(struct mm_crew *c, enum mm_crew_door door,
    struct mm_bytes text);
bool mm_crew_may(const struct mm_crew *c, enum mm_crew_door door);
/* false: it is not known yet. */
bool mm_crew_look(struct mm_crew *c, uint64_t ticket,
    struct mm_crew_badge *out);
/* Ready when one is. */
struct pollfd mm_crew_wish(struct mm_crew *c);
/* MM_EAGAIN: whose badges there are is not known yet. */
MM_MUST enum mm_err mm_crew_known(const struct mm_crew *c,
    struct mm_why *why);
/* MM_EPOLICY: nobody's, or less than role. */
MM_MUST enum mm_err mm_crew_judge(const struct mm_crew_badge *b,
    enum mm_work_role role, char id[MM_DEVICE_ID_MAX + 1],
    struct mm_why *why);

/* All of that at once, for who has nothing else to do. */
MM_MUST enum mm_err mm_crew_who(struct mm_crew *c, struct mm_bytes badge,
    enum mm_work_role role, char id[MM_DEVICE_ID_MAX + 1],
    struct mm_why *why);
/* The same of a file, "-" standard input; a line end behind the text is none
 * of it. */
MM_MUST enum mm_err mm_crew_who_file(struct mm_crew *c, const char *path,
    enum mm_work_role role, char id[MM_DEVICE_ID_MAX + 1],
    struct mm_why *why);
/* Somebody stands here from now on. */
void mm_crew_enter(struct mm_crew *c, const char *id);
/*
 * Somebody's badge was scanned.  An operator's: in, or out if that one was in;
 * a supervisor's: may decide once, within a minute, at that door, and is in
 * where nobody was.
 */
void mm_crew_came(struct mm_crew *c, enum mm_crew_door door,
    const struct mm_crew_badge *b);
void mm_crew_leave(struct mm_crew *c);
/* "": nobody. */
const char *mm_crew_operator(const struct mm_crew *c);
const char *mm_crew_supervisor(const struct mm_crew *c);
/* The supervisor whose decision a word at this door is; "": nobody's. */
const char *mm_crew_decides(const struct mm_crew *c, enum mm_crew_door door);
/* And was: the next one wants the badge again. */
void mm_crew_decided(struct mm_crew *c);

/* A decision, on the disk before it is made: state/decisions, a line of JSON
 * each.  MM_EINPUT: no reason was given; MM_ELIMIT: more than 200 bytes. */
#define MM_CREW_SCRAP_OVER "scrap-over"
struct mm_crew_decision {
	const char *what;   /* release, scrap, scrap-over, clock */
	const char *device; /* "" none */
	const char *by, *reason;
};
MM_MUST enum mm_err mm_crew_decide(struct mm_crew *c,
    const struct mm_crew_decision *d, struct mm_why *why);

#endif
