#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "server/monitor.h"

/* Children are started, and again after they have ended: later and later. */
enum {
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MOST_MS = 5000,
	STEADY_MS = 30000,    /* running this long forgives earlier ends */
};

/* see monitor.h */
void
mm_monitor_back_off(struct mm_child *c)
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
started(struct mm_child *c)
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

/* see monitor.h */
void
mm_monitor_end_beats(struct mm_monitor *m)
{
	if (m->beats >= 0)
		close(m->beats);
	m->beats = -1;
}

/* The signer with its ends of links and pulse; they are closed here. */
static enum mm_err
fork_signer(struct mm_monitor *m, struct mm_links *ends, struct mm_why *why)
{
	struct mm_child_conf conf = { .program = m->config->set.signer_program,
		.config_path = m->args->config_path, .links = ends,
		.keeper = mm_config_tokens(m->config),
		.passphrase = mm_secret_view(m->passphrase) };
	int fd[2];
	enum mm_err rc = make_pair(fd, why);

	if (rc == MM_OK) {
		conf.pulse = fd[1];
		rc = mm_child_signer(&conf, &m->signer.pid, why);
		close(fd[1]);
		mm_monitor_end_beats(m);
		m->beats = fd[0];
	}
	mm_links_close(ends);
	return rc;
}

/* A signer, and its links' other ends to the server. */
static enum mm_err
start_signer(struct mm_monitor *m, struct mm_why *why)
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
start_server(struct mm_monitor *m, struct mm_why *why)
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

/* One of the aides, and its link's other end to the server. */
static enum mm_err
start_aide(struct mm_monitor *m, struct mm_child *aide, uint16_t role,
    struct mm_why *why)
{
	struct mm_links server = { .n = 1, .link = { { role, -1 } } };
	enum mm_err rc;
	int fd[2];

	MM_TRY(make_pair(fd, why));
	server.link[0].fd = fd[0];
	(void)fcntl(fd[0], F_SETFL, O_NONBLOCK);
	rc = mm_child_aide(aide->name, m->args->config_path, fd[1],
	    &aide->pid, why);
	close(fd[1]);
	if (rc == MM_OK) {
		started(aide);
		rc = mm_links_send(m->control, &server, why);
		if (rc == MM_ENOTFOUND)
			rc = MM_OK;
	}
	mm_links_close(&server);
	return rc;
}

static bool
wants_courier(const struct mm_config *c)
{
	return c->set.webhooks || c->set.mail_to.n > 0 ||
	    c->set.authorise_url[0] != '\0';
}

static bool
wants_registrar(const struct mm_config *c)
{
	return mm_config_asks(c, false);
}

static bool
wants_est(const struct mm_config *c)
{
	return mm_config_asks(c, true);
}

static const struct {
	const char *name;
	uint16_t role;
	bool (*wanted)(const struct mm_config *c);
} aides[MM_AIDES] = {
	{ "courier", MM_LINK_COURIER, wants_courier },
	{ "registrar", MM_LINK_REGISTRAR, wants_registrar },
	{ "registrar-est", MM_LINK_EST, wants_est },
};

/* see monitor.h */
bool
mm_monitor_wants(const struct mm_monitor *m, size_t aide)
{
	return aides[aide].wanted(m->config);
}

/* see monitor.h */
const char *
mm_monitor_aide(size_t aide)
{
	return aides[aide].name;
}

/* Last, so that the server meets its signer first; nothing else waits for
 * them. */
static void
aide_due(struct mm_monitor *m, struct mm_child *aide, uint16_t role)
{
	struct mm_why why = { 0 };

	if (aide->pid != 0 || m->server.pid == 0 || m->signer.pid == 0 ||
	    mm_mono_ms() < aide->again)
		return;
	if (start_aide(m, aide, role, &why) == MM_OK)
		return;
	MM_LOG(MM_LOG_ERROR, "cannot-start", MM_S("why", why.text));
	mm_monitor_back_off(aide);
}

static void
aides_due(struct mm_monitor *m)
{
	for (size_t i = 0; i < MM_AIDES; i++)
		if (mm_monitor_wants(m, i))
			aide_due(m, &m->aide[i], aides[i].role);
}

/* see monitor.h */
void
mm_monitor_start_due(struct mm_monitor *m)
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
		aides_due(m);
		return;
	}
	MM_LOG(MM_LOG_ERROR, "cannot-start", MM_S("why", why.text));
	mm_monitor_back_off(&m->server);
	mm_monitor_back_off(&m->signer);
}
