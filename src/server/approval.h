#ifndef MM_SERVER_APPROVAL_H
#define MM_SERVER_APPROVAL_H

#include "server/rest.h"

/*
 * Approvals as documents; the rules are core's (struct mm_approval).
 * approval_doc.c
 */
const char *mm_approval_state_name(enum mm_approval_state s);
/* How many a selection came to when it was asked for, and how many of them
 * are done; found -1: that was not counted. */
struct mm_approval_count {
	int64_t found, done;
};
/* Its members, into an object that is open. */
void mm_approval_put(struct mm_json *j, const struct mm_approval *a,
    const struct mm_approval_count *n);
/* *request: what was asked for, NULL once that is over; owned.  MM_EBUG: not
 * what was stored. */
MM_MUST enum mm_err mm_approval_read(struct mm_bytes body,
    struct mm_approval *a, struct mm_approval_count *n, json_t **request,
    struct mm_why *why);
MM_MUST enum mm_err mm_approval_load(struct mm_rest *r, const char *id,
    struct mm_approval *a, struct mm_approval_count *n, json_t **request,
    struct mm_why *why);
/* Stores what it has become, with its entry; request: borrowed, or NULL. */
MM_MUST enum mm_err mm_approval_store(struct mm_desk *d,
    const struct mm_approval *a, const struct mm_approval_count *n,
    const char *actor, json_t *request, struct mm_why *why);
/* Stores what was done of it, or that it is good for nothing more; its entry
 * is that of its use. */
MM_MUST enum mm_err mm_approval_close(struct mm_desk *d,
    const struct mm_approval *a, const struct mm_approval_count *n,
    struct mm_why *why);
/* Every one there is, in the order of their time. */
typedef void mm_approval_fn(void *ctx, const struct mm_approval *a);
MM_MUST enum mm_err mm_approval_each(struct mm_store_reader *r,
    mm_approval_fn *fn, void *ctx, struct mm_why *why);

#endif
