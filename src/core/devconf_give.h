#ifndef MM_CORE_DEVCONF_GIVE_H
#define MM_CORE_DEVCONF_GIVE_H

#include "core/devconf_priv.h"

/* Between devconf_find.c and devconf_give.c. */

/* Who asks, and for what. */
struct mm_devconf_who {
	const char *serial; /* of its certificate, hex; NULL: not known */
	int64_t says;       /* the version that it says it has; 0 */
	const char *mark;   /* 16 hex digits of that one's hash; NULL */
	bool render;        /* though the record says what it gets */
	bool look;          /* do not render at all */
};
/* Into g, which is as MM_DEVCONF_GIVEN_INIT has it. */
MM_MUST enum mm_err mm_devconf_resolve(struct mm_desk *d,
    const struct mm_device *dev, const struct mm_devconf_who *who,
    struct mm_devconf_given *g, struct mm_why *why);
/* The id of its record. */
void mm_devconf_note_id(const char *device, char id[MM_DOC_ID_MAX + 1]);

#endif
