#ifndef MM_CORE_DEVCONF_PRIV_H
#define MM_CORE_DEVCONF_PRIV_H

#include "base/own.h"
#include "base/time.h"
#include "core/devconf.h"
#include "core/priv.h"

/* What devconf*.c share. */

/* The id of a set's document; of a device's without case. */
void mm_devconf_doc_id(enum mm_devconf_scope scope, const char *id,
    char out[MM_DOC_ID_MAX + 1]);
/* Fills in the hash of the others. */
void mm_devconf_detail(struct mm_devconf_change *c);

/* The sets that may be a device's; batch "" : none. */
struct mm_devconf_sets { struct mm_devconf of[MM_DEVCONF_SCOPES]; };
MM_MUST enum mm_err mm_devconf_sets_get(struct mm_store_reader *r,
    const struct mm_device *dev, const char *batch,
    struct mm_devconf_sets *out, struct mm_why *why);
/* The one that gives; NULL: none does. */
const struct mm_devconf *mm_devconf_nearest(const struct mm_devconf_sets *s);

#endif
