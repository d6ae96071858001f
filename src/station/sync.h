#ifndef MM_STATION_SYNC_H
#define MM_STATION_SYNC_H

#include "station/centre.h"
#include "station/own.h"

/*
 * What was made offline goes to the centre over the station's connection, a
 * piece after another (work/sync.h).  Nothing here waits: whoever runs the
 * connection calls mm_syncing_step.  The centre says how far it is; what it has
 * acknowledged is stored there, and noted here in the file "synced".
 */
struct mm_syncing {
	struct mm_centre *centre;
	struct mm_own *own;
	unsigned slot, most; /* entries in a piece */
	enum { MM_SYNC_REST, MM_SYNC_ASKED, MM_SYNC_SENT } phase;
	uint64_t to; /* behind what is under way */
	uint64_t seen; /* that the centre knows to be signed */
	bool older;    /* the centre has more than there is here */
	/* Of what was acknowledged: */
	uint64_t entries, issued, confirmed, unchanged, quarantined;
	char aside[161]; /* the last one that was put aside, and why */
};
/* Asks how far the centre is.  rest: not under way, as after the last one. */
MM_MUST enum mm_err mm_syncing_begin(struct mm_syncing *s, struct mm_why *why);
/*
 * Goes on with what has come.  MM_OK with phase MM_SYNC_REST: all is there.
 * MM_EAGAIN: the centre is away.  MM_EPOLICY: it has more entries than there
 * are here, or other ones: this station was put back, or copied.
 */
MM_MUST enum mm_err mm_syncing_step(struct mm_syncing *s, struct mm_why *why);

/*
 * sync_order.c, for a program that makes no units meanwhile and waits: asks
 * for the newest order of conf's batch, or of the newest order here, and gives
 * it to the signer, whose process must have ended.  What the centre or the
 * signer refuses, and why, is the call's.  anew: what is here is damaged, and
 * comes again whatever its beginning says.
 */
struct mm_sync_order {
	char batch[MM_NAME_MAX + 1];
	bool is_new; /* it was not here yet */
};
MM_MUST enum mm_err mm_sync_order(const struct mm_station_conf *conf,
    struct mm_centre *c, bool anew, struct mm_sync_order *out,
    struct mm_why *why);

/* What the file says: all zero where nothing was brought yet. */
struct mm_synced {
	uint64_t size; /* entries that the centre has acknowledged */
	int64_t at_ms;
};
MM_MUST enum mm_err mm_synced_read(const struct mm_station_conf *conf,
    struct mm_synced *out, struct mm_why *why);
MM_MUST enum mm_err mm_synced_write(
    const struct mm_station_conf *conf, uint64_t size, struct mm_why *why);

struct mm_unsynced {
	uint64_t units;    /* certificates that the centre does not have */
	int64_t since_ms;  /* when the first of them was made; 0: none */
	int64_t synced_ms; /* when the centre last had all; 0: never */
	int64_t limit_s; /* of the order or conf, whichever is less; 0: none */
};
/* all: counts them; else only the first is looked for, however many. */
MM_MUST enum mm_err mm_unsynced_get(
    struct mm_own *o, bool all, struct mm_unsynced *out, struct mm_why *why);
/* Whether the next unit waits for a sync. */
bool mm_unsynced_stops(const struct mm_unsynced *u, int64_t now_ms);

#endif
