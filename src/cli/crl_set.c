#include "cli/crl_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/own.h"
#include "pki/der.h"

#define CRL_MAX   ((size_t)256 << 20)
#define CERTS_MAX 100000
#define DEPTH_MAX 8
#define OID_CN    "2.5.4.3"
#define OID_SKI   "2.5.29.14"
#define OID_BC    "2.5.29.19"
#define OID_KU    "2.5.29.15"
#define CERT_SIGN 0x04 /* keyUsage's bits 5 and 6, in its first byte */
#define CRL_SIGN  0x02

/* see crl_set.h */
void
mm_crl_set_done(struct mm_crl_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		mm_buf_done(&s->at[i].der);
	free(s->at);
	*s = (struct mm_crl_set){ 0 };
}

/* see crl_set.h */
enum mm_err
mm_crl_set_read(struct mm_crl_set *s, struct mm_bytes pem, struct mm_why *why)
{
	for (;;) {
		struct mm_why own = { 0 };
		enum mm_err rc;
		struct mm_crl_item *at = mm_grown(s->at, s->n, &s->cap,
		    sizeof(*at));

		if (at == NULL)
			return MM_FAIL(why, MM_ENOMEM, "out of memory");
		s->at = at;
		at += s->n;
		mm_buf_init(&at->der, CRL_MAX);
		rc = mm_crl_next(&pem, &at->der, &at->crl, &own);
		if (rc != MM_OK) {
			mm_buf_done(&at->der);
			return rc == MM_ENOTFOUND ? MM_OK :
			    MM_FAIL(why, rc, "%s", own.text);
		}
		s->n++;
	}
}

/* see crl_set.h */
const struct mm_crl *
mm_crl_set_find(const struct mm_crl_set *s, const struct mm_crl *of)
{
	for (size_t i = 0; i < s->n; i++)
		if (mm_crl_same_issuer(&s->at[i].crl, of))
			return &s->at[i].crl;
	return NULL;
}

/* see crl_set.h */
void
mm_crl_set_write(const struct mm_crl_set *s, struct mm_buf *out)
{
	for (size_t i = 0; i < s->n; i++)
		mm_pem_put(out, "X509 CRL", mm_buf_view(&s->at[i].der));
}

/* see crl_set.h */
void
mm_crl_issuer_text(const struct mm_crl *c, char *out, size_t outn)
{
	struct mm_buf name = MM_BUF_INIT(1024);

	if (mm_name_attribute(c->issuer, OID_CN, out, outn))
		return;
	mm_name_text(c->issuer, &name);
	snprintf(out, outn, "%.*s", (int)name.n, (const char *)name.p);
	mm_buf_done(&name);
}

/* ---- who signed ---- */

struct ca {
	struct mm_buf der;
	struct mm_cert cert;
	struct mm_bytes key_id; /* its subjectKeyIdentifier; may be empty */
	bool signs_certs, signs_lists;
	int stated; /* CAs that may stand below it by itself; -1: it is none */
	int room;   /* ... by the anchor too; -1: that does not stand behind */
};
struct cas {
	struct ca *at;
	size_t n, cap;
	struct mm_key_templates *templates;
};

static void
cas_done(struct cas *s)
{
	for (size_t i = 0; i < s->n; i++)
		mm_buf_done(&s->at[i].der);
	free(s->at);
	mm_key_templates_free(&s->templates);
}

/* RFC 5280 4.2.1.2 */
static struct mm_bytes
key_id_of(const struct mm_cert *c)
{
	struct mm_bytes value;
	struct mm_rd r;

	if (!mm_cert_extension(c, OID_SKI, NULL, &value))
		return (struct mm_bytes){ 0 };
	r = mm_rd_over(value);
	return mm_der_take(&r, MM_DER_OCTETS);
}

/* RFC 5280 4.2.1.9: how many CAs may stand below it; -1: it is none */
static int
room_of(const struct mm_cert *c)
{
	struct mm_bytes value, yes;
	struct mm_rd outer, r;
	uint32_t most = DEPTH_MAX;

	if (!mm_cert_extension(c, OID_BC, NULL, &value))
		return -1;
	outer = mm_rd_over(value);
	r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	yes = mm_der_take(&r, MM_DER_BOOLEAN);
	if (yes.n != 1 || yes.p[0] == 0)
		return -1;
	if (r.left > 0)
		most = mm_der_take_uint(&r);
	if (r.bad)
		return -1;
	return most < DEPTH_MAX ? (int)most : DEPTH_MAX;
}

