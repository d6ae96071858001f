#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "server/monitor.h"
#include "server/process.h"

/*
 * The monitor: no network, no key, nothing parsed but the configuration and
 * single bytes from its children.  It holds the passphrase, so that the
 * signer can be started again without a person.
 *
 * A child that fails before the server has said once that it serves ends
 * everything, with the child's exit status: the child has said why.  After
 * that, children are started again, later and later.
 *
 * Each child says every second that it lives: the signer over a socket that
 * only these two have, so that the server can neither silence it nor speak
 * for it.  One that is silent for too long is killed, whatever holds it: what
 * a killed process leaves behind is settled anyway.
 */
enum {
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MOST_MS = 5000,
	STEADY_MS = 30000,    /* running this long forgives earlier ends */
	STOP_MS = MM_DRAIN_MS + 5000,
	BLAME_MS = 2000,      /* for the signer to say why it went */
};

struct child {
	const char *name;
	pid_t pid;          /* 0: not running */
	int64_t began, again; /* monotonic; again: when to start it */
	int64_t backoff;
	unsigned starts, hangs;
	struct mm_pulse pulse;
};

struct monitor {
	const struct mm_run_args *args;
	struct mm_config *config;
	struct mm_secret *passphrase;
	struct child signer, server, courier;
	int control, signals;
	int beats;          /* the signer's pulse */
	int64_t looked_at;  /* monotonic: when the pulses were last looked at */
	bool ready;         /* the server has served once */
	bool stopping;
	int64_t stop_by;    /* 0: nobody is waited for */
	int status;
};

static void
back_off(struct child *c)
{
	int64_t now = mm_mono_ms();

	if (c->backoff == 0 || now - c->began > STEADY_MS)
		c->backoff = BACKOFF_FIRST_MS;
	else if (c->backoff < BACKOFF_MOST_MS)
		c->backoff *= 2;
	if (c->backoff > BACKOFF_MOST_MS)
		c->backoff = BACKOFF_MOST_MS;
	c->again = now + c->backoff;
}

static void
started(struct child *c)
{
	c->began = mm_mono_ms();
	c->starts++;
	mm_pulse_begin(&c->pulse);
}

static enum mm_err
make_pair(int fd[2], struct mm_why *why)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) != 0)
		return MM_FAIL(why, MM_ESYS, "socketpair: %s",
		    strerror(errno));
	return MM_OK;
}

static void
end_beats(struct monitor *m)
{
	if (m->beats >= 0)
		close(m->beats);
	m->beats = -1;
}

/* The signer with its ends of links and pulse; they are closed here. */
static enum mm_err
fork_signer(struct monitor *m, struct mm_links *ends, struct mm_why *why)
{
	struct mm_child_conf conf = { .program = m->config->set.signer_program,
		.config_path = m->args->config_path, .links = ends,
		.passphrase = mm_secret_view(m->passphrase) };
	int fd[2];
	enum mm_err rc = make_pair(fd, why);

	if (rc == MM_OK) {
		conf.pulse = fd[1];
		rc = mm_child_signer(&conf, &m->signer.pid, why);
		close(fd[1]);
		end_beats(m);
		m->beats = fd[0];
	}
	mm_links_close(ends);
	return rc;
}

/* A signer, and its links' other ends to the server. */
static enum mm_err
start_signer(struct monitor *m, struct mm_why *why)
{
	struct mm_links server, signer;
	enum mm_err rc;

	MM_TRY(mm_links_make((unsigned)m->config->set.threads, &server,
	    &signer, why));
	rc = fork_signer(m, &signer, why);
	if (rc == MM_OK) {
		started(&m->signer);
		rc = mm_links_send(m->control, &server, why);
		if (rc == MM_ENOTFOUND) /* a server that failed says why */
			rc = MM_OK;
	}
	mm_links_close(&server);
	return rc;
}

static enum mm_err
start_server(struct monitor *m, struct mm_why *why)
{
	int fd[2];
	enum mm_err rc;

	MM_TRY(make_pair(fd, why));
	rc = mm_child_self("serve", m->args->config_path, fd[1],
	    &m->server.pid, why);
	close(fd[1]);
	if (rc != MM_OK) {
		close(fd[0]);
		return rc;
	}
	m->control = fd[0];
	started(&m->server);
	return MM_OK;
}

