#include <string.h>

#include "base/own.h"
#include "pki/crl.h"
#include "pki/key.h"
#include "pki/priv.h"

#define OID_AKI    "2.5.29.35"
#define OID_NUMBER "2.5.29.20"
#define OID_IDP    "2.5.29.28"

/* RFC 5280 5.1.2.6: serial, date, extensions; absent where there are none. */
static bool
count_entries(struct mm_rd *r, size_t *n)
{
	struct mm_rd list;

	*n = 0;
	if (!mm_der_peek(r, MM_DER_SEQ))
		return true;
	list = mm_rd_over(mm_der_take(r, MM_DER_SEQ));
	while (list.left > 0 && !list.bad) {
		struct mm_rd e = mm_rd_over(mm_der_take(&list, MM_DER_SEQ));

		if (!mm_der_natural_ok(mm_der_take(&e, MM_DER_INTEGER)) ||
		    e.bad)
			return false;
		(*n)++;
	}
	return mm_rd_end(&list);
}

/* RFC 5280 4.2.1.1: its keyIdentifier, or nothing */
static bool
read_aki(struct mm_bytes value, struct mm_bytes *key_id)
{
	struct mm_rd outer = mm_rd_over(value);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));

	if (mm_der_peek(&r, MM_DER_CTX(0)))
		*key_id = mm_der_take(&r, MM_DER_CTX(0));
	return mm_rd_end(&outer) && !r.bad;
}

/* RFC 5280 5.2.3 */
static bool
read_number(struct mm_bytes value, struct mm_bytes *number)
{
	struct mm_rd r = mm_rd_over(value);

	*number = mm_der_take(&r, MM_DER_INTEGER);
	return mm_rd_end(&r) && mm_der_natural_ok(*number) && number->n <= 21;
}

/* What is in the one element of this tag. */
static struct mm_rd
inside(struct mm_rd *r, uint8_t tag)
{
	return mm_rd_over(mm_der_take(r, tag));
}

/* RFC 5280 5.2.5: the one URI, where that and onlyContainsUserCerts is all it
 * says; of any other form nothing is taken. */
static struct mm_bytes
read_point(struct mm_bytes value)
{
	struct mm_rd outer = mm_rd_over(value);
	struct mm_rd seq = inside(&outer, MM_DER_SEQ);
	struct mm_rd name = inside(&seq, MM_DER_CTXC(0));
	struct mm_rd full = inside(&name, MM_DER_CTXC(0));
	struct mm_bytes uri = mm_der_take(&full, MM_DER_CTX(6)), users;

	users = mm_der_take(&seq, MM_DER_CTX(1));
	if (!mm_rd_end(&outer) || !mm_rd_end(&seq) || !mm_rd_end(&name) ||
	    !mm_rd_end(&full) || users.n != 1 || users.p[0] != 0xff)
		return (struct mm_bytes){ NULL, 0 };
	return uri;
}

static bool
read_extension(const struct mm_extension *e, struct mm_crl *c)
{
	if (mm_der_oid_is(e->oid, OID_AKI))
		return read_aki(e->value, &c->key_id);
	if (mm_der_oid_is(e->oid, OID_NUMBER))
		return read_number(e->value, &c->number);
	if (!mm_der_oid_is(e->oid, OID_IDP)) {
		c->strange |= e->critical;
		return true;
	}
	c->partial = true;
	if (e->critical)
		c->point = read_point(e->value);
	return true;
}

static bool
read_extensions(struct mm_rd *r, struct mm_crl *c)
{
	struct mm_extension e;
	struct mm_bytes all;
	struct mm_rd in;

	if (r->left == 0)
		return true;
	in = mm_rd_over(mm_der_take(r, MM_DER_CTXC(0)));
	all = mm_der_take(&in, MM_DER_SEQ);
	if (!mm_rd_end(&in) || !mm_extensions_ok(all))
		return false;
	in = mm_rd_over(all);
	while (mm_extension_next(&in, &e))
		if (!read_extension(&e, c))
			return false;
	return true;
}

