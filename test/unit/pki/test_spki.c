#include "fixture.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "pki/der.h"

/* SubjectPublicKeyInfo of an RSA key with this modulus and exponent. */
static void
put_rsa(struct mm_buf *b, const BIGNUM *n, uint32_t e)
{
	uint8_t magnitude[600];
	struct mm_buf key = MM_BUF_INIT(1024);
	size_t seq, spki, alg;

	seq = mm_der_open(&key, MM_DER_SEQ);
	mm_der_put_integer(&key, (struct mm_bytes){ magnitude,
	    (size_t)BN_bn2bin(n, magnitude) });
	mm_der_put_uint(&key, e);
	mm_der_close(&key, seq);
	spki = mm_der_open(b, MM_DER_SEQ);
	alg = mm_der_open(b, MM_DER_SEQ);
	mm_der_put_oid(b, "1.2.840.113549.1.1.1");
	mm_der_put(b, MM_DER_NULL, (struct mm_bytes){ NULL, 0 });
	mm_der_close(b, alg);
	mm_der_put_bits(b, mm_buf_view(&key), 0);
	mm_der_close(b, spki);
	mm_buf_done(&key);
}

static void
refuses_weak_rsa(void **state)
{
	static const struct {
		const char *what;
		int bits;
		bool even;
		uint32_t e;
		enum mm_err want;
	} rows[] = {
		{ "2048", 2048, false, 65537, MM_OK },
		{ "3072", 3072, false, 65537, MM_OK },
		{ "4096", 4096, false, 65537, MM_OK },
		{ "1024", 1024, false, 65537, MM_EPOLICY },
		{ "2047", 2047, false, 65537, MM_EPOLICY },
		{ "2049", 2049, false, 65537, MM_EPOLICY },
		{ "2560", 2560, false, 65537, MM_EPOLICY },
		{ "even", 2048, true, 65537, MM_EPOLICY },
		{ "exponent 3", 2048, false, 3, MM_EPOLICY },
		{ "exponent 65539", 2048, false, 65539, MM_EPOLICY },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf b = MM_BUF_INIT(1024);
		BIGNUM *n = BN_new();
		struct mm_spki s;

		BN_rand(n, rows[i].bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
		if (rows[i].even)
			BN_clear_bit(n, 0);
		put_rsa(&b, n, rows[i].e);
		ROW(rows[i].what, mm_spki_parse(mm_buf_view(&b), &s, NULL) ==
		    rows[i].want);
		BN_free(n);
		mm_buf_done(&b);
	}
}

/* A modulus as the faulty library made them: a power of 65537 modulo M. */
static void
refuses_the_roca_fingerprint(void **state)
{
	struct mm_buf b = MM_BUF_INIT(1024);
	struct mm_why why = { 0 };
	BN_CTX *c = BN_CTX_new();
	BIGNUM *m = BN_new(), *g = BN_new(), *e = BN_new(), *n = BN_new();
	struct mm_spki s;

	(void)state;
	BN_one(m);
	for (BN_ULONG p = 2; p <= 167; p++) {
		bool prime = true;

		for (BN_ULONG d = 2; d < p; d++)
			prime = prime && p % d != 0;
		if (prime)
			BN_mul_word(m, p);
	}
	BN_set_word(g, 65537);
	BN_set_word(e, 123456789);
	BN_mod_exp(n, g, e, m, c);
	BN_rand(g, 2048 - BN_num_bits(m), BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ANY);
	BN_mul(g, g, m, c);
	BN_add(n, n, g);
	while (BN_num_bits(n) < 2048)
		BN_add(n, n, g);
	assert_int_equal(BN_num_bits(n), 2048);
	put_rsa(&b, n, 65537);
	assert_int_equal(mm_spki_parse(mm_buf_view(&b), &s, &why), MM_EPOLICY);
	assert_non_null(strstr(why.text, "weak"));
	mm_buf_done(&b);
	BN_free(m);
	BN_free(g);
	BN_free(e);
	BN_free(n);
	BN_CTX_free(c);
}

/* Public keys of real key pairs, in every encoding OpenSSL offers. */
static void
refuses_unnamed_curves_and_short_points(void **state)
{
	static const struct {
		const char *curve, *encoding, *form;
		enum mm_err want;
	} rows[] = {
		{ "P-256", "named_curve", "uncompressed", MM_OK },
		{ "P-384", "named_curve", "uncompressed", MM_OK },
		{ "P-256", "explicit", "uncompressed", MM_EPOLICY },
		{ "P-256", "named_curve", "compressed", MM_EPOLICY },
		{ "P-521", "named_curve", "uncompressed", MM_EPOLICY },
		{ "P-224", "named_curve", "uncompressed", MM_EPOLICY },
		{ "secp256k1", "named_curve", "uncompressed", MM_EPOLICY },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC",
		    rows[i].curve);
		struct mm_buf b = MM_BUF_INIT(1024);
		struct mm_spki s;

		assert_non_null(key);
		EVP_PKEY_set_utf8_string_param(key,
		    OSSL_PKEY_PARAM_EC_ENCODING, rows[i].encoding);
		EVP_PKEY_set_utf8_string_param(key,
		    OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, rows[i].form);
		assert_int_equal(mm_key_spki(key, &b, NULL), MM_OK);
		ROW(rows[i].curve, mm_spki_parse(mm_buf_view(&b), &s, NULL) ==
		    rows[i].want);
		mm_buf_done(&b);
		EVP_PKEY_free(key);
	}
}

