#include "fixture.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "../../fuzz/pki/agree.h"
#include "base/text.h"
#include "pki/der.h"

/* A request as OpenSSL makes it, signed with this digest. */
static void
foreign(struct mm_buf *out, enum mm_key_type t, const EVP_MD *md, bool pss)
{
	X509_REQ *req = X509_REQ_new();
	X509_NAME *name = X509_NAME_new();
	STACK_OF(X509_EXTENSION) *exts = sk_X509_EXTENSION_new_null();
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pc;
	EVP_PKEY *key = NULL;
	uint8_t *der = NULL;
	int n;

	key = key_of(t, false);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8,
	    (const uint8_t *)"Other", -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	    (const uint8_t *)"SN-1", -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "serialNumber", MBSTRING_UTF8,
	    (const uint8_t *)"SN-2", -1, -1, 0);
	X509_REQ_set_subject_name(req, name);
	X509_REQ_set_pubkey(req, key);
	sk_X509_EXTENSION_push(exts, X509V3_EXT_conf_nid(NULL, NULL,
	    NID_subject_alt_name, "DNS:a.example,DNS:b.example"));
	X509_REQ_add_extensions(req, exts);
	X509_REQ_add1_attr_by_NID(req, NID_pkcs9_challengePassword,
	    MBSTRING_ASC, (const uint8_t *)"exporter", 8);
	assert_int_equal(EVP_DigestSignInit(c, &pc, md, NULL, key), 1);
	if (pss) {
		EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, RSA_PSS_SALTLEN_DIGEST);
	}
	assert_true(X509_REQ_sign_ctx(req, c) > 0);
	n = i2d_X509_REQ(req, &der);
	mm_buf_put(out, der, (size_t)n);
	OPENSSL_free(der);
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	X509_NAME_free(name);
	X509_REQ_free(req);
	EVP_MD_CTX_free(c);
	EVP_PKEY_free(key);
}

static void
takes_the_algorithms_it_names(void **state)
{
	const struct {
		const char *what;
		enum mm_key_type key;
		const EVP_MD *md;
		bool pss;
		enum mm_err want;
	} rows[] = {
		{ "p256 sha256", MM_KEY_P256, EVP_sha256(), false, MM_OK },
		{ "p256 sha384", MM_KEY_P256, EVP_sha384(), false, MM_OK },
		{ "p256 sha512", MM_KEY_P256, EVP_sha512(), false, MM_OK },
		{ "p384 sha384", MM_KEY_P384, EVP_sha384(), false, MM_OK },
		{ "ed25519", MM_KEY_ED25519, NULL, false, MM_OK },
		{ "rsa sha256", MM_KEY_RSA2048, EVP_sha256(), false, MM_OK },
		{ "rsa sha384", MM_KEY_RSA2048, EVP_sha384(), false, MM_OK },
		{ "rsa sha512", MM_KEY_RSA3072, EVP_sha512(), false, MM_OK },
		{ "pss sha256", MM_KEY_RSA2048, EVP_sha256(), true, MM_OK },
		{ "pss sha384", MM_KEY_RSA2048, EVP_sha384(), true, MM_OK },
		{ "pss sha512", MM_KEY_RSA2048, EVP_sha512(), true, MM_OK },
		{ "p256 sha1", MM_KEY_P256, EVP_sha1(), false, MM_EPOLICY },
		{ "rsa sha1", MM_KEY_RSA2048, EVP_sha1(), false, MM_EPOLICY },
		{ "rsa md5", MM_KEY_RSA2048, EVP_md5(), false, MM_EPOLICY },
		{ "p256 sha224", MM_KEY_P256, EVP_sha224(), false, MM_EPOLICY },
	};
	struct mm_key_templates *t = NULL;

	(void)state;
	assert_int_equal(mm_key_templates_new(NULL, &t, NULL), MM_OK);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf b = MM_BUF_INIT(MM_CSR_MAX);
		char cn[65], serial[65];
		struct mm_csr csr;
		bool accepted;
		enum mm_err rc;

		foreign(&b, rows[i].key, rows[i].md, rows[i].pss);
		rc = mm_csr_walk(mm_buf_view(&b), &csr, NULL);
		ROW(rows[i].what, rc == rows[i].want);
		ROW(rows[i].what, agree_csr(mm_buf_view(&b), t, &accepted) ==
		    NULL);
		if (rc == MM_OK) {
			ROW(rows[i].what, mm_csr_verify(&csr, NULL, t,
			    NULL) == MM_OK);
			mm_csr_subject_names(&csr, cn, serial);
			assert_string_equal(cn, "SN-1");
			assert_string_equal(serial, "SN-2");
			assert_true(mm_bytes_eq(csr.challenge,
			    mm_bytes_of("exporter")));
			assert_true(csr.extensions.n > 0);
		}
		mm_buf_done(&b);
	}
	mm_key_templates_free(&t);
}

/* Every byte, three ways: we never take what libcrypto does not. */
static void
agrees_with_libcrypto_on_damage(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	struct mm_key_templates *t = NULL;
	struct mm_buf b = MM_BUF_INIT(MM_CSR_MAX);
	unsigned taken = 0;

	(void)state;
	assert_int_equal(mm_key_templates_new(NULL, &t, NULL), MM_OK);
	foreign(&b, MM_KEY_P256, EVP_sha256(), false);
	for (size_t i = 0; i < b.n; i++)
		for (size_t k = 0; k < ROWS(flips); k++) {
			const char *what;
			bool accepted;

			b.p[i] ^= flips[k];
			what = agree_csr(mm_buf_view(&b), t, &accepted);
			b.p[i] ^= flips[k];
			if (what != NULL)
				fail_msg("byte %zu: %s", i, what);
			taken += accepted;
		}
	assert_true(taken > 100); /* names, key and signature bytes */
	mm_buf_done(&b);
	mm_key_templates_free(&t);
}

