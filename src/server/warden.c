#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "server/registrar.h"

/*
 * The warden: what the registrar starts is the warden's to bury.  A program
 * that was orphaned comes to it (PR_SET_CHILD_SUBREAPER), whatever group or
 * session it has made for itself; so when the registrar has ended, by a
 * signal or by itself, all children that there are are its left-overs.
 */
enum {
	END_TICK_MS = 5,
	END_TICKS = 2000, /* who cannot be killed for so long hangs in the
	                   * kernel */
};

/* false: there is no telling what there is. */
static bool
kill_children(unsigned *n)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	int pid;

	if (f == NULL)
		return false;
	while (fscanf(f, "%d", &pid) == 1)
		*n += kill(pid, SIGKILL) == 0;
	(void)fclose(f);
	return true;
}

/* Until there is none: who is killed leaves its own children here. */
static void
end_children(void)
{
	unsigned n = 0;

	for (int i = 0; i < END_TICKS; i++) {
		pid_t pid;

		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			continue;
		if (pid < 0 || !kill_children(&n))
			break;
		(void)poll(NULL, 0, END_TICK_MS);
	}
	if (n > 0)
		MM_LOG(MM_LOG_WARN, "programs-ended", MM_I("signals", n));
}

/* Those that are nobody's go by the way; the child's status when it ends. */
static bool
has_ended(pid_t child, int *status)
{
	int st;
	pid_t pid;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0)
		if (pid == child) {
			*status = st;
			return true;
		}
	return false;
}

static int
watch(pid_t child, const sigset_t *set)
{
	int status = 0;

	while (!has_ended(child, &status)) {
		int sig = sigwaitinfo(set, NULL);

		if (sig == SIGTERM || sig == SIGINT)
			(void)kill(child, SIGTERM);
	}
	end_children();
	return WIFEXITED(status) ? WEXITSTATUS(status) :
	    128 + WTERMSIG(status);
}

static _Noreturn void
be_child(pid_t warden, int (*work)(void *ctx), void *ctx)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* it may have gone before it could be said */
	exit(getppid() == warden ? work(ctx) : EXIT_FAILURE);
}

/* see registrar.h; the child takes its signals by a descriptor, too */
int
mm_warden_run(int (*work)(void *ctx), void *ctx, int link)
{
	pid_t warden = getpid(), child;
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	child = fork();
	if (child < 0)
		return mm_err_exit(MM_ESYS);
	if (child == 0)
		be_child(warden, work, ctx);
	/* else nobody would see the child's end */
	(void)close(link);
	return watch(child, &set);
}
