/*
 * Signing by a key that is elsewhere: what a PKCS#11 module answers becomes
 * what a certificate has, and nothing but the key's own signature does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#include "pki/key.h"

enum harm { NONE, FLIP, ODD, EMPTY, LONG, AWAY };

struct token {
	EVP_PKEY *key;
	enum harm harm;
};

/* RFC 3279 2.2.3 backwards: r and s, each as long as the curve. */
static size_t
raw_of(const uint8_t *der, size_t n, int half, uint8_t *out)
{
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &der, (long)n);

	assert_non_null(s);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(s), out, half), half);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(s), out + half, half),
	    half);
	ECDSA_SIG_free(s);
	return 2 * (size_t)half;
}

/* CKM_ECDSA and CKM_RSA_PKCS, of what is given. */
static enum mm_err
answer(void *ctx, struct mm_bytes in, uint8_t *sig, size_t *n,
    struct mm_why *why)
{
	const struct token *t = ctx;
	EVP_PKEY_CTX *c;
	uint8_t der[512];
	size_t der_n = sizeof(der);

	if (t->harm == AWAY)
		return MM_FAIL(why, MM_EAGAIN, "away");
	c = EVP_PKEY_CTX_new(t->key, NULL);
	assert_int_equal(EVP_PKEY_sign_init(c), 1);
	if (EVP_PKEY_is_a(t->key, "RSA"))
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c,
		    RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_PKEY_sign(c, der, &der_n, in.p, in.n), 1);
	EVP_PKEY_CTX_free(c);
	if (EVP_PKEY_is_a(t->key, "RSA")) {
		memcpy(sig, der, der_n);
		*n = der_n;
	} else
		*n = raw_of(der, der_n, EVP_PKEY_get_bits(t->key) / 8, sig);
	sig[*n / 2] ^= t->harm == FLIP;
	*n -= t->harm == ODD;
	*n = t->harm == EMPTY ? 0 : t->harm == LONG ? 5000 : *n;
	return MM_OK;
}

static void
test_kinds(void **state)
{
	static const enum mm_key_type types[] = { MM_KEY_P256, MM_KEY_P384,
		MM_KEY_RSA2048 };
	const struct mm_bytes tbs = { (const uint8_t *)"to be signed", 12 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct token t = { .harm = NONE };
		struct mm_sign *s = NULL;

		assert_int_equal(mm_key_make(types[i], &t.key, NULL), MM_OK);
		assert_int_equal(mm_sign_new_far(t.key, answer, &t, &s, NULL),
		    MM_OK);
		/* a leading zero or a top bit comes by soon */
		for (int k = 0; k < 300 - 280 * (types[i] == MM_KEY_RSA2048);
		    k++) {
			struct mm_buf sig = MM_BUF_INIT(1024);

			assert_int_equal(mm_sign_bytes(s, tbs, &sig, NULL),
			    MM_OK);
			assert_int_equal(mm_verify_bytes(NULL, t.key,
			    mm_sign_alg(s), tbs, mm_buf_view(&sig), NULL),
			    MM_OK);
			mm_buf_done(&sig);
		}
		mm_sign_free(&s);
		mm_pkey_free(&t.key);
	}
}

static void
test_what_is_no_signature(void **state)
{
	static const struct {
		enum harm harm;
		enum mm_err want;
	} rows[] = {
		{ FLIP, MM_ECRYPTO }, { ODD, MM_ECRYPTO },
		{ EMPTY, MM_ECRYPTO }, { LONG, MM_ECRYPTO },
		{ AWAY, MM_EAGAIN },
	};
	const struct mm_bytes tbs = { (const uint8_t *)"to be signed", 12 };
	struct token t = { .harm = NONE };
	struct mm_sign *s = NULL;

	(void)state;
	assert_int_equal(mm_key_make(MM_KEY_P256, &t.key, NULL), MM_OK);
	assert_int_equal(mm_sign_new_far(t.key, answer, &t, &s, NULL), MM_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_buf sig = MM_BUF_INIT(1024);

		t.harm = rows[i].harm;
		assert_int_equal(mm_sign_bytes(s, tbs, &sig, NULL),
		    rows[i].want);
		assert_int_equal(sig.n, 0);
		mm_buf_done(&sig);
	}
	mm_sign_free(&s);
	mm_pkey_free(&t.key);
}

/* Another key under the same name. */
static void
test_another_key(void **state)
{
	struct token t = { .harm = NONE };
	struct mm_buf sig = MM_BUF_INIT(1024);
	struct mm_sign *s = NULL;
	EVP_PKEY *named = NULL;

	(void)state;
	assert_int_equal(mm_key_make(MM_KEY_P256, &t.key, NULL), MM_OK);
	assert_int_equal(mm_key_make(MM_KEY_P256, &named, NULL), MM_OK);
	assert_int_equal(mm_sign_new_far(named, answer, &t, &s, NULL), MM_OK);
	assert_int_equal(mm_sign_bytes(s, (struct mm_bytes){
	    (const uint8_t *)"x", 1 }, &sig, NULL), MM_ECRYPTO);
	assert_int_equal(sig.n, 0);
	mm_buf_done(&sig);
	mm_sign_free(&s);
	mm_pkey_free(&t.key);
	mm_pkey_free(&named);
}

static void
test_ed25519_is_not(void **state)
{
	struct token t = { .harm = NONE };
	struct mm_sign *s = NULL;

	(void)state;
	assert_int_equal(mm_key_make(MM_KEY_ED25519, &t.key, NULL), MM_OK);
	assert_int_equal(mm_sign_new_far(t.key, answer, &t, &s, NULL),
	    MM_EPOLICY);
	assert_null(s);
	mm_pkey_free(&t.key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_what_is_no_signature),
		cmocka_unit_test(test_another_key),
		cmocka_unit_test(test_ed25519_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
