#ifndef MM_BASE_NAME_H
#define MM_BASE_NAME_H

#include <limits.h>

#include "base/err.h"

/*
 * The name of a file that was made: what is in it is on the disk when the file
 * is synced, the name when its folder is.  A file that is appended to for
 * years wants it once, after it was opened; mm_file_replace does it itself.
 * MM_ESYS.
 */
MM_MUST enum mm_err mm_name_sync(const char *path, struct mm_why *why);
/* The folder that it is in; "." of a bare name.  MM_ELIMIT. */
MM_MUST enum mm_err mm_name_folder(const char *path, char out[PATH_MAX],
    struct mm_why *why);

#endif
