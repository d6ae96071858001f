#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/faults.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "pki/foreign.h"
#include "sandbox/sandbox.h"
#include "server/bootstrap.h"
#include "server/attempts.h"
#include "server/authorise.h"
#include "server/ends.h"
#include "server/ocsp.h"
#include "server/hook.h"
#include "server/metrics.h"
#include "server/process.h"
#include "server/upstream.h"

/*
 * The server's process: from its configuration to the moment it serves, and
 * back.  The steps are a table; whatever is made is given up by stop().
 */
enum {
	TICK_MS = 2000,
	JOBS_MAX = 8192,
	/* Bytes of what goes back to the system as soon as it is free: the
	 * bodies of a burst would stay for ever.  Fixed, or the library would
	 * raise it by itself. */
	LARGE = 128 * 1024,
	/* ... and of small pieces in a row: a batch of an import is thousands
	 * of them, and each page that comes back has to be cleared. */
	KEPT = 2 * 1024 * 1024,
	ASK_GRACE_MS = 2000,
};

static enum mm_err
become_user(struct mm_server *s, struct mm_why *why)
{
	MM_TRY(mm_sandbox_drop(s->config->set.server_user, NULL, why));
	/* Started through /proc/self/exe, which is no name for a person. */
	(void)prctl(PR_SET_NAME, "mintmarkd");
	return mm_sandbox_harden(0, why);
}

static enum mm_err
open_tls(struct mm_server *s, struct mm_why *why)
{
	return mm_tls_new(s, &s->tls, why);
}

/* A signer that fails at the start speaks for itself. */
static void
on_note(void *ctx, int level, const char *event, const char *text)
{
	const struct mm_server *s = ctx;

	if (s->asking && level > MM_LOG_INFO)
		return;
	MM_LOG((enum mm_log_level)level, event, MM_S("text", text));
}

static void
on_grown(void *ctx, uint64_t size)
{
	const struct mm_server *s = ctx;

	(void)size;
	mm_watch_grown(s->watch);
	mm_deliver_grown(s->deliver);
}

static void
on_noted(void *ctx)
{
	const struct mm_server *s = ctx;

	mm_watch_grown(s->watch);
}

#ifdef MM_FAULTS
static void
on_step(void *ctx, int step)
{
	const char place[] = { (char)('0' + step), '\0' };

	(void)ctx;
	mm_die_at(place);
}
static const struct mm_core_hooks hooks = { .step = on_step };
#define HOOKS (&hooks)
#else
#define HOOKS NULL
#endif

/* A device's certificate is ours or another CA's by its issuer's name. */
static enum mm_err
check_names(struct mm_server *s, struct mm_why *why)
{
	return mm_foreign_apart(s->config, why);
}

static enum mm_err
open_core(struct mm_server *s, struct mm_why *why)
{
	const struct mm_settings *set = &s->config->set;
	const struct mm_core_conf conf = { .config = s->config,
		.loops = (unsigned)s->config->set.threads,
		.done = mm_enrol_done, .note = on_note, .grown = on_grown,
		.noted = on_noted,
		.ask = set->authorise_url[0] != '\0' ? mm_authorise_ask : NULL,
		/* the thread that asks is given up a little later */
		.forward = mm_config_upstream(s->config) ?
		    mm_upstream_forward : NULL,
		.ask_ms = set->authorise_timeout_s * 1000 + ASK_GRACE_MS,
		.ctx = s,
		.jobs_max = JOBS_MAX, .hooks = HOOKS };

	return mm_core_open(&conf, &s->core, why);
}

static const char *
folder(const char *path, char buf[MM_PATH_MAX + 1])
{
	char *slash;

	snprintf(buf, MM_PATH_MAX + 1, "%s", path);
	slash = strrchr(buf, '/');
	if (slash == NULL)
		return ".";
	slash[slash == buf] = '\0'; /* the root keeps its slash */
	return buf;
}

/* The database's path; NULL: it is a server. */
static const char *
file_of(const struct mm_settings *set)
{
	return strncmp(set->database, "sqlite:", 7) == 0 ?
	    set->database + 7 : NULL;
}

