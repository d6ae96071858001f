#ifndef MM_STATION_CENTRE_H
#define MM_STATION_CENTRE_H

#include <poll.h>

#include <jansson.h>

#include "station/conf.h"

/*
 * The centre, over one connection by mutual TLS with the station's own
 * certificate.  Each fixture has a slot with at most one request under way;
 * the connection takes one after another and is kept open.  Nothing here
 * blocks but mm_centre_wait, which is where the whole station waits.
 */
struct mm_centre;
struct mm_centre_answer {
	/* MM_OK; MM_EAGAIN: no answer, or one that says to come again. */
	enum mm_err rc;
	struct mm_why why;
	char reason[48];  /* that the centre gave with a refusal, or "" */
	json_t *body;     /* of MM_OK; the caller's; NULL: it had none */
};
void mm_centre_answer_done(struct mm_centre_answer *a);
/* Slots that are no fixture's: for what is asked beside the units. */
#define MM_CENTRE_ASIDE MM_FIXTURES_MOST
#define MM_CENTRE_SYNC  (MM_FIXTURES_MOST + 1) /* sync.h's */
#define MM_CENTRE_TOLD  (MM_FIXTURES_MOST + 2) /* line_told.c's */
#define MM_CENTRE_CREW  (MM_FIXTURES_MOST + 3) /* crew.h's */
#define MM_CENTRE_SLOTS (MM_FIXTURES_MOST + 4)

MM_MUST enum mm_err mm_centre_open(const struct mm_station_conf *conf,
    struct mm_centre **out, struct mm_why *why);
void mm_centre_close(struct mm_centre **owner);

/* path begins after /api/v1; body: JSON, NULL: a GET. */
MM_MUST enum mm_err mm_centre_ask(struct mm_centre *c, unsigned slot,
    const char *path, const char *body, struct mm_why *why);
/* By the slot MM_CENTRE_SYNC: as long as an order's file may be, and for as
 * long as something of it comes. */
MM_MUST enum mm_err mm_centre_ask_order(struct mm_centre *c, const char *path,
    const char *body, struct mm_why *why);
/* The slot's answer, once; false: not yet. */
bool mm_centre_take(struct mm_centre *c, unsigned slot,
    struct mm_centre_answer *out);
/* Whether it was there when it was last asked, and since when (by the clock):
 * any answer of it counts. */
enum mm_centre_is { MM_CENTRE_UNKNOWN, MM_CENTRE_THERE, MM_CENTRE_AWAY };
enum mm_centre_is mm_centre_is(const struct mm_centre *c, int64_t *since_ms);
/* Gives the slot's request up. */
void mm_centre_drop(struct mm_centre *c, unsigned slot);
/*
 * Waits at most ms for the centre or one of p; then does what can be done.
 * p's revents are not told.
 */
void mm_centre_wait(struct mm_centre *c, struct pollfd *p, unsigned n, int ms);

#endif
