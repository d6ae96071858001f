#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "signer/setup.h"

/*
 * Breaking the glass: a certificate for one administrator and one hour, for
 * whoever may be the signer's user and knows the passphrase.  The journal has
 * a line of it before it exists; the server enters it into the ledger, with
 * an alert, before it serves its first request (core/recovery.c).
 */
#define PEM_MAX (3 * MM_CERT_MAX)

struct paths {
	char key[MM_PATH_MAX + 8], cert[MM_PATH_MAX + 8];
};

static enum mm_err
dates(const struct mm_signing *by, struct mm_ca_fields *f,
    struct mm_why *why)
{
	MM_TRY(mm_ca_dates(by, MM_RECOVERY_S, f, why));
	f->not_before_s = mm_now_s() - MM_RECOVERY_BACK_S;
	return MM_OK;
}

static enum mm_err
make(struct mm_setup *s, const struct mm_signing *by, const struct paths *p,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_conf_list subject = { .n = 1,
		.item = { "CN=Recovered administrator" } };
	struct mm_ca_fields f = { .subject = &subject, .recovery = true };
	struct mm_bytes view;

	MM_TRY(dates(by, &f, why));
	/* not sealed: it is worth nothing in an hour */
	MM_TRY(mm_make_plain_key(s, p->key, MM_OF_ROOT, &key, why));
	MM_TRY(mm_ca_sign(s, by, key, &f, &der, why));
	view = mm_buf_view(&der);
	MM_TRY(mm_place_certs(s, p->cert, &view, 1, MM_OF_ROOT, why));
	mm_json_open(&s->json, '{');
	MM_TRY(mm_json_cert(s, "administrator", NULL, p->cert, view, why));
	mm_json_str(&s->json, "key", p->key);
	mm_json_close(&s->json, '}');
	return mm_setup_print(s, why);
}

static enum mm_err
load_and_make(struct mm_setup *s, struct mm_ca *ca, const struct paths *p,
    struct mm_why *why)
{
	const struct mm_issuer_conf *conf;
	struct mm_signing by;

	MM_TRY(mm_setup_issuing(s, &conf, why));
	if (!mm_issuer_recovers(conf))
		return MM_FAIL(why, MM_EPOLICY, "issuer %s: a station's, "
		    "another CA's, or retired: it recovers nobody",
		    conf->name);
	MM_TRY(mm_ca_read(conf->certificate, ca, why));
	MM_TRY(mm_setup_key(s, conf, &ca->key, why));
	by = (struct mm_signing){ .key = ca->key,
		.cert = mm_buf_view(&ca->der), .name = conf->name,
		.hsm = s->hsm };
	return make(s, &by, p, why);
}

/* see setup.h */
enum mm_err
mm_cmd_recover_admin(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	struct mm_ca ca = { 0 };
	struct paths p;
	enum mm_err err;

	if (o->out == NULL || strlen(o->out) > MM_PATH_MAX)
		return MM_FAIL(why, MM_EINPUT, "recover-admin: --out NAME is "
		    "missing, or too long");
	snprintf(p.key, sizeof(p.key), "%s.key", o->out);
	snprintf(p.cert, sizeof(p.cert), "%s.crt", o->out);
	MM_TRY(mm_setup_begin(&s, o, true, why));
	MM_TRY(mm_setup_record(&s, why));
	err = load_and_make(&s, &ca, &p, why);
	mm_buf_done(&ca.chain_pem);
	mm_buf_done(&ca.der);
	mm_pkey_free(&ca.key);
	return err;
}
