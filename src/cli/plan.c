#include "cli/plan.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/ask.h"
#include "pki/cert.h"
#include "pki/profile.h"

/* see plan.h */
bool
mm_plan_is_address(const char *host)
{
	struct in6_addr a;

	return inet_pton(AF_INET, host, &a) == 1 ||
	    inet_pton(AF_INET6, host, &a) == 1;
}

/* URLs are made of it: no "*". */
static bool
host_valid(const char *host)
{
	return mm_plan_is_address(host) ||
	    (host[0] != '*' && mm_host_name_valid(host));
}

static enum mm_err
hosts(struct mm_plan *p, const char *list, struct mm_why *why)
{
	for (const char *at = list; *at != '\0';) {
		size_t n = strcspn(at, ",");

		if (p->nhosts == MM_PLAN_HOSTS || n == 0 ||
		    n >= sizeof(p->host[0]))
			return MM_FAIL(why, MM_EINPUT,
			    "--host: want 1 to %d names with commas",
			    MM_PLAN_HOSTS);
		memcpy(p->host[p->nhosts++], at, n);
		at += n + (at[n] == ',');
	}
	return MM_OK;
}

static void
preset(char *out, size_t n, const char *given, const char *otherwise)
{
	snprintf(out, n, "%s", given ? given : otherwise);
}

/* The host a URL names, without scheme, port, path and a last dot. */
static void
host_of(const char *url, char out[128])
{
	const char *at = strstr(url, "://");
	size_t n;

	at = at ? at + 3 : url;
	n = at[0] == '[' ? strcspn(at, "]") + 1 : strcspn(at, ":/");
	if (n > 1 && at[n - 1] == '.')
		n--;
	snprintf(out, 128, "%.*s", (int)n, at);
}

/* RFC 6761 6.3: localhost, and every name below it. */
static bool
is_local(const char *host)
{
	static const char local[] = ".localhost";
	size_t n = strlen(host);

	return strcasecmp(host, local + 1) == 0 || (n >= sizeof(local) &&
	    strcasecmp(host + n - (sizeof(local) - 1), local) == 0);
}

static enum mm_err
check_public(struct mm_cli *cli, const void *plan, struct mm_why *why)
{
	const struct mm_plan *p = plan;
	char host[128];

	if (strncmp(p->public_url, "http://", 7) != 0)
		return MM_FAIL(why, MM_EINPUT, "--public-url: want http://"
		    "host[:port] (revocation lists are signed, and fetched "
		    "before TLS can be)");
	host_of(p->public_url, host);
	if (!p->production)
		return MM_OK;
	if (is_local(host) || mm_plan_is_address(host) ||
	    host[0] == '[' || strchr(host, '.') == NULL) {
		mm_cli_hint(cli, "it is written into every certificate and "
		    "must outlive them: use a DNS name of your own, or --test "
		    "for a test CA");
		return MM_FAIL(why, MM_EPOLICY, "--public-url: \"%.60s\" is "
		    "no name that devices can reach for years", host);
	}
	return MM_OK;
}

/* "0.0.0.0:8444" and a host give the URL under which we reach ourselves. */
static void
url_of(char *out, size_t n, const char *host, const char *listen)
{
	const char *port = strrchr(listen, ':');
	bool v6 = strchr(host, ':') != NULL; /* RFC 3986 3.2.2 */

	snprintf(out, n, "https://%s%s%s%s", v6 ? "[" : "", host,
	    v6 ? "]" : "", port ? port : "");
}

static void
users(const struct mm_args *a, struct mm_plan *p)
{
	bool root = geteuid() == 0 && p->production;

	preset(p->server_user, sizeof(p->server_user),
	    mm_arg(a, "server-user"), root ? "mintmark" : "");
	preset(p->signer_user, sizeof(p->signer_user),
	    mm_arg(a, "signer-user"), root ? "mintmark-signer" : "");
	preset(p->audit_group, sizeof(p->audit_group),
	    mm_arg(a, "audit-group"), root ? "mintmark-audit" : "");
}

