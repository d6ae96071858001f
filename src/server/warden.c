#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "server/pulse.h"
#include "server/registrar.h"

/*
 * The warden: what the registrar starts is the warden's to bury.  A program
 * that was orphaned comes to it (PR_SET_CHILD_SUBREAPER), whatever group or
 * session it has made for itself; so when the registrar has ended, by a
 * signal or by itself, all children that there are are its left-overs.
 *
 * It also sees when the registrar hangs: each second that one says that it
 * lives, over a pipe.  Who hangs cannot be asked to go, and is killed; its
 * server then hears of its end, as of any, and the monitor starts another.
 */
enum {
	STOP_MS = 3000,   /* to end in when asked to */
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

struct ward {
	const struct mm_warden *conf;
	pid_t child;
	int beats;            /* from it */
	struct mm_pulse pulse;
	int64_t looked_at;    /* monotonic */
	int64_t stop_by;      /* ...; 0: it was not asked to end */
	bool late;            /* ... and had not, which was said */
};

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

static bool
is_lost(struct ward *w, int64_t now)
{
	char said[64];

	mm_pulse_pass(&w->pulse, now - w->looked_at);
	if (read(w->beats, said, sizeof(said)) > 0)
		mm_pulse_beat(&w->pulse);
	return mm_pulse_lost(&w->pulse, w->conf->limit_s);
}

/* One that takes long to end need not hang: what it waits for may be slow. */
static bool
is_late(const struct ward *w, int64_t now)
{
	return w->stop_by != 0 && now >= w->stop_by;
}

static void
look_at(struct ward *w)
{
	int64_t now = mm_mono_ms();

	if (now - w->looked_at < MM_PULSE_EVERY_MS / 2)
		return;
	if (is_lost(w, now)) {
		MM_LOG(MM_LOG_ERROR, "child-hung",
		    MM_S("child", w->conf->name),
		    MM_I("silent_ms", w->pulse.silent_ms));
		(void)kill(w->child, SIGKILL);
		mm_pulse_begin(&w->pulse); /* the kernel may need a while */
	} else if (is_late(w, now)) {
		if (!w->late)
			MM_LOG(MM_LOG_WARN, "child-late",
			    MM_S("child", w->conf->name),
			    MM_I("stop_ms", STOP_MS));
		w->late = true;
		(void)kill(w->child, SIGKILL);
	}
	w->looked_at = now;
}

static int
watch(struct ward *w, const sigset_t *set)
{
	const struct timespec every = { .tv_sec = MM_PULSE_EVERY_MS / 1000 };
	int status = 0;

	while (!has_ended(w->child, &status)) {
		int sig = sigtimedwait(set, NULL, &every);

		if (sig == SIGTERM || sig == SIGINT) {
			(void)kill(w->child, SIGTERM);
			if (w->stop_by == 0)
				w->stop_by = mm_mono_ms() + STOP_MS;
		}
		look_at(w);
	}
	end_children();
	return WIFEXITED(status) ? WEXITSTATUS(status) :
	    128 + WTERMSIG(status);
}

static _Noreturn void
be_child(pid_t warden, const struct mm_warden *conf, int beats)
{
	(void)prctl(PR_SET_PDEATHSIG,
	    conf->programs ? SIGTERM : SIGKILL);
	/* it may have gone before it could be said */
	exit(getppid() == warden ? conf->work(conf->ctx, beats) :
	    EXIT_FAILURE);
}

/* see registrar.h; the child takes its signals by a descriptor, too */
int
mm_warden_run(const struct mm_warden *conf)
{
	struct ward w = { .conf = conf, .looked_at = mm_mono_ms() };
	pid_t warden = getpid();
	sigset_t set;
	int beats[2];

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (pipe2(beats, O_CLOEXEC | O_NONBLOCK) != 0 ||
	    (w.child = fork()) < 0)
		return mm_err_exit(MM_ESYS);
	if (w.child == 0) {
		(void)close(beats[0]);
		be_child(warden, conf, beats[1]);
	}
	w.beats = beats[0];
	(void)close(beats[1]);
	/* else nobody would see the child's end */
	(void)close(conf->link);
	return watch(&w, &set);
}