/* Folders, not files: what is renamed into place must be seen. */
static enum mm_err
fence_files(struct mm_server *s, struct mm_why *why)
{
	const struct mm_settings *set = &s->config->set;
	const char *file = file_of(set);
	char db[MM_PATH_MAX + 1], cert[MM_PATH_MAX + 1], key[MM_PATH_MAX + 1];
	char root[MM_PATH_MAX + 1];
	const struct mm_sandbox_path paths[] = {
		{ set->server_dir, 1 },
		{ file != NULL ? folder(file, db) : set->server_dir, 1 },
		{ folder(set->tls_certificate, cert), 0 },
		{ folder(set->tls_key, key), 0 },
		{ set->root_crl[0] != '\0' ? folder(set->root_crl, root) :
		    "/etc", 0 },
		{ "/etc", 0 }, { "/usr", 0 }, { "/lib", 0 },
		{ "/dev/urandom", 0 }, { "/dev/null", 1 },
		{ "/proc/self", 0 }, { "/sys/devices/system/cpu", 0 },
	};

	tzset();
	return mm_sandbox_files(paths, sizeof(paths) / sizeof(paths[0]),
	    &s->sandbox_missing, why);
}

static enum mm_err
start_core(struct mm_server *s, struct mm_why *why)
{
	struct mm_links links;
	enum mm_err rc;

	s->asking = true;
	MM_TRY(mm_links_recv(s->control, &links, why));
	rc = mm_core_start(s->core, &links, why);
	if (rc == MM_OK)
		atomic_fetch_add(&s->signer_starts, 1);
	s->asking = rc != MM_OK;
	return rc;
}

static enum mm_err
open_content(struct mm_server *s, struct mm_why *why)
{
	struct mm_watch *watch;

	MM_TRY(mm_est_new(s, &s->est, why));
	MM_TRY(mm_attempts_new(s->config->set.attempt_peers, &s->attempts,
	    why));
	MM_TRY(mm_boot_new(s, &s->boot, why));
	MM_TRY(mm_public_new(s, &s->pub, why));
	MM_TRY(mm_scrapers_new(&s->scrapers, why));
	MM_TRY(mm_ends_new(s->config, &s->ends, why));
	MM_TRY(mm_cover_new(s, &s->cover, why));
	MM_TRY(mm_ocsp_open(s, &s->ocsp, why));
	MM_TRY(mm_watch_open(s, &watch, why));
	s->watch = watch;
	return MM_OK;
}

