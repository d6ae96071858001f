#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/time.h"
#include "pki/cert.h"
#include "station/exec.h"

/*
 * The driver for boards that a maker's own program speaks to.  One run of the
 * program is one step: a job in on standard input, answers out, then it ends.
 * It runs in a process group of its own and never outlives its step.
 */
enum { JOB_MAX = 48 << 10, OUT_MAX = 64 << 10 };

struct exec {
	struct mm_driver base;
	struct mm_driver_job job;
	pid_t pid; /* 0: none runs */
	int out;   /* -1: it has ended its output */
	int64_t end_ms;
	struct mm_buf said;
	bool spawned;
	struct mm_exec_result result;
};

static struct exec *
of(struct mm_driver *d)
{
	return (struct exec *)d;
}

static struct mm_driver *
exec_new(const struct mm_fixture_conf *conf)
{
	struct exec *x = calloc(1, sizeof(*x));

	(void)conf;
	if (x == NULL)
		return NULL;
	x->out = -1;
	mm_buf_init(&x->said, OUT_MAX);
	return &x->base;
}

/* Its children too: a flasher that hangs is often one. */
static void
exec_close(struct mm_driver *d)
{
	struct exec *x = of(d);

	if (x->pid > 0) {
		(void)kill(-x->pid, SIGKILL);
		while (waitpid(x->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	x->pid = 0;
	if (x->out >= 0)
		(void)close(x->out);
	x->out = -1;
}

static void
exec_free(struct mm_driver **owner)
{
	exec_close(*owner);
	mm_buf_done(&of(*owner)->said);
	free(*owner);
	*owner = NULL;
}

/* Whether something is there is the program's to say. */
static enum mm_driver_got
exec_open(struct mm_driver *d, enum mm_unit_reason *reason)
{
	(void)reason;
	exec_close(d);
	return MM_DRIVER_DONE;
}

/* ---- the program ---- */

static bool
write_job(int fd, const struct mm_driver *d, const struct mm_driver_job *job)
{
	struct mm_buf text = MM_BUF_INIT(JOB_MAX);
	ssize_t n = -1;

	mm_exec_put_job(&text, d->conf, job);
	if (mm_buf_ok(&text, NULL) == MM_OK)
		n = write(fd, text.p, text.n);
	if (n != (ssize_t)text.n)
		n = -1;
	mm_buf_done(&text);
	return n >= 0;
}

/* A group of its own, usual signals, and nothing of ours but three files. */
static bool
spawn(struct exec *x, int in, int out)
{
	const struct mm_conf_list *words = &x->base.conf->program;
	char *argv[MM_CONF_LIST_MAX + 1] = { NULL };
	char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", lang[] = "LANG=C";
	char *const env[] = { path, lang, NULL };
	char word[MM_CONF_LIST_MAX][MM_CONF_ITEM_MAX];
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, usual;
	int rc;

	for (size_t i = 0; i < words->n; i++) {
		memcpy(word[i], words->item[i], sizeof(word[i]));
		argv[i] = word[i];
	}
	(void)sigemptyset(&none);
	(void)sigemptyset(&usual);
	(void)sigaddset(&usual, SIGPIPE);
	(void)posix_spawn_file_actions_init(&files);
	(void)posix_spawnattr_init(&attr);
	rc = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO) |
	    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO) |
	    posix_spawn_file_actions_addclosefrom_np(&files,
		STDERR_FILENO + 1) |
	    posix_spawnattr_setsigmask(&attr, &none) |
	    posix_spawnattr_setsigdefault(&attr, &usual) |
	    posix_spawnattr_setpgroup(&attr, 0) |
	    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP |
		POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (rc == 0)
		rc = posix_spawn(&x->pid, argv[0], &files, &attr, argv, env);
	(void)posix_spawn_file_actions_destroy(&files);
	(void)posix_spawnattr_destroy(&attr);
	if (rc == 0)
		return true;
	x->pid = 0;
	snprintf(x->base.note, sizeof(x->base.note), "%.100s: %s", argv[0],
	    strerror(rc));
	return false;
}

/* The job fits into the pipe: nobody need read it first. */
static void
exec_begin(struct mm_driver *d, const struct mm_driver_job *job)
{
	struct exec *x = of(d);
	int in[2], out[2] = { -1, -1 };

	exec_close(d);
	d->note[0] = '\0';
	x->job = *job;
	x->spawned = false;
	mm_buf_reset(&x->said);
	x->end_ms = mm_mono_ms() + d->conf->limit_s * 1000;
	if (pipe2(in, O_CLOEXEC) != 0)
		return;
	if (pipe2(out, O_CLOEXEC) == 0 &&
	    fcntl(out[0], F_SETFL, O_NONBLOCK) == 0 &&
	    fcntl(in[1], F_SETFL, O_NONBLOCK) == 0 &&
	    write_job(in[1], d, job) && spawn(x, in[0], out[1])) {
		x->spawned = true;
		x->out = out[0];
		out[0] = -1;
	}
	(void)close(in[0]);
	(void)close(in[1]);
	for (int i = 0; i < 2; i++)
		if (out[i] >= 0)
			(void)close(out[i]);
}

/* ---- what came of it ---- */

static enum mm_driver_got
fail(struct exec *x, enum mm_unit_reason why, const char *note,
    enum mm_unit_reason *reason)
{
	exec_close(&x->base);
	if (note != NULL)
		snprintf(x->base.note, sizeof(x->base.note), "%s", note);
	*reason = why;
	return MM_DRIVER_FAILED;
}

/* false: it says too much. */
static bool
read_some(struct exec *x)
{
	uint8_t chunk[4096];
	ssize_t n;

	while (x->out >= 0) {
		n = read(x->out, chunk, sizeof(chunk));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0) {
			(void)close(x->out);
			x->out = -1;
			return true;
		}
		mm_buf_put(&x->said, chunk, (size_t)n);
		if (mm_buf_ok(&x->said, NULL) != MM_OK)
			return false;
	}
	return true;
}

