#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/file.h"
#include "core/once.h"
#include "rig.h"

void
rig_must(bool ok, const char *what, const char *file, int line)
{
	if (ok)
		return;
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

static const char config_text[] =
    "name = \"Acme\"\n"
    "server_dir = \"server\"\nsigner_dir = \"signer\"\n"
    "database = \"sqlite:%s/mintmark.db\"\n"
    "passphrase_file = \"passphrase\"\n"
    "trust_anchor = \"root.pem\"\n"
    "tls_certificate = \"tls.pem\"\ntls_key = \"tls.key\"\n"
    "ledger_origin = \"test.example/ledger\"\n"
    "%s\n"
    "issuer \"factory\" {\n  certificate = \"issuer.pem\"\n"
    "  key = \"issuer.key\"\n}\n"
    "profile \"thermo\" {\n  issuer = \"factory\"\n"
    "  subject = { \"CN={device}\", \"serialNumber={device}\" }\n"
    "  lifetime = 90d\n  bearer = true\n}\n"
    "profile \"birth\" {\n  issuer = \"factory\"\n  kind = idevid\n"
    "  lifetime = 3650d\n}\n"
    "profile \"hold\" {\n  issuer = \"factory\"\n  on_conflict = hold\n}\n"
    "profile \"swap\" {\n  issuer = \"factory\"\n"
    "  on_conflict = replace\n}\n"
    "profile \"quick\" {\n  issuer = \"factory\"\n  confirm = issue\n}\n"
    "profile \"keys\" {\n  issuer = \"factory\"\n"
    "  serverkeygen = true\n}\n";

static void
write_file(const char *dir, const char *name, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	MUST(mm_file_replace(path, mm_bytes_of(text), 0600, NULL) == MM_OK);
}

static const char *
signer_program(void)
{
	const char *p = getenv("MM_SIGNER");

	MUST(p != NULL);
	return p;
}

static pid_t
spawn(const char *const argv[], const struct mm_links *keep)
{
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid > 0)
		return pid;
	for (unsigned i = 0; keep != NULL && i < keep->n; i++)
		fcntl(keep->link[i].fd, F_SETFD, 0);
	int null = open("/dev/null", O_RDWR);
	dup2(null, 1);
	if (getenv("RIG_NOISE") == NULL)
		dup2(null, 2);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void
set_up(struct rig *r, const char *what, const char *issuer)
{
	const char *argv[] = { signer_program(), what, "--config", r->conf,
		"--issuer", issuer, NULL };
	int status;

	MUST(waitpid(spawn(argv, NULL), &status, 0) > 0);
	MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Issuers that the test adds are made below the same root. */
static void
init_signer(struct rig *r)
{
	set_up(r, "init", "factory");
	for (size_t i = 0; i < r->config->nissuer; i++)
		if (strcmp(r->config->issuer[i].name, "factory") != 0 &&
		    !mm_issuer_upstream(&r->config->issuer[i]))
			set_up(r, "issuer", r->config->issuer[i].name);
}

static void
role_text(const struct mm_links *l, char *out, size_t n)
{
	static const struct { uint8_t role; const char *name; } names[] = {
		{ MM_LINK_ISSUE, "issue" }, { MM_LINK_LEDGER, "ledger" },
		{ MM_LINK_OPS, "ops" }, { MM_LINK_PSK, "psk" },
		{ MM_LINK_CHECK, "check" }, { MM_LINK_OCSP, "ocsp" },
	};
	size_t at = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < l->n; i++)
		for (size_t k = 0; k < 6; k++)
			if (names[k].role == l->link[i].role)
				at += (size_t)snprintf(out + at, n - at,
				    "%s%s:%d", at > 0 ? "," : "",
				    names[k].name, l->link[i].fd);
}

static struct mm_links
start_signer(struct rig *r)
{
	struct mm_links server, signer;
	char roles[256];
	const char *argv[] = { signer_program(), "run",
		"--config", r->conf, "--links", roles, NULL };

	MUST(mm_links_make(RIG_LOOPS, &server, &signer, NULL) == MM_OK);
	role_text(&signer, roles, sizeof(roles));
	r->signer = spawn(argv, &signer);
	mm_links_close(&signer);
	return server;
}

static void
done(void *ctx, struct mm_job *list)
{
	struct rig *r = ctx;
	struct mm_job *next;

	pthread_mutex_lock(&r->lock);
	for (; list != NULL; list = next) {
		next = list->next;
		list->next = r->done;
		r->done = list;
		r->ndone++;
	}
	pthread_cond_signal(&r->more);
	pthread_mutex_unlock(&r->lock);
}

static void
note(void *ctx, int level, const char *event, const char *text)
{
	(void)ctx;
	if (getenv("RIG_NOISE") != NULL)
		fprintf(stderr, "note %d %s: %s\n", level, event, text);
}

void
rig_open(struct rig *r, const struct mm_core_hooks *hooks)
{
	struct mm_core_conf conf = { .config = r->config, .loops = RIG_LOOPS,
		.done = done, .note = note, .ctx = r, .jobs_max = 2048,
		.ask = r->ask, .ask_ms = r->ask_ms, .forward = r->forward,
		.hooks = hooks };
	struct mm_why why = { 0 };
	struct mm_links links;

	if (mm_core_open(&conf, &r->core, &why) != MM_OK)
		fprintf(stderr, "open: %s\n", why.text);
	MUST(r->core != NULL);
	links = start_signer(r);
	if (mm_core_start(r->core, &links, &why) != MM_OK) {
		fprintf(stderr, "start: %s\n", why.text);
		abort();
	}
	MUST(mm_desk_open(r->core, &r->desk, &why) == MM_OK);
}

void
rig_kill_signer(struct rig *r)
{
	kill(r->signer, SIGKILL);
	waitpid(r->signer, NULL, 0);
	r->signer = 0;
}

void
rig_restart_signer(struct rig *r)
{
	rig_restart_signer_with(r, NULL);
}

void
rig_restart_signer_with(struct rig *r, void (*with)(struct mm_links *))
{
	struct mm_links links = start_signer(r);

	if (with != NULL)
		with(&links);
	mm_core_relink(r->core, &links);
}

void
rig_shut(struct rig *r)
{
	mm_desk_close(&r->desk);
	mm_core_stop(r->core, 5000);
	mm_core_close(&r->core);
	if (r->signer > 0)
		waitpid(r->signer, NULL, 0);
	r->signer = 0;
}

void
rig_make(struct rig *r, const char *extra, const struct mm_core_hooks *hooks)
{
	const char *base = getenv("TMPDIR");
	char text[8192], key_text[80];
	struct mm_why why = { 0 };
	uint8_t key[32];
	struct mm_product p = { .name = "thermo", .ldevid_profile = "thermo",
		.idevid_profile = "birth" };

	memset(r, 0, sizeof(*r));
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->more, NULL);
	snprintf(r->dir, sizeof(r->dir), "%s/mmcore.XXXXXX",
	    base != NULL ? base : "/tmp");
	MUST(mkdtemp(r->dir) != NULL);
	snprintf(r->conf, sizeof(r->conf), "%s/mintmark.conf", r->dir);
	snprintf(text, sizeof(text), config_text, r->dir,
	    extra != NULL ? extra : "");
	write_file(r->dir, "mintmark.conf", text);
	write_file(r->dir, "passphrase", "correct horse battery\n");
	if (mm_config_load(r->conf, &r->config, &why) != MM_OK) {
		fprintf(stderr, "config: %s\n", why.text);
		abort();
	}
	init_signer(r);
	memset(key, 7, sizeof(key));
	if (mm_core_found(r->config, (struct mm_bytes){ key, 32 }, "Root",
	    key_text, &why) != MM_OK) {
		fprintf(stderr, "found: %s\n", why.text);
		abort();
	}
	rig_open(r, hooks);
	MUST(mm_desk_login(r->desk, &(struct mm_presented){
	    .key = mm_bytes_of(key_text), .peer = &in6addr_loopback },
	    &r->admin, &why) == MM_OK);
	MUST(mm_desk_product_put(r->desk, &r->admin, &p, false, &why) ==
	    MM_OK);
	for (size_t i = 0; i < 4; i++) {
		static const char *const more[] = { "hold", "swap", "quick",
			"keys" };
		strcpy(p.name, more[i]);
		strcpy(p.ldevid_profile, more[i]);
		MUST(mm_desk_product_put(r->desk, &r->admin, &p, false,
		    &why) == MM_OK);
	}
}

