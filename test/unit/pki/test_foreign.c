#include "fixture.h"

#include <openssl/x509v3.h>

#include "pki/foreign.h"

/*
 * What another CA may be asked: each row is a request with one thing more.
 * Nothing that is not known and the profile's may leave; the requests are
 * OpenSSL's.
 */
#define MS_LIST  "1.3.6.1.4.1.311.2.1.14"
#define BINDING  "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8="

struct asks {
	const char *what;
	const char *cn;            /* NULL: none */
	const char *extension[2];  /* OpenSSL's name, or an OID; its value */
	const char *attribute[2];  /* OID; text */
	bool binding;              /* the profile wants one */
	enum mm_key_type key;
	const char *wrong;         /* of the refusal; NULL: it may leave */
};

static const struct asks rows[] = {
	{ .what = "nothing more", .cn = "SN-1" },
	{ .what = "no name at all" },
	{ .what = "another name", .cn = "SN-2", .wrong = "its subject" },

	{ .what = "its alternative name", .cn = "SN-1",
	    .extension = { "subjectAltName", "DNS:SN-1.dev.example" } },
	{ .what = "another alternative name", .cn = "SN-1",
	    .extension = { "subjectAltName", "DNS:bank.example" },
	    .wrong = "an alternative name" },
	{ .what = "its own and another alternative name", .cn = "SN-1",
	    .extension = { "subjectAltName",
		"DNS:SN-1.dev.example,IP:10.0.0.1" },
	    .wrong = "an alternative name" },

	{ .what = "no CA", .cn = "SN-1",
	    .extension = { "basicConstraints", "critical,CA:FALSE" } },
	{ .what = "a CA", .cn = "SN-1",
	    .extension = { "basicConstraints", "critical,CA:TRUE" },
	    .wrong = "a CA" },

	{ .what = "the profile's key usage", .cn = "SN-1",
	    .extension = { "keyUsage", "critical,digitalSignature" } },
	{ .what = "a CA's key usage", .cn = "SN-1",
	    .extension = { "keyUsage", "digitalSignature,keyCertSign" },
	    .wrong = "a key usage" },
	{ .what = "a usage that the profile has not", .cn = "SN-1",
	    .extension = { "keyUsage", "digitalSignature,keyAgreement" },
	    .wrong = "a key usage" },
	{ .what = "a usage of the second octet", .cn = "SN-1",
	    .extension = { "keyUsage", "digitalSignature,decipherOnly" },
	    .wrong = "a key usage" },
	{ .what = "a usage that is no BIT STRING", .cn = "SN-1",
	    .extension = { "2.5.29.15", "DER:0500" },
	    .wrong = "a key usage" },
	{ .what = "a usage that such a key has not", .cn = "SN-1",
	    .extension = { "keyUsage", "keyEncipherment" },
	    .key = MM_KEY_P256, .wrong = "a key usage" },

	{ .what = "the profile's purpose", .cn = "SN-1",
	    .extension = { "extendedKeyUsage", "clientAuth" } },
	{ .what = "another purpose", .cn = "SN-1",
	    .extension = { "extendedKeyUsage", "clientAuth,serverAuth" },
	    .wrong = "an extended key usage" },
	{ .what = "any purpose", .cn = "SN-1",
	    .extension = { "extendedKeyUsage", "anyExtendedKeyUsage" },
	    .wrong = "an extended key usage" },
	{ .what = "a smart card's purpose", .cn = "SN-1",
	    .extension = { "extendedKeyUsage", "1.3.6.1.4.1.311.20.2.2" },
	    .wrong = "an extended key usage" },

	{ .what = "another key's identifier", .cn = "SN-1",
	    .extension = { "subjectKeyIdentifier", "00:11:22" },
	    .wrong = "its key identifier" },
	{ .what = "the profile's further extension", .cn = "SN-1",
	    .extension = { "1.2.3.4", "DER:0c0141" } },
	{ .what = "the same, critical", .cn = "SN-1",
	    .extension = { "1.2.3.4", "critical,DER:0c0141" },
	    .wrong = "an extension" },
	{ .what = "the same with another value", .cn = "SN-1",
	    .extension = { "1.2.3.4", "DER:0c0142" },
	    .wrong = "an extension" },
	{ .what = "a template's name", .cn = "SN-1",
	    .extension = { "1.3.6.1.4.1.311.20.2", "DER:1e020041" },
	    .wrong = "an extension" },
	{ .what = "a template", .cn = "SN-1",
	    .extension = { "1.3.6.1.4.1.311.21.7", "DER:300406022a03" },
	    .wrong = "an extension" },
	{ .what = "a policy", .cn = "SN-1",
	    .extension = { "2.5.29.32", "DER:3007300506032a0304" },
	    .wrong = "an extension" },
	{ .what = "must-staple", .cn = "SN-1",
	    .extension = { "tlsfeature", "status_request" },
	    .wrong = "an extension" },

	{ .what = "Microsoft's list of extensions", .cn = "SN-1",
	    .attribute = { MS_LIST, "x" }, .wrong = "an attribute" },
	{ .what = "an unstructured name", .cn = "SN-1",
	    .attribute = { "1.2.840.113549.1.9.2", "admin" },
	    .wrong = "an attribute" },
	{ .what = "a password", .cn = "SN-1",
	    .attribute = { "1.2.840.113549.1.9.7", "secret" },
	    .wrong = "a challenge password" },
	{ .what = "an empty password", .cn = "SN-1",
	    .attribute = { "1.2.840.113549.1.9.7", "" },
	    .wrong = "a challenge password" },
	{ .what = "a binding that is not wanted", .cn = "SN-1",
	    .attribute = { "1.2.840.113549.1.9.7", BINDING },
	    .wrong = "a challenge password" },
	{ .what = "a binding", .cn = "SN-1", .binding = true,
	    .attribute = { "1.2.840.113549.1.9.7", BINDING } },
	{ .what = "a password in a binding's place", .cn = "SN-1",
	    .binding = true,
	    .attribute = { "1.2.840.113549.1.9.7", "secret" },
	    .wrong = "a challenge password" },
};

