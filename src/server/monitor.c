#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/own.h"
#include "base/settings_centre.h"
#include "base/time.h"
#include "sandbox/sandbox.h"
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
	STOP_MS = MM_DRAIN_MS + 5000,
	BLAME_MS = 2000,      /* for the other one to say why it went */
};

static void
begin_stop(struct mm_monitor *m, int status)
{
	if (m->stopping)
		return;
	m->stopping = true;
	m->status = status;
	m->stop_by = mm_mono_ms() + STOP_MS;
	mm_notify("STOPPING=1");
	if (m->server.pid != 0)
		kill(m->server.pid, SIGTERM);
	/* a server that starts waits for the signer and hears nothing else */
	if (m->signer.pid != 0 && (m->server.pid == 0 || !m->ready))
		kill(m->signer.pid, SIGTERM);
}

static int
exit_status(int wait_status)
{
	return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status)
				      : 128 + WTERMSIG(wait_status);
}

static void
log_end(const struct mm_child *c, int wait_status)
{
	MM_LOG(MM_LOG_ERROR, "child-ended", MM_S("child", c->name),
	    MM_I("status", exit_status(wait_status)),
	    MM_I("starts", c->starts));
}

/* A server that misses its signer, and a signer whose server left it without
 * a fault of its own: the other one is about to say why. */
static const struct mm_child *
whom_to_blame(const struct mm_monitor *m, const struct mm_child *c, int status)
{
	if (c == &m->server && status == MM_EXIT_NO_SIGNER &&
	    m->signer.pid != 0)
		return &m->signer;
	return c == &m->signer && status == 0 && m->server.pid != 0 ?
	    &m->server : NULL;
}

/* Before the first "ready": the reason is in the child's own line. */
static void
failed_at_start(struct mm_monitor *m, struct mm_child *c, int wait_status)
{
	int status = exit_status(wait_status);

	if (!WIFEXITED(wait_status))
		log_end(c, wait_status);
	m->blamed = whom_to_blame(m, c, status);
	if (status == 0)
		status = mm_err_exit(MM_ESYS);
	if (m->blamed == NULL) {
		begin_stop(m, status);
		return;
	}
	m->stopping = true;
	m->status = status;
	/* a server still gives back its leases before it goes */
	m->stop_by = mm_mono_ms() +
	    (m->blamed == &m->server ? STOP_MS : BLAME_MS);
}

static void
take_blame(struct mm_monitor *m, const struct mm_child *c, int status)
{
	if (c == m->blamed && status != 0 && status != MM_EXIT_NO_SIGNER)
		m->status = status;
}

static void
on_control(struct mm_monitor *m)
{
	char byte = 0;
	ssize_t n = recv(m->control, &byte, 1, MSG_DONTWAIT);

	if (n == 1 && byte == MM_BEAT_BYTE)
		mm_pulse_beat(&m->server.pulse);
	if (n == 1 && byte == MM_READY_BYTE && !m->ready) {
		m->ready = true;
		mm_notify("READY=1");
	}
	if (n == 0) { /* it ends, or has ended: reap() sees it */
		shutdown(m->control, SHUT_RDWR);
		poll(NULL, 0, 10);
	}
}

static void
on_beat(struct mm_monitor *m)
{
	char byte = 0;
	ssize_t n = recv(m->beats, &byte, 1, MSG_DONTWAIT);

	if (n == 1)
		mm_pulse_beat(&m->signer.pulse);
	else if (n == 0)
		mm_monitor_end_beats(m);
}

static bool
is_aide(const struct mm_monitor *m, const struct mm_child *c)
{
	return c >= m->aide && c < m->aide + MM_AIDES;
}

/* They see the end of their links, but for one that hangs: its warden ends
 * that. */
static void
end_aides(const struct mm_monitor *m)
{
	for (size_t i = 0; i < MM_AIDES && m->stopping; i++)
		if (m->aide[i].pid != 0)
			kill(m->aide[i].pid, SIGTERM);
}

static void
ended(struct mm_monitor *m, struct mm_child *c, int wait_status)
{
	c->pid = 0;
	if (!m->ready && m->control >= 0)
		on_control(m); /* "ready" may have come just before */
	if (c == &m->server) {
		close(m->control);
		m->control = -1;
		end_aides(m);
	}
	if (is_aide(m, c) && !m->stopping) {
		/* one whose server went goes too, and says nothing */
		if (m->server.pid != 0 || wait_status != 0)
			log_end(c, wait_status);
		mm_monitor_back_off(c);
		return;
	}
	if (m->stopping) {
		take_blame(m, c, exit_status(wait_status));
		return;
	}
	if (!m->ready) {
		failed_at_start(m, c, wait_status);
		return;
	}
	log_end(c, wait_status);
	mm_monitor_back_off(c);
}

