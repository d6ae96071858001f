#ifndef MM_CORE_WHERE_H
#define MM_CORE_WHERE_H

#include "core/schema.h"
#include "store/store.h"

/*
 * The text of a recall's conditions: NAME=VALUE with = ^= < <= > >= and ;
 * between several.  What they mean depends on the schemas of the products
 * that are asked for; here is what they say.
 */
#define MM_WHERE_VALUE 129

/*
 * The next condition's name and operator into w and its value, and *text
 * behind it.  MM_ENOTFOUND, without a reason, at the end; MM_EINPUT: it is
 * none.
 */
MM_MUST enum mm_err mm_where_next(const char **text, struct mm_where *w,
    char value[MM_WHERE_VALUE], struct mm_why *why);
/*
 * The value, for a member that the schemas say is so.  A number where it
 * reads as one and the member is no text; MM_EINPUT: only a number can be
 * less or more than another.
 */
MM_MUST enum mm_err mm_where_value(struct mm_where *w,
    enum mm_schema_member is, const char *value, struct mm_why *why);

#endif