static enum mm_err
start_threads(struct mm_server *s, struct mm_why *why)
{
	struct mm_deliver *deliver;
	size_t loops = (size_t)s->config->set.threads;

	for (size_t i = 0; i < MM_LOOPS_MAX; i++)
		mm_buf_init(&s->loop[i].scratch, MM_CERT_MAX * MM_CHAIN_MAX);
	s->meter = aligned_alloc(_Alignof(struct mm_meter),
	    loops * sizeof(struct mm_meter));
	if (s->meter == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	memset(s->meter, 0, loops * sizeof(struct mm_meter));
	MM_TRY(mm_deliver_open(s, &deliver, why));
	s->deliver = deliver;
	for (int est = 0; est < 2; est++) {
		struct mm_registrar *registrar;

		MM_TRY(mm_registrar_open(s, est, &registrar, why));
		s->registrar[est] = registrar;
	}
	MM_TRY(mm_work_open(s, &s->work, why));
	return mm_http_start(s->http, why);
}

static enum mm_err
fence_calls(struct mm_server *s, struct mm_why *why)
{
	return mm_sandbox_syscalls(file_of(&s->config->set) != NULL ?
	    MM_SANDBOX_SERVER : MM_SANDBOX_DIALLER, &s->sandbox_missing, why);
}

/* Real ports for programs that configured ":0", and for tests. */
static enum mm_err
write_ports(struct mm_server *s, struct mm_why *why)
{
	struct mm_buf b = MM_BUF_INIT(512);
	struct mm_json j = mm_json_over(&b);
	char path[MM_PATH_MAX + 16];
	enum mm_err rc;

	mm_json_open(&j, '{');
	for (unsigned i = 0; i < MM_LISTENERS; i++)
		if (s->listener[i] >= 0)
			mm_json_int(&j, mm_listener_name(i),
			    mm_http_port(s->http, (size_t)s->listener[i]));
	mm_json_close(&j, '}');
	mm_buf_u8(&b, '\n');
	rc = mm_path_join(path, sizeof(path), s->config->set.server_dir,
	    "ports.json", why);
	if (rc == MM_OK)
		rc = mm_file_replace(path, mm_buf_view(&b), 0644, why);
	mm_buf_done(&b);
	return rc;
}

static void
say_connections(const struct mm_settings *set)
{
	uint64_t fds = mm_process_fds_max();
	unsigned most = mm_process_connections(set, fds);

	if (most < set->connections)
		MM_LOG(MM_LOG_WARN, "connections-lowered",
		    MM_S("text", "there are too few file descriptors for as "
		    "many connections as configured: raise LimitNOFILE"),
		    MM_I("connections", set->connections),
		    MM_I("each_listener", most),
		    MM_I("descriptors", (int64_t)fds));
}

static void
say_ready(const struct mm_server *s)
{
	const struct mm_settings *set = &s->config->set;

	MM_LOG(MM_LOG_INFO, "ready", MM_S("version", MM_VERSION),
	    MM_S("devices", set->devices_listen),
	    MM_S("operators", set->operators_listen),
	    MM_S("public", set->public_listen),
	    MM_S("mode", set->production ? "production" : "test"));
	say_connections(set);
	if (set->server_user[0] == '\0' || set->signer_user[0] == '\0')
		MM_LOG(MM_LOG_WARN, "one-user", MM_S("text", "server and "
		    "signer run as the same user: for trying out only"));
	if (s->sandbox_missing != 0)
		MM_LOG(MM_LOG_WARN, "sandbox", MM_S("text", "this kernel "
		    "lacks parts of the sandbox"),
		    MM_I("missing", s->sandbox_missing));
}

static enum mm_err
announce(struct mm_server *s, struct mm_why *why)
{
	const uint8_t ready = MM_READY_BYTE;

	MM_TRY(write_ports(s, why));
	say_ready(s);
	mm_work_tick(s->work);
	MM_TRY(mm_fd_write(s->control, (struct mm_bytes){ &ready, 1 }, why));
	atomic_store(&s->announced, true);
	return MM_OK;
}

static enum mm_err
start(struct mm_server *s, struct mm_why *why)
{
	static enum mm_err (*const steps[])(struct mm_server *,
	    struct mm_why *) = {
		mm_listen, become_user, open_tls, check_names, open_core,
		fence_files, start_core, open_content, fence_calls,
		start_threads, announce,
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		MM_TRY(steps[i](s, why));
	return MM_OK;
}

/* Requests in flight are answered; a last checkpoint is signed. */
static void
stop(struct mm_server *s)
{
	struct mm_watch *watch = s->watch;
	struct mm_deliver *deliver = s->deliver;
	struct mm_registrar *registrar[2] = { s->registrar[0],
		s->registrar[1] };

	mm_watch_stop(watch);
	mm_public_stop(s->pub);
	mm_ocsp_stop(s->ocsp);
	if (s->work != NULL)
		mm_http_drain(s->http, MM_DRAIN_MS);
	mm_work_stop(s->work);
	mm_deliver_stop(deliver);
	if (s->core != NULL)
		mm_core_stop(s->core, MM_DRAIN_MS);
	mm_registrar_close(&registrar[0]);
	mm_registrar_close(&registrar[1]);
	mm_work_close(&s->work);
	mm_watch_close(&watch);
	mm_cover_free(&s->cover);
	mm_deliver_close(&deliver);
	mm_http_close(&s->http);
	mm_scrapers_free(&s->scrapers);
	mm_ends_free(&s->ends);
	mm_ocsp_close(&s->ocsp);
	mm_public_free(&s->pub);
	mm_est_free(&s->est);
	mm_boot_free(&s->boot);
	mm_attempts_free(&s->attempts);
	mm_core_close(&s->core);
	mm_tls_free(&s->tls);
	free(MM_MOVE(s->meter));
	for (size_t i = 0; i < MM_LOOPS_MAX; i++)
		mm_buf_done(&s->loop[i].scratch);
}

/* ---- the main thread's loop ---- */

/* false: it is time to go. */
static bool
on_signal(struct mm_server *s)
{
	struct signalfd_siginfo si;

	if (read(s->signals, &si, sizeof(si)) != sizeof(si))
		return true;
	if (si.ssi_signo != SIGHUP)
		return false;
	mm_work_reload(s->work);
	return true;
}

static void
relink(struct mm_server *s, const struct mm_links *links)
{
	if (links->link[0].role == MM_LINK_COURIER) {
		mm_deliver_link(s->deliver, links->link[0].fd);
		return;
	}
	if (links->link[0].role == MM_LINK_REGISTRAR ||
	    links->link[0].role == MM_LINK_EST) {
		mm_registrar_link(s->registrar[links->link[0].role ==
		    MM_LINK_EST], links->link[0].fd);
		return;
	}
	mm_core_relink(s->core, links);
	MM_LOG(MM_LOG_WARN, "signer-restarted", MM_I("starts",
	    atomic_fetch_add(&s->signer_starts, 1) + 1));
}

/* Fresh links of a restarted signer or courier; an end: the monitor is gone. */
static bool
on_control(struct mm_server *s)
{
	struct mm_why why = { 0 };
	struct mm_links links;
	enum mm_err rc = mm_links_recv(s->control, &links, &why);

	if (rc == MM_OK) {
		relink(s, &links);
	} else if (rc != MM_EAGAIN) {
		MM_LOG(MM_LOG_ERROR, "monitor-gone", MM_S("why", why.text));
		return false;
	}
	return true;
}

static void
serve(struct mm_server *s)
{
	struct pollfd p[2] = { { .fd = s->signals, .events = POLLIN },
		{ .fd = s->control, .events = POLLIN } };
	int64_t tick = mm_mono_ms() + TICK_MS;

	for (;;) {
		int64_t beat = mm_alive_beat(s), now = mm_mono_ms();
		int64_t left = tick - now;
		int64_t wait = left < beat - now ? left : beat - now;
		int n = poll(p, 2, wait > 0 ? (int)wait : 0);

		if (n > 0 && p[0].revents != 0 && !on_signal(s))
			return;
		if (n > 0 && p[1].revents != 0 && !on_control(s))
			return;
		if (left > 0)
			continue;
		mm_work_tick(s->work);
		tick = mm_mono_ms() + TICK_MS;
	}
}

static int
take_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* A signer that went says itself why; two lines would be one too many. */
static int
start_failed(bool went, enum mm_err rc, const struct mm_why *why)
{
	if (went && (rc == MM_ENOTFOUND || rc == MM_EAGAIN)) {
		MM_LOG(MM_LOG_DEBUG, "no-signer", MM_S("why", why->text));
		return MM_EXIT_NO_SIGNER;
	}
	return mm_server_fail("cannot start", rc, why);
}

static int
run(struct mm_server *s)
{
	struct mm_why why = { 0 };
	enum mm_err rc = start(s, &why);
	bool went;

	if (rc == MM_OK) {
		serve(s);
		MM_LOG(MM_LOG_INFO, "stopping", MM_I("drain_ms", MM_DRAIN_MS));
	}
	went = s->asking && mm_core_signer_gone(s->core);
	stop(s);
	return rc == MM_OK ? 0 : start_failed(went, rc, &why);
}

/* see priv.h */
int
mm_serve_run(const struct mm_run_args *args)
{
	struct mm_server *s = aligned_alloc(_Alignof(struct mm_server),
	    sizeof(*s));
	struct mm_config *config = NULL;
	struct mm_why why = { 0 };
	enum mm_err rc;
	int status;

	if (s == NULL)
		return mm_err_exit(MM_ENOMEM);
	memset(s, 0, sizeof(*s));
	rc = mm_config_load(args->config_path, &config, &why);
	if (rc != MM_OK) {
		free(s);
		return mm_server_fail("configuration", rc, &why);
	}
	(void)mallopt(M_MMAP_THRESHOLD, LARGE);
	(void)mallopt(M_TRIM_THRESHOLD, KEPT);
	mm_log_open("mintmarkd", (enum mm_log_level)config->set.log_level);
	s->config = config;
	s->config_path = args->config_path;
	s->control = args->control;
	s->started_at = mm_now_ms();
	s->signals = take_signals();
	status = run(s);
	free(s);
	mm_config_free(&config);
	return status;
}
