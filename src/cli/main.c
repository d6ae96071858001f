#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/files.h"
#include "cli/own_cert.h"
#include "pki/key.h"

/* see cmd.h */
void
mm_cli_hint(struct mm_cli *cli, const char *fmt, ...)
{
	va_list ap;

	if (cli->hint[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(cli->hint, sizeof(cli->hint), fmt, ap);
	va_end(ap);
}

/* see cmd.h */
void
mm_cli_note(const struct mm_cli *cli, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (cli->json || cli->quiet)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fputs("mintmark: note: ", stderr);
	mm_text_put(stderr, text);
	fputc('\n', stderr);
}

/* see cmd.h */
enum mm_err
mm_cli_unverified(struct mm_cli *cli, enum mm_err rc)
{
	cli->unverified = rc == MM_EPOLICY || rc == MM_EINPUT ||
	    rc == MM_ENOTFOUND || rc == MM_ELIMIT;
	return rc;
}

/*
 * Global options may stand anywhere before "--": they are taken out of argv.
 * false: one lacks its value.
 */
static bool
globals(struct mm_cli *cli, int *argc, char *argv[])
{
	const struct {
		const char *name, **value;
		bool *flag;
	} known[] = {
		{ "--json", NULL, &cli->json },
		{ "--quiet", NULL, &cli->quiet },
		{ "--server", &cli->server, NULL },
		{ "--ca", &cli->ca, NULL },
		{ "--key-file", &cli->key_file, NULL },
		{ "--context", &cli->context, NULL },
		{ "--cert", &cli->cert, NULL },
		{ "--cert-key", &cli->cert_key, NULL },
		{ "--approval", &cli->approval, NULL },
	};
	const size_t n = sizeof(known) / sizeof(known[0]);
	int out = 1, i = 1;

	for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
		size_t k = 0;

		while (k < n && strcmp(argv[i], known[k].name) != 0)
			k++;
		if (k == n)
			argv[out++] = argv[i];
		else if (known[k].flag != NULL)
			*known[k].flag = true;
		else if (i + 1 == *argc)
			return false;
		else
			*known[k].value = argv[++i];
	}
	while (i < *argc)
		argv[out++] = argv[i++];
	argv[out] = NULL;
	*argc = out;
	return true;
}

static const struct mm_cmd *
find(const char *noun, const char *verb, bool *noun_known)
{
	*noun_known = false;
	for (size_t i = 0; i < mm_ncmds; i++) {
		const struct mm_cmd *c = &mm_cmds[i];

		if (strcmp(c->noun, noun) != 0)
			continue;
		*noun_known = true;
		if (c->verb == NULL ||
		    (verb != NULL && strcmp(c->verb, verb) == 0))
			return c;
	}
	return NULL;
}

/* What a server's refusal means for a person who has no better hint. */
static const struct {
	enum mm_err code;
	bool answered; /* by the server, or nobody did */
	const char *hint;
} hints[] = {
	{ MM_EAUTH, true, "check the API key file (--key-file) or the certificate (--cert), or those of the context" },
	{ MM_EPOLICY, true, "\"mintmark key whoami\" says which roles your key has, and what it is limited to" },
	{ MM_ENOTFOUND, true, "its noun's \"list\" shows what there is" },
	{ MM_EAGAIN, true, "it answers, and cannot do this now: \"mintmark doctor\" and /readyz say why; then the same command again" },
	{ MM_EAGAIN, false, "is mintmarkd running? its log and /readyz say why it does not answer" },
	{ MM_ERATE, true, "wait a little, then the same command again" },
};

/* The one place where a failure is printed, and where an exit begins. */
static int
fail(const struct mm_cli *cli, const char *slug, int status, const char *text)
{
	json_t *e, *o;

	if (!cli->json) {
		fputs("mintmark: error: ", stderr);
		mm_text_put(stderr, text);
		fprintf(stderr, " (%s)\n", slug);
		if (cli->hint[0] != '\0') {
			fputs("mintmark: hint: ", stderr);
			mm_text_put(stderr, cli->hint);
			fputc('\n', stderr);
		}
		if (cli->request_id[0] != '\0')
			fprintf(stderr, "mintmark: request id: %s\n",
			    cli->request_id);
		return status;
	}
	e = json_pack("{s:s,s:i,s:s}", "code", slug, "exit", status, "reason",
	    text);
	if (e != NULL && cli->hint[0] != '\0')
		json_object_set_new(e, "hint", json_string(cli->hint));
	if (e != NULL && cli->request_id[0] != '\0')
		json_object_set_new(e, "request_id",
		    json_string(cli->request_id));
	o = e != NULL ? json_pack("{s:o}", "error", e)
	    : json_pack("{s:{s:s,s:i,s:s}}", "error", "code", slug, "exit",
	    status, "reason", "not a text that JSON can carry");
	mm_json_dump(stderr, o, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(o);
	return status;
}

static int
complain(struct mm_cli *cli, enum mm_err rc, const struct mm_why *why)
{
	const char *text = why->text[0] ? why->text : "failed";

	if (cli->unverified)
		return fail(cli, "unverified", MM_CLI_EXIT_UNVERIFIED, text);
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (hints[i].code == rc && cli->client != NULL &&
		    hints[i].answered == (cli->request_id[0] != '\0'))
			mm_cli_hint(cli, "%s", hints[i].hint);
	return fail(cli, cli->code != NULL ? cli->code : mm_err_slug(rc),
	    mm_err_exit(rc), text);
}

/* Wrong words, before there is a command. */
static int
misused(struct mm_cli *cli, const char *what, const char *word,
    const char *more)
{
	char text[256];

	snprintf(text, sizeof(text), "%s%.80s%s%.80s", what, word,
	    more ? " " : "", more ? more : "");
	return fail(cli, mm_err_slug(MM_EINPUT), mm_err_exit(MM_EINPUT), text);
}

static bool
asks_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* The end of what prints: a disk may be full. */
static int
written(const struct mm_cli *cli, int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	return fail(cli, mm_err_slug(MM_ESYS), mm_err_exit(MM_ESYS),
	    "cannot write the output");
}

/* It reads mintmark.conf, and none is where it looked. */
static bool
lacks_conf(const struct mm_cmd *c, const struct mm_args *a)
{
	const struct mm_opt *o = c->opts;

	while (o != NULL && o->name != NULL && strcmp(o->name, "config") != 0)
		o++;
	return o != NULL && o->name != NULL && mm_arg(a, "config") == NULL &&
	    strstr(o->help, "mintmark.conf") != NULL && /* no device's */
	    access(MM_CONF_AT, R_OK) != 0;
}

static int
dispatch(struct mm_cli *cli, int argc, char *argv[])
{
	const char *verb = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
	struct mm_why why = { 0 };
	struct mm_args args;
	bool known;
	const struct mm_cmd *c = find(argv[0], verb, &known);
	int skip = c != NULL && c->verb != NULL ? 2 : 1;
	int status;
	enum mm_err rc;

	if (c == NULL && known && verb == NULL)
		return mm_print_noun(stdout, argv[0]), written(cli, 0);
	if (c == NULL) {
		mm_cli_hint(cli, "\"mintmark %s\" lists them",
		    known ? argv[0] : "help");
		return misused(cli, "no such command: ", argv[0], verb);
	}
	for (int i = skip; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (asks_help(argv[i]))
			return mm_print_command(stdout, c), written(cli, 0);
	rc = mm_args_parse(c, argc - skip, argv + skip, &args, &why);
	if (rc != MM_OK)
		mm_cli_hint(cli, "\"mintmark %s%s%s --help\" says how",
		    c->noun, c->verb ? " " : "", c->verb ? c->verb : "");
	else if ((rc = mm_cli_files_check(cli, c, &args, &why)) == MM_OK &&
	    (rc = mm_openssl_ready(&why)) == MM_OK)
		rc = c->run(cli, &args, &why);
	rc = mm_cli_files_say(cli, rc, &why);
	if (rc == MM_ENOTFOUND && lacks_conf(c, &args))
		mm_cli_hint(cli, "--config FILE says where mintmark.conf is");
	if (cli->client != NULL && mm_client_waits(cli->client)[0] != '\0')
		mm_cli_hint(cli, "\"mintmark approval show %s\" says how it "
		    "is; once it is approved: the same command with "
		    "--approval %s", mm_client_waits(cli->client),
		    mm_client_waits(cli->client));
	if (cli->client != NULL)
		snprintf(cli->request_id, sizeof(cli->request_id), "%s",
		    mm_client_request_id(cli->client));
	status = rc == MM_OK ? cli->status : complain(cli, rc, &why);
	if (rc == MM_OK)
		mm_own_cert_due(cli);
	mm_own_cert_free(&cli->own_cert);
	mm_client_close(&cli->client);
	return rc == MM_OK ? written(cli, status) : status;
}

int
main(int argc, char *argv[])
{
	struct mm_cli cli = { .tty = isatty(STDERR_FILENO) };
	char help[] = "--help";
	bool whole = globals(&cli, &argc, argv);

	if (argc > 1 && strcmp(argv[1], "--version") == 0)
		return puts("mintmark " MM_VERSION), written(&cli, 0);
	if (argc > 2 && strcmp(argv[1], "help") == 0) { /* of a command */
		memmove(argv + 1, argv + 2,
		    (size_t)(argc - 2) * sizeof(argv[0]));
		argv[argc - 1] = help;
	}
	if (argc < 2 || asks_help(argv[1]) || strcmp(argv[1], "help") == 0)
		return mm_print_usage(argc < 2 ? stderr : stdout),
		       argc < 2 ? mm_err_exit(MM_EINPUT) : written(&cli, 0);
	if (!whole || argv[1][0] == '-') {
		mm_cli_hint(&cli, "\"mintmark help\" lists them");
		return whole ? misused(&cli, "unknown option before the "
		    "command: ", argv[1], NULL)
		    : misused(&cli, "a value is missing after ",
		    argv[argc - 1], NULL);
	}
	return dispatch(&cli, argc - 1, argv + 1);
}
