#include "pki/csr.h"

#include "pki/priv.h"

#define OID_CHALLENGE   "1.2.840.113549.1.9.7"
#define OID_EXT_REQUEST "1.2.840.113549.1.9.14"
#define OID_CN          "2.5.4.3"
#define OID_SERIAL      "2.5.4.5"

/* PKCS#9 (RFC 2985 5.4.1): one DirectoryString. */
static bool
read_challenge(struct mm_bytes values, struct mm_csr *csr)
{
	struct mm_rd r = mm_rd_over(values);
	struct mm_bytes body, whole;
	uint8_t tag;

	if (csr->challenge.p != NULL || !mm_der_any(&r, &tag, &body, &whole) ||
	    !mm_rd_end(&r) || tag == MM_DER_SEQ || tag == MM_DER_SET ||
	    !mm_der_value_ok(tag, body))
		return false;
	/* an empty one has been seen too: not NULL */
	csr->challenge = (struct mm_bytes){ whole.p + whole.n - body.n,
		body.n };
	return true;
}

/* RFC 2985 5.4.2: one Extensions. */
static bool
read_extensions(struct mm_bytes values, struct mm_csr *csr)
{
	struct mm_rd r = mm_rd_over(values);
	struct mm_bytes body = mm_der_take(&r, MM_DER_SEQ);

	if (csr->extensions.p != NULL || !mm_rd_end(&r))
		return false;
	csr->extensions = (struct mm_bytes){ r.p - body.n, body.n };
	/* some clients send an empty list: nothing is copied anyway */
	return body.n == 0 || mm_extensions_ok(body);
}

static bool
values_ok(struct mm_bytes values)
{
	struct mm_rd r = mm_rd_over(values);
	struct mm_bytes body, whole;
	uint8_t tag;

	while (r.left > 0)
		if (!mm_der_any(&r, &tag, &body, &whole) ||
		    !mm_der_value_ok(tag, body))
			return false;
	return values.n > 0;
}

/* RFC 2986 4.1: Attribute ::= SEQUENCE { type, values SET SIZE(1..MAX) } */
static bool
read_attributes(struct mm_bytes attributes, struct mm_csr *csr)
{
	struct mm_rd r = mm_rd_over(attributes);

	while (r.left > 0) {
		struct mm_rd a = mm_rd_over(mm_der_take(&r, MM_DER_SEQ));
		struct mm_bytes oid = mm_der_take(&a, MM_DER_OID);
		struct mm_bytes values = mm_der_take(&a, MM_DER_SET);

		if (r.bad || !mm_rd_end(&a) || !mm_der_oid_ok(oid))
			return false;
		if (mm_der_oid_is(oid, OID_CHALLENGE)) {
			if (!read_challenge(values, csr))
				return false;
		} else if (mm_der_oid_is(oid, OID_EXT_REQUEST)) {
			if (!read_extensions(values, csr))
				return false;
		} else {
			if (!values_ok(values))
				return false;
			if (csr->strange.n == 0)
				csr->strange = oid;
		}
	}
	return true;
}

/* RFC 2986 4.1: CertificationRequestInfo */
static enum mm_err
read_info(struct mm_bytes info, struct mm_csr *csr, struct mm_why *why)
{
	struct mm_rd outer = mm_rd_over(info);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	uint32_t version = mm_der_take_uint(&r);
	struct mm_bytes spki;

	if (!r.bad && version != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "csr: RFC 2986 4.1: version is %u, want 0", version);
	csr->subject = mm_der_take_whole(&r, MM_DER_SEQ);
	spki = mm_der_take_whole(&r, MM_DER_SEQ);
	if (r.bad || !mm_name_ok(csr->subject))
		return MM_FAIL(why, MM_EINPUT,
		    "csr: RFC 2986 4.1: malformed subject");
	/* the field is not OPTIONAL, but old clients leave it out */
	if (r.left > 0 &&
	    !read_attributes(mm_der_take(&r, MM_DER_CTXC(0)), csr))
		return MM_FAIL(why, MM_EINPUT,
		    "csr: RFC 2986 4.1: malformed attributes");
	if (!mm_rd_end(&r))
		return MM_FAIL(why, MM_EINPUT,
		    "csr: RFC 2986 4.1: malformed CertificationRequestInfo");
	return mm_spki_parse(spki, &csr->spki, why);
}

