#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/owner.h"
#include "base/own.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/plan.h"

/*
 * "mintmark init": from nothing to a CA that can be started.  Decides first
 * (struct mm_plan), checks whether it can be done, shows it, then does it; it
 * overwrites nothing, and what a failed run has made is removed again.
 */
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
const struct mm_opt mm_opts_init[] = {
	{ "name", "NAME", "the maker's name", MM_C_NONE, NULL },
	{ "dir", "DIR", "where mintmark.conf goes (default /etc/mintmark)",
	    MM_C_DIR, NULL },
	{ "state", "DIR", "where keys and records go (default "
	    "/var/lib/mintmark)", MM_C_DIR, NULL },
	{ "root", "new|external", "a root of your own (default), or one that "
	    "exists elsewhere and will sign a request", MM_C_WORDS,
	    "new external" },
	{ "key-type", "TYPE", "of root and issuing CA (default p256)",
	    MM_C_WORDS, "p256 p384 ed25519 rsa2048 rsa3072 rsa4096" },
	{ "key", "URI", "pkcs11:token=...;object=... (RFC 7512): the issuing "
	    "CA's key is in that token, or is made there", MM_C_NONE, NULL },
	{ "pin-file", "FILE", "first line is the token's PIN (else it is the "
	    "passphrase); keeper_user reads it, else the signer's user",
	    MM_C_FILE, NULL },
	{ "key-environ", "NAME=VALUE", "the environment of the token's "
	    "module", MM_C_NONE, NULL },
	{ "root-key", "URI", "pkcs11:token=...;object=...: the root's key is "
	    "in that token, or is made there, and leaves with it", MM_C_NONE,
	    NULL },
	{ "root-pin-file", "FILE", "first line is that token's PIN (else it is "
	    "the passphrase)", MM_C_FILE, NULL },
	{ "root-environ", "NAME=VALUE", "the environment of that token's "
	    "module", MM_C_NONE, NULL },
	{ "public-url", "URL", "http://host: baked into every certificate, "
	    "for revocation lists", MM_C_NONE, NULL },
	{ "host", "NAMES", "DNS names or addresses of the server for its TLS "
	    "certificate, with commas", MM_C_NONE, NULL },
	{ "devices-listen", "ADDR", "default 0.0.0.0:8443", MM_C_NONE, NULL },
	{ "operators-listen", "ADDR", "default 127.0.0.1:8444", MM_C_NONE,
	    NULL },
	{ "public-listen", "ADDR", "default 0.0.0.0:8080", MM_C_NONE, NULL },
	{ "database", "URL", "sqlite:PATH or postgresql://USER@HOST/DATABASE "
	    "(default sqlite:STATE/server/mintmark.db)",
	    MM_C_NONE, NULL },
	{ "product", "NAME", "a first product's profile (default device)",
	    MM_C_NONE, NULL },
	{ "bearer", NULL, "the profile takes tokens by HTTP Basic too",
	    MM_C_NONE, NULL },
	{ "admin", "NAME", "the first administrator (default admin)",
	    MM_C_NONE, NULL },
	{ "server-user", "USER", "uid of the server (as root: mintmark)",
	    MM_C_NONE, NULL },
	{ "signer-user", "USER", "uid of the signer (as root: "
	    "mintmark-signer)", MM_C_NONE, NULL },
	{ "audit-group", "GROUP", "may read the journal (as root: "
	    "mintmark-audit)", MM_C_NONE, NULL },
	{ "passphrase-file", "FILE", "first line opens the keys; the daemon "
	    "will read it too", MM_C_FILE, NULL },
	{ "passphrase-fd", "N", "read the passphrase from this descriptor",
	    MM_C_NONE, NULL },
	{ "test", NULL, "a test CA: marked as such, may be on localhost",
	    MM_C_NONE, NULL },
	{ "dry-run", NULL, "print the plan and the configuration, check whether it can be "
	    "done, do nothing",
	    MM_C_NONE, NULL },
	{ "yes", NULL, "do not ask before doing it", MM_C_NONE, NULL },
	END
};

static enum mm_err
confirm(struct mm_cli *cli, const struct mm_args *a,
    const struct mm_plan *p, struct mm_why *why)
{
	char answer[16];

	if (mm_flag(a, "yes") || !isatty(STDIN_FILENO) || !cli->tty)
		return MM_OK;
	mm_plan_print(stderr, p);
	fputs("Do this? [y/N] ", stderr);
	if (fgets(answer, sizeof(answer), stdin) == NULL ||
	    (answer[0] | 32) != 'y')
		return MM_FAIL(why, MM_EPOLICY, "not confirmed");
	return MM_OK;
}

