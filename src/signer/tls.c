#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/time.h"
#include "pki/der.h"
#include "signer/setup.h"

#define OID_SAN "2.5.29.17"
#define PEM_MAX 65536

static bool
add_text(struct mm_conf_list *l, const char *text, size_t n)
{
	if (l->n == MM_CONF_LIST_MAX || n >= MM_CONF_ITEM_MAX)
		return false;
	memcpy(l->item[l->n], text, n);
	l->item[l->n++][n] = '\0';
	return true;
}

static bool
add_address(struct mm_conf_list *l, struct mm_bytes v)
{
	char text[INET6_ADDRSTRLEN];

	if ((v.n != 4 && v.n != 16) ||
	    inet_ntop(v.n == 4 ? AF_INET : AF_INET6, v.p, text,
		sizeof(text)) == NULL)
		return false;
	return add_text(l, text, strlen(text));
}

/* By the signer's own copy of the issuer's certificate. */
static enum mm_err
verify_by(const struct mm_setup *s, const struct mm_issuer_conf *conf,
    const struct mm_cert *c)
{
	MM_OWN(mm_key_templates_free) struct mm_key_templates *t = NULL;
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	MM_OWN(mm_ca_done) struct mm_ca ca = { 0 };
	char name[64], path[MM_PATH_MAX + 1];
	struct mm_cert by;

	snprintf(name, sizeof(name), "issuers/%s.crt", conf->name);
	MM_TRY(mm_signer_path(&s->conf->set, name, path, NULL));
	MM_TRY(mm_ca_read(path, &ca, NULL));
	MM_TRY(mm_cert_walk(mm_buf_view(&ca.der), &by, NULL));
	MM_TRY(mm_key_templates_new(NULL, &t, NULL));
	MM_TRY(mm_spki_load(&by.spki, t, &key, NULL));
	return mm_cert_verify(c, key, NULL);
}

/* The issuer of the certificate that is replaced may have a follower since. */
static bool
is_ours(const struct mm_setup *s, const struct mm_cert *c)
{
	for (size_t i = 0; i < s->conf->nissuer; i++)
		if (verify_by(s, &s->conf->issuer[i], c) == MM_OK)
			return true;
	return false;
}

/* RFC 5280 4.2.1.6: the names of the certificate that is replaced.  The
 * server can write that file: only what an issuer of ours has signed counts. */
static enum mm_err
names_of(const struct mm_setup *s, struct mm_bytes der,
    struct mm_conf_list *dns, struct mm_conf_list *ip, struct mm_why *why)
{
	struct mm_cert c;
	struct mm_bytes value, body, whole;
	struct mm_rd outer, r;
	bool fits = true;
	uint8_t tag;

	if (mm_cert_walk(der, &c, NULL) != MM_OK || !is_ours(s, &c))
		return MM_FAIL(why, MM_EPOLICY, "the TLS certificate is not "
		    "signed by an issuer of ours: give --tls-dns or --tls-ip");
	if (!mm_cert_extension(&c, OID_SAN, NULL, &value))
		return MM_FAIL(why, MM_EINPUT, "the TLS certificate names no "
		    "host: give --tls-dns or --tls-ip");
	outer = mm_rd_over(value);
	r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	while (fits && r.left > 0 && mm_der_any(&r, &tag, &body, &whole)) {
		if (tag == MM_DER_CTX(2))
			fits = add_text(dns, (const char *)body.p, body.n);
		if (tag == MM_DER_CTX(7))
			fits = add_address(ip, body);
	}
	if (!fits || !mm_rd_end(&r))
		return MM_FAIL(why, MM_EINPUT, "the TLS certificate's names "
		    "cannot be taken over: give --tls-dns or --tls-ip");
	return MM_OK;
}

static enum mm_err
get_names(struct mm_setup *s, struct mm_conf_list *dns,
    struct mm_conf_list *ip, struct mm_why *why)
{
	struct mm_ca old = { 0 };
	enum mm_err err;

