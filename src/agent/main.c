#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/args.h"
#include "agent/link.h"
#include "agent/priv.h"
#include "agent/report.h"
#include "agent/store.h"
#include "agent/token_file.h"
#include "base/log.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "pki/key.h"

/* All that a command works with; too large for a stack frame of its own. */
struct program {
	struct mm_agent_args args;
	struct mm_agent_store store;
	struct mmd_nv nv;
	struct mmd_openssl_keys keys;
	struct mmd_crypto crypto;
	struct mmd_clock clock;
	struct mm_agent_wire wire;
	struct mm_agent_link link;
	struct mm_agent agent;
};

/* A device that waits does not look like one that hangs. */
static void
tell_wait(unsigned tries, int64_t ms, const struct mm_why *why)
{
	fprintf(stderr, "mintmark-agent: try %u: %s; the next in %lld s\n",
	    tries, why->text, (long long)(ms + 999) / 1000);
}

static void
assemble(struct program *p)
{
	const struct mm_agent_args *args = &p->args;

	p->nv = mm_agent_store_nv(&p->store);
	p->keys = (struct mmd_openssl_keys){ &p->nv };
	p->crypto = mmd_openssl_crypto(&p->keys);
	p->clock = mmd_posix_clock();
	p->wire.server = p->agent.server;
	p->wire.more = p->agent.more;
	p->wire.label = args->label;
	p->wire.nv = &p->nv;
	p->wire.timeout_ms = (int)args->timeout_s * 1000;
	p->wire.verbose = args->verbose;
	p->link = mm_agent_wire_link(&p->wire);
	p->agent = (struct mm_agent){ .nv = &p->nv, .crypto = &p->crypto,
		.time = &p->clock, .link = &p->link, .device = args->device,
		.key_kind = args->key_kind, .tls_version = args->tls_version,
		.retries = args->retries, .keep_key = args->keep_key,
		.replace = args->replace,
		.waits = args->quiet ? NULL : tell_wait,
		.now = args->now, .renew_percent = args->renew_percent,
		.clock = args->clock_mode };
}

static enum mm_err
set_server(struct program *p, const char *server, struct mm_why *why)
{
	if (server == NULL || server[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "--server is missing");
	return mm_agent_set_server(&p->agent, server, why);
}

static enum mm_err
enrol_with(struct program *p, struct mmd_token *t,
    struct mm_agent_status *out, struct mm_why *why)
{
	const struct mmd_token *token = t;
	const char *server = p->args.server;
	struct mm_agent_status s;
	struct mm_agent_token_source file = { .path = p->args.token_file };
	struct mm_why w = { 0 };
	enum mm_err err = mm_agent_token_read(&file, &p->crypto, t, &w);

	if (err == MM_ENOTFOUND) {
		/* Removed after use, if there is an identity already. */
		if (mm_agent_status(&p->agent, &s, NULL) != MM_OK)
			return MM_FAIL(why, MM_ENOTFOUND, "%s", w.text);
		token = NULL;
		server = server != NULL ? server : s.server;
	} else if (err != MM_OK)
		return MM_FAIL(why, err, "%s", w.text);
	else if (server == NULL)
		server = t->server;
	if (file.exposed)
		fprintf(stderr, "mintmark-agent: warning: others may read "
		    "the token file: chmod go= it\n");
	MM_TRY(set_server(p, server, why));
	MM_TRY(mm_agent_enrol(&p->agent, token, out, why));
	return p->args.keep_token || out->unspent != MM_AGENT_SPENT ? MM_OK
	    : mm_agent_token_erase(p->args.token_file, why);
}

static enum mm_err
enrol(struct program *p, struct mm_agent_status *out, struct mm_why *why)
{
	struct mmd_token token = { .anchor_n = 0 };
	enum mm_err err;

	if (p->args.token_file == NULL)
		return MM_FAIL(why, MM_EINPUT, "--token-file is missing");
	MM_TRY(mm_agent_store_open(&p->store, p->args.dir, why));
	err = enrol_with(p, &token, out, why);
	mm_wipe(&token, sizeof(token));
	return err;
}

static enum mm_err
renew(struct program *p, struct mm_agent_status *out, struct mm_why *why)
{
	struct mm_agent_status now;
	unsigned slot;

	/* Nothing is made in a folder that is not an identity's. */
	MM_TRY(mm_agent_store_look(&p->store, p->args.dir, why));
	MM_TRY(mm_agent_selected(&p->agent, &slot, why));
	MM_TRY(mm_agent_store_open(&p->store, p->args.dir, why));
	MM_TRY(mm_agent_status(&p->agent, &now, why));
	MM_TRY(set_server(p, p->args.server != NULL ? p->args.server
	    : now.server, why));
	return mm_agent_renew(&p->agent, out, why);
}

static enum mm_err
status(struct program *p, struct mm_agent_status *out, struct mm_why *why)
{
	MM_TRY(mm_agent_store_look(&p->store, p->args.dir, why));
	return mm_agent_status(&p->agent, out, why);
}

static const struct {
	const char *name;
	enum mm_err (*run)(struct program *p, struct mm_agent_status *out,
	    struct mm_why *why);
} commands[] = {
	{ "enrol", enrol }, { "renew", renew }, { "status", status },
};

static int
finish(struct program *p, enum mm_err err, struct mm_buf *out, FILE *to)
{
	const char *text = mm_buf_cstr(out);

	if (text == NULL || fputs(text, to) == EOF || fflush(to) != 0)
		err = err != MM_OK ? err : MM_ESYS;
	mm_buf_done(out);
	mm_agent_store_close(&p->store);
	return mm_err_exit(err);
}

/* The exit of a signal's handler: safe there, since a kill is at any time. */
static void
deadline_text(int sig)
{
	static const char text[] = "mintmark-agent: the deadline is over\n";

	(void)sig;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(7); /* mm_err_exit(MM_EAGAIN) */
}

static void
deadline_json(int sig)
{
	static const char text[] = "{\"error\":\"try-later\",\"detail\":"
	    "\"the deadline is over\",\"exit\":7}\n";

	(void)sig;
	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	_exit(7);
}

static void
set_deadline(const struct mm_agent_args *args)
{
	MM_INVARIANT(mm_err_exit(MM_EAGAIN) == 7);
	if (args->deadline_s == 0)
		return;
	(void)signal(SIGALRM, args->json ? deadline_json : deadline_text);
	(void)alarm(args->deadline_s);
}

static enum mm_err
run_command(struct program *p, struct mm_agent_status *out,
    struct mm_why *why)
{
	MM_TRY(mm_openssl_ready(why));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, p->args.command) == 0)
			return commands[i].run(p, out, why);
	return MM_EBUG;
}

