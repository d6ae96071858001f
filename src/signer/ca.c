#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/file.h"
#include "base/time.h"
#include "pki/der.h"
#include "signer/setup.h"

#define BACKDATE_S 86400
#define YEAR_S     31557600 /* 365.25 days */
#define OID_SKI    "2.5.29.14"

enum { ISSUER_YEARS = 15 };

/* see setup.h */
enum mm_err
mm_ca_dates(const struct mm_signing *by, int64_t lifetime_s,
    struct mm_ca_fields *f, struct mm_why *why)
{
	struct mm_cert c;

	f->not_before_s = mm_now_s() - BACKDATE_S;
	f->not_after_s = lifetime_s == 0 ? MM_TIME_FOREVER_S :
					   mm_now_s() + lifetime_s;
	if (by->cert.n == 0)
		return MM_OK;
	MM_TRY(mm_cert_walk(by->cert, &c, why));
	if (f->not_before_s < c.not_before_s)
		f->not_before_s = c.not_before_s;
	if (f->not_after_s > c.not_after_s)
		f->not_after_s = c.not_after_s;
	if (f->not_after_s <= mm_now_s())
		return MM_FAIL(why, MM_EPOLICY, "%s: its certificate has "
		    "expired", by->name);
	return MM_OK;
}

/* see setup.h; RFC 5280 4.2.1.1: the issuer's subject key identifier */
enum mm_err
mm_ca_issuer(const struct mm_signing *by, struct mm_ca_fields *f,
    struct mm_why *why)
{
	struct mm_cert c;
	struct mm_bytes value;
	struct mm_rd r;

	if (by->cert.n == 0)
		return MM_OK;
	MM_TRY(mm_cert_walk(by->cert, &c, why));
	f->issuer_subject = c.subject;
	if (!mm_cert_extension(&c, OID_SKI, NULL, &value))
		return MM_FAIL(why, MM_EINPUT, "%s: its certificate has no "
		    "subject key identifier", by->name);
	r = mm_rd_over(value);
	f->issuer_key_id = mm_der_take(&r, MM_DER_OCTETS);
	return MM_OK;
}

static enum mm_err
journal(struct mm_setup *s, const struct mm_signing *by,
    const struct mm_ca_fields *f, struct mm_bytes tbs, struct mm_why *why)
{
	struct mm_journal_line l = { .kind = f->ca ? MM_J_CA :
		f->recovery ? MM_J_RECOVERY : MM_J_SERVER,
		.not_after_s = f->not_after_s };

	snprintf(l.issuer, sizeof(l.issuer), "%s", by->name);
	memcpy(l.serial, f->serial, sizeof(l.serial));
	mm_sha256(f->spki, l.spki_sha256);
	mm_sha256(tbs, l.tbs_sha256);
	return mm_record_write(s->record, &l, 1, why);
}

/* see setup.h */
enum mm_err
mm_ca_sign(struct mm_setup *s, const struct mm_signing *by, EVP_PKEY *subject,
    struct mm_ca_fields *f, struct mm_buf *der, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);
	MM_OWN(mm_buf_done) struct mm_buf tbs = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_buf_done) struct mm_buf sig = MM_BUF_INIT(1024);
	MM_OWN(mm_sign_free) struct mm_sign *key = NULL;
	uint8_t random[10];

	if (RAND_bytes(random, sizeof(random)) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "no random bytes");
	mm_serial_make(mm_now_ms(), random, f->serial);
	MM_TRY(mm_key_spki(subject, &spki, why));
	f->spki = mm_buf_view(&spki);
	MM_TRY(mm_ca_issuer(by, f, why));
	MM_TRY(mm_signing_new(by, &key, why));
	MM_TRY(mm_ca_build(f, mm_sign_alg(key), &tbs, why));
	MM_TRY(mm_sign_bytes(key, mm_buf_view(&tbs), &sig, why));
	MM_TRY(journal(s, by, f, mm_buf_view(&tbs), why));
	mm_cert_join(der, mm_buf_view(&tbs), mm_sign_alg(key),
	    mm_buf_view(&sig));
	f->spki = (struct mm_bytes){ 0 };
	return mm_buf_ok(der, why);
}

/* see setup.h */
enum mm_err
mm_issuer_copy(const struct mm_setup *s, const struct mm_issuer_conf *conf,
    char path[MM_PATH_MAX + 1], struct mm_ca *ca, struct mm_why *why)
{
	char name[64];

	snprintf(name, sizeof(name), "issuers/%s.crt", conf->name);
	MM_TRY(mm_signer_path(&s->conf->set, name, path, why));
	return mm_ca_read(path, ca, why);
}

