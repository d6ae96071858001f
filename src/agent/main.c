#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "agent/args.h"
#include "agent/link.h"
#include "agent/priv.h"
#include "agent/report.h"
#include "agent/store.h"
#include "base/log.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"

#define TOKEN_FILE_MAX 4096

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

static void
assemble(struct program *p)
{
	const struct mm_agent_args *args = &p->args;

	p->nv = mm_agent_store_nv(&p->store);
	p->keys = (struct mmd_openssl_keys){ &p->nv };
	p->crypto = mmd_openssl_crypto(&p->keys);
	p->clock = mmd_posix_clock();
	p->wire.server = p->agent.server;
	p->wire.label = args->label;
	p->wire.nv = &p->nv;
	p->wire.timeout_ms = args->timeout_ms;
	p->wire.verbose = args->verbose;
	p->link = mm_agent_wire_link(&p->wire);
	p->agent = (struct mm_agent){ .nv = &p->nv, .crypto = &p->crypto,
		.time = &p->clock, .link = &p->link, .device = args->device,
		.key_kind = args->key_kind, .tls_version = args->tls_version,
		.retries = args->retries, .keep_key = args->keep_key,
		.clock = args->clock_mode };
}

/* MM_ENOTFOUND if there is no file: it was used and removed. */
static enum mm_err
read_token(struct program *p, struct mmd_token *t, struct mm_why *why)
{
	struct mm_buf text = MM_BUF_INIT(TOKEN_FILE_MAX);
	enum mm_err err = mm_file_read(p->args.token_file, &text, why);
	struct mm_bytes v = mm_buf_view(&text);

	if (err == MM_OK)
		err = mm_agent_fail(mmd_token_parse(&p->crypto,
		    (struct mmd_bytes){ v.p, v.n }, t), "token", why);
	mm_buf_wipe(&text);
	return err;
}

static enum mm_err
set_server(struct program *p, const char *server, struct mm_why *why)
{
	if (server == NULL || server[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "--server is missing");
	return mm_agent_set_server(&p->agent, server, why);
}

/* Overwriting a file reaches its old blocks on few file systems; try. */
static enum mm_err
erase_token(const char *path, struct mm_why *why)
{
	static const uint8_t zeros[TOKEN_FILE_MAX];
	FILE *f = fopen(path, "r+b");
	struct stat st;

	if (f != NULL) {
		if (fstat(fileno(f), &st) == 0 && st.st_size > 0 &&
		    st.st_size <= TOKEN_FILE_MAX)
			(void)!fwrite(zeros, 1, (size_t)st.st_size, f);
		(void)fflush(f);
		(void)fsync(fileno(f));
		(void)fclose(f);
	}
	if (unlink(path) != 0 && errno != ENOENT)
		return MM_FAIL(why, MM_ESYS, "cannot remove %.90s: %s", path,
		    strerror(errno));
	return MM_OK;
}

static enum mm_err
enrol_with(struct program *p, struct mmd_token *t,
    struct mm_agent_status *out, struct mm_why *why)
{
	const struct mmd_token *token = t;
	const char *server = p->args.server;
	struct mm_agent_status s;
	struct mm_why w = { 0 };
	enum mm_err err = read_token(p, t, &w);

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
	MM_TRY(set_server(p, server, why));
	MM_TRY(mm_agent_enrol(&p->agent, token, out, why));
	return p->args.keep_token ? MM_OK
	    : erase_token(p->args.token_file, why);
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

	MM_TRY(mm_agent_store_look(&p->store, p->args.dir, why));
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

static enum mm_err
run_command(struct program *p, struct mm_agent_status *out,
    struct mm_why *why)
{
	/* libcrypto uses its default context without a look */
	if (OSSL_LIB_CTX_get0_global_default() == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, p->args.command) == 0)
			return commands[i].run(p, out, why);
	return MM_EBUG;
}

static int
run(struct program *p)
{
	struct mm_buf out = MM_BUF_INIT(8192);
	struct mm_agent_status s;
	struct mm_why why = { 0 };
	int64_t start = mm_mono_ms();
	enum mm_err err = run_command(p, &s, &why);

	if (err == MM_OK)
		mm_agent_report(&out, &s, p->args.json,
		    mm_agent_now_s(&p->agent), mm_mono_ms() - start);
	else
		mm_agent_report_failure(&out, err, &why, p->args.json);
	return finish(p, err, &out,
	    err == MM_OK || p->args.json ? stdout : stderr);
}

int
main(int argc, char **argv)
{
	struct program p = { .store.lock = -1 };
	struct mm_why why = { 0 };
	enum mm_err err = mm_agent_args_parse(argc, argv, &p.args, &why);

	if (err != MM_OK) {
		fprintf(stderr, "mintmark-agent: %s\n"
		    "try mintmark-agent --help\n", why.text);
		return mm_err_exit(err);
	}
	if (strcmp(p.args.command, "help") == 0)
		return fputs(mm_agent_usage, stdout) == EOF;
	if (strcmp(p.args.command, "version") == 0)
		return puts("mintmark-agent " MM_VERSION) == EOF;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(077);
	mm_log_open("mintmark-agent", MM_LOG_INFO);
	assemble(&p);
	return run(&p);
}
