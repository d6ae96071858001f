#include "signer/duty.h"
#include "signer/far.h"
#include "signer/run.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/guard.h"
#include "base/log.h"
#include "sandbox/sandbox.h"
#include "signer/dispatch.h"

#define STACK_N (1024 * 1024)

/* What the threads and their maker share. */
struct crew {
	struct mm_signer *s;
	pthread_t main;
	pthread_barrier_t warm, go;
	atomic_uint alive;
	unsigned n;
	struct mm_worker *worker[MM_LINKS_MAX];
	pthread_t thread[MM_LINKS_MAX];
	struct mm_progress progress[MM_LINKS_MAX];
	int pulse; /* to the monitor; -1: none */
};
struct post { /* what a new thread is given; its own to free */
	struct crew *crew;
	struct mm_worker *worker;
};

enum { ROLES = 6 }; /* of enum mm_link, from its first */

static const char *
role_name(unsigned role)
{
	static const char *const names[] = { "issue", "ledger", "ops", "psk",
		"check", "ocsp" };
	unsigned i = 0;

	while (i < ROLES - 1 && role >> i != 1)
		i++;
	return names[i];
}

/* see run.h */
enum mm_err
mm_links_parse(const char *text, struct mm_links *out, struct mm_why *why)
{
	struct mm_links l = { 0 };

	while (*text != '\0') {
		size_t n = strcspn(text, ":"), digits;
		char *end = NULL;
		long fd;
		unsigned bit = 0;
		while (bit < ROLES && (strlen(role_name(1u << bit)) != n ||
			memcmp(text, role_name(1u << bit), n) != 0))
			bit++;
		digits = text[n] == ':' ? strspn(text + n + 1, "0123456789") :
					  0;
		if (bit == ROLES || digits == 0 || digits > 6 ||
		    l.n == MM_LINKS_MAX)
			return MM_FAIL(why, MM_EINPUT,
			    "--links: want ROLE:FD[,ROLE:FD...]");
		fd = strtol(text + n + 1, &end, 10);
		l.link[l.n].role = (uint8_t)(1u << bit);
		l.link[l.n++].fd = (int)fd;
		if (*end != '\0' && *end != ',')
			return MM_FAIL(why, MM_EINPUT,
			    "--links: want ROLE:FD[,ROLE:FD...]");
		text = end + (*end == ',');
	}
	if (l.n == 0)
		return MM_FAIL(why, MM_EINPUT, "--links: none given");
	*out = l;
	return MM_OK;
}

/* A server that takes no answers is not the signer's fault. */
static enum mm_err
send_frame(void *worker, struct mm_bytes frame, struct mm_why *why)
{
	struct mm_worker *w = worker;
	enum mm_err err;

	w->busy = false;
	err = mm_ipc_send(w->fd, frame, why);
	w->busy = true;
	return err;
}

static void
serve(struct mm_worker *w)
{
	struct mm_why why = { 0 };
	enum mm_err err;

	do {
		err = mm_ipc_recv(w->fd, &w->in, &why);
		w->busy = true;
		if (err == MM_OK)
			err = mm_signer_handle(w, mm_buf_view(&w->in),
			    send_frame, w, &why);
		w->busy = false;
	} while (err == MM_OK);
	if (err != MM_ENOTFOUND)
		MM_LOG(MM_LOG_ERROR, "link.ended", MM_S("link",
		    role_name(w->role)), MM_S("why", why.text));
	(void)shutdown(w->fd, SHUT_RDWR);
}

/* Everything a thread does for its first time it does before the lock-in. */
static void
warm(void)
{
	uint8_t b[16];
	void *p = malloc(256 * 1024);

	(void)RAND_bytes(b, sizeof(b));
	free(p);
}

static void *
thread_main(void *arg)
{
	struct post post = *(struct post *)arg;

	free(arg);
	warm();
	pthread_barrier_wait(&post.crew->warm);
	pthread_barrier_wait(&post.crew->go);
	serve(post.worker);
	if (--post.crew->alive == 0)
		pthread_kill(post.crew->main, SIGUSR1);
	return NULL;
}

static enum mm_err
hire(struct crew *c, const struct mm_links *links, struct mm_why *why)
{
	for (unsigned i = 0; i < links->n; i++) {
		int fd = links->link[i].fd;
		int flags = fcntl(fd, F_GETFL);
		if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0)
			return MM_FAIL(why, MM_EINPUT, "--links: %d: %s", fd,
			    strerror(errno));
		MM_TRY(mm_worker_new(c->s, links->link[i].role, fd,
		    &c->worker[i], why));
		c->n++;
	}
	return MM_OK;
}

