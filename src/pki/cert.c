#include "pki/cert.h"

#include <string.h>

#include "pki/priv.h"

/* RFC 5280 4.1.2.1: v1 by default, never said; v2 and v3 */
static bool
read_version(struct mm_rd *r)
{
	struct mm_rd v;
	uint32_t version;

	if (!mm_der_peek(r, MM_DER_CTXC(0)))
		return true;
	v = mm_rd_over(mm_der_take(r, MM_DER_CTXC(0)));
	version = mm_der_take_uint(&v);
	return mm_rd_end(&v) && (version == 1 || version == 2);
}

static bool
read_validity(struct mm_rd *r, struct mm_cert *c)
{
	struct mm_rd v = mm_rd_over(mm_der_take(r, MM_DER_SEQ));

	c->not_before_s = mm_der_take_time(&v);
	c->not_after_s = mm_der_take_time(&v);
	return mm_rd_end(&v);
}

/* RFC 5280 4.1.2.9 */
static bool
read_extensions(struct mm_rd *r, struct mm_cert *c)
{
	struct mm_rd e;

	if (r->left == 0)
		return true;
	e = mm_rd_over(mm_der_take(r, MM_DER_CTXC(3)));
	c->extensions = mm_der_take(&e, MM_DER_SEQ);
	return mm_rd_end(&e) && mm_extensions_ok(c->extensions);
}

/* see priv.h; RFC 5280 4.1.2, in its order */
enum mm_err
mm_tbs_walk(struct mm_bytes tbs, struct mm_cert *out, struct mm_bytes *alg,
    struct mm_why *why)
{
	struct mm_cert c = { .tbs = tbs };
	struct mm_rd outer = mm_rd_over(tbs);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	struct mm_bytes spki;
	const char *part = NULL;

	if (!mm_rd_end(&outer) || !read_version(&r))
		part = "version";
	c.serial = mm_der_take(&r, MM_DER_INTEGER);
	if (part == NULL && (r.bad || !mm_der_natural_ok(c.serial) ||
	    c.serial.n > 21))
		part = "serialNumber";
	*alg = mm_der_take_whole(&r, MM_DER_SEQ);
	if (part == NULL && !mm_alg_ok(*alg))
		part = "signature";
	c.issuer = mm_der_take_whole(&r, MM_DER_SEQ);
	if (part == NULL && !mm_name_ok(c.issuer))
		part = "issuer";
	if (part == NULL && !read_validity(&r, &c))
		part = "validity";
	c.subject = mm_der_take_whole(&r, MM_DER_SEQ);
	if (part == NULL && !mm_name_ok(c.subject))
		part = "subject";
	spki = mm_der_take_whole(&r, MM_DER_SEQ);
	if (part == NULL && (!read_extensions(&r, &c) || !mm_rd_end(&r)))
		part = "extensions";
	if (part != NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "certificate: RFC 5280 4.1: malformed %s", part);
	MM_TRY(mm_spki_split(spki, &c.spki, why));
	*out = c;
	return MM_OK;
}

/* see cert.h; RFC 5280 4.1.1 */
enum mm_err
mm_cert_walk(struct mm_bytes der, struct mm_cert *out, struct mm_why *why)
{
	struct mm_rd outer = mm_rd_over(der);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	struct mm_bytes tbs = mm_der_take_whole(&r, MM_DER_SEQ), inner;
	struct mm_bytes alg = mm_der_take_whole(&r, MM_DER_SEQ);
	struct mm_bytes bits = mm_der_take(&r, MM_DER_BITS);
	struct mm_cert c;

	if (der.n > MM_CERT_MAX || !mm_rd_end(&outer) || !mm_rd_end(&r) ||
	    bits.n < 2 || bits.p[0] != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "certificate: RFC 5280 4.1: malformed");
	MM_TRY(mm_tbs_walk(tbs, &c, &inner, why));
	if (!mm_bytes_eq(inner, alg))
		return MM_FAIL(why, MM_EINPUT,
		    "certificate: RFC 5280 4.1.1.2: two algorithms");
	c.whole = der;
	c.alg = alg;
	c.signature = (struct mm_bytes){ bits.p + 1, bits.n - 1 };
	*out = c;
	return MM_OK;
}

/* see cert.h */
bool
mm_cert_extension(const struct mm_cert *c, const char *oid, bool *critical,
    struct mm_bytes *value)
{
	struct mm_rd r = mm_rd_over(c->extensions);
	uint8_t want[MM_OID_MAX];
	size_t n = mm_der_oid_encode(oid, want);
	struct mm_extension e;

	while (n != 0 && mm_extension_next(&r, &e))
		if (e.oid.n == n && memcmp(e.oid.p, want, n) == 0) {
			if (critical != NULL)
				*critical = e.critical;
			*value = e.value;
			return true;
		}
	return false;
}

/* see cert.h */
enum mm_err
mm_cert_verify(const struct mm_cert *c, EVP_PKEY *issuer, struct mm_why *why)
{
	return mm_verify_bytes(NULL, issuer, c->alg, c->tbs, c->signature, why);
}

/* see cert.h */
enum mm_err
mm_cert_verify_by(const struct mm_cert *c, const struct mm_cert *issuer)
{
	MM_OWN(mm_key_templates_free) struct mm_key_templates *t = NULL;
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_spki spki;

	if (!mm_bytes_eq(issuer->subject, c->issuer))
		return MM_EPOLICY;
	MM_TRY(mm_spki_parse(issuer->spki.whole, &spki, NULL));
	MM_TRY(mm_key_templates_new(NULL, &t, NULL));
	MM_TRY(mm_spki_load(&spki, t, &key, NULL));
	return mm_cert_verify(c, key, NULL);
}

/* see cert.h */
void
mm_cert_join(struct mm_buf *out, struct mm_bytes tbs, struct mm_bytes alg,
    struct mm_bytes sig)
{
	size_t mark = mm_der_open(out, MM_DER_SEQ);

	mm_buf_bytes(out, tbs);
	mm_buf_bytes(out, alg);
	mm_der_put_bits(out, sig, 0);
	mm_der_close(out, mark);
}

/* see cert.h */
enum mm_err
mm_any_serial_parse(struct mm_bytes text, struct mm_any_serial *out,
    struct mm_why *why)
{
	char digits[2 * MM_ANY_SERIAL_N + 1] = "0"; /* for an odd number */
	struct mm_any_serial s = { .n = 0 };
	size_t n;

	while (text.n > 1 && text.p[0] == '0')
		text = (struct mm_bytes){ text.p + 1, text.n - 1 };
	if (text.n == 0 || text.n > 2 * MM_ANY_SERIAL_N)
		return MM_FAIL(why, MM_EINPUT, "serial number: want 1 to 40 "
		    "hex digits");
	n = text.n % 2;
	memcpy(digits + n, text.p, text.n);
	MM_TRY(mm_hex_parse(digits, n + text.n, s.p, (n + text.n) / 2, why));
	s.n = (uint8_t)((n + text.n) / 2);
	*out = s;
	return MM_OK;
}
