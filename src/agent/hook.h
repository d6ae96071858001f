#ifndef MM_AGENT_HOOK_H
#define MM_AGENT_HOOK_H

#include <limits.h>

#include "agent/pace.h"
#include "base/child.h"

/*
 * A program of the maker's that is told of something that changed, until it
 * has ended with 0 once: at least once, then, for a kill may come before that
 * is noted.  What it was told of last is a file in the identity's folder; a
 * disk that cannot be written is not waited for.
 *
 * It gets one line of JSON on its standard input: "event", and "what" it has
 * to know.  Its environment has PATH and LANG; nothing secret is in either.
 */
#define MM_HOOK_MARK_MAX 128
struct mm_hook {
	const char *event;                  /* "renewed" */
	const struct mm_conf_list *program; /* none: it is never run */
	int64_t limit_s;
	struct mm_pace pace;
	char path[PATH_MAX];                /* of what it was told of last */
	char want[MM_HOOK_MARK_MAX], told[MM_HOOK_MARK_MAX];
	char runs[MM_HOOK_MARK_MAX];        /* what this run is about; "" */
	unsigned failures;
	int64_t next_ms;                    /* by mm_boot_ms */
	char note[160];                     /* of the last failure, or "" */
	struct mm_child child;
};

/* dir/told-EVENT is read; the caller has a lock on dir. */
void mm_hook_init(struct mm_hook *h, const char *dir);
void mm_hook_done(struct mm_hook *h);
/* What is so now, by a name of its own; the hook is due if it is another. */
void mm_hook_want(struct mm_hook *h, const char *mark);
bool mm_hook_due(const struct mm_hook *h);
/* job: what to tell it.  Nothing is done unless it is due and its time. */
void mm_hook_begin(struct mm_hook *h, int64_t boot_ms, struct mm_bytes job);
/* Looks after one that runs.  True: it has ended, and note says how. */
bool mm_hook_run(struct mm_hook *h, int64_t boot_ms, uint16_t dice);

#endif
