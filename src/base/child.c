#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"

/* see child.h */
void
mm_child_init(struct mm_child *c)
{
	*c = (struct mm_child){ .out = -1, .end = -1 };
	mm_buf_init(&c->said, MM_CHILD_OUT_MAX);
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* Its children too: a flasher that hangs is often one.  The group has its
 * number for as long as the leader was not waited for. */
static int
kill_all(struct mm_child *c)
{
	int status = 0;

	(void)kill(-c->pid, SIGKILL);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	c->pid = 0;
	return status;
}

/* see child.h */
void
mm_child_close(struct mm_child *c)
{
	if (c->pid > 0)
		(void)kill_all(c);
	close_fd(&c->out);
	close_fd(&c->end);
}

/* see child.h */
void
mm_child_done(struct mm_child *c)
{
	mm_child_close(c);
	mm_buf_done(&c->said);
}

/* A group of its own, usual signals, and nothing of ours but three files. */
static bool
spawn(struct mm_child *c, const struct mm_conf_list *words, int in, int out)
{
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
	     posix_spawn_file_actions_addclosefrom_np(
		 &files, STDERR_FILENO + 1) |
	     posix_spawnattr_setsigmask(&attr, &none) |
	     posix_spawnattr_setsigdefault(&attr, &usual) |
	     posix_spawnattr_setpgroup(&attr, 0) |
	     posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP |
						 POSIX_SPAWN_SETSIGMASK |
						 POSIX_SPAWN_SETSIGDEF);
	if (rc == 0)
		rc = posix_spawn(&c->pid, argv[0], &files, &attr, argv, env);
	(void)posix_spawn_file_actions_destroy(&files);
	(void)posix_spawnattr_destroy(&attr);
	if (rc == 0)
		return true;
	c->pid = 0;
	snprintf(c->note, sizeof(c->note), "%.100s: %s", argv[0], strerror(rc));
	return false;
}

/* see child.h; the job fits into the pipe: nobody need read it first */
void
mm_child_begin(struct mm_child *c, const struct mm_conf_list *program,
    int64_t limit_s, struct mm_bytes job)
{
	int in[2], out[2] = { -1, -1 };

	mm_child_close(c);
	c->note[0] = '\0';
	c->spawned = false;
	mm_buf_reset(&c->said);
	c->end_ms = mm_mono_ms() + limit_s * 1000;
	if (pipe2(in, O_CLOEXEC) != 0)
		return;
	if (pipe2(out, O_CLOEXEC) == 0 &&
	    fcntl(out[0], F_SETFL, O_NONBLOCK) == 0 &&
	    fcntl(in[1], F_SETFL, O_NONBLOCK) == 0 &&
	    write(in[1], job.p, job.n) == (ssize_t)job.n &&
	    spawn(c, program, in[0], out[1])) {
		c->spawned = true;
		c->end = pidfd_open(c->pid, 0);
		c->out = out[0];
		out[0] = -1;
	}
	(void)close(in[0]);
	(void)close(in[1]);
	for (int i = 0; i < 2; i++)
		if (out[i] >= 0)
			(void)close(out[i]);
}

/* false: it says too much. */
static bool
read_some(struct mm_child *c)
{
	uint8_t chunk[4096];
	ssize_t n;

	while (c->out >= 0) {
		n = read(c->out, chunk, sizeof(chunk));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0) {
			close_fd(&c->out);
			return true;
		}
		mm_buf_put(&c->said, chunk, (size_t)n);
		if (mm_buf_ok(&c->said, NULL) != MM_OK)
			return false;
	}
	return true;
}

/* Whether it is over, whoever of its children is not. */
static bool
has_ended(const struct mm_child *c)
{
	siginfo_t i = { .si_pid = 0 };

	return waitid(P_PID, (id_t)c->pid, &i, WEXITED | WNOHANG | WNOWAIT) ==
		   0 &&
	       i.si_pid == c->pid;
}

/* What it said was in the pipe before it ended: it is read after that. */
static enum mm_child_got
look(struct mm_child *c, int *status)
{
	bool ended;

	if (!c->spawned)
		return MM_CHILD_NOTHING;
	ended = has_ended(c);
	if (!read_some(c))
		return MM_CHILD_FLOODS;
	if (ended) {
		*status = kill_all(c);
		return MM_CHILD_ENDED;
	}
	return mm_mono_ms() >= c->end_ms ? MM_CHILD_LATE : MM_CHILD_WAIT;
}

/* see child.h */
enum mm_child_got
mm_child_run(struct mm_child *c, int *status)
{
	enum mm_child_got got = look(c, status);

	if (got != MM_CHILD_WAIT)
		mm_child_close(c);
	return got;
}

/* see child.h; what it says waits in the pipe, which holds as much as it may
 * say */
struct pollfd
mm_child_wish(const struct mm_child *c)
{
	return (struct pollfd){ .fd = c->end, .events = POLLIN };
}
