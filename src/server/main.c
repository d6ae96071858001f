#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/own.h"
#include "base/secret.h"
#include "core/once.h"
#include "ledger/note.h"
#include "pki/key.h"
#include "sandbox/sandbox.h"
#include "server/alarm.h"
#include "server/metrics.h"

/*
 * mintmarkd: subcommands and options, as tables.
 */

struct options {
	struct mm_run_args run;
	const char *admin, *ledger_key;
	bool yes;
};
typedef int command_fn(const struct options *o);
static command_fn run_run, run_check, run_found, run_takeover,
    run_reference, run_metrics, run_routes, run_roles, run_alerts, run_serve,
    run_courier, run_registrar, run_registrar_est;

static const struct command {
	const char *name, *args, *help; /* NULL help: not for people */
	command_fn *run;
} commands[] = {
	{ "run", "[--passphrase-fd N]", "serve (the default)", run_run },
	{ "check", "", "read everything, say what is wrong, and end",
	    run_check },
	{ "found", "--admin NAME --ledger-key FILE",
	    "make the store and the first administrator's key", run_found },
	{ "takeover", "--ledger-key FILE [--yes]",
	    "have this node's signer sign the checkpoints", run_takeover },
	{ "reference", "", "print the configuration's reference (Markdown)",
	    run_reference },
	{ "routes", "", "list what each listener answers, and to which roles",
	    run_routes },
	{ "metrics", "", "print the metrics' reference (Markdown)",
	    run_metrics },
	{ "roles", "", "print who may do what (Markdown)", run_roles },
	{ "alerts", "", "print what alerts mean (Markdown)", run_alerts },
	{ "serve", "--control N", NULL, run_serve },
	{ "courier", "--control N", NULL, run_courier },
	{ "registrar", "--control N", NULL, run_registrar },
	{ "registrar-est", "--control N", NULL, run_registrar_est },
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
usage(FILE *f)
{
	fputs("usage: mintmarkd [COMMAND] [--config FILE] [OPTIONS]\n\n", f);
	for (size_t i = 0; i < NCOMMANDS; i++)
		if (commands[i].help != NULL)
			fprintf(f, "  %-10s %-31s %s\n", commands[i].name,
			    commands[i].args, commands[i].help);
	fputs("\n  --config FILE  default " MM_CONF_AT "\n"
	      "  --version, --help\n", f);
}

/* see priv.h */
int
mm_server_fail(const char *what, enum mm_err rc, const struct mm_why *why)
{
	fprintf(stderr, "mintmarkd: %s: %s\n", what,
	    why->text[0] != '\0' ? why->text : mm_err_slug(rc));
	return mm_err_exit(rc);
}

static int
run_run(const struct options *o)
{
	return mm_monitor_run(&o->run);
}

static int
run_serve(const struct options *o)
{
	return mm_serve_run(&o->run);
}

static int
run_courier(const struct options *o)
{
	return mm_courier_run(&o->run);
}

static int
run_registrar(const struct options *o)
{
	return mm_registrar_run(&o->run, false);
}

static int
run_registrar_est(const struct options *o)
{
	return mm_registrar_run(&o->run, true);
}

static int
run_check(const struct options *o)
{
	return mm_check_run(o->run.config_path);
}

/* ---- references, for docs/reference ---- */

static int
print_page(void (*put)(struct mm_buf *b))
{
	struct mm_buf b = MM_BUF_INIT(1 << 20);

	put(&b);
	fwrite(b.p, 1, b.n, stdout);
	mm_buf_done(&b);
	return 0;
}

static void
put_reference(struct mm_buf *b)
{
	struct mm_conf_block blocks[MM_CONFIG_BLOCKS];
	const struct mm_conf_spec spec = mm_config_spec(blocks);

	mm_conf_print_reference(b, &spec);
}

static int
run_reference(const struct options *o)
{
	(void)o;
	return print_page(put_reference);
}

static int
run_routes(const struct options *o)
{
	(void)o;
	mm_routes_print(stdout);
	return 0;
}

static int
run_metrics(const struct options *o)
{
	(void)o;
	return print_page(mm_metrics_reference);
}

static int
run_roles(const struct options *o)
{
	(void)o;
	return print_page(mm_rest_print_roles);
}

static int
run_alerts(const struct options *o)
{
	(void)o;
	return print_page(mm_alarm_reference);
}

/* ---- found ---- */

/* The server's folder, its own from the start. */
static enum mm_err
make_folder(const struct mm_settings *set, struct mm_why *why)
{
	struct mm_file_own own = { 0 };
	const struct passwd *pw;

	MM_TRY(mm_dir_make(set->server_dir, 0750, why));
	if (geteuid() != 0 || set->server_user[0] == '\0')
		return MM_OK;
	pw = getpwnam(set->server_user);
	if (pw == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no such user: %s",
		    set->server_user);
	own.uid = pw->pw_uid;
	own.gid = pw->pw_gid;
	return mm_dir_own(set->server_dir, &own, why);
}

/* The verifier key's text, as "mintmark-signer ledger-key" prints it. */
static enum mm_err
read_ledger_key(const char *path, struct mm_note_key *key, struct mm_why *why)
{
	struct mm_buf b = MM_BUF_INIT(1024);
	struct mm_bytes text;
	enum mm_err rc = mm_file_read(path, &b, why);

	text = mm_buf_view(&b);
	while (text.n > 0 && (text.p[text.n - 1] == '\n' ||
	    text.p[text.n - 1] == ' '))
		text.n--;
	if (rc == MM_OK)
		rc = mm_note_key_parse(text, key, why);
	mm_buf_done(&b);
	return rc;
}

static enum mm_err
found(const struct options *o, char key_text[80], struct mm_why *why)
{
	MM_OWN(mm_config_free) struct mm_config *config = NULL;
	struct mm_note_key key;

	MM_TRY(mm_config_load(o->run.config_path, &config, why));
	MM_TRY(read_ledger_key(o->ledger_key, &key, why));
	if (strcmp(key.name, config->set.ledger_origin) != 0)
		return MM_FAIL(why, MM_EINPUT, "%s is the key of ledger %s, "
		    "not of %s", o->ledger_key, key.name,
		    config->set.ledger_origin);
	MM_TRY(make_folder(&config->set, why));
	MM_TRY(mm_sandbox_drop(geteuid() == 0 ? config->set.server_user : "",
	    NULL, why));
	return mm_core_found(config, (struct mm_bytes){ key.key,
	    sizeof(key.key) }, o->admin, key_text, why);
}

static int
run_found(const struct options *o)
{
	char key_text[80];
	struct mm_why why = { 0 };
	enum mm_err rc;

	if (o->admin == NULL || o->ledger_key == NULL) {
		fputs("mintmarkd: found wants --admin and --ledger-key\n",
		    stderr);
		return mm_err_exit(MM_EINPUT);
	}
	rc = found(o, key_text, &why);
	if (rc != MM_OK)
		return mm_server_fail("found", rc, &why);
	printf("%s\n", key_text);
	mm_wipe(key_text, sizeof(key_text));
	return 0;
}

/* ---- takeover ---- */

/* Who may look (root, or the one user of a demo) is told before, not by a
 * server that does not start. */
static enum mm_err
check_key_there(const struct mm_settings *set, struct mm_why *why)
{
	char path[MM_PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/keys/ledger.key", set->signer_dir);
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return MM_FAIL(why, MM_ENOTFOUND, "this node's signer does "
		    "not have the ledger's key: mintmark-signer take-ledger");
	return MM_OK;
}

static enum mm_err
takeover(const struct options *o, struct mm_takeover *out, struct mm_why *why)
{
	MM_OWN(mm_config_free) struct mm_config *config = NULL;
	struct mm_note_key key;

	MM_TRY(mm_config_load(o->run.config_path, &config, why));
	MM_TRY(read_ledger_key(o->ledger_key, &key, why));
	MM_TRY(check_key_there(&config->set, why));
	MM_TRY(mm_sandbox_drop(geteuid() == 0 ? config->set.server_user : "",
	    NULL, why));
	return mm_core_takeover(config, &key, o->yes, out, why);
}

static int
run_takeover(const struct options *o)
{
	struct mm_takeover t;
	struct mm_why why = { 0 };
	enum mm_err rc;

	if (o->ledger_key == NULL) {
		fputs("mintmarkd: takeover wants --ledger-key\n", stderr);
		return mm_err_exit(MM_EINPUT);
	}
	rc = takeover(o, &t, &why);
	if (rc != MM_OK)
		return mm_server_fail("takeover", rc, &why);
	printf("node \"%s\" does not answer; its last checkpoint has %llu "
	    "entries, which are stored\n%s\n", t.from,
	    (unsigned long long)t.size, o->yes ?
	    "taken over: this node signs from now on" :
	    "nothing was changed: --yes takes over");
	return 0;
}

/* ---- options ---- */

static const struct option longs[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "passphrase-fd", required_argument, NULL, 'p' },
	{ "admin", required_argument, NULL, 'a' },
	{ "ledger-key", required_argument, NULL, 'k' },
	{ "control", required_argument, NULL, 'l' },
	{ "yes", no_argument, NULL, 'y' },
	{ "version", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static bool
take_fd(const char *text, int *fd)
{
	int64_t v;

	if (mm_int_parse(text, &v, NULL) != MM_OK || v < 0 || v > 65535) {
		fputs("mintmarkd: want a descriptor's number\n", stderr);
		return false;
	}
	*fd = (int)v;
	return true;
}

/* 0: go on; 1: all is said; -1: wrong. */
static int
take(int c, struct options *o)
{
	switch (c) {
	case 'c': o->run.config_path = optarg; return 0;
	case 'a': o->admin = optarg; return 0;
	case 'k': o->ledger_key = optarg; return 0;
	case 'y': o->yes = true; return 0;
	case 'p': return take_fd(optarg, &o->run.passphrase_fd) ? 0 : -1;
	case 'l': return take_fd(optarg, &o->run.control) ? 0 : -1;
	case 'v': puts("mintmarkd " MM_VERSION); return 1;
	case 'h': usage(stdout); return 1;
	default: return -1;
	}
}

static const struct command *
find(const char *name)
{
	for (size_t i = 0; i < NCOMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

int
main(int argc, char *argv[])
{
	struct options o = { .run = { .config_path = MM_CONF_AT,
		.passphrase_fd = -1, .control = -1 } };
	const struct command *cmd = &commands[0];
	struct mm_why why = { 0 };
	int c, said = 0;

	mm_log_open("mintmarkd", MM_LOG_INFO);
	if (argc > 1 && argv[1][0] != '-') {
		cmd = find(argv[1]);
		argv[1] = argv[0];
		argc--, argv++;
	}
	while (cmd != NULL && said == 0 &&
	    (c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		said = take(c, &o);
	if (said > 0)
		return 0;
	if (said < 0 || cmd == NULL || optind < argc) {
		fputs("mintmarkd: \"mintmarkd --help\" says what it can do\n",
		    stderr);
		return mm_err_exit(MM_EINPUT);
	}
	if (mm_openssl_ready(&why) != MM_OK)
		return mm_server_fail("cannot start", why.code, &why);
	return cmd->run(&o);
}
