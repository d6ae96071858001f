#include <string.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/own_cert.h"

/* Credentials, and what two administrators decide. */
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
enum { PEM_MAX = 16384 };

/* ---- key ---- */

static const struct mm_column key_columns[] = {
	{ "ID", "id" }, { "KIND", "kind" }, { "NAME", "name" },
	{ "ROLES", "roles" }, { "PRODUCTS", "products" },
	{ "EXPIRES", "expires" }, { "USED", "used" },
	{ "REVOKED", "revoked" },
};
const struct mm_opt mm_opts_key_list[] = { MM_LIST_OPTS, END };
MM_LIST(key_list, "/keys", key_columns)
const struct mm_opt mm_opts_key_whoami[] = { END };

enum mm_err
mm_cmd_key_whoami(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	(void)a;
	return mm_object_command(cli, "GET", "/whoami", NULL, why);
}

const struct mm_opt mm_opts_key_renew[] = { END };

enum mm_err
mm_cmd_key_renew(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	json_t *o = NULL;

	(void)a;
	MM_TRY(mm_own_cert_renew(cli, &o, why));
	if (cli->json)
		mm_json_print(o);
	else
		mm_object_print(o);
	json_decref(o);
	return MM_OK;
}

const struct mm_opt mm_opts_key_revoke[] = { END };
MM_SHOW(key_revoke, "POST", "/keys/%s/revoke")
const struct mm_opt mm_opts_key_erase[] = { END };
MM_SHOW(key_erase, "POST", "/keys/%s/erase")
const struct mm_opt mm_opts_key_create[] = {
	{ "role", "ROLE", "what it may do (required): admin, operator, line, "
	    "support, auditor or metrics, or several with commas", MM_C_WORDS,
	    "admin operator line support auditor metrics" },
	{ "ttl", "TIME", "until when: 90d, 2y (default: no end, or the "
	    "certificate's)", MM_C_NONE, NULL },
	{ "product", "PRODUCT", "limit it to this product, or to several "
	    "with commas", MM_C_PRODUCT, NULL },
	{ "batch", "BATCH", "limit it to this batch, or to several with "
	    "commas", MM_C_NONE, NULL },
	{ "source", "RANGE", "good from these addresses only: 10.0.0.0/8, or "
	    "several with commas", MM_C_NONE, NULL },
	{ "description", "TEXT", "words for people", MM_C_NONE, NULL },
	{ "certificate", "FILE", "PEM: register its public key, make no API "
	    "key", MM_C_FILE, NULL },
	END
};

static enum mm_err
add_certificate(json_t *o, const char *path, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MAX);

	if (path == NULL)
		return MM_OK;
	MM_TRY(mm_file_read(path, &pem, why));
	if (memmem(pem.p, pem.n, "PRIVATE KEY", 11) != NULL)
		return MM_FAIL(why, MM_EINPUT, "%.100s: there is a private "
		    "key in it: name a file with the certificate alone",
		    path);
	json_object_set_new(o, "certificate",
	    json_stringn((const char *)pem.p, pem.n));
	return MM_OK;
}

enum mm_err
mm_cmd_key_create(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	enum mm_err rc;
	json_t *o;

	if (mm_arg(a, "role") == NULL)
		return MM_FAIL(why, MM_EINPUT, "missing --role");
	o = json_pack("{s:s}", "name", a->pos[0]);
	mm_json_list(o, "roles", a, "role");
	mm_json_list(o, "products", a, "product");
	mm_json_list(o, "batches", a, "batch");
	mm_json_list(o, "sources", a, "source");
	mm_json_opt(o, "ttl", a, "ttl");
	mm_json_opt(o, "description", a, "description");
	rc = add_certificate(o, mm_arg(a, "certificate"), why);
	if (rc != MM_OK)
		return json_decref(o), rc;
	return mm_object_command(cli, "POST", "/keys", o, why);
}

/* ---- approval ---- */

static const struct mm_column approval_columns[] = {
	{ "ID", "id" }, { "ACTION", "action" }, { "STATE", "state" },
	{ "REQUESTER", "requester" }, { "DECIDER", "decider" },
	{ "EXPIRES", "expires" }, { "PATH", "path" },
};
const struct mm_opt mm_opts_approval_list[] = { MM_LIST_OPTS, END };
MM_LIST(approval_list, "/approvals", approval_columns)
const struct mm_opt mm_opts_approval_show[] = { END };
MM_SHOW(approval_show, "GET", "/approvals/%s")
const struct mm_opt mm_opts_approval_approve[] = { END };
MM_SHOW(approval_approve, "POST", "/approvals/%s/approve")
const struct mm_opt mm_opts_approval_refuse[] = { END };
MM_SHOW(approval_refuse, "POST", "/approvals/%s/refuse")