/* An absolute form that does not need the folder to exist. */
static void
absolute(char *out, size_t n, const char *path)
{
	char cwd[256];

	if (path[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL)
		snprintf(out, n, "%s", path);
	else
		snprintf(out, n, "%s/%s", cwd, path);
}

static void
paths(struct mm_plan *p, const struct mm_args *a)
{
	const char *pass = mm_arg(a, "passphrase-file");

	absolute(p->dir, sizeof(p->dir), mm_arg(a, "dir") ? mm_arg(a, "dir")
	    : "/etc/mintmark");
	absolute(p->state, sizeof(p->state), mm_arg(a, "state")
	    ? mm_arg(a, "state") : "/var/lib/mintmark");
#define UNDER(field, base, name) \
	snprintf(p->field, sizeof(p->field), "%s/%s", p->base, name)
	UNDER(config_path, dir, "mintmark.conf");
	UNDER(context_path, dir, "context.json");
	UNDER(admin_key_path, dir, "admin.key");
	UNDER(request_path, dir, "issuing.csr");
	UNDER(anchor_path, dir, "root.crt");
	UNDER(ledger_key_path, dir, "ledger.key");
	UNDER(server_dir, state, "server");
	UNDER(signer_dir, state, "signer");
#undef UNDER
	if (pass != NULL)
		absolute(p->passphrase_file, sizeof(p->passphrase_file), pass);
}

static enum mm_err
check_root(struct mm_cli *cli, const void *plan, struct mm_why *why)
{
	const struct mm_plan *p = plan;

	(void)cli;
	if (strcmp(p->root, "new") != 0 && strcmp(p->root, "external") != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "--root: want new or external, not \"%s\"", p->root);
	return MM_OK;
}

static enum mm_err
check_key_type(struct mm_cli *cli, const void *plan, struct mm_why *why)
{
	enum mm_key_type t;

	(void)cli;
	return mm_key_type_parse(((const struct mm_plan *)plan)->key_type, &t,
	    why);
}

static enum mm_err
check_product(struct mm_cli *cli, const void *plan, struct mm_why *why)
{
	(void)cli;
	if (!mm_name_valid(((const struct mm_plan *)plan)->product))
		return MM_FAIL(why, MM_EINPUT, "--product: 1 to %d of "
		    "a-z 0-9 . _ -", MM_NAME_MAX);
	return MM_OK;
}

static enum mm_err
check_database(struct mm_cli *cli, const void *plan, struct mm_why *why)
{
	const char *url = ((const struct mm_plan *)plan)->database;

	(void)cli;
	if (strncmp(url, "sqlite:/", 8) != 0 &&
	    strncmp(url, "postgresql://", 13) != 0)
		return MM_FAIL(why, MM_EINPUT, "--database: want sqlite: and "
		    "an absolute path, or postgresql://USER@HOST/DATABASE");
	return MM_OK;
}

static enum mm_err
questions(struct mm_cli *cli, const struct mm_args *a, struct mm_plan *p,
    struct mm_why *why)
{
	char list[512], host[128], database[MM_PATH_MAX];

#define ASK(opt, text, preset_, field, check) \
	MM_TRY(mm_ask(cli, a, &(struct mm_question){ opt, text, preset_, \
	    p->field, sizeof(p->field), check, p }, why))
	ASK("name", "The maker's name", NULL, name, NULL);
	ASK("root", "Root CA: new or external", "new", root, check_root);
	ASK("key-type", "Key type of the CAs", "p256", key_type,
	    check_key_type);
	ASK("public-url", "Public URL, written into every certificate",
	    p->production ? NULL : "http://localhost:8080", public_url,
	    check_public);
	host_of(p->public_url, host);
	MM_TRY(mm_ask(cli, a, &(struct mm_question){ "host",
	    "Names of this server, with commas",
	    p->production ? host : "localhost,127.0.0.1", list, sizeof(list),
	    NULL, NULL }, why));
	snprintf(database, sizeof(database), "sqlite:%.480s/mintmark.db",
	    p->server_dir);
	ASK("database", "Database: sqlite:PATH or postgresql://USER@HOST/NAME",
	    database, database, check_database);
	ASK("product", "A first product", "device", product, check_product);
	ASK("admin", "The first administrator", "admin", admin, NULL);
#undef ASK
	return hosts(p, list, why);
}

static enum mm_err
root_token(const struct mm_args *a, struct mm_plan *p, struct mm_why *why)
{
	preset(p->root_key, sizeof(p->root_key), mm_arg(a, "root-key"), "");
	preset(p->root_pin_file, sizeof(p->root_pin_file),
	    mm_arg(a, "root-pin-file"), "");
	preset(p->root_environ, sizeof(p->root_environ),
	    mm_arg(a, "root-environ"), "");
	if (p->root_key[0] == '\0')
		return p->root_pin_file[0] == '\0' &&
		    p->root_environ[0] == '\0' ? MM_OK : MM_FAIL(why, MM_EINPUT,
		    "--root-pin-file, --root-environ: they are of a token: "
		    "--root-key pkcs11:...");
	if (strcmp(p->root, "external") == 0)
		return MM_FAIL(why, MM_EINPUT, "--root-key: a root that is "
		    "elsewhere has its key there");
	return strncmp(p->root_key, MM_TOKEN_URI,
	    sizeof(MM_TOKEN_URI) - 1) == 0 ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "--root-key: want pkcs11:token=...;object=...; a key in a file is "
	    "made in the signer's folder, and moved from there");
}

