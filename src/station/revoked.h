#ifndef MM_STATION_REVOKED_H
#define MM_STATION_REVOKED_H

#include "station/centre.h"

/*
 * News of revocations: certificates that this station's line CAs made, and
 * that the centre has revoked since, or holds.  A board that comes back with
 * one does not pass, with or without a network.  Kept in the station's folder
 * "revocations", a file for each line CA: what the centre last said, whole,
 * serial numbers in order.
 */
#define MM_REVOKED_SERIAL 40
#define MM_REVOKED_CURSOR 256
struct mm_revoked_row {
	char serial[MM_REVOKED_SERIAL + 1]; /* hexadecimal */
	char held;                          /* 1: it may be released */
};

/* ---- revoked_list.c: what is kept ---- */

/* A page of the centre's onto rows, which are struct mm_revoked_row; held:
 * what it was asked for.  MM_EINPUT: it is no such page. */
MM_MUST enum mm_err mm_revoked_add(struct mm_buf *rows, const json_t *items,
    bool held, struct mm_why *why);
struct mm_revoked_n {
	uint64_t revoked, held;
};
/* Puts the rows in order, a serial number once (revoked, if it is both), and
 * writes them if they are not what is kept.  n: how many they are. */
MM_MUST enum mm_err mm_revoked_keep(const struct mm_station_conf *conf,
    const char *issuer, struct mm_buf *rows, struct mm_revoked_n *n,
    struct mm_why *why);
/* MM_OK: it is revoked, or held; MM_ENOTFOUND: not that is known here; else a
 * file cannot be read. */
MM_MUST enum mm_err mm_revoked_look(const struct mm_station_conf *conf,
    const char *serial, bool *held, struct mm_why *why);

/* The file "revoked" of a version before, which is looked at, too: once the
 * folder has what the centre says of every order here, it has no more. */
void mm_revoked_forget_old(const struct mm_station_conf *conf);

/* ---- revoked.c: asking ---- */

struct mm_revoking { /* asks for one line CA's, by the slot MM_CENTRE_SYNC */
	const struct mm_station_conf *conf;
	struct mm_centre *centre;
	char issuer[MM_NAME_MAX + 1], after[MM_REVOKED_CURSOR];
	unsigned turn;      /* which list is asked for */
	struct mm_buf rows; /* what has come of them */
	struct mm_revoked_n n; /* once all has */
	bool asked; /* something is under way */
};
/* One that was cut off before, and is of the same issuer, goes on from the
 * page that did not come.  r: zeroed before the first time. */
MM_MUST enum mm_err mm_revoking_begin(struct mm_revoking *r,
    const struct mm_station_conf *conf, struct mm_centre *centre,
    const char *issuer, struct mm_why *why);
/* Goes on with what has come, and waits for nothing.  Not asked any more: that
 * was all, and is written; or it failed, and what was kept stands. */
MM_MUST enum mm_err mm_revoking_step(struct mm_revoking *r,
    struct mm_why *why);
void mm_revoking_done(struct mm_revoking *r);

/* For a program that waits: of every order here.  *n: how many are known. */
MM_MUST enum mm_err mm_revoked_fetch(const struct mm_station_conf *conf,
    struct mm_centre *c, struct mm_revoked_n *n, struct mm_why *why);

#endif