/* The courier, and its link's other end to the server. */
static enum mm_err
start_courier(struct monitor *m, struct mm_why *why)
{
	struct mm_links server = { .n = 1,
		.link = { { MM_LINK_COURIER, -1 } } };
	enum mm_err rc;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) != 0)
		return MM_FAIL(why, MM_ESYS, "socketpair: %s",
		    strerror(errno));
	server.link[0].fd = fd[0];
	(void)fcntl(fd[0], F_SETFL, O_NONBLOCK);
	rc = mm_child_self("courier", m->args->config_path, fd[1],
	    &m->courier.pid, why);
	close(fd[1]);
	if (rc == MM_OK) {
		started(&m->courier);
		rc = mm_links_send(m->control, &server, why);
		if (rc == MM_ENOTFOUND)
			rc = MM_OK;
	}
	mm_links_close(&server);
	return rc;
}

static bool
wants_courier(const struct monitor *m)
{
	return m->config->set.webhooks ||
	    m->config->set.authorise_url[0] != '\0';
}

/* Last, so that the server meets its signer first; nothing else waits for
 * it. */
static void
courier_due(struct monitor *m)
{
	struct mm_why why = { 0 };

	if (!wants_courier(m) || m->courier.pid != 0 ||
	    m->server.pid == 0 || m->signer.pid == 0 ||
	    mm_mono_ms() < m->courier.again)
		return;
	if (start_courier(m, &why) == MM_OK)
		return;
	MM_LOG(MM_LOG_ERROR, "cannot-start", MM_S("why", why.text));
	back_off(&m->courier);
}

/* The server goes first: the signer's links are for it.  A signer whose
 * server went sees the end of its links and goes too. */
static void
start_due(struct monitor *m)
{
	struct mm_why why = { 0 };
	int64_t now = mm_mono_ms();
	enum mm_err rc = MM_OK;

	if (m->stopping)
		return;
	if (m->server.pid == 0) {
		if (m->signer.pid != 0 || now < m->server.again)
			return;
		rc = start_server(m, &why);
		m->signer.again = 0;
	}
	if (rc == MM_OK && m->signer.pid == 0 && now >= m->signer.again)
		rc = start_signer(m, &why);
	if (rc == MM_OK) {
		courier_due(m);
		return;
	}
	MM_LOG(MM_LOG_ERROR, "cannot-start", MM_S("why", why.text));
	back_off(&m->server);
	back_off(&m->signer);
}

static void
begin_stop(struct monitor *m, int status)
{
	if (m->stopping)
		return;
	m->stopping = true;
	m->status = status;
	m->stop_by = mm_mono_ms() + STOP_MS;
	mm_child_notify("STOPPING=1");
	if (m->server.pid != 0)
		kill(m->server.pid, SIGTERM);
	else if (m->signer.pid != 0)
		kill(m->signer.pid, SIGTERM);
}

static int
exit_status(int wait_status)
{
	return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status)
				      : 128 + WTERMSIG(wait_status);
}

static void
log_end(const struct child *c, int wait_status)
{
	MM_LOG(MM_LOG_ERROR, "child-ended", MM_S("child", c->name),
	    MM_I("status", exit_status(wait_status)),
	    MM_I("starts", c->starts));
}

/* Before the first "ready": the reason is in the child's own line. */
static void
failed_at_start(struct monitor *m, struct child *c, int wait_status)
{
	int status = exit_status(wait_status);

	if (!WIFEXITED(wait_status))
		log_end(c, wait_status);
	if (c == &m->server && status == MM_EXIT_NO_SIGNER &&
	    m->signer.pid != 0) {
		m->stopping = true; /* the signer is about to say why */
		m->status = status;
		m->stop_by = mm_mono_ms() + BLAME_MS;
		return;
	}
	begin_stop(m, status == 0 ? mm_err_exit(MM_ESYS) : status);
}

