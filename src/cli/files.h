#ifndef MM_CLI_FILES_H
#define MM_CLI_FILES_H

#include "cli/cmd.h"

/*
 * Files that a command names and cannot have, said in one place for all of
 * them: to a library each is a system call that failed, to who wrote the
 * command a name that is another's, or that is a folder's.
 */

/* Before the command runs.  A folder where a file is wanted is MM_EINPUT: read,
 * some would look like an empty file.  Options that may take one are MM_C_PATH
 * or MM_C_DIR. */
MM_MUST enum mm_err mm_cli_files_check(const struct mm_cli *cli,
    const struct mm_cmd *c, const struct mm_args *a, struct mm_why *why);
/* Of a file that a library opens, which would say less; NULL: there is none. */
MM_MUST enum mm_err mm_cli_files_open(const char *path, struct mm_why *why);
/* After it failed: what MM_ESYS and the system's words at the end of *why come
 * to, with a hint; any other failure as it is. */
MM_MUST enum mm_err mm_cli_files_say(struct mm_cli *cli, enum mm_err rc,
    struct mm_why *why);

#endif
