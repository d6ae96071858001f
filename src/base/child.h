#ifndef MM_BASE_CHILD_H
#define MM_BASE_CHILD_H

#include <poll.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/conf.h"

/*
 * A program of the maker's that is run once for one question: a line of JSON
 * on its standard input, what it says on its standard output, its end.  No
 * shell; a process group of its own, that is killed with all its children
 * when the program has ended, its time is over or it is closed; nothing here
 * waits for it.
 */
#define MM_CHILD_JOB_MAX (48 << 10)
#define MM_CHILD_OUT_MAX (64 << 10)

struct mm_child {
	pid_t pid; /* 0: none runs */
	int out;   /* -1: it has ended its output */
	int end;   /* pidfd_open(2); -1: none runs, or it is seen at a tick */
	int64_t end_ms;
	struct mm_buf said;
	bool spawned;
	char note[160]; /* why it could not be started */
};
enum mm_child_got {
	MM_CHILD_WAIT,
	MM_CHILD_ENDED, /* by itself; *status is waitpid's */
	MM_CHILD_LATE,
	MM_CHILD_FLOODS,  /* it said more than MM_CHILD_OUT_MAX */
	MM_CHILD_NOTHING, /* it could not be started; note says why, or "" */
};

void mm_child_init(struct mm_child *c);
void mm_child_done(struct mm_child *c);
/* job: a line, at most MM_CHILD_JOB_MAX. */
void mm_child_begin(struct mm_child *c, const struct mm_conf_list *program,
    int64_t limit_s, struct mm_bytes job);
/* All but WAIT end it, and what it has left behind. */
enum mm_child_got mm_child_run(struct mm_child *c, int *status);
/* Ready when it has ended. */
struct pollfd mm_child_wish(const struct mm_child *c);
void mm_child_close(struct mm_child *c);

#endif
