#include <signal.h>
#include <time.h>

#include "cli/bulk.h"

/* see bulk.h */
void
mm_stop_begin(struct mm_stop *s)
{
	*s = (struct mm_stop){ .caught = 0 };
	sigemptyset(&s->set);
	sigaddset(&s->set, SIGINT);
	sigaddset(&s->set, SIGTERM);
	sigaddset(&s->set, SIGHUP);
	sigprocmask(SIG_BLOCK, &s->set, &s->before);
}

/* see bulk.h */
bool
mm_stop_wanted(struct mm_stop *s, long wait_s)
{
	struct timespec t = { .tv_sec = wait_s };
	int sig;

	if (s->caught == 0 && (sig = sigtimedwait(&s->set, NULL, &t)) > 0)
		s->caught = sig;
	return s->caught != 0;
}

/* see bulk.h */
void
mm_stop_end(struct mm_stop *s)
{
	if (s->caught != 0)
		(void)raise(s->caught);
	sigprocmask(SIG_SETMASK, &s->before, NULL);
}
