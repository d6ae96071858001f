#include "cli/crl_hook.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"

#define LOOK_NS 20000000L

/* Signals as they usually are: we wait for some of them, blocked. */
static enum mm_err
spawn(const char *command, pid_t *pid)
{
	char sh[] = "sh", c[] = "-c", *copy = strdup(command);
	char *argv[] = { sh, c, copy, NULL };
	posix_spawnattr_t attr;
	sigset_t none;
	int rc;

	if (copy == NULL)
		return MM_ENOMEM;
	(void)sigemptyset(&none);
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
	    POSIX_SPAWN_SETPGROUP);
	rc = posix_spawn(pid, "/bin/sh", NULL, &attr, argv, environ);
	(void)posix_spawnattr_destroy(&attr);
	free(copy);
	return rc == 0 ? MM_OK : MM_ESYS;
}

static bool
has_ended(pid_t pid, int *status)
{
	pid_t got = waitpid(pid, status, WNOHANG);

	return got == pid || (got < 0 && errno != EINTR);
}

/* Its children too; what it has is wherever it hangs. */
static void
kill_all(pid_t pid)
{
	int status;

	(void)kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
}

static enum mm_err
judge(int status, struct mm_why *why)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return MM_OK;
	return MM_FAIL(why, MM_ESYS, "%s %d",
	    WIFEXITED(status) ? "status" : "signal",
	    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* see crl_hook.h */
enum mm_err
mm_crl_hook_run(const char *command, int64_t limit_s, struct mm_stop *stop,
    struct mm_why *why)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	int64_t end_ms = mm_mono_ms() + limit_s * 1000;
	int status = 0;
	pid_t pid;

	if (spawn(command, &pid) != MM_OK)
		return MM_FAIL(why, MM_ESYS, "no shell could be started");
	while (!has_ended(pid, &status)) {
		if (stop != NULL && mm_stop_wanted(stop, 0)) {
			kill_all(pid);
			return MM_FAIL(why, MM_EAGAIN, "stopped");
		}
		if (mm_mono_ms() >= end_ms) {
			kill_all(pid);
			return MM_FAIL(why, MM_ESYS, "still running after "
			    "%lld s", (long long)limit_s);
		}
		(void)nanosleep(&pause, NULL);
	}
	return judge(status, why);
}
