#include "base/file.h"
#include "base/own.h"
#include "base/time.h"
#include "cli/crl_set.h"
#include "cli/rollover.h"
#include "pki/crl.h"
#include "pki/key.h"

/*
 * Whether an issuer is revoked, by root_crl: the list that the server
 * publishes, or this node's copy of it.
 */
#define PEM_MOST (256 * 1024)
#define CRL_MOST (16 << 20)

/* RFC 5280 6.1.3: by name and key */
static bool
is_signed_by(const struct mm_cert *c, struct mm_bytes above)
{
	MM_OWN(mm_key_templates_free) struct mm_key_templates *t = NULL;
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_cert by;
	struct mm_spki spki;

	return mm_cert_walk(above, &by, NULL) == MM_OK &&
	    mm_bytes_eq(by.subject, c->issuer) &&
	    mm_spki_parse(by.spki.whole, &spki, NULL) == MM_OK &&
	    mm_key_templates_new(NULL, &t, NULL) == MM_OK &&
	    mm_spki_load(&spki, t, &key, NULL) == MM_OK &&
	    mm_cert_verify(c, key, NULL) == MM_OK;
}

/* The certificate of who signed it, in that file. */
static enum mm_err
look_above(const char *path, const struct mm_cert *c, struct mm_buf *above,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MOST);
	struct mm_bytes rest;
	enum mm_err rc;

	if (path[0] == '\0')
		return MM_ENOTFOUND;
	MM_TRY(mm_file_read(path, &pem, why));
	rest = mm_buf_view(&pem);
	do {
		rc = mm_pem_next(&rest, "CERTIFICATE", above, NULL);
	} while (rc == MM_OK && !is_signed_by(c, mm_buf_view(above)));
	return rc;
}

static enum mm_err
read_own(const struct mm_issuer_conf *i, struct mm_buf *der,
    struct mm_cert *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MOST);
	struct mm_bytes rest;

	MM_TRY(mm_file_read(i->certificate, &pem, why));
	rest = mm_buf_view(&pem);
	MM_TRY(mm_pem_next(&rest, "CERTIFICATE", der, why));
	return mm_cert_walk(mm_buf_view(der), out, why);
}

/* As the server chooses: the last that has begun. */
static const struct mm_crl *
standing(const struct mm_crl_set *s, struct mm_bytes above, int64_t now_s)
{
	const struct mm_crl *found = NULL;

	for (size_t k = 0; k < s->n; k++) {
		const struct mm_crl *c = &s->at[k].crl;

		if (c->this_s <= now_s && !c->partial && !c->strange &&
		    (found == NULL || c->this_s >= found->this_s) &&
		    mm_crl_verify_by(c, above, NULL) == MM_OK)
			found = c;
	}
	return found;
}

static enum mm_err
check_listed(const struct mm_crl_set *s, const struct mm_issuer_conf *i,
    const struct mm_cert *c, struct mm_bytes above, struct mm_why *why)
{
	const int64_t now_s = mm_now_s();
	const struct mm_crl *list = standing(s, above, now_s);

	if (list == NULL || list->next_s <= now_s)
		return MM_FAIL(why, MM_EPOLICY, "issuer %s: root_crl has no "
		    "list of its root's that is good now", i->name);
	return mm_crl_names(list, c->serial) ? MM_OK :
	    MM_FAIL(why, MM_EPOLICY, "issuer %s: the root's list that stands "
	    "in root_crl does not name it: it is not revoked", i->name);
}

/* see rollover.h */
enum mm_err
mm_issuer_revoked(const struct mm_config *c, const struct mm_issuer_conf *i,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_buf_done) struct mm_buf above = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(CRL_MOST);
	MM_OWN(mm_crl_set_done) struct mm_crl_set set = { 0 };
	struct mm_cert cert;
	enum mm_err rc;

	if (c->set.root_crl[0] == '\0')
		return MM_FAIL(why, MM_EPOLICY, "issuer %s: root_crl says no "
		    "file, so no list can name it", i->name);
	MM_TRY(read_own(i, &der, &cert, why));
	rc = look_above(i->certificate, &cert, &above, why);
	if (rc == MM_ENOTFOUND)
		rc = look_above(c->set.trust_anchor, &cert, &above, why);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "issuer %s: the certificate of who "
		    "signed it is not there", i->name);
	MM_TRY(mm_file_read(c->set.root_crl, &text, why));
	MM_TRY(mm_crl_set_read(&set, mm_buf_view(&text), why));
	return check_listed(&set, i, &cert, mm_buf_view(&above), why);
}