/* What the system said is more use than that it failed. */
static void
explain(const struct program *p, enum mm_err err, struct mm_why *why)
{
	struct mm_why first = *why;

	if (err == MM_ESYS && p->store.why.code == MM_ESYS)
		snprintf(why->text, sizeof(why->text), "%.50s: %.100s",
		    first.text, p->store.why.text);
}

static void
note_kept_key(const struct program *p)
{
	if (p->args.key_type != NULL && p->agent.kept_key != NULL)
		fprintf(stderr, "mintmark-agent: note: --key-type %s is not "
		    "used: the key that is here is kept (%s)\n",
		    p->args.key_type, p->agent.kept_key);
}

static int
run(struct program *p)
{
	struct mm_buf out = MM_BUF_INIT(8192);
	struct mm_agent_status s = { .early = false };
	struct mm_why why = { 0 };
	int64_t start = mm_mono_ms();
	enum mm_err err = run_command(p, &s, &why);
	int status;

	(void)alarm(0);
	note_kept_key(p);
	explain(p, err, &why);
	if (err == MM_OK)
		mm_agent_report(&out, &s, p->args.json,
		    mm_agent_now_s(&p->agent), mm_mono_ms() - start);
	else
		mm_agent_report_failure(&out, err, &why, p->args.json);
	status = finish(p, err, &out,
	    err == MM_OK || p->args.json ? stdout : stderr);
	if (status == 0 && s.unspent != MM_AGENT_SPENT)
		return MM_AGENT_EXIT_UNSPENT;
	return status == 0 && s.early ? MM_AGENT_EXIT_EARLY : status;
}

static int
usage_failure(enum mm_err err, const struct mm_why *why, bool json)
{
	struct mm_buf out = MM_BUF_INIT(1024);
	const char *text;

	mm_agent_report_failure(&out, err, why, json);
	text = mm_buf_cstr(&out);
	if (text != NULL)
		(void)fputs(text, json ? stdout : stderr);
	if (!json)
		(void)fputs("try mintmark-agent --help\n", stderr);
	mm_buf_done(&out);
	return mm_err_exit(err);
}

/*
 * Whoever started us: no file of ours becomes standard error because that was
 * closed, no memory of ours a core file, no file another's to write.
 */
static bool
harden(void)
{
	const struct rlimit none = { 0, 0 };

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", O_RDWR) != fd)
			return false;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(077);
	return setrlimit(RLIMIT_CORE, &none) == 0;
}

int
main(int argc, char **argv)
{
	struct program p = { .store.lock = -1 };
	struct mm_why why = { 0 };
	enum mm_err err;

	if (!harden())
		return mm_err_exit(MM_ESYS);
	err = mm_agent_args_parse(argc, argv, &p.args, &why);
	if (err != MM_OK)
		return usage_failure(err, &why, p.args.json);
	if (strcmp(p.args.command, "help") == 0)
		return fputs(mm_agent_usage, stdout) == EOF;
	if (strcmp(p.args.command, "version") == 0)
		return puts(p.args.json ? "{\"version\":\"" MM_VERSION "\"}"
		    : "mintmark-agent " MM_VERSION) == EOF;
	mm_log_open("mintmark-agent", MM_LOG_INFO);
	assemble(&p);
	set_deadline(&p.args);
	return run(&p);
}