static enum mm_err
start(struct crew *c, struct mm_why *why)
{
	pthread_attr_t attr;

	pthread_barrier_init(&c->warm, NULL, c->n + 1);
	pthread_barrier_init(&c->go, NULL, c->n + 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_N);
	c->main = pthread_self();
	c->alive = c->n;
	for (unsigned i = 0; i < c->n; i++) {
		struct post *p = malloc(sizeof(*p));
		if (p == NULL)
			return MM_FAIL(why, MM_ENOMEM, "out of memory");
		*p = (struct post){ c, c->worker[i] };
		if (pthread_create(&c->thread[i], &attr, thread_main, p) != 0)
			return MM_FAIL(why, MM_ESYS, "cannot make a thread");
	}
	pthread_attr_destroy(&attr);
	pthread_barrier_wait(&c->warm);
	return MM_OK;
}

/* One real use of each algorithm: libcrypto loads and caches on the way. */
static enum mm_err
try_keys(struct mm_worker *w, struct mm_why *why)
{
	static const uint8_t nothing[1];
	const struct mm_bytes b = { nothing, sizeof(nothing) };
	struct mm_buf der = MM_BUF_INIT(MM_CSR_MAX);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_csr csr;

	for (size_t i = 0; i < w->s->nca; i++) {
		mm_buf_reset(&w->sig);
		if (w->sign[i] != NULL && w->s->ca[i].hsm == NULL)
			MM_TRY(mm_sign_bytes(w->sign[i], b, &w->sig, why));
	}
	mm_buf_reset(&w->sig);
	if (w->sign_ledger != NULL)
		MM_TRY(mm_sign_bytes(w->sign_ledger, b, &w->sig, why));
	MM_TRY(mm_key_make(MM_KEY_P256, &key, why));
	MM_TRY(mm_csr_make(key, "warm", &der, why));
	MM_TRY(mm_csr_walk(mm_buf_view(&der), &csr, why));
	MM_TRY(mm_csr_verify(&csr, NULL, w->templates, why));
	mm_buf_done(&der);
	return MM_OK;
}

static enum mm_err
lock_files(const struct mm_signer *s, unsigned *missing, struct mm_why *why)
{
	const struct mm_sandbox_path paths[] = {
		{ s->conf->set.signer_dir, 1 },
		{ "/dev/urandom", 0 },
	};

	return mm_sandbox_files(paths, sizeof(paths) / sizeof(paths[0]),
	    missing, why);
}

static void
tell_missing(unsigned missing)
{
	if (missing & MM_SANDBOX_NO_LANDLOCK)
		MM_LOG(MM_LOG_WARN, "sandbox.no-landlock",
		    MM_S("means", "files are protected by their modes only"));
	if (missing & MM_SANDBOX_OLD_LANDLOCK)
		MM_LOG(MM_LOG_INFO, "sandbox.old-landlock",
		    MM_S("means", "truncation is not restricted"));
	if (missing & MM_SANDBOX_NO_SECCOMP)
		MM_LOG(MM_LOG_WARN, "sandbox.no-seccomp",
		    MM_S("means", "system calls are not restricted"));
}

/* Once a change. */
static void
tell_stopped(const struct mm_signer *s, const char **said)
{
	struct mm_record_sum sum;
	const char *stopped;

	mm_record_sum(s->record, &sum);
	stopped = mm_signer_stopped(s, &sum);
	if (stopped == *said)
		return;
	*said = stopped;
	if (stopped != NULL)
		MM_LOG(MM_LOG_WARN, "issuing.stopped", MM_S("why", stopped));
	else
		MM_LOG(MM_LOG_INFO, "issuing.resumed", MM_I("journal_n",
		    (int64_t)sum.n));
}

