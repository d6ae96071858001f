#ifndef MM_SERVER_SELECT_H
#define MM_SERVER_SELECT_H

#include "core/mass.h"
#include "server/rest.h"

/*
 * What the calls have in common that change all of a selection.  The body is
 * the same to the byte until nothing is left, so that it can be looked at
 * first ("dry_run") and so that an approval is of all that it names; how much
 * one call does and where it goes on stand in the query.  A worker is away
 * with one for seconds at most, and there is one such call at a time: other
 * calls have a worker still.
 */
#define MM_SELECT_MOST   10000  /* records that one call changes ... */
#define MM_SELECT_ROWS   100000 /* ... and looks at ... */
#define MM_SELECT_RUN_MS 5000   /* ... and time */

/* MM_EINPUT: an empty text or null as a condition, which would be none: who
 * has said {"batch":""} does not mean all batches. */
MM_MUST enum mm_err mm_select_check(const struct mm_rest *r,
    struct mm_why *why);
/* limit and after of the query.  MM_EINPUT: not a number; not a key of this
 * very request, which would leave out what another one has passed. */
MM_MUST enum mm_err mm_select_read(const struct mm_rest *r, uint64_t *most,
    char after[MM_MASS_AFTER], struct mm_why *why);
/* "next", where there is more. */
void mm_select_put_next(struct mm_rest *r, const char *next);
/* MM_EBUSY: another one is at work.  Each begin has its end; whole: nothing is
 * left, and the request's approval is used up; done: of those that it was
 * given for. */
MM_MUST enum mm_err mm_select_begin(struct mm_rest *r, struct mm_why *why);
void mm_select_end(struct mm_rest *r, bool whole, uint64_t done);

#endif
