#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/mass.h"
#include "pki/cert.h"

/*
 * Commands that are one request and one table: products, profiles,
 * certificates, the audit.
 */
#define NCOL(c) (sizeof(c) / sizeof((c)[0]))
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
#define LIST(name, path, filters, columns)                                 \
	enum mm_err mm_cmd_##name(struct mm_cli *cli,                      \
	    const struct mm_args *a, struct mm_why *why)                   \
	{                                                                  \
		return mm_list_command(cli, a, path, filters,              \
		    NCOL(filters), columns, NCOL(columns), why);           \
	}

/* ---- ca ---- */

static const struct mm_column issuer_columns[] = {
	{ "NAME", "name" }, { "STATE", "state" }, { "SUBJECT", "subject" },
	{ "NOT AFTER", "not_after" }, { "CERTIFICATES", "certificates" },
	{ "CRL", "crl_number" },
	{ "CRL NEXT UPDATE", "crl_next_update" },
	{ "EXISTING CA", "upstream.state" },
	{ "ANSWERED", "upstream.answered_at" },
};
const struct mm_opt mm_opts_ca_list[] = { END };
MM_LIST(ca_list, "/issuers", issuer_columns)
const struct mm_opt mm_opts_ca_show[] = { END };
MM_SHOW(ca_show, "GET", "/issuers/%s")
const struct mm_opt mm_opts_ca_crl[] = { END };
MM_SHOW(ca_crl, "POST", "/issuers/%s/crl")

/* ---- profile ---- */

static const struct mm_column profile_columns[] = {
	{ "NAME", "name" }, { "VERSION", "version" }, { "KIND", "kind" },
	{ "ISSUER", "issuer" }, { "KEYS", "keys" }, { "LIFETIME", "lifetime" },
	{ "BEARER", "bearer" },
};
const struct mm_opt mm_opts_profile_list[] = { END };
MM_LIST(profile_list, "/profiles", profile_columns)
const struct mm_opt mm_opts_profile_show[] = { END };
MM_SHOW(profile_show, "GET", "/profiles/%s")

/* ---- product ---- */

static const struct mm_column product_columns[] = {
	{ "NAME", "name" }, { "LDEVID PROFILE", "ldevid_profile" },
	{ "IDEVID PROFILE", "idevid_profile" }, { "CREATED", "created" },
	{ "DESCRIPTION", "description" },
};
const struct mm_opt mm_opts_product_list[] = { MM_LIST_OPTS, END };
MM_LIST(product_list, "/products", product_columns)
const struct mm_opt mm_opts_product_show[] = { END };
MM_SHOW(product_show, "GET", "/products/%s")

#define PRODUCT_OPTS                                                       \
	{ "ldevid-profile", "PROFILE", "profile of the operational "       \
	    "certificate", MM_C_PROFILE, NULL },                           \
	{ "idevid-profile", "PROFILE", "profile of the factory "           \
	    "certificate", MM_C_PROFILE, NULL },                           \
	{ "hw-type-oid", "OID", "hardware type for hardwareModuleName",    \
	    MM_C_NONE, NULL },                                             \
	{ "description", "TEXT", "words for people", MM_C_NONE, NULL }
const struct mm_opt mm_opts_product_create[] = { PRODUCT_OPTS, END };
const struct mm_opt mm_opts_product_update[] = { PRODUCT_OPTS,
	MM_IF_VERSION_OPT, END };

static json_t *
product_body(const struct mm_args *a)
{
	json_t *o = json_pack("{s:s}", "name", a->pos[0]);

	mm_json_opt(o, "ldevid_profile", a, "ldevid-profile");
	mm_json_opt(o, "idevid_profile", a, "idevid-profile");
	mm_json_opt(o, "hw_type_oid", a, "hw-type-oid");
	mm_json_opt(o, "description", a, "description");
	return o;
}

enum mm_err
mm_cmd_product_create(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return mm_object_command(cli, "POST", "/products", product_body(a),
	    why);
}

