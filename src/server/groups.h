#ifndef MM_SERVER_GROUPS_H
#define MM_SERVER_GROUPS_H

#include "core/group.h"
#include "server/rest.h"

/* What rest_groups.c and rest_group_devices.c share. */

/* The group of the path's first variable segment. */
MM_MUST enum mm_err mm_rest_group_of(struct mm_rest *r, struct mm_group *out,
    struct mm_why *why);

#endif