static void
on_control(struct monitor *m)
{
	char byte = 0;
	ssize_t n = recv(m->control, &byte, 1, MSG_DONTWAIT);

	if (n == 1 && byte == MM_BEAT_BYTE)
		mm_pulse_beat(&m->server.pulse);
	if (n == 1 && byte == MM_READY_BYTE && !m->ready) {
		m->ready = true;
		mm_child_notify("READY=1");
	}
	if (n == 0) { /* it ends, or has ended: reap() sees it */
		shutdown(m->control, SHUT_RDWR);
		poll(NULL, 0, 10);
	}
}

static void
on_beat(struct monitor *m)
{
	char byte = 0;
	ssize_t n = recv(m->beats, &byte, 1, MSG_DONTWAIT);

	if (n == 1)
		mm_pulse_beat(&m->signer.pulse);
	else if (n == 0)
		end_beats(m);
}

/* Of a start that failed for want of the signer: one that ends well, for its
 * links went, has said nothing. */
static int
blame(int wait_status)
{
	int status = exit_status(wait_status);

	if (status != 0)
		return status;
	MM_LOG(MM_LOG_ERROR, "start", MM_S("why",
	    "the signer did not answer in time"));
	return mm_err_exit(MM_EAGAIN);
}

static void
ended(struct monitor *m, struct child *c, int wait_status)
{
	c->pid = 0;
	if (!m->ready && m->control >= 0)
		on_control(m); /* "ready" may have come just before */
	if (c == &m->server) {
		close(m->control);
		m->control = -1;
	}
	if (c == &m->courier && !m->stopping) {
		/* one whose server went goes too, and says nothing */
		if (m->server.pid != 0 || wait_status != 0)
			log_end(c, wait_status);
		back_off(c);
		return;
	}
	if (m->stopping) {
		if (m->status == MM_EXIT_NO_SIGNER && c == &m->signer)
			m->status = blame(wait_status);
		return;
	}
	if (!m->ready) {
		failed_at_start(m, c, wait_status);
		return;
	}
	log_end(c, wait_status);
	back_off(c);
}

/* All that ended: as PID 1 also those that are nobody's. */
static void
reap(struct monitor *m)
{
	int st;
	pid_t pid;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (pid == m->signer.pid)
			ended(m, &m->signer, st);
		else if (pid == m->server.pid)
			ended(m, &m->server, st);
		else if (pid == m->courier.pid)
			ended(m, &m->courier, st);
	}
	if (m->stopping && m->server.pid == 0 && m->signer.pid != 0 &&
	    m->status != MM_EXIT_NO_SIGNER)
		kill(m->signer.pid, SIGTERM);
}