enum mm_err
mm_cmd_product_update(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *given = product_body(a);
	MM_OWN(json_free) json_t *now = NULL;
	json_t *body = json_object();
	const char *key, *text;
	struct mm_client *c;
	enum mm_err rc;
	char p[1024];
	json_t *v;

	rc = mm_path(p, why, "/products/%s", a->pos[0]);
	if (rc == MM_OK)
		rc = mm_cli_client(cli, &c, why);
	if (rc == MM_OK)
		rc = mm_client_call(c, "GET", p, NULL, &now, why);
	if (rc == MM_OK) /* nobody's change since is undone */
		mm_client_if_version(c, mm_client_version(c));
	if (rc == MM_OK)
		rc = mm_if_version(cli, a, why);
	if (rc != MM_OK)
		return json_decref(body), rc;
	json_object_update(now, given);
	json_object_del(now, "created");
	/* PUT replaces: what is not there is emptied, as "" asks for. */
	json_object_foreach(now, key, v) {
		text = json_string_value(v);
		if (text != NULL && text[0] != '\0')
			json_object_set(body, key, v);
	}
	return mm_object_command(cli, "PUT", p, body, why);
}

/* ---- cert ---- */

static const struct mm_column cert_columns[] = {
	{ "SERIAL", "serial" }, { "DEVICE", "device" },
	{ "PROFILE", "profile" }, { "STATE", "state" },
	{ "NOT AFTER", "not_after" },
};
static const struct mm_filter cert_filters[] = {
	{ "device", "device" }, { "state", "state" }, { "issuer", "issuer" },
	{ "product", "product" }, { "profile", "profile" },
	{ "expires-from", "expires_from" }, { "expires-to", "expires_to" },
	{ "older-than", "issued_to", .ago = true },
	{ "key", "spki_sha256" },
};
const struct mm_opt mm_opts_cert_list[] = {
	{ "device", "DEVICE", "of this device", MM_C_DEVICE, NULL },
	{ "state", "STATE", "in this state", MM_C_WORDS,
	    "issued confirmed superseded held revoked orphaned" },
	{ "issuer", "ISSUER", "of this issuer", MM_C_ISSUER, NULL },
	{ "product", "PRODUCT", "of this product", MM_C_PRODUCT, NULL },
	{ "profile", "PROFILE@VERSION", "made by this version of a profile",
	    MM_C_NONE, NULL },
	{ "key", "SHA256", "of the public key with this hash", MM_C_NONE,
	    NULL },
	{ "expires-from", "TIME", "that end at TIME or later", MM_C_NONE,
	    NULL },
	{ "expires-to", "TIME", "that end before TIME", MM_C_NONE, NULL },
	{ "older-than", "TIME", "with --state issued: that no device has "
	    "confirmed for so long: 7d", MM_C_NONE, NULL },
	MM_LIST_OPTS, END
};
LIST(cert_list, "/certificates", cert_filters, cert_columns)
const struct mm_opt mm_opts_cert_show[] = { END };
MM_SHOW(cert_show, "GET", "/certificates/%s")
const struct mm_opt mm_opts_cert_hold[] = { MM_MASS_OPTS, END };
const struct mm_opt mm_opts_cert_release[] = { MM_MASS_OPTS, END };
const struct mm_opt mm_opts_cert_revoke[] = {
	{ "reason", "REASON", "RFC 5280 5.3.1; default unspecified",
	    MM_C_REASON, NULL },
	MM_MASS_OPTS, END
};

/* What the server would refuse is refused here too. */
static enum mm_err
dry_revoke(struct mm_cli *cli, const struct mm_args *a, const char *reason,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *now = NULL;
	char p[1024], words[512];
	struct mm_client *c;
	unsigned code;
	bool over;

	MM_TRY(mm_reason_parse(reason, &code, why));
	if (!mm_reason_revokes(code))
		return MM_FAIL(why, MM_EINPUT, "reason %.40s does not revoke",
		    reason);
	MM_TRY(mm_path(p, why, "/certificates/%s", a->pos[0]));
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", p, NULL, &now, why));
	over = strcmp(mm_json_text(now, "state"), "revoked") == 0;
	snprintf(words, sizeof(words), over
	    ? "%s of %s is revoked already (%s): nothing would happen.\n"
	    : "%s of %s, now %s, would be revoked for good, with the reason "
	    "%s.\n", mm_json_text(now, "serial"), mm_json_text(now, "device"),
	    mm_json_text(now, over ? "reason" : "state"),
	    reason);
	json_object_set_new(now, "would_be_reason", json_string(reason));
	return mm_dry_print(cli, now, "revoked", words);
}