/* RFC 5480: a point that is not on its curve passes the walk, not the load */
static void
refuses_points_off_the_curve(void **state)
{
	struct mm_buf b = MM_BUF_INIT(1024);
	struct mm_key_templates *t = NULL;
	EVP_PKEY *key = NULL, *loaded = NULL;
	struct mm_why why = { 0 };
	struct mm_spki s;

	(void)state;
	OK(why, mm_key_templates_new(NULL, &t, &why));
	OK(why, mm_key_make(MM_KEY_P256, &key, &why));
	OK(why, mm_key_spki(key, &b, &why));
	b.p[b.n - 1] ^= 1;
	OK(why, mm_spki_parse(mm_buf_view(&b), &s, &why));
	assert_int_equal(mm_spki_load(&s, t, &loaded, &why), MM_EINPUT);
	assert_null(loaded);
	mm_pkey_free(&key);
	mm_key_templates_free(&t);
	mm_buf_done(&b);
}

static void
loads_what_libcrypto_made(void **state)
{
	struct mm_key_templates *t = NULL;
	struct mm_why why = { 0 };

	(void)state;
	OK(why, mm_key_templates_new(NULL, &t, &why));
	for (unsigned i = 0; i < MM_KEY_TYPES; i++) {
		struct mm_buf b = MM_BUF_INIT(1024);
		EVP_PKEY *key = NULL, *loaded = NULL;
		enum mm_key_type type;
		struct mm_spki s;

		key = key_of((enum mm_key_type)i, false);
		OK(why, mm_key_spki(key, &b, &why));
		OK(why, mm_spki_parse(mm_buf_view(&b), &s, &why));
		assert_int_equal(s.type, i);
		OK(why, mm_spki_load(&s, t, &loaded, &why));
		assert_int_equal(EVP_PKEY_eq(key, loaded), 1);
		OK(why, mm_key_type_of(loaded, &type, &why));
		assert_int_equal(type, i);
		OK(why, mm_key_type_parse(mm_key_type_name(type), &type,
		    &why));
		assert_int_equal(type, i);
		EVP_PKEY_free(key);
		EVP_PKEY_free(loaded);
		mm_buf_done(&b);
	}
	mm_key_templates_free(&t);
}

static void
signs_and_verifies(void **state)
{
	struct mm_why why = { 0 };

	(void)state;
	for (unsigned i = 0; i < MM_KEY_TYPES; i++) {
		EVP_PKEY *key = NULL;
		struct mm_sign *s = NULL;

		key = key_of((enum mm_key_type)i, false);
		OK(why, mm_sign_new(NULL, key, &s, &why));
		for (unsigned k = 0; k < 3; k++) { /* the context is reused */
			struct mm_buf sig = MM_BUF_INIT(1024);
			struct mm_bytes text = { (uint8_t *)&k, sizeof(k) };

			OK(why, mm_sign_bytes(s, text, &sig, &why));
			OK(why, mm_verify_bytes(NULL, key, mm_sign_alg(s),
			    text, mm_buf_view(&sig), &why));
			sig.p[sig.n - 1] ^= 1;
			assert_int_equal(mm_verify_bytes(NULL, key,
			    mm_sign_alg(s), text, mm_buf_view(&sig), NULL),
			    MM_EINPUT);
			mm_buf_done(&sig);
		}
		mm_sign_free(&s);
		EVP_PKEY_free(key);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_weak_rsa),
		cmocka_unit_test(refuses_the_roca_fingerprint),
		cmocka_unit_test(refuses_unnamed_curves_and_short_points),
		cmocka_unit_test(refuses_points_off_the_curve),
		cmocka_unit_test(loads_what_libcrypto_made),
		cmocka_unit_test(signs_and_verifies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
