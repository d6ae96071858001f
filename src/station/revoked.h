#ifndef MM_STATION_REVOKED_H
#define MM_STATION_REVOKED_H

#include "station/centre.h"

/*
 * News of revocations: certificates that this station's line CAs made and the
 * centre has revoked since.  A board that comes back with one does not pass,
 * with or without a network.  Kept in the station's folder, "revoked", a
 * serial number a line.  A revocation is for good: none is taken out again.
 */
#define MM_REVOKED_SERIAL 40
#define MM_REVOKED_CURSOR 256
struct mm_revoking { /* asks for one line CA's, by the slot MM_CENTRE_SYNC */
	const struct mm_station_conf *conf;
	struct mm_centre *centre;
	char issuer[MM_NAME_MAX + 1], after[MM_REVOKED_CURSOR];
	bool asked; /* something is under way */
};
MM_MUST enum mm_err mm_revoking_begin(struct mm_revoking *r,
    const struct mm_station_conf *conf, struct mm_centre *centre,
    const char *issuer, struct mm_why *why);
/* Goes on with what has come, and waits for nothing.  Not asked any more: that
 * was all, or it failed. */
MM_MUST enum mm_err mm_revoking_step(struct mm_revoking *r,
    struct mm_why *why);

/* For a program that waits: of every order here.  *n: how many are known. */
MM_MUST enum mm_err mm_revoked_fetch(const struct mm_station_conf *conf,
    struct mm_centre *c, uint64_t *n, struct mm_why *why);
/* MM_OK: it is revoked; MM_ENOTFOUND: not that is known here; else the file
 * cannot be read. */
MM_MUST enum mm_err mm_revoked_look(const struct mm_station_conf *conf,
    const char *serial, struct mm_why *why);

#endif
