#ifndef MM_SERVER_MONITOR_H
#define MM_SERVER_MONITOR_H

#include <sys/types.h>

#include "base/secret.h"
#include "server/priv.h"

/* child.c: how the monitor starts its children. */

/* The signer: its ends of the links, the passphrase through a pipe. */
MM_MUST enum mm_err mm_child_signer(const struct mm_config *config,
    const char *config_path, const struct mm_links *links,
    struct mm_bytes passphrase, pid_t *pid, struct mm_why *why);
/* The server or the courier ("serve", "courier"): this program again, so that
 * nothing of the monitor's memory (the passphrase) is in it. */
MM_MUST enum mm_err mm_child_self(const char *role, const char *config_path,
    int control, pid_t *pid, struct mm_why *why);
/* From the descriptor, the configured file, or the terminal. */
MM_MUST enum mm_err mm_child_passphrase(const struct mm_config *config,
    int fd, struct mm_secret **out, struct mm_why *why);
/* sd_notify(3), without the library; does nothing without NOTIFY_SOCKET. */
void mm_child_notify(const char *text);

#endif