static void
refuses_every_cut_and_every_tail(void **state)
{
	struct mm_buf b = MM_BUF_INIT(MM_CSR_MAX);
	struct mm_csr csr;

	(void)state;
	foreign(&b, MM_KEY_P256, EVP_sha256(), false);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(mm_csr_walk((struct mm_bytes){ b.p, n }, &csr,
		    NULL), MM_EINPUT);
	mm_buf_u8(&b, 0);
	assert_int_equal(mm_csr_walk(mm_buf_view(&b), &csr, NULL), MM_EINPUT);
	mm_buf_done(&b);
}

static void
refuses_more_than_it_may_read(void **state)
{
	static uint8_t zeros[MM_CSR_MAX + 1];
	struct mm_csr csr;

	(void)state;
	assert_int_equal(mm_csr_walk((struct mm_bytes){ zeros, sizeof(zeros) },
	    &csr, NULL), MM_ELIMIT);
}

static void
put_hex(struct mm_buf *b, const char *hex)
{
	uint8_t raw[128];
	size_t n = strlen(hex) / 2;

	assert_int_equal(mm_hex_parse(hex, 2 * n, raw, n, NULL), MM_OK);
	mm_buf_put(b, raw, n);
}

/* RFC 2986 4.1, by hand around a real key. */
static void
refuses_other_requests(void **state)
{
	static const struct {
		const char *what, *version, *attributes;
		enum mm_err want;
	} rows[] = {
		{ "as it should be", "020100", "a000", MM_OK },
		{ "no attributes at all", "020100", "", MM_OK },
		{ "version 1", "020101", "a000", MM_EINPUT },
		{ "no version", "", "a000", MM_EINPUT },
		{ "attribute with a cut value", "020100",
		    "a009300706022a03310105", MM_EINPUT },
		{ "unknown attribute of one NULL", "020100",
		    "a00a300806022a0331020500", MM_OK },
		{ "attribute without value", "020100",
		    "a008300606022a033100", MM_EINPUT },
		{ "two challenges", "020100", "a02a"
		  "301306092a864886f70d01090731060c0461626364"
		  "301306092a864886f70d01090731060c0461626364", MM_EINPUT },
		{ "two empty challenges", "020100", "a022"
		  "300f06092a864886f70d01090731020c00"
		  "300f06092a864886f70d01090731020c00", MM_EINPUT },
		{ "challenge of two values", "020100", "a01b"
		  "301906092a864886f70d010907310c0c04616263640c0461626364",
		    MM_EINPUT },
		{ "attributes as another tag", "020100", "a100", MM_EINPUT },
		{ "something after the attributes", "020100", "a0000500",
		    MM_EINPUT },
	};
	EVP_PKEY *key = NULL;
	struct mm_buf spki = MM_BUF_INIT(256);

	(void)state;
	assert_int_equal(mm_key_make(MM_KEY_P256, &key, NULL), MM_OK);
	assert_int_equal(mm_key_spki(key, &spki, NULL), MM_OK);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf b = MM_BUF_INIT(MM_CSR_MAX);
		size_t whole = mm_der_open(&b, MM_DER_SEQ);
		size_t info = mm_der_open(&b, MM_DER_SEQ);
		struct mm_csr csr;

		put_hex(&b, rows[i].version);
		mm_der_put(&b, MM_DER_SEQ, (struct mm_bytes){ NULL, 0 });
		mm_buf_bytes(&b, mm_buf_view(&spki));
		put_hex(&b, rows[i].attributes);
		mm_der_close(&b, info);
		info = mm_der_open(&b, MM_DER_SEQ);
		mm_der_put_oid(&b, "1.2.840.10045.4.3.2");
		mm_der_close(&b, info);
		mm_der_put_bits(&b, mm_bytes_of("not verified"), 0);
		mm_der_close(&b, whole);
		ROW(rows[i].what, mm_csr_walk(mm_buf_view(&b), &csr, NULL) ==
		    rows[i].want);
		mm_buf_done(&b);
	}
	mm_buf_done(&spki);
	EVP_PKEY_free(key);
}

static void
proves_possession(void **state)
{
	struct mm_key_templates *t = NULL;
	struct mm_why why = { 0 };

	(void)state;
	OK(why, mm_key_templates_new(NULL, &t, &why));
	for (unsigned i = 0; i < MM_KEY_TYPES; i++) {
		struct issued d;
		struct mm_csr wrong;

		issued_init(&d, (enum mm_key_type)i, "SN-1");
		OK(why, mm_csr_verify(&d.csr, NULL, t, &why));
		wrong = d.csr;
		wrong.info.n--;
		assert_int_equal(mm_csr_verify(&wrong, NULL, t, NULL),
		    MM_EINPUT);
		issued_done(&d);
	}
	mm_key_templates_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_algorithms_it_names),
		cmocka_unit_test(agrees_with_libcrypto_on_damage),
		cmocka_unit_test(refuses_every_cut_and_every_tail),
		cmocka_unit_test(refuses_more_than_it_may_read),
		cmocka_unit_test(refuses_other_requests),
		cmocka_unit_test(proves_possession),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