void
rig_done(struct rig *r)
{
	char cmd[96];

	rig_shut(r);
	mm_config_free(&r->config);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", r->dir);
	if (getenv("RIG_KEEP") == NULL)
		MUST(system(cmd) == 0);
}

int
rig_setup(void **state)
{
	static struct rig rig;

	rig_make(&rig, NULL, NULL);
	*state = &rig;
	return 0;
}

int
rig_teardown(void **state)
{
	rig_done(*state);
	return 0;
}

struct mm_token_made
rig_token_of(struct rig *r, const struct mm_token_spec *spec)
{
	struct mm_token_made made;
	struct mm_why why = { 0 };
	enum mm_err rc = MM_EAGAIN;

	/* on a busy machine the signer's answer may come too late */
	for (int i = 0; i < 5 && rc == MM_EAGAIN; i++)
		rc = mm_desk_tokens_mint(r->desk, &r->admin, spec, 1, &made,
		    &why);
	if (rc != MM_OK || made.result != MM_OK) {
		fprintf(stderr, "mint: %s %s\n", why.text, made.why.text);
		abort();
	}
	return made;
}

struct mm_token_made
rig_token(struct rig *r, const char *device)
{
	struct mm_token_spec spec = { .product = "thermo" };

	strcpy(spec.device, device);
	return rig_token_of(r, &spec);
}