static enum mm_driver_got
judge(struct exec *x, int status, struct mm_driver_answer *out,
    enum mm_unit_reason *reason)
{
	struct mm_exec_result *r = &x->result;
	struct mm_why why = { 0 };

	/* What it leaves behind ends with it. */
	(void)kill(-x->pid, SIGKILL);
	x->pid = 0;
	if (mm_exec_read(mm_buf_view(&x->said), &x->job, out, r, &why) !=
	    MM_OK)
		return fail(x, MM_UR_DRIVER, why.text, reason);
	if (r->got == MM_DRIVER_FAILED)
		return fail(x, r->reason, r->note, reason);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return fail(x, MM_UR_DRIVER, "it said that it was done, and "
		    "failed", reason);
	return r->got;
}

static enum mm_driver_got
exec_run(struct mm_driver *d, struct mm_driver_answer *out,
    enum mm_unit_reason *reason)
{
	struct exec *x = of(d);
	int status;
	pid_t pid;

	if (!x->spawned)
		return fail(x, MM_UR_DRIVER, NULL, reason);
	if (!read_some(x))
		return fail(x, MM_UR_DRIVER, "it said more than 64 KiB",
		    reason);
	if (mm_mono_ms() >= x->end_ms)
		return fail(x, MM_UR_DRIVER_LATE, NULL, reason);
	if (x->out >= 0)
		return MM_DRIVER_WAIT;
	pid = waitpid(x->pid, &status, WNOHANG);
	if (pid != x->pid)
		return MM_DRIVER_WAIT;
	return judge(x, status, out, reason);
}

static struct pollfd
exec_wish(const struct mm_driver *d)
{
	const struct exec *x = (const struct exec *)d;

	return (struct pollfd){ .fd = x->out, .events = POLLIN };
}

/* see driver.h */
const struct mm_driver_class mm_driver_exec = { "exec", exec_new, exec_open,
	exec_begin, exec_run, exec_wish, exec_close, exec_free };
