#ifndef MM_SERVER_APPROVAL_H
#define MM_SERVER_APPROVAL_H

#include "core/group.h"
#include "server/rest.h"

/*
 * Approvals as documents; the rules are core's (struct mm_approval).
 * approval_doc.c
 */
const char *mm_approval_state_name(enum mm_approval_state s);
#define MM_APPROVAL_QUERY 256
/* What else is on record of one. */
struct mm_approval_more {
	/* How many a selection came to when it was asked for, and how many of
	 * them are done; found -1: that was not counted. */
	int64_t found, done;
	/* request_sha256 is of the salt and that hash: nobody who is shown it
	 * can try a request by it.  Those of before are not, nor shown. */
	bool salted;
	/* The version of the group that is to be opened; -1: of another. */
	int64_t at;
	char query[MM_APPROVAL_QUERY]; /* as it came; "" none */
};
/* Its members, into an object that is open. */
void mm_approval_put(struct mm_json *j, const struct mm_approval *a,
    const struct mm_approval_more *n);
/* What nobody is shown of a request, in place: a text says that it was there.
 * approval_hide.c */
void mm_approval_hide(const char *action, json_t *request);
/* *request: what was asked for, NULL once that is over; owned.  MM_EBUG: not
 * what was stored. */
MM_MUST enum mm_err mm_approval_read(struct mm_bytes body,
    struct mm_approval *a, struct mm_approval_more *n, json_t **request,
    struct mm_why *why);
/* The same of one that is stored; *request without what nobody is shown. */
MM_MUST enum mm_err mm_approval_load(struct mm_rest *r, const char *id,
    struct mm_approval *a, struct mm_approval_more *n, json_t **request,
    struct mm_why *why);
/* Stores what it has become, with its entry; request: borrowed, or NULL. */
MM_MUST enum mm_err mm_approval_store(struct mm_desk *d,
    const struct mm_approval *a, const struct mm_approval_more *n,
    const char *actor, json_t *request, struct mm_why *why);
/* Stores what was done of it, or that it is good for nothing more; its entry
 * is that of its use. */
MM_MUST enum mm_err mm_approval_close(struct mm_desk *d,
    const struct mm_approval *a, const struct mm_approval_more *n,
    struct mm_why *why);
/* Whether the group is as it was when the approval of the call was asked for,
 * if it has one; MM_ECONFLICT. */
MM_MUST enum mm_err mm_approval_is_of(struct mm_rest *r,
    const struct mm_group *g, struct mm_why *why);
/* Every one there is, in the order of their time. */
typedef void mm_approval_fn(void *ctx, const struct mm_approval *a);
MM_MUST enum mm_err mm_approval_each(struct mm_store_reader *r,
    mm_approval_fn *fn, void *ctx, struct mm_why *why);

#endif
