#ifndef MM_CORE_UPSTREAM_H
#define MM_CORE_UPSTREAM_H

#include "core/core.h"

/*
 * Issuers that are another CA's, for who asks that CA: the other half of
 * struct mm_core_conf's forward.
 */

/* The answer to a question, once; too late or once too often is nothing, but
 * for what is noted.  Any thread. */
void mm_core_forwarded(struct mm_core *c, uint64_t number,
    const struct mm_forward_rep *rep);
/* What the request of that token's device has to be named, if it is an
 * existing CA that will be asked: it cannot be changed on its way.
 * MM_ENOTFOUND: it may have any names, or the token is good for nothing. */
struct mm_upstream_names {
	const struct mm_profile *profile;
	char device[MM_DEVICE_ID_MAX + 1], product[MM_NAME_MAX + 1];
};
struct mm_desk;
MM_MUST enum mm_err mm_desk_upstream_names(struct mm_desk *d,
    const struct mm_authority *token, const char *label,
    struct mm_upstream_names *out, struct mm_why *why);
/* The records of certificates with that serial number, one after the other;
 * *at begins with 0: other CAs may have given the same.  MM_ENOTFOUND: no
 * more; else the store cannot be read. */
MM_MUST enum mm_err mm_core_records(struct mm_core *c,
    struct mm_store_reader *r, const struct mm_any_serial *serial, size_t *at,
    struct mm_cert_row *row, struct mm_why *why);
/* How one is doing, since the start; n has those that a process before left
 * behind, too. */
struct mm_upstream_stats {
	uint64_t asked, n[MM_FORWARDS];
	unsigned waiting;      /* for its answer */
	int64_t failed_at;     /* ms; 0: it answers, or only one or two in a
	                        * row had no answer */
	int64_t next_at;       /* monotonic: nobody is asked before */
	char why[161];         /* of the last that was not MADE */
};
/* false: that issuer's certificates are our own. */
bool mm_core_upstream(struct mm_core *c, const char *issuer,
    struct mm_upstream_stats *out);
/* Before that (monotonic ms) it is not asked for that profile of the
 * configuration, on account of its answers there; 0. */
int64_t mm_core_upstream_next(struct mm_core *c, const char *issuer,
    size_t profile);

#endif
