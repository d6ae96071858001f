#ifndef MM_SANDBOX_H
#define MM_SANDBOX_H

#include <stddef.h>

#include "base/err.h"

/*
 * What a process gives up once it is ready: user, files, system calls.
 *
 * Order (architecture.md): everything loaded and used once, tzset, landlock
 * (it binds the calling thread and those made later, so before any other
 * exists), threads made and warmed, then seccomp with TSYNC.
 * A kernel that lacks a part degrades: the call succeeds and sets the bit in
 * *missing, which the program logs.
 */
enum mm_sandbox_missing {
	MM_SANDBOX_NO_LANDLOCK = 1 << 0,
	MM_SANDBOX_OLD_LANDLOCK = 1 << 1,
	MM_SANDBOX_NO_SECCOMP = 1 << 2,
};

/* Not dumpable: no other process of the same user looks into its memory. */
MM_MUST enum mm_err mm_sandbox_hide(struct mm_why *why);
/* Hidden, no new privileges, core size 0; lock_memory: mlockall where
 * the limit allows. */
MM_MUST enum mm_err mm_sandbox_harden(int lock_memory, struct mm_why *why);
/* To a user by name, with its group and extra (may be NULL) as the only
 * supplementary group; "" does nothing.  Irrevocable. */
MM_MUST enum mm_err mm_sandbox_drop(const char *user, const char *extra_group,
    struct mm_why *why);

struct mm_sandbox_path {
	const char *path;
	int write; /* 0 read, 1 read and write beneath */
};
MM_MUST enum mm_err mm_sandbox_files(const struct mm_sandbox_path *paths,
    size_t n, unsigned *missing, struct mm_why *why);

enum mm_sandbox_role {
	MM_SANDBOX_SIGNER,
	MM_SANDBOX_SERVER,  /* sockets that are there; makes none */
	MM_SANDBOX_DIALLER, /* a server whose database is elsewhere: it may
	                     * connect */
	MM_SANDBOX_COURIER, /* connects to others; listens to nobody */
};
/* An allow-list by role; anything else kills the process. */
MM_MUST enum mm_err mm_sandbox_syscalls(enum mm_sandbox_role role,
    unsigned *missing, struct mm_why *why);

#endif