static void
add_extension(X509_REQ *req, const char *name, const char *value)
{
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
	X509_EXTENSION *e;
	X509V3_CTX ctx;

	X509V3_set_ctx_test(&ctx);
	X509V3_set_ctx_nodb(&ctx);
	e = X509V3_EXT_nconf(NULL, &ctx, name, value);
	if (e == NULL)
		fail_msg("%s = %s", name, value);
	assert_true(sk_X509_EXTENSION_push(list, e) > 0);
	assert_int_equal(X509_REQ_add_extensions(req, list), 1);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

static void
make(const struct asks *row, struct mm_buf *der)
{
	X509_REQ *req = X509_REQ_new();
	EVP_PKEY *key = key_of(row->key, false);
	uint8_t *p;
	int n;

	assert_int_equal(X509_REQ_set_pubkey(req, key), 1);
	if (row->cn != NULL)
		assert_int_equal(X509_NAME_add_entry_by_txt(
		    X509_REQ_get_subject_name(req), "CN", MBSTRING_UTF8,
		    (const uint8_t *)row->cn, -1, -1, 0), 1);
	if (row->extension[0] != NULL)
		add_extension(req, row->extension[0], row->extension[1]);
	if (row->attribute[0] != NULL)
		assert_int_equal(X509_REQ_add1_attr_by_txt(req,
		    row->attribute[0], V_ASN1_UTF8STRING,
		    (const uint8_t *)row->attribute[1],
		    (int)strlen(row->attribute[1])), 1);
	assert_true(X509_REQ_sign(req, key, EVP_sha256()) > 0);
	n = i2d_X509_REQ(req, NULL);
	p = mm_buf_room(der, (size_t)n);
	assert_non_null(p);
	assert_int_equal(i2d_X509_REQ(req, &p), n);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
}

static void
profile_of(struct mm_profile *p, bool binding)
{
	profile_init(p);
	LIST(&p->subject, "CN={device}");
	LIST(&p->san, "DNS:{device}.dev.example");
	LIST(&p->eku, "clientAuth");
	LIST(&p->key_usage, "digitalSignature");
	LIST(&p->extensions, "1.2.3.4:0c0141");
	p->require_tls_exporter = binding;
}

static void
check_row(const struct asks *row)
{
	static struct mm_profile p;
	const struct mm_foreign f = { .profile = &p, .device = "SN-1",
		.product = "thermo" };
	struct mm_buf der = MM_BUF_INIT(MM_CSR_MAX);
	struct mm_why why = { 0 };
	struct mm_csr csr;
	enum mm_err rc;

	profile_of(&p, row->binding);
	make(row, &der);
	OK(why, mm_csr_walk(mm_buf_view(&der), &csr, &why));
	rc = mm_foreign_request(&csr, &f, &why);
	if (row->wrong == NULL && rc != MM_OK)
		fail_msg("%s: %s", row->what, why.text);
	if (row->wrong != NULL && (rc != MM_EPOLICY ||
	    strstr(why.text, row->wrong) == NULL))
		fail_msg("%s: got %d %s", row->what, (int)rc, why.text);
	mm_buf_done(&der);
}

static void
test_nothing_leaves_that_is_not_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i]);
}

/* Whoever computes it from the key, by either hash. */
static void
test_a_key_identifier_is_the_keys(void **state)
{
	static struct mm_profile p;
	const struct mm_foreign f = { .profile = &p, .device = "SN-1",
		.product = "thermo" };
	const struct asks row = { .cn = "SN-1", .key = MM_KEY_P256 };
	struct mm_buf der = MM_BUF_INIT(MM_CSR_MAX);
	uint8_t ext[] = { 0x30, 0x1d, 0x06, 0x03, 0x55, 0x1d, 0x0e, 0x04,
		0x16, 0x04, 0x14, [11 + 19] = 0 };
	struct mm_csr csr;
	uint8_t hash[32];

	(void)state;
	profile_of(&p, false);
	make(&row, &der);
	assert_int_equal(mm_csr_walk(mm_buf_view(&der), &csr, NULL), MM_OK);
	csr.extensions = (struct mm_bytes){ ext, sizeof(ext) };
	mm_sha1(csr.spki.key, hash);
	memcpy(ext + 11, hash, 20);
	assert_int_equal(mm_foreign_request(&csr, &f, NULL), MM_OK);
	mm_sha256(csr.spki.key, hash);
	memcpy(ext + 11, hash, 20);
	assert_int_equal(mm_foreign_request(&csr, &f, NULL), MM_OK);
	ext[11] ^= 1;
	assert_int_equal(mm_foreign_request(&csr, &f, NULL), MM_EPOLICY);
	mm_buf_done(&der);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_leaves_that_is_not_known),
		cmocka_unit_test(test_a_key_identifier_is_the_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