/* All that ended: as PID 1 also those that are nobody's. */
static void
reap(struct mm_monitor *m)
{
	int st;
	pid_t pid;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (pid == m->signer.pid)
			ended(m, &m->signer, st);
		else if (pid == m->server.pid)
			ended(m, &m->server, st);
		for (size_t i = 0; i < MM_AIDES; i++)
			if (pid == m->aide[i].pid)
				ended(m, &m->aide[i], st);
	}
	if (m->stopping && m->server.pid == 0 && m->signer.pid != 0 &&
	    m->blamed != &m->signer)
		kill(m->signer.pid, SIGTERM);
}

static void
on_signal(struct mm_monitor *m)
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
look_at(struct mm_monitor *m, struct mm_child *c, int64_t passed)
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
look_at_pulses(struct mm_monitor *m)
{
	int64_t now = mm_mono_ms(), passed = now - m->looked_at;

	if (m->stopping || passed < MM_PULSE_EVERY_MS / 2)
		return;
	m->looked_at = now;
	look_at(m, &m->signer, passed);
	look_at(m, &m->server, passed);
}

static int64_t
aides_due_at(const struct mm_monitor *m)
{
	int64_t due = INT64_MAX;

	for (size_t i = 0; i < MM_AIDES && m->server.pid != 0; i++)
		if (m->aide[i].pid == 0 && mm_monitor_wants(m, i) &&
		    m->aide[i].again < due)
			due = m->aide[i].again;
	return due;
}

static int
wait_ms(const struct mm_monitor *m)
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
	else
		due = aides_due_at(m);
	if (due < at)
		at = due;
	if (at == INT64_MAX)
		return -1;
	return at <= now ? 0 : (int)(at - now);
}

static void
kill_late(const struct mm_monitor *m)
{
	if (!m->stopping || mm_mono_ms() < m->stop_by)
		return;
	if (m->server.pid != 0)
		kill(m->server.pid, SIGKILL);
	if (m->signer.pid != 0)
		kill(m->signer.pid, SIGKILL);
	for (size_t i = 0; i < MM_AIDES; i++)
		if (m->aide[i].pid != 0)
			kill(m->aide[i].pid, SIGKILL);
}

static bool
has_aides(const struct mm_monitor *m)
{
	for (size_t i = 0; i < MM_AIDES; i++)
		if (m->aide[i].pid != 0)
			return true;
	return false;
}

static int
watch(struct mm_monitor *m)
{
	while (!m->stopping || m->server.pid != 0 || m->signer.pid != 0 ||
	    has_aides(m)) {
		struct pollfd p[3] = {
			{ .fd = m->signals, .events = POLLIN },
			{ .events = POLLIN }, { .events = POLLIN } };

		mm_monitor_start_due(m);
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
guard(const struct mm_monitor *m, struct mm_why *why)
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
alone(const struct mm_monitor *m, struct mm_why *why)
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
prepare(struct mm_monitor *m, struct mm_why *why)
{
	MM_TRY(mm_config_load(m->args->config_path, &m->config, why));
	MM_TRY(mm_settings_check_centre(&m->config->set, why));
	mm_log_open("mintmarkd",
	    (enum mm_log_level)m->config->set.log_level);
	MM_TRY(guard(m, why));
	MM_TRY(mm_registrar_known(m->config, why));
	MM_TRY(alone(m, why));
	mm_process_fds_raise();
	MM_TRY(mm_sandbox_hide(why));
	return mm_child_passphrase(m->config, m->args->passphrase_fd,
	    &m->passphrase, why);
}

/* see priv.h */
int
mm_monitor_run(const struct mm_run_args *args)
{
	struct mm_monitor m = { .args = args, .control = -1, .beats = -1,
		.signer.name = "signer", .server.name = "server" };
	struct mm_why why = { 0 };
	enum mm_err rc = prepare(&m, &why);

	if (rc != MM_OK) {
		mm_config_free(&m.config);
		return mm_server_fail("cannot start", rc, &why);
	}
	for (size_t i = 0; i < MM_AIDES; i++)
		m.aide[i].name = mm_monitor_aide(i);
	m.signals = take_signals();
	m.looked_at = mm_mono_ms();
	m.status = watch(&m);
	mm_secret_free(&m.passphrase);
	mm_config_free(&m.config);
	return m.status;
}