/* see plan.h */
enum mm_err
mm_plan_make(struct mm_cli *cli, const struct mm_args *a,
    struct mm_plan *out, struct mm_why *why)
{
	struct mm_plan *p = out;
	char host[128];

	p->production = !mm_flag(a, "test");
	p->bearer = mm_flag(a, "bearer");
	paths(p, a);
	MM_TRY(questions(cli, a, p, why));
	for (size_t i = 0; i < p->nhosts; i++)
		if (!host_valid(p->host[i]))
			return MM_FAIL(why, MM_EINPUT, "--host: \"%.60s\" is "
			    "neither a DNS name nor an address", p->host[i]);
	preset(p->devices_listen, sizeof(p->devices_listen),
	    mm_arg(a, "devices-listen"), "0.0.0.0:8443");
	preset(p->operators_listen, sizeof(p->operators_listen),
	    mm_arg(a, "operators-listen"), "127.0.0.1:8444");
	preset(p->public_listen, sizeof(p->public_listen),
	    mm_arg(a, "public-listen"), "0.0.0.0:8080");
	url_of(p->devices_url, sizeof(p->devices_url), p->host[0],
	    p->devices_listen);
	url_of(p->operators_url, sizeof(p->operators_url), p->host[0],
	    p->operators_listen);
	host_of(p->public_url, host);
	snprintf(p->origin, sizeof(p->origin), "%s/ledger", host);
	users(a, p);
	preset(p->key, sizeof(p->key), mm_arg(a, "key"), "");
	preset(p->pin_file, sizeof(p->pin_file), mm_arg(a, "pin-file"), "");
	preset(p->key_environ, sizeof(p->key_environ),
	    mm_arg(a, "key-environ"), "");
	MM_TRY(root_token(a, p, why));
	MM_TRY(mm_find_program("mintmark-keeper", p->keeper_program, why));
	MM_TRY(mm_find_program("mintmark-signer", p->signer_program, why));
	return mm_find_program("mintmarkd", p->server_program, why);
}

/* see plan.h */
void
mm_plan_print(FILE *f, const struct mm_plan *p)
{
	fprintf(f, "maker          %s%s\nroot           %s, %s\n"
		   "configuration  %s\nkeys, journal  %s (user %s)\n"
		   "records        %s (user %s)\npublic URL     %s\n"
		   "devices        %s as %s\noperators      %s as %s\n"
		   "administrator  %s, key in %s\n",
	    p->name, p->production ? "" : " (test CA)", p->root, p->key_type,
	    p->config_path, p->signer_dir,
	    p->signer_user[0] ? p->signer_user : "the caller", p->server_dir,
	    p->server_user[0] ? p->server_user : "the caller", p->public_url,
	    p->devices_listen, p->devices_url, p->operators_listen,
	    p->operators_url, p->admin, p->admin_key_path);
}

/* ---- the file ---- */

struct value {
	const char *key, *value;
};

static const char *
value_of(const struct value *v, size_t n, const struct mm_conf_key *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].key, key->name) == 0)
			return v[i].value;
	return key->preset;
}