	*dns = s->o->tls_dns;
	*ip = s->o->tls_ip;
	if (dns->n + ip->n > 0)
		return MM_OK;
	err = mm_ca_read(s->conf->set.tls_certificate, &old, NULL);
	if (err == MM_OK)
		err = names_of(s, mm_buf_view(&old.der), dns, ip, why);
	else
		err = MM_FAIL(why, MM_EINPUT, "give --tls-dns or --tls-ip: "
		    "there is no TLS certificate to take names from");
	mm_buf_done(&old.chain_pem);
	mm_buf_done(&old.der);
	return err;
}

/* The key stays while there is one: then one file changes, at once. */
static enum mm_err
get_key(struct mm_setup *s, EVP_PKEY **key, struct mm_why *why)
{
	const char *path = s->conf->set.tls_key;
	struct mm_why none = { 0 };
	enum mm_err err = mm_key_load_plain(path, key, &none);

	if (err == MM_OK)
		return MM_OK;
	if (err != MM_ENOTFOUND)
		return MM_FAIL(why, err, "%s", none.text);
	return mm_make_plain_key(s, path, MM_OF_SERVER, key, why);
}

static enum mm_err
write_chain(struct mm_setup *s, struct mm_bytes der,
    const struct mm_signing *by, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MAX);
	struct mm_file_own own = { .mode = 0644 };

	MM_TRY(mm_whose(s, MM_OF_SERVER, &own, why));
	mm_pem_put(&pem, "CERTIFICATE", der);
	mm_pem_put(&pem, "CERTIFICATE", by->cert);
	MM_TRY(mm_buf_ok(&pem, why));
	return mm_file_replace_as(s->conf->set.tls_certificate,
	    mm_buf_view(&pem), &own, why);
}

static void
put_names(struct mm_json *j, const char *key, const struct mm_conf_list *l)
{
	mm_json_open_key(j, key, '[');
	for (size_t i = 0; i < l->n; i++)
		mm_json_str(j, NULL, l->item[i]);
	mm_json_close(j, ']');
}

/* see setup.h */
enum mm_err
mm_make_tls(struct mm_setup *s, const struct mm_signing *by,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_conf_list dns, ip, subject = { .n = 1 };
	struct mm_ca_fields f = { .subject = &subject, .dns = &dns, .ip = &ip };

	MM_TRY(get_names(s, &dns, &ip, why));
	/* RFC 5280 ub-common-name is 64; the whole name is in the SAN */
	snprintf(subject.item[0], MM_CONF_ITEM_MAX, "CN=%.64s",
	    dns.n > 0 ? dns.item[0] : ip.item[0]);
	MM_TRY(mm_ca_dates(by, s->o->tls_days * 86400, &f, why));
	MM_TRY(get_key(s, &key, why));
	MM_TRY(mm_ca_sign(s, by, key, &f, &der, why));
	MM_TRY(write_chain(s, mm_buf_view(&der), by, why));
	put_names(&s->json, "tls_dns", &dns);
	put_names(&s->json, "tls_ip", &ip);
	return mm_json_cert(s, "tls", NULL, s->conf->set.tls_certificate,
	    mm_buf_view(&der), why);
}

static enum mm_err
renew(struct mm_setup *s, struct mm_ca *ca, struct mm_why *why)
{
	const struct mm_issuer_conf *conf;
	struct mm_signing by = { 0 };

	MM_TRY(mm_setup_issuing(s, &conf, why));
	MM_TRY(mm_ca_read(conf->certificate, ca, why));
	MM_TRY(mm_setup_key(s, conf, &ca->key, why));
	by = (struct mm_signing){ .key = ca->key,
		.cert = mm_buf_view(&ca->der), .name = conf->name,
		.hsm = s->hsm };
	mm_json_open(&s->json, '{');
	MM_TRY(mm_make_tls(s, &by, why));
	mm_json_close(&s->json, '}');
	return mm_setup_print(s, why);
}

/* see setup.h */
enum mm_err
mm_cmd_renew_tls(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	struct mm_ca ca = { 0 };
	enum mm_err err;

	MM_TRY(mm_setup_begin(&s, o, true, why));
	MM_TRY(mm_setup_record(&s, why));
	err = renew(&s, &ca, why);
	mm_buf_done(&ca.chain_pem);
	mm_buf_done(&ca.der);
	mm_pkey_free(&ca.key);
	return err;
}