EVP_PKEY *
rig_key(void)
{
	EVP_PKEY *key;

	MUST(mm_key_make(MM_KEY_P256, &key, NULL) == MM_OK);
	return key;
}

struct mm_job *
rig_job(enum mm_job_kind kind, EVP_PKEY *key, const char *cn)
{
	struct mm_job *job = mm_job_new(kind);

	MUST(job != NULL);
	if (key == NULL)
		return job;
	MUST(mm_csr_make(key, cn, &job->request, NULL) == MM_OK);
	MUST(mm_csr_walk(mm_buf_view(&job->request), &job->csr, NULL) ==
	    MM_OK);
	return job;
}

void
rig_psk(struct mm_job *job, const struct mm_token_made *t)
{
	struct mm_token parsed;

	MUST(mm_token_parse(mm_bytes_of(t->text), &parsed, NULL) == MM_OK);
	mm_authority_token_psk(&job->authority, parsed.id);
}

void
rig_cert(struct mm_job *job, struct mm_bytes der)
{
	MUST(mm_authority_device(&job->authority, der, NULL) == MM_OK);
}

void
rig_post(struct rig *r, struct mm_job *list)
{
	mm_core_post(r->core, list);
}

/* At least so many. */
struct mm_job *
rig_take(struct rig *r, unsigned least, unsigned *n)
{
	struct timespec until;
	struct mm_job *list;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&r->lock);
	while (r->ndone < least)
		MUST(pthread_cond_timedwait(&r->more, &r->lock, &until) == 0);
	list = r->done;
	*n = r->ndone;
	r->done = NULL;
	r->ndone = 0;
	pthread_mutex_unlock(&r->lock);
	return list;
}

struct mm_job *
rig_wait(struct rig *r, unsigned n)
{
	unsigned got;
	struct mm_job *list = rig_take(r, n, &got);

	MUST(got == n);
	return list;
}

void
rig_run(struct rig *r, struct mm_job *job)
{
	rig_post(r, job);
	MUST(rig_wait(r, 1) == job);
}

struct counting {
	const char *type;
	unsigned n;
};

static enum mm_err
count(void *ctx, uint64_t index, struct mm_bytes entry, struct mm_why *why)
{
	struct counting *c = ctx;

	(void)index, (void)why;
	if (memmem(entry.p, entry.n, c->type, strlen(c->type)) != NULL)
		c->n++;
	return MM_OK;
}

unsigned
rig_entries(struct rig *r, const char *type)
{
	struct mm_store_reader *reader = mm_desk_reader(r->desk);
	char want[80];
	struct counting c = { want, 0 };
	uint64_t size;

	snprintf(want, sizeof(want), "\"type\":\"%s\"", type);
	MUST(mm_get_ledger_size(reader, &size, NULL) == MM_OK);
	MUST(mm_each_entry(reader, 0, size, count, &c, NULL) == MM_OK);
	return c.n;
}

unsigned
rig_journal(struct rig *r, const char *kind)
{
	struct mm_buf text = MM_BUF_INIT((size_t)64 << 20);
	char path[160], want[80];
	unsigned n = 0;

	snprintf(path, sizeof(path), "%s/signer/journal.jsonl", r->dir);
	snprintf(want, sizeof(want), "\"kind\":\"%s\"", kind);
	MUST(mm_file_read(path, &text, NULL) == MM_OK);
	for (const char *p = mm_buf_cstr(&text); (p = strstr(p, want)) != NULL;
	     p++)
		n++;
	mm_buf_done(&text);
	return n;
}

/* ---- the store away ---- */

void
rig_wait_ready(struct rig *r)
{
	struct mm_core_stats s;

	do {
		usleep(10000);
		mm_core_stats(r->core, &s);
	} while (!s.ready);
}

sqlite3 *
rig_lock_store(struct rig *r)
{
	char path[160];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/mintmark.db", r->dir);
	MUST(sqlite3_open(path, &db) == SQLITE_OK);
	/* after whatever is being written just now */
	MUST(sqlite3_busy_timeout(db, 10000) == SQLITE_OK);
	MUST(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) ==
	    SQLITE_OK);
	return db;
}

void
rig_unlock_store(sqlite3 *take_db)
{
	MUST(sqlite3_exec(take_db, "ROLLBACK", NULL, NULL, NULL) ==
	    SQLITE_OK);
	sqlite3_close(take_db);
}
