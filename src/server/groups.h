#ifndef MM_SERVER_GROUPS_H
#define MM_SERVER_GROUPS_H

#include "core/group.h"
#include "server/rest.h"

/* What rest_groups.c and rest_group_devices.c share. */

/* The group of the path's first variable segment. */
MM_MUST enum mm_err mm_rest_group_of(struct mm_rest *r, struct mm_group *out,
    struct mm_why *why);
/* A note is a line: its hash stands in an entry, and reconcile writes it
 * again. */
MM_MUST enum mm_err mm_group_note_check(const char *note, struct mm_why *why);

#endif
