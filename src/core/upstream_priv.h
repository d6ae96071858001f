#ifndef MM_CORE_UPSTREAM_PRIV_H
#define MM_CORE_UPSTREAM_PRIV_H

#include "core/priv.h"
#include "core/upstream.h"

/* upstream.c, as the pipeline sees it. */

struct mm_upstream;
MM_MUST enum mm_err mm_upstream_new(struct mm_core *c, struct mm_why *why);
void mm_upstream_free(struct mm_upstream **owner);
struct mm_going;
void mm_going_free(struct mm_going **owner);
/* Whose certificates the verdict's profile has now; NULL: the signer's. */
const struct mm_issuer_conf *mm_upstream_of(const struct mm_core *c,
    const struct mm_profile *p);
/* D: a verdict to issue; the signer is asked for possession next.  Else the
 * job is refused, for this reason. */
MM_MUST enum mm_reason mm_upstream_admit(struct mm_core *c,
    struct mm_flight *f, const struct mm_issuer_conf *i);
/* W: possession is proved: what W writes before the CA is asked. */
MM_MUST enum mm_err mm_upstream_note(struct mm_core *c, struct mm_flight *f,
    struct mm_why *why);
/* W, after that was written: no longer the caller's; it comes by c->commits
 * with what became of it. */
void mm_upstream_go(struct mm_core *c, struct mm_flight *f);
/* W: that is written.  Why the job has no certificate. */
enum mm_reason mm_upstream_failed(struct mm_flight *f);
/* W: those whose time is over; all of them when it stops. */
void mm_upstream_late(struct mm_core *c);
/* The job is over, or decided anew. */
void mm_upstream_end(struct mm_core *c, struct mm_flight *f);
/* Housekeeping: what was asked by a process that ended is entered. */
MM_MUST enum mm_err mm_desk_upstream(struct mm_desk *d, struct mm_why *why);

#endif
