#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "mmd_x509.h"
#include "port/posix_openssl.h"

/* One key in memory. */
struct memory {
	uint8_t key[4096];
	size_t n;
};

static enum mmd_rc
get(void *ctx, unsigned slot, enum mmd_nv_item item, uint8_t *p, size_t cap,
    size_t *n)
{
	const struct memory *m = ctx;

	(void)slot;
	(void)item;
	if (m->n == 0)
		return MMD_NONE;
	if (m->n > cap)
		return MMD_ESPACE;
	memcpy(p, m->key, m->n);
	*n = m->n;
	return MMD_OK;
}

static enum mmd_rc
put(void *ctx, unsigned slot, enum mmd_nv_item item, struct mmd_bytes data)
{
	struct memory *m = ctx;

	(void)slot;
	(void)item;
	memcpy(m->key, data.p, data.n);
	m->n = data.n;
	return MMD_OK;
}

static void
check_request(struct mmd_bytes der, const char *name)
{
	const uint8_t *p = der.p;
	X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)der.n);
	EVP_PKEY *key;
	char cn[80] = "";

	assert_non_null(req);
	assert_ptr_equal(p, der.p + der.n);
	key = X509_REQ_get0_pubkey(req);
	assert_int_equal(X509_REQ_verify(req, key), 1);
	X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(req),
	    NID_commonName, cn, sizeof(cn));
	assert_string_equal(cn, name);
	assert_int_equal(X509_REQ_get_attr_count(req), 0);
	X509_REQ_free(req);
}

/* RFC 2986: every kind, and every buffer size up to the one that fits. */
static void
request(void **state)
{
	struct memory m = { .n = 0 };
	const struct mmd_nv nv = { .get = get, .put = put, .ctx = &m };
	struct mmd_openssl_keys keys = { &nv };
	struct mmd_crypto crypto = mmd_openssl_crypto(&keys);
	const struct mmd_bytes name = { (const uint8_t *)"SN-000123", 9 };

	(void)state;
	for (int kind = 0; kind < MMD_KEY_KINDS; kind++) {
		uint8_t *buf = malloc(2048);
		struct mmd_bytes out;
		size_t least = 0;

		assert_int_equal(crypto.make(crypto.ctx, 0,
		    (enum mmd_key_kind)kind), MMD_OK);
		for (size_t cap = 0; cap < 1200; cap += 13) {
			enum mmd_rc rc = mmd_request_write(&crypto, 0, name,
			    buf, cap, &out);

			assert_true(rc == MMD_OK || rc == MMD_ESPACE);
			assert_true(rc == MMD_OK || least == 0);
			if (rc != MMD_OK)
				continue;
			check_request(out, "SN-000123");
			least = least == 0 ? cap : least;
			if (kind == MMD_KEY_RSA2048)
				break;
		}
		assert_true(least > 0 && least <= 1000);
		free(buf);
	}
}

static void
request_refuses(void **state)
{
	struct memory m = { .n = 0 };
	const struct mmd_nv nv = { .get = get, .put = put, .ctx = &m };
	struct mmd_openssl_keys keys = { &nv };
	struct mmd_crypto crypto = mmd_openssl_crypto(&keys);
	uint8_t buf[512], name[65] = { 'a' };
	struct mmd_bytes out;

	(void)state;
	assert_int_equal(mmd_request_write(&crypto, 0, (struct mmd_bytes){
	    name, 1 }, buf, sizeof(buf), &out), MMD_NONE);
	assert_int_equal(mmd_request_write(&crypto, 0, (struct mmd_bytes){
	    name, 0 }, buf, sizeof(buf), &out), MMD_EINPUT);
	assert_int_equal(mmd_request_write(&crypto, 0, (struct mmd_bytes){
	    name, 65 }, buf, sizeof(buf), &out), MMD_EINPUT);
}

/* ---- what a server asks for ---- */

