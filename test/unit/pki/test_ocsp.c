#include "fixture.h"

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "base/time.h"
#include "pki/ocsp.h"

/* Questions that libcrypto makes, and answers that it verifies. */
struct authority {
	EVP_PKEY *key, *responder_key;
	X509 *cert, *responder;
	uint8_t der[1024];
	size_t n;
};

static X509 *
make_cert(EVP_PKEY *key, const char *cn, X509 *issuer, EVP_PKEY *by, bool ocsp)
{
	X509 *x = X509_new();
	X509_EXTENSION *e;

	assert_int_equal(X509_set_version(x, 2), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	    (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
	X509_set_pubkey(x, key);
	e = X509V3_EXT_conf_nid(NULL, NULL, ocsp ? NID_ext_key_usage :
	    NID_basic_constraints, ocsp ? "OCSPSigning" : "critical,CA:TRUE");
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	assert_true(X509_sign(x, by, EVP_sha256()) > 0);
	return x;
}

static void
ca_open(struct authority *c)
{
	unsigned char *out = c->der;

	assert_int_equal(mm_key_make(MM_KEY_P256, &c->key, NULL), MM_OK);
	assert_int_equal(mm_key_make(MM_KEY_P256, &c->responder_key, NULL),
	    MM_OK);
	c->cert = make_cert(c->key, "CA", NULL, c->key, false);
	c->responder = make_cert(c->responder_key, "R", c->cert, c->key, true);
	c->n = (size_t)i2d_X509(c->cert, &out);
}

static void
ca_close(struct authority *c)
{
	X509_free(c->cert);
	X509_free(c->responder);
	EVP_PKEY_free(c->key);
	EVP_PKEY_free(c->responder_key);
}

struct question {
	const EVP_MD *md;
	unsigned count;
	bool nonce, critical;
};

static size_t
ask(const struct authority *c, const struct question *how, uint8_t *out)
{
	OCSP_REQUEST *q = OCSP_REQUEST_new();
	unsigned char *p = out, big[16] = { 1, 2, 3 };
	X509_EXTENSION *e;
	int n;

	for (unsigned i = 0; i < how->count; i++) {
		BIGNUM *bn;
		ASN1_INTEGER *serial;

		big[15] = (unsigned char)i;
		bn = BN_bin2bn(big, 16, NULL);
		serial = BN_to_ASN1_INTEGER(bn, NULL);
		OCSP_request_add0_id(q, OCSP_cert_id_new(how->md,
		    X509_get_subject_name(c->cert),
		    X509_get0_pubkey_bitstr(c->cert), serial));
		ASN1_INTEGER_free(serial);
		BN_free(bn);
	}
	if (how->nonce)
		OCSP_request_add1_nonce(q, (unsigned char *)big, 16);
	if (how->critical) {
		e = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
		    "critical,CA:FALSE");
		OCSP_REQUEST_add_ext(q, e, -1);
		X509_EXTENSION_free(e);
	}
	n = i2d_OCSP_REQUEST(q, &p);
	OCSP_REQUEST_free(q);
	assert_true(n > 0);
	return (size_t)n;
}

static void
test_questions(void **state)
{
	const struct {
		struct question q;
		enum mm_err want;
	} rows[] = {
		{ { EVP_sha1(), 1, false, false }, MM_OK },
		{ { EVP_sha1(), 1, true, false }, MM_OK },
		{ { EVP_sha256(), 1, true, false }, MM_OK },
		{ { EVP_sha512(), 1, false, false }, MM_ENOTFOUND },
		{ { EVP_sha1(), 0, false, false }, MM_EINPUT },
		{ { EVP_sha1(), 2, false, false }, MM_EINPUT },
		{ { EVP_sha1(), 1, true, true }, MM_EINPUT },
	};
	struct authority c = { 0 };
	struct mm_ocsp_issuer issuer;
	struct mm_ocsp_request r;
	uint8_t der[1024];
	size_t n;

	(void)state;
	ca_open(&c);
	assert_int_equal(mm_ocsp_issuer_make((struct mm_bytes){ c.der, c.n },
	    &issuer, NULL), MM_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n = ask(&c, &rows[i].q, der);
		assert_int_equal(mm_ocsp_request_parse((struct mm_bytes){ der,
		    n }, &r, NULL), rows[i].want);
		if (rows[i].want != MM_OK)
			continue;
		assert_true(mm_ocsp_is_of(&r.id, &issuer));
		assert_int_equal(r.id.serial.n, 16);
		assert_int_equal(r.nonce.n, rows[i].q.nonce ? 16 : 0);
		issuer.key_hash[r.id.hash][3] ^= 1;
		assert_false(mm_ocsp_is_of(&r.id, &issuer));
		issuer.key_hash[r.id.hash][3] ^= 1;
	}
	ca_close(&c);
}

/* No byte can be missing or too many. */
static void
test_every_length(void **state)
{
	const struct question how = { EVP_sha1(), 1, true, false };
	struct mm_ocsp_request r;
	struct authority c = { 0 };
	uint8_t der[1024] = { 0 };
	size_t n;

	(void)state;
	ca_open(&c);
	n = ask(&c, &how, der);
	for (size_t k = 0; k < n + 8; k++)
		assert_int_equal(mm_ocsp_request_parse((struct mm_bytes){ der,
		    k }, &r, NULL), k == n ? MM_OK : MM_EINPUT);
	ca_close(&c);
}

static void
sign(const struct authority *c, const struct mm_ocsp_answer *a,
    struct mm_buf *out)
{
	struct mm_buf tbs = MM_BUF_INIT(4096), sig = MM_BUF_INIT(256);
	unsigned char cert[1024], *p = cert;
	size_t n = (size_t)i2d_X509(c->responder, &p);
	struct mm_sign *s;

	assert_int_equal(mm_sign_new(NULL, c->responder_key, &s, NULL), MM_OK);
	assert_int_equal(mm_ocsp_build(a, &tbs, NULL), MM_OK);
	assert_int_equal(mm_sign_bytes(s, mm_buf_view(&tbs), &sig, NULL),
	    MM_OK);
	mm_ocsp_join(out, mm_buf_view(&tbs), mm_sign_alg(s), mm_buf_view(&sig),
	    (struct mm_bytes){ cert, n });
	assert_int_equal(mm_buf_ok(out, NULL), MM_OK);
	mm_sign_free(&s);
	mm_buf_done(&tbs);
	mm_buf_done(&sig);
}

static void
verify(const struct authority *c, struct mm_bytes der, const uint8_t *id,
    size_t idn, int want, int reason)
{
	X509_STORE *store = X509_STORE_new();
	const unsigned char *p = der.p;
	OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &p, (long)der.n);
	OCSP_BASICRESP *b;
	OCSP_CERTID *cid;
	int status = -1, why = -1;
	ASN1_GENERALIZEDTIME *rev, *this, *next;

	assert_non_null(r);
	assert_ptr_equal(p, der.p + der.n);
	assert_int_equal(OCSP_response_status(r), 0);
	b = OCSP_response_get1_basic(r);
	assert_non_null(b);
	X509_STORE_add_cert(store, c->cert);
	assert_int_equal(OCSP_basic_verify(b, NULL, store, 0), 1);
	p = id;
	cid = d2i_OCSP_CERTID(NULL, &p, (long)idn);
	assert_int_equal(OCSP_resp_find_status(b, cid, &status, &why, &rev,
	    &this, &next), 1);
	assert_int_equal(status, want);
	if (want == V_OCSP_CERTSTATUS_REVOKED)
		assert_int_equal(why, reason == 0 ? -1 : reason);
	assert_int_equal(OCSP_check_validity(this, next, 5, -1), 1);
	assert_int_equal(OCSP_BASICRESP_get_ext_count(b), 1);
	OCSP_CERTID_free(cid);
	OCSP_BASICRESP_free(b);
	OCSP_RESPONSE_free(r);
	X509_STORE_free(store);
}