/* see setup.h; a first copy that is the same is of a run that was cut off */
enum mm_err
mm_place_issuer(const struct mm_setup *s, const struct mm_issuer_conf *conf,
    const struct mm_bytes *chain, size_t n, struct mm_why *why)
{
	MM_OWN(mm_ca_done) struct mm_ca copy = { 0 };
	char path[MM_PATH_MAX + 1] = "";

	if (mm_issuer_copy(s, conf, path, &copy, NULL) != MM_OK ||
	    !mm_bytes_eq(mm_buf_view(&copy.der), chain[0]) ||
	    access(conf->certificate, F_OK) == 0)
		MM_TRY(mm_place_certs(s, path, chain, n, MM_OF_SIGNER, why));
	if (strcmp(path, conf->certificate) == 0)
		return MM_OK;
	return mm_place_certs(s, conf->certificate, chain, n, MM_OF_ROOT,
	    why);
}

/* A line CA's devices outlive an issuing CA's: a chain ends with its shortest
 * link, so that it lives as long as its root. */
static int64_t
life_of(const struct mm_setup *s, const struct mm_issuer_conf *conf)
{
	if (s->o->issuer_years >= 0)
		return s->o->issuer_years;
	return conf->line || conf->lines > 0 ? 0 : ISSUER_YEARS;
}

/* What a run that was cut off had signed already, by this root and of this
 * key.  MM_ENOTFOUND: nothing. */
static enum mm_err
finish_issuer(struct mm_setup *s, const struct mm_signing *root,
    const struct mm_issuer_conf *conf, EVP_PKEY **key, struct mm_buf *der,
    struct mm_why *why)
{
	MM_OWN(mm_ca_done) struct mm_ca copy = { 0 };
	MM_OWN(mm_pkey_free) EVP_PKEY *own = NULL;
	char path[MM_PATH_MAX + 1];
	struct mm_cert c;

	if (access(conf->certificate, F_OK) == 0 ||
	    mm_issuer_copy(s, conf, path, &copy, NULL) != MM_OK)
		return MM_ENOTFOUND;
	MM_TRY(mm_cert_walk(mm_buf_view(&copy.der), &c, why));
	MM_TRY(mm_cert_verify(&c, root->key, why));
	MM_TRY(mm_setup_key(s, conf, &own, why));
	snprintf(copy.issuer.name, sizeof(copy.issuer.name), "%s", conf->name);
	copy.key = own;
	EVP_PKEY_up_ref(own);
	MM_TRY(mm_ca_check_pair(&copy, why));
	mm_buf_bytes(der, mm_buf_view(&copy.der));
	MM_TRY(mm_buf_ok(der, why));
	*key = MM_MOVE(own);
	return mm_place(s, conf->certificate, mm_buf_view(&copy.chain_pem),
	    0644, MM_OF_ROOT, why);
}

/* see setup.h */
enum mm_err
mm_make_issuer(struct mm_setup *s, const struct mm_signing *root,
    EVP_PKEY **key, struct mm_buf *der, struct mm_why *why)
{
	const struct mm_issuer_conf *conf;
	struct mm_conf_list subject = s->o->issuer_subject;
	struct mm_ca_fields f = { .subject = &subject, .ca = true,
		.path_len = 0 };
	MM_OWN(mm_buf_done) struct mm_buf scratch = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_confines confines;
	struct mm_bytes name;
	enum mm_err rc;

	MM_TRY(mm_setup_issuer(s, &conf, why));
	rc = finish_issuer(s, root, conf, key, der, why);
	if (rc != MM_ENOTFOUND)
		return rc;
	f.path_len = conf->lines > 0 ? 1 : 0;
	if (conf->line)
		MM_TRY(mm_line_confine(s->conf, (struct mm_bytes){ 0 },
		    &confines, &f, why));
	mm_name_issuer(s, conf, &subject);
	MM_TRY(mm_ca_dates(root, life_of(s, conf) * YEAR_S, &f, why));
	MM_TRY(mm_subject_der(&subject, &scratch, &name, why));
	MM_TRY(mm_check_subject(s, conf, name, why));
	MM_TRY(mm_setup_new_key(s, conf, key, why));
	MM_TRY(mm_ca_sign(s, root, *key, &f, der, why));
	return mm_place_issuer(s, conf, (const struct mm_bytes[]){
	    mm_buf_view(der), root->cert }, 2, why);
}

/* RFC 2986 4.1 */
static void
put_info(struct mm_buf *b, struct mm_bytes name, struct mm_bytes spki)
{
	size_t info = mm_der_open(b, MM_DER_SEQ);

	mm_der_put_uint(b, 0);
	mm_buf_bytes(b, name);
	mm_buf_bytes(b, spki);
	mm_der_put(b, MM_DER_CTXC(0), (struct mm_bytes){ 0 });
	mm_der_close(b, info);
}