#define TEMPLATE "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x3d"
#define KEY      "\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
#define SUBJECT  "\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01" "a"
#define OPEN     "\x30\x09\x31\x07\x30\x05\x06\x03\x55\x04\x03"
#define ROW(what, text, want) { what, (const uint8_t *)(text), \
	sizeof(text) - 1, want }

/* RFC 9908 3.4 */
static void
asked_subject(void **state)
{
	static const struct {
		const char *what;
		const uint8_t *p;
		size_t n;
		enum mmd_rc want;
	} rows[] = {
		ROW("a name", "\x30\x24\x30\x22" TEMPLATE "\x31\x13\x30\x11"
		    "\x02\x01\x00" SUBJECT, MMD_OK),
		ROW("after a key's type", "\x30\x31" KEY "\x30\x24" TEMPLATE
		    "\x31\x15\x30\x13\x02\x01\x00" SUBJECT "\xa1\x00", MMD_OK),
		ROW("an OID first", "\x30\x29\x06\x03\x2a\x03\x04\x30\x22"
		    TEMPLATE "\x31\x13\x30\x11\x02\x01\x00" SUBJECT, MMD_OK),
		ROW("nothing", "\x30\x00", MMD_NONE),
		ROW("a key's type alone", "\x30\x0b" KEY, MMD_NONE),
		ROW("no subject", "\x30\x18\x30\x16" TEMPLATE "\x31\x07\x30\x05"
		    "\x02\x01\x00\xa1\x00", MMD_NONE),
		ROW("a value that the device has to know", "\x30\x21\x30\x1f"
		    TEMPLATE "\x31\x10\x30\x0e\x02\x01\x00" OPEN, MMD_NONE),
		ROW("an empty name", "\x30\x18\x30\x16" TEMPLATE "\x31\x07"
		    "\x30\x05\x02\x01\x00\x30\x00", MMD_NONE),
		ROW("no version", "\x30\x21\x30\x1f" TEMPLATE "\x31\x10\x30"
		    "\x0e" SUBJECT, MMD_EINPUT),
		ROW("more behind it", "\x30\x24\x30\x22" TEMPLATE "\x31\x13\x30"
		    "\x11\x02\x01\x00" SUBJECT "\x00", MMD_EINPUT),
		ROW("no list", "\x31\x00", MMD_EINPUT),
		ROW("cut", "\x30\x24\x30\x22" TEMPLATE "\x31\x13", MMD_EINPUT),
		ROW("", "", MMD_EINPUT),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mmd_bytes name = { NULL, 0 };
		enum mmd_rc rc = mmd_csrattrs_subject((struct mmd_bytes){
		    rows[i].p, rows[i].n }, &name);

		print_message("%s\n", rows[i].what);
		assert_int_equal(rc, rows[i].want);
		if (rc != MMD_OK)
			continue;
		assert_int_equal(name.n, sizeof(SUBJECT) - 1);
		assert_memory_equal(name.p, SUBJECT, name.n);
	}
}

static void
request_as_it_was_asked(void **state)
{
	struct memory m = { .n = 0 };
	const struct mmd_nv nv = { .get = get, .put = put, .ctx = &m };
	struct mmd_openssl_keys keys = { &nv };
	struct mmd_crypto crypto = mmd_openssl_crypto(&keys);
	const struct mmd_bytes subject = { (const uint8_t *)SUBJECT,
		sizeof(SUBJECT) - 1 };
	uint8_t buf[1200];
	struct mmd_bytes out;

	(void)state;
	assert_int_equal(mmd_request_write_as(&crypto, 0, subject, buf,
	    sizeof(buf), &out), MMD_NONE);
	for (int kind = 0; kind < MMD_KEY_KINDS; kind++) {
		assert_int_equal(crypto.make(crypto.ctx, 0,
		    (enum mmd_key_kind)kind), MMD_OK);
		assert_int_equal(mmd_request_write_as(&crypto, 0, subject,
		    buf, sizeof(buf), &out), MMD_OK);
		check_request(out, "a");
		assert_int_equal(mmd_request_write_as(&crypto, 0, subject,
		    buf, out.n / 2, &out), MMD_ESPACE);
	}
	assert_int_equal(mmd_request_write_as(&crypto, 0,
	    (struct mmd_bytes){ NULL, 0 }, buf, sizeof(buf), &out),
	    MMD_EINPUT);
}

