#ifndef MM_BASE_OWNER_H
#define MM_BASE_OWNER_H

#include "base/file.h"

/* Fills in uid and gid of that user; the mode stays.  MM_ENOTFOUND: there is no
 * such user. */
MM_MUST enum mm_err mm_owner_of(const char *user, struct mm_file_own *own,
    struct mm_why *why);

#endif
