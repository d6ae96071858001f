#include <errno.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/guard.h"
#include "base/own.h"
#include "base/time.h"
#include "pki/foreign.h"
#include "server/hook.h"
#include "server/monitor.h"
#include "server/process.h"

/*
 * "mintmarkd check": everything a start needs is looked at, each with a line
 * of its own; all that is wrong is said at once.
 */
#define PEM_MAX 65536

MM_FREE_FN(free_x509, X509, X509_free)

static enum mm_err
first_cert(const char *path, struct mm_buf *der, struct mm_cert *c,
    struct mm_why *why)
{
	struct mm_buf pem = MM_BUF_INIT(PEM_MAX);
	struct mm_bytes rest;
	enum mm_err rc = mm_file_read(path, &pem, why);

	rest = mm_buf_view(&pem);
	if (rc == MM_OK)
		rc = mm_pem_next(&rest, "CERTIFICATE", der, why);
	mm_buf_done(&pem);
	MM_TRY(rc);
	MM_TRY(mm_cert_walk(mm_buf_view(der), c, why));
	if (c->not_after_s < mm_now_s())
		return MM_FAIL(why, MM_EPOLICY, "%s: expired", path);
	return MM_OK;
}

static enum mm_err
cert_is_good(const char *path, struct mm_why *why)
{
	struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_cert c;
	enum mm_err rc = first_cert(path, &der, &c, why);

	mm_buf_done(&der);
	return rc;
}

static enum mm_err
check_anchor(const struct mm_config *c, struct mm_why *why)
{
	return cert_is_good(c->set.trust_anchor, why);
}

static enum mm_err
check_issuers(const struct mm_config *c, struct mm_why *why)
{
	if (c->nissuer == 0)
		return MM_FAIL(why, MM_EINPUT, "there is no issuer block");
	for (size_t i = 0; i < c->nissuer; i++)
		MM_TRY(cert_is_good(c->issuer[i].certificate, why));
	return mm_foreign_apart(c, why);
}

static enum mm_err
check_profiles(const struct mm_config *c, struct mm_why *why)
{
	if (c->nprofile == 0)
		return MM_FAIL(why, MM_EINPUT, "there is no profile block");
	for (size_t i = 0; i < c->nprofile; i++)
		MM_TRY(mm_profile_check(&c->profile[i], why));
	if (c->set.default_label[0] != '\0' &&
	    mm_config_profile(c, c->set.default_label) == NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "default_label: there is no profile \"%s\"",
		    c->set.default_label);
	return MM_OK;
}

static enum mm_err
key_fits(const struct mm_config *c, const struct mm_buf *der,
    struct mm_why *why)
{
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	const unsigned char *p = der->p;
	MM_OWN(free_x509) X509 *x = d2i_X509(NULL, &p, (long)der->n);

	MM_TRY(mm_key_load_plain(c->set.tls_key, &key, why));
	if (x == NULL || X509_check_private_key(x, key) != 1)
		return MM_FAIL(why, MM_EINPUT,
		    "tls_key is not the key of tls_certificate");
	return MM_OK;
}

static enum mm_err
check_tls(const struct mm_config *c, struct mm_why *why)
{
	struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_cert cert;
	enum mm_err rc;

	if (c->set.devices_listen[0] == '\0' &&
	    c->set.legacy_listen[0] == '\0' &&
	    c->set.operators_listen[0] == '\0')
		return MM_OK;
	rc = first_cert(c->set.tls_certificate, &der, &cert, why);
	if (rc == MM_OK)
		rc = key_fits(c, &der, why);
	mm_buf_done(&der);
	return rc;
}

static enum mm_err
check_webhooks(const struct mm_config *c, struct mm_why *why)
{
	if (c->set.authorise_url[0] != '\0')
		MM_TRY(mm_hook_url_check(c->set.authorise_url, &c->set, why));
	if (c->set.webhook_ca[0] == '\0')
		return MM_OK;
	return cert_is_good(c->set.webhook_ca, why);
}

static enum mm_err
check_signer(const struct mm_config *c, struct mm_why *why)
{
	char keeper[MM_PATH_MAX + 1];

	MM_TRY(mm_child_keeper(c->set.signer_program, keeper, why));
	if (mm_config_tokens(c) && access(keeper, X_OK) != 0)
		return MM_FAIL(why, MM_ENOTFOUND, "%s: %s", keeper,
		    strerror(errno));
	if (access(c->set.signer_program, X_OK) != 0)
		return MM_FAIL(why, MM_ENOTFOUND, "%s: %s",
		    c->set.signer_program, strerror(errno));
	if (access(c->set.signer_dir, F_OK) != 0)
		return MM_FAIL(why, MM_ENOTFOUND, "%s: %s",
		    c->set.signer_dir, strerror(errno));
	return MM_OK;
}

static enum mm_err
check_database(const struct mm_config *c, struct mm_why *why)
{
	struct mm_store_reader *r = NULL;
	struct mm_store_counts n;
	enum mm_err rc = mm_reader_open(c->set.database, &r, why);

	if (rc == MM_OK)
		rc = mm_get_counts(r, &n, why);
	mm_reader_close(&r);
	return rc;
}

/* What is right goes to stdout, what is wrong to stderr. */
static void
say(const char *what, enum mm_err rc, const struct mm_why *why)
{
	if (rc == MM_OK)
		printf("%-24s ok\n", what);
	else
		fprintf(stderr, "%-24s %s\n", what, why->text);
}

/* true: a start would be refused. */
static bool
say_permissions(const struct mm_config *c, const char *path)
{
	struct mm_why why = { 0 };
	enum mm_err rc = mm_guard_files(&c->set, path, &why);

	if (rc == MM_OK || c->set.production)
		say("permissions", rc, &why);
	else
		printf("%-24s warning: %s\n", "permissions", why.text);
	return rc != MM_OK && c->set.production;
}

/* Of the service's limit "check" sees its own; a start says it again. */
static void
say_descriptors(const struct mm_config *c)
{
	unsigned most;

	mm_process_fds_raise();
	most = mm_process_connections(&c->set, mm_process_fds_max());
	if (most == c->set.connections)
		printf("%-24s ok\n", "descriptors");
	else
		printf("%-24s warning: enough for %u connections a listener, "
		    "not for %lld: raise LimitNOFILE, or lower connections\n",
		    "descriptors", most, (long long)c->set.connections);
}

static const struct {
	const char *what;
	enum mm_err (*run)(const struct mm_config *c, struct mm_why *why);
} checks[] = {
	{ "trust anchor", check_anchor },
	{ "issuers", check_issuers },
	{ "profiles", check_profiles },
	{ "TLS certificate and key", check_tls },
	{ "CAs of webhooks", check_webhooks },
	{ "signer", check_signer },
	{ "registrar", mm_registrar_check },
	{ "database", check_database },
};

/* see priv.h */
int
mm_check_run(const char *config_path)
{
	MM_OWN(mm_config_free) struct mm_config *c = NULL;
	struct mm_why why = { 0 };
	enum mm_err rc = mm_config_load(config_path, &c, &why), first = rc;

	say("configuration", rc, &why);
	for (size_t i = 0; rc == MM_OK &&
	     i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct mm_why w = { 0 };
		enum mm_err e = checks[i].run(c, &w);

		say(checks[i].what, e, &w);
		if (first == MM_OK)
			first = e;
	}
	if (rc == MM_OK)
		say_descriptors(c);
	if (rc == MM_OK && say_permissions(c, config_path) && first == MM_OK)
		first = MM_EPOLICY;
	return first == MM_OK ? 0 : mm_err_exit(first);
}
