#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/files.h"
#include "cli/own_cert.h"

enum { CONTEXT_MAX = 64 * 1024 };

/*
 * Which server: options first, then the context, a small JSON file of paths
 * ({"server","ca","key_file"}, or "cert" and "cert_key", and "renew": false for a
 * certificate that is not to be renewed by itself) named by --context, by
 * MINTMARK_CONTEXT, or ~/.config/mintmark/context.json, or else the one that
 * "mintmark init" wrote beside the configuration that a command looks at.  The
 * key itself is never in it.
 */
static enum mm_err
find_context(struct mm_cli *cli, char path[512])
{
	const char *env = getenv("MINTMARK_CONTEXT"), *home = getenv("HOME");
	const char *slash;

	if (cli->context != NULL || env != NULL)
		snprintf(path, 512, "%s", cli->context ? cli->context : env);
	else
		snprintf(path, 512, "%s/.config/mintmark/context.json",
		    home ? home : "");
	if (cli->context || env || access(path, R_OK) == 0)
		return MM_OK;
	if (cli->beside == NULL)
		return MM_ENOTFOUND;
	slash = strrchr(cli->beside, '/');
	snprintf(path, 512, "%.*scontext.json",
	    slash != NULL ? (int)(slash + 1 - cli->beside) : 0, cli->beside);
	return access(path, R_OK) == 0 ? MM_OK : MM_ENOTFOUND;
}

static enum mm_err
load_context(const char *path, json_t **out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(CONTEXT_MAX);
	json_error_t where;

	MM_TRY(mm_file_read(path, &text, why));
	*out = json_loadb((const char *)text.p, text.n,
	    JSON_REJECT_DUPLICATES, &where);
	if (*out == NULL)
		return MM_FAIL(why, MM_EINPUT, "%s:%d: %s", path, where.line,
		    where.text);
	return MM_OK;
}

/* A path in the context is meant against the context's own folder. */
static const char *
member_path(json_t *context, const char *member, const char *file, char *out,
    size_t n)
{
	const char *v = json_string_value(json_object_get(context, member));
	const char *slash = strrchr(file, '/');

	if (v == NULL)
		return NULL;
	if (v[0] == '/' || slash == NULL)
		snprintf(out, n, "%s", v);
	else
		snprintf(out, n, "%.*s/%s", (int)(slash - file), file, v);
	return out;
}

/* Who says one kind of credential does not get the context's of the other. */
struct credential {
	char key[512], cert[512], cert_key[512];
};
static void
credential(json_t *context, const char *path, struct mm_client_conf *conf,
    struct credential *c)
{
	if (conf->key_file != NULL || conf->cert != NULL)
		return;
	conf->key_file = member_path(context, "key_file", path, c->key,
	    sizeof(c->key));
	conf->cert = member_path(context, "cert", path, c->cert,
	    sizeof(c->cert));
	if (conf->cert_key == NULL)
		conf->cert_key = member_path(context, "cert_key", path,
		    c->cert_key, sizeof(c->cert_key));
}

/* see cmd.h */
enum mm_err
mm_cli_client_new(struct mm_cli *cli, struct mm_client **out,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *context = NULL;
	struct mm_client_conf conf = { cli->server, cli->ca, cli->key_file,
		cli->cert, cli->cert_key, cli->approval };
	char path[512], ca[512];
	struct credential files;

	if (find_context(cli, path) == MM_OK)
		MM_TRY(load_context(path, &context, why));
	if (conf.server == NULL)
		conf.server = json_string_value(
		    json_object_get(context, "server"));
	if (conf.ca == NULL)
		conf.ca = member_path(context, "ca", path, ca, sizeof(ca));
	credential(context, path, &conf, &files);
	if (conf.server == NULL) {
		mm_cli_hint(cli, "give --server https://host:8444 --ca FILE "
		    "--key-file FILE, or --context FILE as \"mintmark init\" "
		    "wrote it");
		return MM_FAIL(why, MM_EINPUT, "which server?");
	}
	MM_TRY(mm_cli_files_open(conf.ca, why));
	MM_TRY(mm_cli_files_open(conf.cert, why));
	mm_own_cert_hold(cli, conf.cert, conf.cert_key, cli->cert == NULL &&
	    !json_is_false(json_object_get(context, "renew")));
	return mm_client_open(&conf, out, why);
}

/* see cmd.h */
enum mm_err
mm_cli_anchor(struct mm_cli *cli, char out[512], struct mm_why *why)
{
	MM_OWN(json_free) json_t *context = NULL;
	char path[512];

	if (cli->ca != NULL) {
		snprintf(out, 512, "%s", cli->ca);
		return MM_OK;
	}
	if (find_context(cli, path) == MM_OK)
		MM_TRY(load_context(path, &context, why));
	if (member_path(context, "ca", path, out, 512) != NULL)
		return MM_OK;
	mm_cli_hint(cli, "give --ca FILE, the root's certificate as \"mintmark "
	    "init\" or /anchor.pem has it");
	return MM_FAIL(why, MM_EINPUT, "which trust anchor?");
}

/* see cmd.h */
enum mm_err
mm_cli_client(struct mm_cli *cli, struct mm_client **out, struct mm_why *why)
{
	if (cli->client == NULL)
		MM_TRY(mm_cli_client_new(cli, &cli->client, why));
	*out = cli->client;
	return MM_OK;
}