static enum mm_err
sign_request(struct mm_setup *s, const struct mm_signing *by,
    struct mm_bytes name, struct mm_buf *der, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);
	MM_OWN(mm_buf_done) struct mm_buf info = MM_BUF_INIT(MM_CSR_MAX);
	MM_OWN(mm_buf_done) struct mm_buf sig = MM_BUF_INIT(1024);
	MM_OWN(mm_sign_free) struct mm_sign *sign = NULL;
	struct mm_journal_line l = { .kind = MM_J_REQUEST };

	MM_TRY(mm_key_spki(by->key, &spki, why));
	MM_TRY(mm_signing_new(by, &sign, why));
	put_info(&info, name, mm_buf_view(&spki));
	MM_TRY(mm_buf_ok(&info, why));
	MM_TRY(mm_sign_bytes(sign, mm_buf_view(&info), &sig, why));
	snprintf(l.issuer, sizeof(l.issuer), "%s", by->name);
	mm_sha256(mm_buf_view(&spki), l.spki_sha256);
	mm_sha256(mm_buf_view(&info), l.tbs_sha256);
	MM_TRY(mm_record_write(s->record, &l, 1, why));
	mm_cert_join(der, mm_buf_view(&info), mm_sign_alg(sign),
	    mm_buf_view(&sig));
	return mm_buf_ok(der, why);
}

/* see setup.h */
enum mm_err
mm_make_request(struct mm_setup *s, const char *path, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CSR_MAX);
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(3 * MM_CSR_MAX);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	MM_OWN(mm_buf_done) struct mm_buf scratch = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_conf_list subject = s->o->issuer_subject;
	const struct mm_issuer_conf *conf;
	struct mm_signing by;
	struct mm_bytes name;

	MM_TRY(mm_setup_issuer(s, &conf, why));
	mm_name_issuer(s, conf, &subject);
	MM_TRY(mm_subject_der(&subject, &scratch, &name, why));
	MM_TRY(mm_check_subject(s, conf, name, why));
	MM_TRY(mm_setup_new_key(s, conf, &key, why));
	by = (struct mm_signing){ .key = key, .name = conf->name,
		.hsm = s->hsm };
	MM_TRY(sign_request(s, &by, name, &der, why));
	mm_pem_put(&pem, "CERTIFICATE REQUEST", mm_buf_view(&der));
	MM_TRY(mm_buf_ok(&pem, why));
	return mm_place(s, path, mm_buf_view(&pem), 0644, MM_OF_ROOT, why);
}

/* see setup.h */
enum mm_err
mm_cmd_request(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	const struct mm_issuer_conf *conf;

	if (o->out == NULL)
		return MM_FAIL(why, MM_EINPUT, "request: --out is missing");
	MM_TRY(mm_setup_begin(&s, o, true, why));
	MM_TRY(mm_setup_record(&s, why));
	MM_TRY(mm_setup_issuer(&s, &conf, why));
	MM_TRY(mm_make_request(&s, o->out, why));
	mm_json_open(&s.json, '{');
	mm_json_str(&s.json, "request", o->out);
	mm_json_token(&s, conf);
	mm_json_close(&s.json, '}');
	return mm_setup_print(&s, why);
}

/* see setup.h */
enum mm_err
mm_root_open(struct mm_setup *s, const char *name, struct mm_ca *root,
    struct mm_why *why)
{
	char anchor[MM_PATH_MAX + 1], key[MM_PATH_MAX + 1];

	MM_TRY(mm_root_cert_path(&s->conf->set, name, anchor, why));
	MM_TRY(mm_root_key_path(&s->conf->set, name, key, why));
	MM_TRY(mm_ca_read(anchor, root, why));
	if (s->o->root_key == NULL && access(key, F_OK) != 0)
		return MM_FAIL(why, MM_ENOTFOUND, "the root's key is not here: "
		    "--root-key FILE|URI, where it is kept; a root that is "
		    "elsewhere signs by itself");
	if (mm_root_in_token(s->o->root_key))
		MM_TRY(mm_root_token(s, s->o->root_key, NULL, &s->root_hsm,
		    &root->key, why));
	else
		MM_TRY(mm_key_load(s->o->root_key == NULL ? key :
		    s->o->root_key, mm_secret_view(s->pass), s->stretched,
		    &root->key, why));
	snprintf(root->issuer.name, sizeof(root->issuer.name), "%s",
	    name[0] == '\0' ? "root" : name);
	return mm_ca_check_pair(root, why);
}

/* see setup.h */
enum mm_err
mm_cmd_issuer(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	MM_OWN(mm_ca_done) struct mm_ca root = { 0 };
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_signing by = { .name = "root" };
	const struct mm_issuer_conf *conf;

	MM_TRY(mm_setup_begin(&s, o, true, why));
	MM_TRY(mm_setup_record(&s, why));
	MM_TRY(mm_setup_issuer(&s, &conf, why));
	MM_TRY(mm_root_open(&s, s.conf->set.root, &root, why));
	by.key = root.key;
	by.cert = mm_buf_view(&root.der);
	by.hsm = s.root_hsm;
	MM_TRY(mm_make_issuer(&s, &by, &key, &der, why));
	mm_json_open(&s.json, '{');
	MM_TRY(mm_json_cert(&s, "issuer", conf->name, conf->certificate,
	    mm_buf_view(&der), why));
	mm_json_token(&s, conf);
	mm_json_close(&s.json, '}');
	return mm_setup_print(&s, why);
}
