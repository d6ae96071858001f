#ifndef MM_SIGNER_RUN_H
#define MM_SIGNER_RUN_H

#include "signer/priv.h"

/*
 * The serving signer: loads, locks itself in, then one thread a link until
 * all links are closed or SIGTERM comes.
 */
MM_MUST enum mm_err mm_run(const struct mm_load_opts *o,
    const struct mm_links *links, struct mm_why *why);
/* "issue:5,psk:7": roles and descriptors. */
MM_MUST enum mm_err mm_links_parse(const char *text, struct mm_links *out,
    struct mm_why *why);

/*
 * progress.c: whether a thread that is at work gets anywhere.  A long list to
 * sign is not stuck, for it uses its processor; a thread that waits for a
 * lock that nobody gives back uses none.
 */
struct mm_progress {
	int64_t cpu_ns;   /* used when last looked at */
	int64_t since_ms; /* since when; 0: not looked at yet */
};
/* Asked every second or so: busy all the time and no processor time used for
 * limit_ms, 0 for never. */
bool mm_progress_stuck(struct mm_progress *p, pthread_t thread, bool busy,
    int64_t limit_ms);

#endif