/* Self-signed, from 1970-01-01 on, for a day. */
static X509 *
make_cert(const char *cn)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();

	assert_non_null(x);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 0x1234);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "O",
	    MBSTRING_ASC, (const uint8_t *)"Example", -1, -1, 0);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	ASN1_TIME_set(X509_getm_notBefore(x), 0);
	ASN1_TIME_set(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	EVP_PKEY_free(key);
	return x;
}

/* RFC 5280 4.1; and every shorter input is refused. */
static void
certificate(void **state)
{
	X509 *x = make_cert("SN-9");
	uint8_t *der = NULL, *spki = NULL;
	int n = i2d_X509(x, &der);
	int spki_n = i2d_PUBKEY(X509_get0_pubkey(x), &spki);
	struct mmd_cert c;
	struct mmd_bytes cn;

	(void)state;
	assert_int_equal(mmd_cert_parse((struct mmd_bytes){ der, (size_t)n },
	    &c), MMD_OK);
	assert_int_equal(c.not_before_s, 0);
	assert_int_equal(c.not_after_s, 86400);
	assert_int_equal(c.serial.n, 2);
	assert_int_equal(c.spki.n, spki_n);
	assert_memory_equal(c.spki.p, spki, c.spki.n);
	assert_int_equal(mmd_name_cn(c.subject, &cn), MMD_OK);
	assert_int_equal(cn.n, 4);
	assert_memory_equal(cn.p, "SN-9", 4);
	for (size_t k = 0; k < (size_t)n; k++)
		assert_int_equal(mmd_cert_parse((struct mmd_bytes){ der, k },
		    &c), MMD_EINPUT);
	OPENSSL_free(der);
	OPENSSL_free(spki);
	X509_free(x);
}

/* RFC 5652 5.1, as OpenSSL writes certs-only. */
static void
pkcs7(void **state)
{
	PKCS7 *p7 = PKCS7_new();
	X509 *one = make_cert("one"), *two = make_cert("two");
	uint8_t *der = NULL;
	struct mmd_pkcs7 walk;
	struct mmd_bytes cert;
	int n;

	(void)state;
	PKCS7_set_type(p7, NID_pkcs7_signed);
	PKCS7_content_new(p7, NID_pkcs7_data);
	PKCS7_set_detached(p7, 1);
	PKCS7_add_certificate(p7, one);
	PKCS7_add_certificate(p7, two);
	n = i2d_PKCS7(p7, &der);
	assert_true(n > 0);
	assert_int_equal(mmd_pkcs7_open((struct mmd_bytes){ der, (size_t)n },
	    &walk), MMD_OK);
	for (int i = 0; i < 2; i++) {
		struct mmd_cert c;

		assert_int_equal(mmd_pkcs7_next(&walk, &cert), MMD_OK);
		assert_int_equal(mmd_cert_parse(cert, &c), MMD_OK);
	}
	assert_int_equal(mmd_pkcs7_next(&walk, &cert), MMD_NONE);
	for (size_t k = 0; k < (size_t)n; k++)
		assert_int_equal(mmd_pkcs7_open((struct mmd_bytes){ der, k },
		    &walk), MMD_EINPUT);
	OPENSSL_free(der);
	PKCS7_free(p7);
	X509_free(one);
	X509_free(two);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request),
		cmocka_unit_test(request_refuses),
		cmocka_unit_test(asked_subject),
		cmocka_unit_test(request_as_it_was_asked),
		cmocka_unit_test(certificate),
		cmocka_unit_test(pkcs7),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
