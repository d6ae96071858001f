#ifndef MM_CLI_CRL_HOOK_H
#define MM_CLI_CRL_HOOK_H

#include "cli/bulk.h"

/*
 * Runs a command by the shell, in a process group of its own, with our
 * environment and output.  After limit_s seconds, or when stop wants us to end
 * (NULL: nothing does), the group is killed.  MM_ESYS, the reason in why: it
 * could not be started, was late, or did not end with 0; MM_EAGAIN: stop.
 */
MM_MUST enum mm_err mm_crl_hook_run(const char *command, int64_t limit_s,
    struct mm_stop *stop, struct mm_why *why);

#endif