static void
test_answers(void **state)
{
	const struct {
		enum mm_ocsp_status status;
		uint8_t reason;
		int want;
	} rows[] = {
		{ MM_OCSP_GOOD, 0, V_OCSP_CERTSTATUS_GOOD },
		{ MM_OCSP_REVOKED, 0, V_OCSP_CERTSTATUS_REVOKED },
		{ MM_OCSP_REVOKED, 1, V_OCSP_CERTSTATUS_REVOKED },
		{ MM_OCSP_REVOKED, 6, V_OCSP_CERTSTATUS_REVOKED },
		{ MM_OCSP_UNKNOWN, 0, V_OCSP_CERTSTATUS_UNKNOWN },
	};
	const struct question how = { EVP_sha1(), 1, true, false };
	struct mm_buf out = MM_BUF_INIT(8192);
	struct mm_ocsp_request q;
	struct mm_ocsp_answer a = { 0 };
	struct authority c = { 0 };
	uint8_t der[1024];
	size_t n;

	(void)state;
	ca_open(&c);
	n = ask(&c, &how, der);
	assert_int_equal(mm_ocsp_request_parse((struct mm_bytes){ der, n },
	    &q, NULL), MM_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const ASN1_BIT_STRING *key =
		    X509_get0_pubkey_bitstr(c.responder);

		a = (struct mm_ocsp_answer){ .id = q.id.whole,
			.status = rows[i].status, .reason = rows[i].reason,
			.revoked_s = 1700000000, .nonce = q.nonce,
			.made_s = mm_now_s(), .this_s = mm_now_s(),
			.next_s = mm_now_s() + 60,
			.key = { key->data, (size_t)key->length } };
		mm_buf_reset(&out);
		sign(&c, &a, &out);
		verify(&c, mm_buf_view(&out), q.id.whole.p, q.id.whole.n,
		    rows[i].want, rows[i].reason);
	}
	a.next_s = a.this_s;
	assert_int_equal(mm_ocsp_build(&a, &out, NULL), MM_EINPUT);
	mm_buf_done(&out);
	ca_close(&c);
}

static void
test_refusals(void **state)
{
	uint8_t der[MM_OCSP_REFUSAL_N];
	const unsigned char *p = der;
	OCSP_RESPONSE *r;

	(void)state;
	mm_ocsp_refusal(MM_OCSP_TRY_LATER, der);
	r = d2i_OCSP_RESPONSE(NULL, &p, sizeof(der));
	assert_int_equal(OCSP_response_status(r),
	    OCSP_RESPONSE_STATUS_TRYLATER);
	OCSP_RESPONSE_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
