#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/priv.h"
#include "agent/program.h"
#include "agent/report.h"
#include "agent/service.h"
#include "base/file.h"
#include "base/log.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "pki/key.h"

static const struct {
	const char *name;
	enum mm_err (*run)(struct mm_agent_program *p,
	    struct mm_agent_status *out, struct mm_why *why);
} commands[] = {
	{ "enrol", mm_agent_program_enrol },
	{ "renew", mm_agent_program_renew },
	{ "status", mm_agent_program_status },
	{ "config", mm_agent_program_config },
};

static int
finish(struct mm_agent_program *p, enum mm_err err, struct mm_buf *out,
    FILE *to)
{
	const char *text = mm_buf_cstr(out);

	if (text == NULL || fputs(text, to) == EOF || fflush(to) != 0)
		err = err != MM_OK ? err : MM_ESYS;
	mm_buf_done(out);
	mm_agent_program_done(p);
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
run_command(struct mm_agent_program *p, struct mm_agent_status *out,
    struct mm_why *why)
{
	MM_TRY(mm_openssl_ready(why));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, p->args.command) == 0)
			return commands[i].run(p, out, why);
	return MM_EBUG;
}

static void
note_kept_key(const struct mm_agent_program *p)
{
	if (p->args.key_type != NULL && p->agent.kept_key != NULL)
		fprintf(stderr, "mintmark-agent: note: --key-type %s is not "
		    "used: the key that is here is kept (%s)\n",
		    p->args.key_type, p->agent.kept_key);
}

/* A key that an earlier try left is kept, wherever it is. */
static void
note_other_place(const struct mm_agent_program *p,
    const struct mm_agent_status *s)
{
	enum mm_key_place place;

	if (p->args.key_in == NULL || s->early ||
	    mm_key_place_of(p->args.key_in, &place, NULL) != MM_OK ||
	    place == s->key_in)
		return;
	fprintf(stderr, "mintmark-agent: note: --key %s is not used: the key "
	    "that is here is kept (%s); \"renew --now --key\" moves it\n",
	    p->args.key_in, mm_key_place_name(s->key_in));
}

/* An identity is as good without it; where there is none nothing is said. */
static void
note_no_config(const struct mm_agent_program *p, enum mm_err err)
{
	char text[sizeof(p->conf_why.text)];

	if (err != MM_OK || p->conf_err == MM_OK ||
	    p->conf_err == MM_ENOTFOUND || p->args.quiet)
		return;
	mm_agent_printable(p->conf_why.text, text, sizeof(text));
	fprintf(stderr, "mintmark-agent: note: no configuration: %s\n",
	    text);
}

MM_FREE_FN(json_free, json_t, json_decref)

/* What the service wrote last; of a file that is no JSON, nothing. */
static struct mm_bytes
read_service(const struct mm_agent_program *p, struct mm_buf *file)
{
	MM_OWN(json_free) json_t *top = NULL;
	struct mm_bytes v, none = { NULL, 0 };
	char path[PATH_MAX];

	if (strcmp(p->args.command, "status") != 0)
		return none;
	mm_agent_status_path(p->args.status_file, p->args.dir, path);
	if (mm_file_read(path, file, NULL) != MM_OK)
		return none;
	v = mm_buf_view(file);
	while (v.n > 0 && v.p[v.n - 1] == '\n')
		v.n--;
	top = json_loadb((const char *)v.p, v.n, JSON_REJECT_DUPLICATES, NULL);
	return json_is_object(top) ? v : none;
}

static int
run(struct mm_agent_program *p)
{
	struct mm_buf out = MM_BUF_INIT(16384), file = MM_BUF_INIT(8192);
	struct mm_agent_report_of of = { .json = p->args.json };
	struct mm_agent_status s = { .early = false };
	char document[PATH_MAX];
	struct mm_why why = { 0 };
	int64_t start = mm_mono_ms();
	enum mm_err err = run_command(p, &s, &why);
	int status;

	(void)alarm(0);
	note_kept_key(p);
	mm_agent_program_explain(p, err, &why);
	of.now_s = mm_agent_now_s(&p->agent);
	of.took_ms = mm_mono_ms() - start;
	of.service = read_service(p, &file);
	of.configured = &p->configured;
	mm_agent_document_path(p->args.dir, document);
	of.document = document;
	note_no_config(p, err);
	if (err == MM_OK)
		note_other_place(p, &s);
	if (err == MM_OK)
		mm_agent_report(&out, &s, &of);
	else
		mm_agent_report_failure(&out, err, &why, &of);
	mm_buf_done(&file);
	status = finish(p, err, &out,
	    err == MM_OK || p->args.json ? stdout : stderr);
	if (status == 0 && s.unspent != MM_AGENT_SPENT)
		return MM_AGENT_EXIT_UNSPENT;
	return status == 0 && s.early ? MM_AGENT_EXIT_EARLY : status;
}

static int
usage_failure(enum mm_err err, const struct mm_why *why, bool json)
{
	const struct mm_agent_report_of of = { .json = json };
	struct mm_buf out = MM_BUF_INIT(1024);
	const char *text;

	mm_agent_report_failure(&out, err, why, &of);
	text = mm_buf_cstr(&out);
	if (text != NULL)
		(void)fputs(text, json ? stdout : stderr);
	if (!json)
		(void)fputs("try mintmark-agent --help\n", stderr);
	mm_buf_done(&out);
	return mm_err_exit(err);
}

/* The service, which is not much more than this: the rest is a visit's. */
static int
serve(const struct mm_agent_args *args)
{
	static struct mm_agent_conf conf;
	struct mm_why why = { 0 };
	enum mm_err err = mm_agent_conf_load(args->config != NULL
	    ? args->config : "/etc/mintmark/agent.conf", &conf, &why);

	if (err == MM_OK)
		err = mm_agent_serve(&conf, &why);
	return err == MM_OK ? 0 : usage_failure(err, &why, args->json);
}

static int
reference(void)
{
	struct mm_buf out = MM_BUF_INIT(1 << 16);
	const char *text;
	bool ok;

	mm_buf_text(&out, "# Agent configuration\n\n`agent.conf`, in "
	    "libconfuse syntax: of `mintmark-agent run`. Made by "
	    "`mintmark-agent reference`; do not edit.\n\n");
	mm_agent_conf_reference(&out);
	text = mm_buf_cstr(&out);
	ok = text != NULL && fputs(text, stdout) != EOF;
	mm_buf_done(&out);
	return !ok;
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

/* status finds the folder in the service's configuration, too. */
static enum mm_err
take_config(struct mm_agent_args *args, struct mm_why *why)
{
	static struct mm_agent_conf conf;

	if (args->config == NULL)
		return MM_OK;
	MM_TRY(mm_agent_conf_load(args->config, &conf, why));
	args->dir = conf.dir;
	args->status_file = conf.status_file;
	return MM_OK;
}

static int
run_once(struct mm_agent_program *p)
{
	struct mm_why why = { 0 };
	enum mm_err err = take_config(&p->args, &why);

	if (err != MM_OK)
		return usage_failure(err, &why, p->args.json);
	mm_agent_program_init(p);
	set_deadline(&p->args);
	return run(p);
}

int
main(int argc, char **argv)
{
	static struct mm_agent_program p; /* the service uses none of it */
	struct mm_why why = { 0 };
	enum mm_err err;

	p.store.lock = -1;
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
	if (strcmp(p.args.command, "reference") == 0)
		return reference();
	mm_log_open("mintmark-agent", MM_LOG_INFO);
	return strcmp(p.args.command, "run") == 0 ? serve(&p.args)
	    : run_once(&p);
}