static enum mm_err
owned_dir(const char *path, const char *user, mode_t mode,
    struct mm_why *why)
{
	struct mm_file_own own = { 0 };

	MM_TRY(mm_dir_make(path, mode, why));
	if (user[0] == '\0')
		return MM_OK;
	MM_TRY(mm_owner_of(user, &own, why));
	return mm_dir_own(path, &own, why);
}

/*
 * The configuration and the server's folder are made first, and only by one:
 * whoever has made both may remove what is in the plan again.
 */
static enum mm_err
claim(struct mm_plan *p, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(1 << 20);

	p->has_dir = access(p->dir, F_OK) == 0;
	p->has_state = access(p->state, F_OK) == 0;
	mm_plan_config(p, &text);
	MM_TRY(mm_buf_ok(&text, why));
	MM_TRY(mm_dir_make(p->dir, 0755, why));
	MM_TRY(owned_dir(p->state, "", 0755, why));
	MM_TRY(mm_file_create(p->config_path, mm_buf_view(&text), 0644, why));
	if (mkdir(p->server_dir, 0755) == 0)
		return MM_OK;
	unlink(p->config_path);
	return MM_FAIL(why, errno == EEXIST ? MM_ECONFLICT : MM_ESYS,
	    "%.100s: %s", p->server_dir, strerror(errno));
}

/* Adds "flag value" for each item of a comma-separated list, by kind. */
static void
add_hosts(struct mm_plan *p, const char **argv, size_t *n)
{
	for (size_t i = 0; i < p->nhosts; i++) {
		argv[(*n)++] = mm_plan_is_address(p->host[i]) ? "--tls-ip"
							      : "--tls-dns";
		argv[(*n)++] = p->host[i];
	}
}

static void
add_root(struct mm_plan *p, const char **argv, size_t *n)
{
	const char *const words[][2] = { { "--root-key", p->root_key },
		{ "--root-pin-file", p->root_pin_file },
		{ "--root-environ", p->root_environ } };

	for (size_t i = 0; i < 3; i++)
		if (words[i][1][0] != '\0') {
			argv[(*n)++] = words[i][0];
			argv[(*n)++] = words[i][1];
		}
}

static enum mm_err
run_signer(struct mm_plan *p, const struct mm_secret *pass, json_t **made,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(1 << 20);
	const char *argv[80];
	size_t n = 0;

	argv[n++] = p->keeper_program;
	argv[n++] = p->signer_program;
	argv[n++] = "init";
	argv[n++] = "--config";
	argv[n++] = p->config_path;
	argv[n++] = "--passphrase-fd";
	argv[n++] = "3";
	argv[n++] = "--root";
	argv[n++] = p->root;
	argv[n++] = "--key-type";
	argv[n++] = p->key_type;
	if (strcmp(p->root, "external") == 0) {
		argv[n++] = "--request";
		argv[n++] = p->request_path;
	} else
		add_hosts(p, argv, &n);
	add_root(p, argv, &n);
	argv[n] = NULL;
	MM_TRY(mm_run_program(argv, pass, &out, why));
	*made = json_loadb((const char *)out.p, out.n, 0, NULL);
	return *made ? MM_OK : MM_FAIL(why, MM_EBUG,
	    "mintmark-signer init: no JSON came back");
}

static enum mm_err
run_found(struct mm_plan *p, json_t *made, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf out = MM_BUF_INIT(4096);
	const char *key = json_string_value(
	    json_object_get(made, "ledger_key"));
	const char *argv[] = { p->server_program, "found", "--config",
		p->config_path, "--admin", p->admin, "--ledger-key",
		p->ledger_key_path, NULL };

	if (key == NULL)
		return MM_FAIL(why, MM_EBUG, "no ledger key came back");
	MM_TRY(mm_file_create(p->ledger_key_path, mm_bytes_of(key), 0644,
	    why));
	MM_TRY(mm_run_program(argv, NULL, &out, why));
	return mm_file_create(p->admin_key_path, mm_buf_view(&out), 0600,
	    why);
}