static enum mm_err
check_alg(const struct mm_csr *csr, struct mm_why *why)
{
	const struct mm_sig_alg *a = mm_sig_find(csr->alg);

	if (!mm_alg_ok(csr->alg))
		return MM_FAIL(why, MM_EINPUT,
		    "csr: RFC 2986 4.2: malformed signatureAlgorithm");
	if (a == NULL)
		return MM_FAIL(why, MM_EPOLICY,
		    "csr: a signature by %s is not accepted",
		    mm_alg_foreign(csr->alg));
	if (!mm_sig_fits(a, csr->spki.type))
		return MM_FAIL(why, MM_EINPUT,
		    "csr: signature algorithm does not fit the key");
	return MM_OK;
}

/* see csr.h */
enum mm_err
mm_csr_walk(struct mm_bytes der, struct mm_csr *out, struct mm_why *why)
{
	struct mm_csr csr = { 0 };
	struct mm_rd outer = mm_rd_over(der), r;
	struct mm_bytes bits;

	if (der.n > MM_CSR_MAX)
		return MM_FAIL(why, MM_ELIMIT, "csr: %zu bytes, at most %d",
		    der.n, MM_CSR_MAX);
	r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	if (!outer.bad && outer.left > 0)
		return MM_FAIL(why, MM_EINPUT,
		    "csr: %zu bytes after the request", outer.left);
	csr.info = mm_der_take_whole(&r, MM_DER_SEQ);
	csr.alg = mm_der_take_whole(&r, MM_DER_SEQ);
	bits = mm_der_take(&r, MM_DER_BITS);
	if (outer.bad || !mm_rd_end(&r) || bits.n < 2 || bits.p[0] != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "csr: RFC 2986 4.2: malformed CertificationRequest");
	csr.signature = (struct mm_bytes){ bits.p + 1, bits.n - 1 };
	MM_TRY(read_info(csr.info, &csr, why));
	MM_TRY(check_alg(&csr, why));
	*out = csr;
	return MM_OK;
}

/* see csr.h */
enum mm_err
mm_csr_verify(const struct mm_csr *csr, OSSL_LIB_CTX *lib,
    struct mm_key_templates *templates, struct mm_why *why)
{
	const struct mm_sig_alg *a = mm_sig_find(csr->alg);
	char text[120];
	enum mm_err rc;

	MM_INVARIANT(a != NULL && mm_sig_fits(a, csr->spki.type));
	if (a->kind == MM_SIG_ECDSA) {
		EVP_PKEY_CTX *c = mm_point_ctx(&csr->spki, templates);

		if (c == NULL) {
			rc = mm_openssl_fail(MM_EINPUT, text);
			return MM_FAIL(why, rc,
			    "key: not a valid public key: %s", text);
		}
		rc = mm_sig_verify_in(c, a, csr->info, csr->signature);
	} else {
		MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;

		MM_TRY(mm_spki_load(&csr->spki, templates, &key, why));
		rc = mm_sig_verify(lib, key, a, csr->info, csr->signature);
	}
	if (rc == MM_OK)
		return MM_OK;
	rc = mm_openssl_fail(rc, text);
	return MM_FAIL(why, rc,
	    "csr: RFC 2986 4.2: signature does not match the key: %s", text);
}

/* see csr.h */
void
mm_csr_key_hash(const struct mm_csr *csr, uint8_t out[32])
{
	mm_sha256(csr->spki.whole, out);
}

/* see csr.h */
void
mm_csr_subject_names(const struct mm_csr *csr, char cn[65],
    char serial_number[65])
{
	if (!mm_name_attribute(csr->subject, OID_CN, cn, 65))
		cn[0] = '\0';
	if (!mm_name_attribute(csr->subject, OID_SERIAL, serial_number, 65))
		serial_number[0] = '\0';
}
