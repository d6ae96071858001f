#include "agent/visit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/priv.h"
#include "agent/program.h"
#include "base/time.h"
#include "pki/key.h"

/* The only descriptor that a visit has of the service, but the standard. */
#define OUT 3

/* see visit.h */
void
mm_visit_init(struct mm_visit *v)
{
	*v = (struct mm_visit){ .out = -1 };
}

/* ---- in the process of its own ---- */

static enum mm_err
work(struct mm_agent_program *p, bool look, struct mm_visit_told *t)
{
	MM_TRY(mm_openssl_ready(&t->why));
	return mm_agent_program_visit(p, look, &t->s, &t->why);
}

static void
visit(const struct mm_visit_of *of, struct mm_visit_told *t)
{
	static struct mm_agent_program p; /* no page of it but what is used */

	p.store.lock = -1;
	p.args = mm_agent_conf_args(of->conf);
	mm_agent_program_init(&p);
	p.agent.skew_s = of->skew_s;
	p.agent.shows = NULL; /* the service tells it */
	p.agent.patient = false;
	t->err = work(&p, of->look, t);
	mm_agent_program_explain(&p, t->err, &t->why);
	t->known = t->err == MM_OK ||
	    (p.store.dir[0] != '\0' &&
	    mm_agent_status(&p.agent, &t->s, NULL) == MM_OK);
	t->retry_s = t->err == MM_OK ? p.agent.ask_s : p.agent.retry_s;
	t->looked = p.looked;
	t->configured = p.configured;
	t->conf_err = p.conf_err;
	t->conf_why = p.conf_why;
	t->conf_retry_s = p.conf_retry_s;
	memcpy(t->code, p.agent.code, sizeof(t->code));
	t->told_s = p.agent.told_s;
	t->now_s = mm_agent_now_s(&p.agent);
	mm_agent_program_done(&p);
}

/* As a shell starts a program: the service blocks what it waits for. */
static void
usual_signals(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	sigset_t none;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)signal(signals[i], SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void
in_child(const struct mm_visit_of *of, pid_t service, int out)
{
	static struct mm_visit_told t;

	usual_signals();
	/* A service that is killed leaves nobody who holds its locks. */
	closefrom(dup2(out, OUT) == OUT ? OUT + 1 : OUT);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != service)
		_exit(1);
	visit(of, &t);
	_exit(write(OUT, &t, sizeof(t)) == (ssize_t)sizeof(t) ? 0 : 1);
}

/* ---- in the service ---- */

/* see visit.h; what is told fits into the pipe */
enum mm_err
mm_visit_begin(struct mm_visit *v, const struct mm_visit_of *of,
    struct mm_why *why)
{
	pid_t service = getpid();
	int pipe_fd[2];

	_Static_assert(sizeof(struct mm_visit_told) <= 4096, "one write");
	mm_visit_close(v);
	if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK) != 0)
		return MM_FAIL(why, MM_ESYS, "no pipe: %s", strerror(errno));
	v->pid = fork();
	if (v->pid == 0)
		in_child(of, service, pipe_fd[1]);
	(void)close(pipe_fd[1]);
	if (v->pid < 0) {
		v->pid = 0;
		(void)close(pipe_fd[0]);
		return MM_FAIL(why, MM_ESYS, "no process: %s",
		    strerror(errno));
	}
	v->out = pipe_fd[0];
	v->end_ms = mm_mono_ms() + of->conf->visit_s * 1000;
	return MM_OK;
}

/* It ended and told nothing. */
static void
say_how(int status, struct mm_visit_told *t)
{
	*t = (struct mm_visit_told){ .retry_s = -1 };
	if (WIFSIGNALED(status))
		t->err = MM_FAIL(&t->why, MM_ESYS,
		    "the visit was killed by signal %d", WTERMSIG(status));
	else
		t->err = MM_FAIL(&t->why, MM_ESYS,
		    "the visit ended with status %d", WEXITSTATUS(status));
}

static int
reap(struct mm_visit *v)
{
	int status = 0;

	while (waitpid(v->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	v->pid = 0;
	return status;
}

/* see visit.h; the pipe ends when the process does, for only it has it */
bool
mm_visit_run(struct mm_visit *v, struct mm_visit_told *out)
{
	struct mm_visit_told t;
	ssize_t n = read(v->out, &t, sizeof(t));
	int status;

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (mm_mono_ms() < v->end_ms)
			return false;
		mm_visit_close(v);
		*out = (struct mm_visit_told){ .retry_s = -1 };
		out->err = MM_FAIL(&out->why, MM_EAGAIN,
		    "the visit took too long");
		return true;
	}
	status = reap(v);
	if (n == (ssize_t)sizeof(t))
		*out = t;
	else
		say_how(status, out);
	(void)close(v->out);
	v->out = -1;
	return true;
}

/* see visit.h */
void
mm_visit_close(struct mm_visit *v)
{
	if (v->pid > 0) {
		(void)kill(v->pid, SIGKILL);
		(void)reap(v);
	}
	if (v->out >= 0)
		(void)close(v->out);
	v->out = -1;
}