static enum mm_err
want_serial(const struct mm_args *a, struct mm_why *why)
{
	return a->npos == 1 ? MM_OK : MM_FAIL(why, MM_EINPUT, "which "
	    "certificate, or which selection?");
}

static enum mm_err
hold(struct mm_cli *cli, const struct mm_args *a, const char *verb,
    struct mm_why *why)
{
	char p[1024];

	if (mm_mass_selects(&mm_mass_certs, a))
		return mm_mass_run(cli, a, &mm_mass_certs, verb, NULL,
		    json_pack("{s:s}", "action", verb), why);
	MM_TRY(want_serial(a, why));
	if (mm_flag(a, "dry-run"))
		return MM_FAIL(why, MM_EINPUT, "--dry-run: of a selection");
	MM_TRY(mm_path(p, why, "/certificates/%s/", a->pos[0]));
	strncat(p, verb, sizeof(p) - strlen(p) - 1);
	return mm_object_command(cli, "POST", p, NULL, why);
}

enum mm_err
mm_cmd_cert_hold(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return hold(cli, a, "hold", why);
}

enum mm_err
mm_cmd_cert_release(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return hold(cli, a, "release", why);
}

enum mm_err
mm_cmd_cert_revoke(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	const char *reason = mm_arg(a, "reason");
	char p[1024];

	reason = reason ? reason : "unspecified";
	if (mm_mass_selects(&mm_mass_certs, a))
		return mm_mass_run(cli, a, &mm_mass_certs, "revoke", reason,
		    json_pack("{s:s,s:s}", "action", "revoke", "reason",
		    reason), why);
	MM_TRY(want_serial(a, why));
	if (mm_flag(a, "dry-run"))
		return dry_revoke(cli, a, reason, why);
	MM_TRY(mm_path(p, why, "/certificates/%s/revoke", a->pos[0]));
	return mm_object_command(cli, "POST", p, json_pack("{s:s}", "reason",
	    reason), why);
}

/* ---- audit ---- */

static const struct mm_column entry_columns[] = {
	{ "INDEX", "index" }, { "AT", "entry.at" }, { "TYPE", "entry.type" },
	{ "DEVICE", "entry.device" }, { "ACTOR", "entry.actor" },
	{ "SERIAL", "entry.serial" }, { "REASON", "entry.reason" },
};
static const struct mm_filter audit_filters[] = {
	{ "type", "type" }, { "device", "device" }, { "actor", "actor" },
	{ "token", "token" }, { "serial", "serial" }, { "from", "from" },
	{ "to", "to" }, { "order", "order" },
};
const struct mm_opt mm_opts_audit[] = {
	{ "type", "TYPE", "of this type: device.changed, token.minted, ...",
	    MM_C_NONE, NULL },
	{ "device", "DEVICE", "about this device", MM_C_DEVICE, NULL },
	{ "actor", "ID", "done by the API key with this id", MM_C_NONE, NULL },
	{ "token", "TOKEN", "about this token", MM_C_TOKEN, NULL },
	{ "serial", "SERIAL", "about this certificate", MM_C_SERIAL, NULL },
	{ "from", "TIME", "from TIME on", MM_C_NONE, NULL },
	{ "to", "TIME", "before TIME", MM_C_NONE, NULL },
	{ "order", "ORDER", "newest (default) or oldest first", MM_C_WORDS,
	    "newest oldest" },
	MM_LIST_OPTS, END
};

enum mm_err
mm_cmd_audit(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	return mm_entries_command(cli, a, "/audit", audit_filters,
	    NCOL(audit_filters), why);
}

/* see commands.h */
enum mm_err
mm_entries_command(struct mm_cli *cli, const struct mm_args *a,
    const char *path, const struct mm_filter *f, size_t nf,
    struct mm_why *why)
{
	return mm_list_command(cli, a, path, f, nf, entry_columns,
	    NCOL(entry_columns), why);
}

/* ---- status ---- */

const struct mm_opt mm_opts_status[] = { END };

enum mm_err
mm_cmd_status(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	(void)a;
	return mm_object_command(cli, "GET", "/status", NULL, why);
}