/* A sign of life, unless a worker is stuck: then nobody is helped by one. */
static void
beat(struct crew *c)
{
	static const uint8_t byte = 'B';
	int64_t limit_ms = c->s->conf->set.watchdog_s * 1000;

	for (unsigned i = 0; i < c->n; i++)
		if (mm_progress_stuck(&c->progress[i], c->thread[i],
			c->worker[i]->busy, limit_ms)) {
			if (c->pulse >= 0)
				MM_LOG(MM_LOG_ERROR, "worker.stuck",
				    MM_S("link",
					role_name(c->worker[i]->role)));
			c->pulse = -1;
		}
	if (c->pulse >= 0)
		(void)!send(c->pulse, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The main thread is the clock that syncs the journal. */
static void
keep(struct crew *c, const sigset_t *wait)
{
	const struct timespec second = { .tv_sec = 1 };
	const char *said = NULL;

	for (;;) {
		int sig;
		bool whole = mm_far_look(c->s);
		tell_stopped(c->s, &said);
		beat(c);
		sig = sigtimedwait(wait, NULL, &second);
		mm_record_sync(c->s->record);
		mm_duty_tick(c->s);
		if (c->alive == 0)
			return;
		if (sig != SIGTERM && whole)
			continue;
		for (unsigned i = 0; i < c->n; i++)
			(void)shutdown(c->worker[i]->fd, SHUT_RDWR);
	}
}

static enum mm_err
lock_in(struct crew *c, const struct mm_links *links, struct mm_why *why)
{
	unsigned missing = 0;

	MM_TRY(hire(c, links, why));
	MM_TRY(try_keys(c->worker[0], why));
	tzset();
	MM_TRY(lock_files(c->s, &missing, why));
	MM_TRY(start(c, why));
	MM_TRY(mm_sandbox_syscalls(MM_SANDBOX_SIGNER, &missing, why));
	tell_missing(missing);
	return MM_OK;
}

/* The lock-in order is architecture.md's. */
static enum mm_err
work(struct crew *c, const struct mm_links *links, const sigset_t *wait,
    struct mm_why *why)
{
	enum mm_err err = lock_in(c, links, why);

	if (err != MM_OK)
		return err;
	MM_LOG(MM_LOG_INFO, "signer.ready", MM_I("links", c->n),
	    MM_I("tree_size", (int64_t)c->s->tree.frontier.size));
	pthread_barrier_wait(&c->go);
	keep(c, wait);
	for (unsigned i = 0; i < c->n; i++)
		pthread_join(c->thread[i], NULL);
	mm_duty_end(c->s);
	return MM_OK;
}

static void
block_signals(sigset_t *wait)
{
	/* A file-size limit is an error like a full disk, not an end. */
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(wait);
	sigaddset(wait, SIGTERM);
	sigaddset(wait, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, wait, NULL);
}

static bool
kept(int fd, const struct mm_links *links, const struct mm_load_opts *o)
{
	for (unsigned i = 0; i < links->n; i++)
		if (links->link[i].fd == fd)
			return true;
	return fd == o->passphrase_fd || fd == o->pulse_fd ||
	    mm_hsm_keeps(o->keys, fd);
}

/* Descriptors that the caller let through are none of ours. */
static void
close_others(const struct mm_links *links, const struct mm_load_opts *o)
{
	for (int fd = 3; fd < 1024; fd++)
		if (!kept(fd, links, o))
			close(fd);
}

/* A station has no tokens and no CRLs: their keys are not here. */
static enum mm_err
check_roles(const struct mm_load_opts *o, const struct mm_links *links,
    struct mm_why *why)
{
	for (unsigned i = 0; o->batch != NULL && i < links->n; i++)
		if ((links->link[i].role & (MM_LINK_ISSUE | MM_LINK_LEDGER)) ==
		    0)
			return MM_FAIL(why, MM_EINPUT, "--links: with --batch "
			    "there are issue and ledger");
	return MM_OK;
}

/* The monitor's user comes first: files are opened as the signer. */
static enum mm_err
become(const char *config, struct mm_why *why)
{
	MM_OWN(mm_config_free) struct mm_config *c = NULL;

	MM_TRY(mm_config_load(config, &c, why));
	mm_log_open("mintmark-signer", (enum mm_log_level)c->set.log_level);
	if (c->set.production)
		MM_TRY(mm_guard_files(&c->set, config, why));
	if (geteuid() == 0)
		MM_TRY(mm_sandbox_drop(c->set.signer_user, c->set.audit_group,
		    why));
	return mm_sandbox_harden(1, why);
}

/* see run.h; a thread that could not be told to go ends with the process. */
enum mm_err
mm_run(const struct mm_load_opts *o, const struct mm_links *links,
    struct mm_why *why)
{
	MM_OWN(mm_signer_free) struct mm_signer *s = NULL;
	struct crew c = { .pulse = o->pulse_fd };
	sigset_t wait;

	MM_TRY(check_roles(o, links, why));
	block_signals(&wait);
	close_others(links, o);
	(void)mallopt(M_ARENA_MAX, 4);
	MM_TRY(become(o->config, why));
	MM_TRY(mm_signer_load(o, &s, why));
	if (o->passphrase_fd >= 0)
		close(o->passphrase_fd);
	c.s = s;
	MM_TRY(work(&c, links, &wait, why));
	for (unsigned i = 0; i < c.n; i++)
		mm_worker_free(&c.worker[i]);
	MM_LOG(MM_LOG_INFO, "signer.ended", MM_S("why", "links closed"));
	return MM_OK;
}