static void
keys(struct mm_buf *out, const struct mm_conf_key *k, size_t nk,
    const struct value *v, size_t nv, const char *indent)
{
	for (size_t i = 0; i < nk; i++)
		mm_conf_print_key(out, &k[i], value_of(v, nv, &k[i]), indent);
}

static void
block(struct mm_buf *out, const struct mm_conf_block *b, const char *title,
    const struct value *v, size_t nv)
{
	mm_buf_printf(out, "\n# %s\n%s \"%s\" {\n", b->help, b->name, title);
	keys(out, b->keys, b->nkeys, v, nv, "\t");
	mm_buf_text(out, "}\n");
}

/* Texts of the configuration that the plan does not have as such. */
struct derived {
	char certificate[MM_PATH_MAX], key[MM_PATH_MAX];
	char tls_crt[MM_PATH_MAX], tls_key[MM_PATH_MAX];
	char root_crl[MM_PATH_MAX];
	char subject[256];
};

static void
derive(const struct mm_plan *p, struct derived *d)
{
	snprintf(d->certificate, sizeof(d->certificate), "%s/issuing.crt",
	    p->dir);
	if (p->key[0] != '\0')
		snprintf(d->key, sizeof(d->key), "%s", p->key);
	else
		snprintf(d->key, sizeof(d->key), "%.400s/keys/issuing.key",
		    p->signer_dir);
	snprintf(d->tls_crt, sizeof(d->tls_crt), "%.400s/tls.crt",
	    p->server_dir);
	snprintf(d->tls_key, sizeof(d->tls_key), "%.400s/tls.key",
	    p->server_dir);
	snprintf(d->root_crl, sizeof(d->root_crl), "%.400s/root.crl",
	    p->server_dir);
	snprintf(d->subject, sizeof(d->subject),
	    "O=%s\nCN={device}\nserialNumber={device}", p->name);
}

static void
daemon_keys(struct mm_buf *out, const struct mm_plan *p,
    const struct derived *d)
{
	const struct value top[] = {
		{ "name", p->name },
		{ "production", p->production ? "true" : "false" },
		{ "server_dir", p->server_dir },
		{ "signer_dir", p->signer_dir },
		{ "database", p->database },
		{ "server_user", p->server_user },
		{ "signer_user", p->signer_user },
		{ "audit_group", p->audit_group },
		{ "signer_program", p->signer_program },
		{ "passphrase_file", p->passphrase_file },
		{ "devices_listen", p->devices_listen },
		{ "operators_listen", p->operators_listen },
		{ "public_listen", p->public_listen },
		{ "public_url", p->public_url },
		{ "devices_url", p->devices_url },
		{ "tls_certificate", d->tls_crt }, { "tls_key", d->tls_key },
		{ "trust_anchor", p->anchor_path },
		{ "root_crl", strcmp(p->root, "new") == 0 ? d->root_crl : "" },
		{ "ledger_origin", p->origin },
	};

	keys(out, mm_settings_keys, mm_settings_nkeys, top,
	    sizeof(top) / sizeof(top[0]), "");
}

static void
blocks(struct mm_buf *out, const struct mm_plan *p, const struct derived *d)
{
	const struct value issuer[] = {
		{ "certificate", d->certificate }, { "key", d->key },
		{ "pin_file", p->pin_file }, { "key_environ", p->key_environ },
	};
	const struct value profile[] = {
		{ "issuer", "issuing" }, { "subject", d->subject },
		{ "bearer", p->bearer ? "true" : "false" },
		/* What a server in wrong hands could make, at the most. */
		{ "per_minute", "6000" }, { "per_day", "1000000" },
	};

	block(out, &mm_issuer_block, "issuing", issuer,
	    sizeof(issuer) / sizeof(issuer[0]));
	block(out, &mm_profile_block, p->product, profile,
	    p->production ? 5 : 3);
}

/* see plan.h */
void
mm_plan_config(const struct mm_plan *p, struct mm_buf *out)
{
	struct derived d;

	derive(p, &d);
	mm_buf_text(out, "# mintmark.conf: written by \"mintmark init\"; "
	    "checked by \"mintmarkd check\".\n\n");
	daemon_keys(out, p, &d);
	blocks(out, p, &d);
}
