#ifndef MM_STATION_CREW_H
#define MM_STATION_CREW_H

#include "station/centre.h"
#include "station/reason.h"
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
#define MM_CREW_WRONG_MS      1000  /* after a wrong badge, before the next */

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

/* Whose badge that is, without consequences; role is the least that it must
 * be.  MM_EPOLICY: nobody's, or an operator's for a supervisor's; MM_EAGAIN:
 * whose they are is not known yet; MM_ERATE: a wrong one came just before.
 * About 50 ms. */
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
 * A line that was scanned: true: it was a badge.  An operator's: in, or out if
 * that one was in; a supervisor's: may decide for a minute, and is in where
 * nobody was.
 */
bool mm_crew_scan(struct mm_crew *c, struct mm_bytes line);
void mm_crew_leave(struct mm_crew *c);
/* "": nobody. */
const char *mm_crew_operator(const struct mm_crew *c);
const char *mm_crew_supervisor(const struct mm_crew *c);

/* A decision, on the disk before it is made: state/decisions, a line of JSON
 * each.  MM_EINPUT: no reason was given; MM_ELIMIT: more than 200 bytes. */
struct mm_crew_decision {
	const char *what;   /* release, scrap, clock */
	const char *device; /* "" none */
	const char *by, *reason;
};
MM_MUST enum mm_err mm_crew_decide(struct mm_crew *c,
    const struct mm_crew_decision *d, struct mm_why *why);

#endif