/* RFC 5280 4.2.1.3: where usages are named, this one is */
static bool
is_used_for(const struct mm_cert *c, uint8_t usage)
{
	struct mm_bytes value, bits;
	struct mm_rd r;

	if (!mm_cert_extension(c, OID_KU, NULL, &value))
		return true;
	r = mm_rd_over(value);
	bits = mm_der_take(&r, MM_DER_BITS);
	return bits.n >= 2 && (bits.p[1] & usage) != 0;
}

static enum mm_err
take_cas(struct cas *s, struct mm_bytes pem, bool anchor, struct mm_why *why)
{
	while (s->n < CERTS_MAX) {
		struct mm_why own = { 0 };
		enum mm_err rc;
		struct ca *at = mm_grown(s->at, s->n, &s->cap, sizeof(*at));

		if (at == NULL)
			return MM_FAIL(why, MM_ENOMEM, "out of memory");
		s->at = at;
		at += s->n;
		*at = (struct ca){ .room = -1 };
		mm_buf_init(&at->der, MM_CERT_MAX);
		rc = mm_pem_next(&pem, "CERTIFICATE", &at->der, &own);
		if (rc == MM_OK)
			rc = mm_cert_walk(mm_buf_view(&at->der), &at->cert,
			    &own);
		if (rc != MM_OK) {
			mm_buf_done(&at->der);
			return rc == MM_ENOTFOUND ? MM_OK :
			    MM_FAIL(why, rc, "%s", own.text);
		}
		at->key_id = key_id_of(&at->cert);
		at->signs_certs = is_used_for(&at->cert, CERT_SIGN);
		at->signs_lists = is_used_for(&at->cert, CRL_SIGN);
		at->stated = room_of(&at->cert);
		if (anchor)
			at->room = at->stated;
		s->n++;
	}
	return MM_FAIL(why, MM_ELIMIT, "more than %d CAs", CERTS_MAX);
}

static enum mm_err
key_of(const struct cas *s, const struct ca *ca, EVP_PKEY **out,
    struct mm_why *why)
{
	struct mm_spki spki;

	MM_TRY(mm_spki_parse(ca->cert.spki.whole, &spki, why));
	return mm_spki_load(&spki, s->templates, out, why);
}

/* RFC 5280 6.1.4 (l), (m): what a CA has below one above it; one of the same
 * name is its own new key, and no level. */
static int
room_below(const struct ca *above, const struct ca *below)
{
	bool same = mm_bytes_eq(below->cert.subject, below->cert.issuer);
	int left = same ? above->room : above->room - 1;

	return left < below->stated ? left : below->stated;
}

/* One that the anchor stands behind signed this certificate, and gives it
 * more room than it has. */
static bool
is_raised(const struct cas *s, struct ca *below)
{
	for (size_t i = 0; i < s->n; i++) {
		MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
		const struct ca *ca = &s->at[i];

		if (ca != below && ca->signs_certs &&
		    mm_bytes_eq(ca->cert.subject, below->cert.issuer) &&
		    room_below(ca, below) > below->room &&
		    key_of(s, ca, &key, NULL) == MM_OK &&
		    mm_cert_verify(&below->cert, key, NULL) == MM_OK) {
			below->room = room_below(ca, below);
			return true;
		}
	}
	return false;
}

/* From the anchor down, a level each time. */
static void
look_down(struct cas *s)
{
	bool more = true;

	for (unsigned depth = 0; more && depth < DEPTH_MAX; depth++) {
		more = false;
		for (size_t i = 0; i < s->n; i++)
			if (is_raised(s, &s->at[i]))
				more = true;
	}
}

static bool
is_its_signer(const struct ca *ca, const struct mm_crl *c)
{
	return ca->room >= 0 && ca->signs_lists &&
	    mm_bytes_eq(ca->cert.subject, c->issuer) &&
	    (c->key_id.n == 0 || mm_bytes_eq(ca->key_id, c->key_id));
}

static enum mm_err
verify_one(const struct cas *s, const struct mm_crl *c, struct mm_why *why)
{
	char name[80];

	mm_crl_issuer_text(c, name, sizeof(name));
	if (c->partial || c->strange)
		return MM_FAIL(why, MM_EINPUT, "the list of %s is not of all "
		    "its certificates, or says what is not understood", name);
	for (size_t i = 0; i < s->n; i++) {
		MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;

		if (is_its_signer(&s->at[i], c) &&
		    key_of(s, &s->at[i], &key, NULL) == MM_OK &&
		    mm_crl_verify(c, key, NULL) == MM_OK)
			return MM_OK;
	}
	return MM_FAIL(why, MM_EAUTH, "the list of %s is not signed by a CA "
	    "that the trust anchor stands behind", name);
}