/* RFC 5280 5.1.2: what is signed, in its order */
static const char *
read_tbs(struct mm_crl *c)
{
	struct mm_rd outer = mm_rd_over(c->tbs);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));

	if (!mm_rd_end(&outer) || mm_der_take_uint(&r) != 1)
		return "version";
	if (!mm_bytes_eq(mm_der_take_whole(&r, MM_DER_SEQ), c->alg))
		return "signature";
	c->issuer = mm_der_take_whole(&r, MM_DER_SEQ);
	if (r.bad || !mm_name_ok(c->issuer))
		return "issuer";
	c->this_s = mm_der_take_time(&r);
	c->next_s = mm_der_take_time(&r); /* 5.1.2.5: CAs must say it */
	if (r.bad || !count_entries(&r, &c->entries))
		return "revokedCertificates";
	return read_extensions(&r, c) && mm_rd_end(&r) ? NULL : "crlExtensions";
}

/* see cert.h; RFC 5280 5.1.1 */
enum mm_err
mm_crl_walk(struct mm_bytes der, struct mm_crl *out, struct mm_why *why)
{
	struct mm_rd outer = mm_rd_over(der);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	struct mm_crl c = { .tbs = mm_der_take_whole(&r, MM_DER_SEQ) };
	const char *part = "form";
	struct mm_bytes bits;

	c.alg = mm_der_take_whole(&r, MM_DER_SEQ);
	bits = mm_der_take(&r, MM_DER_BITS);
	if (mm_rd_end(&outer) && mm_rd_end(&r) && bits.n >= 2 &&
	    bits.p[0] == 0)
		part = read_tbs(&c);
	if (part != NULL)
		return MM_FAIL(why, MM_EINPUT, "crl: RFC 5280 5.1: malformed "
		    "%s", part);
	c.signature = (struct mm_bytes){ bits.p + 1, bits.n - 1 };
	*out = c;
	return MM_OK;
}

/* see crl.h; up to its entries all has been read once */
bool
mm_crl_names(const struct mm_crl *c, struct mm_bytes serial)
{
	struct mm_rd outer = mm_rd_over(c->tbs);
	struct mm_rd r = inside(&outer, MM_DER_SEQ), list;

	(void)mm_der_take_uint(&r);
	(void)mm_der_take_whole(&r, MM_DER_SEQ);
	(void)mm_der_take_whole(&r, MM_DER_SEQ);
	(void)mm_der_take_time(&r);
	(void)mm_der_take_time(&r);
	if (r.bad || !mm_der_peek(&r, MM_DER_SEQ))
		return false;
	list = inside(&r, MM_DER_SEQ);
	while (list.left > 0 && !list.bad) {
		struct mm_rd e = inside(&list, MM_DER_SEQ);

		if (mm_bytes_eq(mm_der_take(&e, MM_DER_INTEGER), serial))
			return true;
	}
	return false;
}

/* see cert.h */
int
mm_crl_number_order(const struct mm_crl *a, const struct mm_crl *b)
{
	if (a->number.n != b->number.n)
		return a->number.n < b->number.n ? -1 : 1;
	return a->number.n == 0 ? 0 :
	    memcmp(a->number.p, b->number.p, a->number.n);
}

/* see cert.h */
bool
mm_crl_same_issuer(const struct mm_crl *a, const struct mm_crl *b)
{
	return mm_bytes_eq(a->issuer, b->issuer) &&
	    mm_bytes_eq(a->key_id, b->key_id);
}

/* see cert.h */
enum mm_err
mm_crl_verify(const struct mm_crl *c, EVP_PKEY *issuer, struct mm_why *why)
{
	return mm_verify_bytes(NULL, issuer, c->alg, c->tbs, c->signature, why);
}

/* see cert.h */
enum mm_err
mm_crl_verify_by(const struct mm_crl *c, struct mm_bytes cert_der,
    struct mm_why *why)
{
	MM_OWN(mm_key_templates_free) struct mm_key_templates *t = NULL;
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_cert cert;
	struct mm_spki spki;

	MM_TRY(mm_cert_walk(cert_der, &cert, why));
	if (!mm_bytes_eq(cert.subject, c->issuer))
		return MM_FAIL(why, MM_EAUTH, "crl: another issuer's");
	MM_TRY(mm_spki_parse(cert.spki.whole, &spki, why));
	MM_TRY(mm_key_templates_new(NULL, &t, why));
	MM_TRY(mm_spki_load(&spki, t, &key, why));
	return mm_crl_verify(c, key, why);
}

/* see cert.h */
enum mm_err
mm_crl_next(struct mm_bytes *rest, struct mm_buf *der, struct mm_crl *out,
    struct mm_why *why)
{
	MM_TRY(mm_pem_next(rest, "X509 CRL", der, why));
	return mm_crl_walk(mm_buf_view(der), out, why);
}