static enum mm_err
write_context(const struct mm_plan *p, struct mm_why *why)
{
	json_t *o = json_pack("{s:s,s:s,s:s}", "server", p->operators_url,
	    "ca", p->anchor_path, "key_file", p->admin_key_path);
	char *text = json_dumps(o, JSON_INDENT(2));
	enum mm_err rc = text == NULL ? MM_ENOMEM
	    : mm_file_create(p->context_path, mm_bytes_of(text), 0600, why);

	free(text);
	json_decref(o);
	return rc;
}

static void
farewell(const struct mm_cli *cli, const struct mm_plan *p, json_t *made)
{
	if (cli->json) {
		json_object_set_new(made, "config",
		    json_string(p->config_path));
		json_object_set_new(made, "context",
		    json_string(p->context_path));
		json_object_set_new(made, "admin_key_file",
		    json_string(p->admin_key_path));
		mm_json_print(made);
		return;
	}
	printf("made     %s\n         %s (keys, journal)\n"
	       "         %s (records)\nadmin    %s\ncontext  %s\n",
	    p->config_path, p->signer_dir, p->server_dir, p->admin_key_path,
	    p->context_path);
	if (strcmp(p->root, "external") == 0)
		printf("request  %s: have your root sign it, then \"mintmark ca "
		       "install issuing --chain FILE\" and \"mintmark ca "
		       "renew-tls\"\n", p->request_path);
	else if (p->root_key[0] != '\0')
		printf("next     keep the token of the root's key in a safe "
		       "place: it is not needed to run\n");
	else
		printf("next     move %s/keys/root.key to a safe offline "
		       "place: it is not needed to run\n", p->signer_dir);
	printf("start    mintmarkd run --config %s\nthen     mintmark "
	       "--context %s product create %s --ldevid-profile %s\n",
	    p->config_path, p->context_path, p->product, p->product);
}

static enum mm_err
make(struct mm_cli *cli, struct mm_plan *p, const struct mm_secret *pass,
    struct mm_why *why)
{
	json_t *made = NULL;
	enum mm_err rc = owned_dir(p->server_dir, p->server_user, 0755, why);

	if (rc == MM_OK)
		rc = run_signer(p, pass, &made, why);
	if (rc == MM_OK)
		rc = run_found(p, made, why);
	if (rc == MM_OK)
		rc = write_context(p, why);
	if (rc == MM_OK)
		farewell(cli, p, made);
	json_decref(made);
	return rc;
}

static enum mm_err
carry_out(struct mm_cli *cli, const struct mm_args *a, struct mm_plan *p,
    struct mm_why *why)
{
	MM_OWN(mm_secret_free) struct mm_secret *pass = NULL;
	enum mm_err rc;

	MM_TRY(mm_plan_check(cli, p, why));
	MM_TRY(mm_ask_passphrase(a, MM_OF_KEYS, true, &pass, why));
	MM_TRY(confirm(cli, a, p, why));
	MM_TRY(claim(p, why));
	rc = make(cli, p, pass, why);
	if (rc == MM_OK)
		return MM_OK;
	mm_plan_undo(p);
	mm_cli_hint(cli, "what was made so far is removed again%s",
	    strncmp(p->database, "sqlite:", 7) == 0 ? ""
	    : "; only tables in the database may have stayed");
	return rc;
}

/* All that is asked before the real run, but for a passphrase to be typed. */
static enum mm_err
dry_run(struct mm_cli *cli, const struct mm_args *a, const struct mm_plan *p,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(1 << 20);
	MM_OWN(mm_secret_free) struct mm_secret *pass = NULL;

	mm_plan_print(stdout, p);
	mm_plan_config(p, &text);
	printf("\n--- %s ---\n%s", p->config_path, mm_buf_cstr(&text));
	MM_TRY(mm_plan_check(cli, p, why));
	if (mm_arg(a, "passphrase-file") == NULL &&
	    mm_arg(a, "passphrase-fd") == NULL)
		return MM_OK;
	return mm_ask_passphrase(a, MM_OF_KEYS, true, &pass, why);
}

enum mm_err
mm_cmd_init(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	struct mm_plan *p = calloc(1, sizeof(*p));
	enum mm_err rc;

	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = mm_plan_make(cli, a, p, why);
	if (rc == MM_OK)
		rc = mm_flag(a, "dry-run") ? dry_run(cli, a, p, why)
		    : carry_out(cli, a, p, why);
	free(p);
	return rc;
}
