#ifndef MM_BASE_GUARD_H
#define MM_BASE_GUARD_H

#include "base/settings.h"

/*
 * What the separation of server and signer relies on: only the administrator
 * writes the configuration, and nobody else reads the passphrase.
 *
 * MM_EPOLICY, with the file and what to do: the configuration or its folder
 * can be written by others than its owner, or is the server's; the passphrase
 * file can be read by others, or is the server's.  A file that is not there
 * or out of reach is somebody else's to complain about.
 */
MM_MUST enum mm_err mm_guard_files(
    const struct mm_settings *set, const char *config_path, struct mm_why *why);

#endif