/* Of two of one issuer a broker would take either. */
static enum mm_err
verify_single(const struct mm_crl_set *s, struct mm_why *why)
{
	char name[80];

	for (size_t i = 0; i < s->n; i++) {
		if (mm_crl_set_find(s, &s->at[i].crl) == &s->at[i].crl)
			continue;
		mm_crl_issuer_text(&s->at[i].crl, name, sizeof(name));
		return MM_FAIL(why, MM_EINPUT, "there are two lists of %s",
		    name);
	}
	return MM_OK;
}

/* A file is as good as whoever can write it. */
static void
doubt(const struct cas *cas, struct mm_crl_set *before)
{
	for (size_t i = 0; i < before->n; i++)
		before->at[i].doubtful = verify_one(cas, &before->at[i].crl,
		    NULL) != MM_OK;
}

static enum mm_err
verify_all(struct cas *cas, const struct mm_crl_set *s, struct mm_bytes anchor,
    struct mm_bytes issuers, struct mm_why *why)
{
	MM_TRY(mm_key_templates_new(NULL, &cas->templates, why));
	MM_TRY(take_cas(cas, anchor, true, why));
	if (cas->n == 0)
		return MM_FAIL(why, MM_EINPUT, "no certificate in the trust "
		    "anchor's file");
	MM_TRY(take_cas(cas, issuers, false, why));
	look_down(cas);
	for (size_t i = 0; i < s->n; i++)
		MM_TRY(verify_one(cas, &s->at[i].crl, why));
	return MM_OK;
}

/* see crl_set.h */
enum mm_err
mm_crl_set_verify(const struct mm_crl_set *s, struct mm_crl_set *before,
    struct mm_bytes anchor, struct mm_bytes issuers, struct mm_why *why)
{
	struct cas cas = { 0 };
	enum mm_err rc = verify_single(s, why);

	if (rc == MM_OK)
		rc = verify_all(&cas, s, anchor, issuers, why);
	if (rc == MM_OK)
		doubt(&cas, before);
	cas_done(&cas);
	return rc;
}

/* ---- one after the other ---- */

/* One that says whose it is by a key's number, and is not signed by that key,
 * has no number that counts. */
static enum mm_err
follows(const struct mm_crl *now, const struct mm_crl_item *item,
    struct mm_why *why)
{
	const struct mm_crl *was = &item->crl;
	int order = mm_crl_number_order(now, was);
	char name[80];

	if (item->doubtful && was->key_id.n > 0)
		return MM_OK;
	if (order > 0 || (order == 0 && mm_bytes_eq(now->tbs, was->tbs)))
		return MM_OK;
	mm_crl_issuer_text(now, name, sizeof(name));
	return MM_FAIL(why, MM_ECONFLICT, order == 0 ? "the list of %s has "
	    "other contents under the same number" : "the list of %s is "
	    "older than the one in the file", name);
}

/* see crl_set.h */
enum mm_err
mm_crl_set_follows(const struct mm_crl_set *s, const struct mm_crl_set *before,
    bool fewer, struct mm_why *why)
{
	char name[80];

	for (size_t i = 0; i < before->n; i++) {
		const struct mm_crl *was = &before->at[i].crl;
		const struct mm_crl *now = mm_crl_set_find(s, was);

		if (now != NULL) {
			MM_TRY(follows(now, &before->at[i], why));
		} else if (!fewer) {
			mm_crl_issuer_text(was, name, sizeof(name));
			return MM_FAIL(why, MM_ECONFLICT, "the list of %s is "
			    "in the file, and no longer at the server", name);
		}
	}
	return MM_OK;
}

/* see crl_set.h */
bool
mm_crl_set_is_news(const struct mm_crl_set *s, const struct mm_crl_set *before)
{
	for (size_t i = 0; i < before->n; i++)
		if (before->at[i].doubtful ||
		    mm_crl_set_find(s, &before->at[i].crl) == NULL)
			return true;
	for (size_t i = 0; i < s->n; i++) {
		const struct mm_crl *was = mm_crl_set_find(before,
		    &s->at[i].crl);

		if (was == NULL || mm_crl_number_order(&s->at[i].crl, was) > 0)
			return true;
	}
	return false;
}