static void
on_signal(struct monitor *m)
{
	struct signalfd_siginfo si;

	if (read(m->signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT)
		begin_stop(m, 0);
	else if (si.ssi_signo == SIGHUP && m->server.pid != 0)
		kill(m->server.pid, SIGHUP);
}

/* A child that hangs cannot be asked to go. */
static void
look_at(struct monitor *m, struct child *c, int64_t passed)
{
	if (c->pid == 0)
		return;
	mm_pulse_pass(&c->pulse, passed);
	if (!mm_pulse_lost(&c->pulse, m->config->set.watchdog_s))
		return;
	c->hangs++;
	MM_LOG(MM_LOG_ERROR, "child-hung", MM_S("child", c->name),
	    MM_I("silent_ms", c->pulse.silent_ms), MM_I("hangs", c->hangs));
	kill(c->pid, SIGKILL);
	c->pulse.silent_ms = 0; /* the kernel may need a while */
}

static void
look_at_pulses(struct monitor *m)
{
	int64_t now = mm_mono_ms(), passed = now - m->looked_at;

	if (m->stopping || passed < MM_PULSE_EVERY_MS / 2)
		return;
	m->looked_at = now;
	look_at(m, &m->signer, passed);
	look_at(m, &m->server, passed);
}

static int
wait_ms(const struct monitor *m)
{
	int64_t now = mm_mono_ms();
	int64_t at = m->config->set.watchdog_s > 0 ? now + MM_PULSE_EVERY_MS :
						    INT64_MAX;
	int64_t due = INT64_MAX;

	if (m->stopping)
		due = m->stop_by;
	else if (m->server.pid == 0 && m->signer.pid == 0)
		due = m->server.again;
	else if (m->signer.pid == 0)
		due = m->signer.again;
	else if (m->courier.pid == 0 && m->server.pid != 0 &&
	    wants_courier(m))
		due = m->courier.again;
	if (due < at)
		at = due;
	if (at == INT64_MAX)
		return -1;
	return at <= now ? 0 : (int)(at - now);
}

static void
kill_late(const struct monitor *m)
{
	if (!m->stopping || mm_mono_ms() < m->stop_by)
		return;
	if (m->server.pid != 0)
		kill(m->server.pid, SIGKILL);
	if (m->signer.pid != 0)
		kill(m->signer.pid, SIGKILL);
	if (m->courier.pid != 0)
		kill(m->courier.pid, SIGKILL);
}

static int
watch(struct monitor *m)
{
	while (!m->stopping || m->server.pid != 0 || m->signer.pid != 0 ||
	    m->courier.pid != 0) {
		struct pollfd p[3] = {
			{ .fd = m->signals, .events = POLLIN },
			{ .events = POLLIN }, { .events = POLLIN } };

		start_due(m);
		p[1].fd = m->control;
		p[2].fd = m->beats;
		if (poll(p, 3, wait_ms(m)) > 0) {
			if (p[0].revents != 0)
				on_signal(m);
			if (p[1].revents != 0)
				on_control(m);
			if (p[2].revents != 0)
				on_beat(m);
		}
		look_at_pulses(m);
		reap(m);
		kill_late(m);
	}
	return m->status;
}

static int
take_signals(void)
{
	static const int list[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		sigaddset(&set, list[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* What the security model relies on: refused in production, said in a test. */
static enum mm_err
guard(const struct monitor *m, struct mm_why *why)
{
	struct mm_why bad = { 0 };
	enum mm_err rc = mm_guard_files(&m->config->set,
	    m->args->config_path, &bad);

	if (rc == MM_OK)
		return MM_OK;
	if (m->config->set.production)
		return MM_FAIL(why, rc, "%s", bad.text);
	MM_LOG(MM_LOG_WARN, "permissions", MM_S("text", bad.text));
	return MM_OK;
}

/* One daemon's worth of words: else server and signer would each say that
 * theirs is taken.  Only a look: the signer's own lock is what counts. */
static enum mm_err
alone(const struct monitor *m, struct mm_why *why)
{
	char path[MM_PATH_MAX + 8];
	int fd = -1;
	enum mm_err rc;

	snprintf(path, sizeof(path), "%s/lock", m->config->set.signer_dir);
	if (access(path, R_OK | W_OK) != 0)
		return MM_OK;
	rc = mm_file_lock(path, &fd, NULL);
	if (fd >= 0)
		close(fd);
	if (rc != MM_ECONFLICT)
		return MM_OK;
	return MM_FAIL(why, rc, "another mintmarkd already runs with "
	    "signer_dir %.100s: stop it first", m->config->set.signer_dir);
}

static enum mm_err
prepare(struct monitor *m, struct mm_why *why)
{
	MM_TRY(mm_config_load(m->args->config_path, &m->config, why));
	mm_log_open("mintmarkd",
	    (enum mm_log_level)m->config->set.log_level);
	MM_TRY(guard(m, why));
	MM_TRY(alone(m, why));
	mm_process_fds_raise();
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return MM_FAIL(why, MM_ESYS, "prctl: %s", strerror(errno));
	return mm_child_passphrase(m->config, m->args->passphrase_fd,
	    &m->passphrase, why);
}

/* see priv.h */
int
mm_monitor_run(const struct mm_run_args *args)
{
	struct monitor m = { .args = args, .control = -1, .beats = -1,
		.signer.name = "signer", .server.name = "server",
		.courier.name = "courier" };
	struct mm_why why = { 0 };
	enum mm_err rc = prepare(&m, &why);

	if (rc != MM_OK) {
		mm_config_free(&m.config);
		return mm_server_fail("cannot start", rc, &why);
	}
	m.signals = take_signals();
	m.looked_at = mm_mono_ms();
	m.status = watch(&m);
	mm_secret_free(&m.passphrase);
	mm_config_free(&m.config);
	return m.status;
}
