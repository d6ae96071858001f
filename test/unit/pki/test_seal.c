#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pki/der.h"

static const char secret_text[] = "thirty-two bytes or so of secret";

static void
opens_what_it_sealed(void **state)
{
	struct mm_buf pem = MM_BUF_INIT(65536);
	struct mm_secret *out = NULL;
	struct mm_why why = { 0 };

	(void)state;
	OK(why, mm_seal(mm_bytes_of(secret_text), mm_bytes_of("open"), NULL,
	    &pem, &why));
	OK(why, mm_unseal(mm_buf_view(&pem), mm_bytes_of("open"), NULL,
	    &out, &why));
	assert_true(mm_bytes_eq(mm_secret_view(out),
	    mm_bytes_of(secret_text)));
	mm_secret_free(&out);
	assert_int_equal(mm_unseal(mm_buf_view(&pem), mm_bytes_of("wrong"),
	    NULL, &out, NULL), MM_EAUTH);
	assert_null(out);
	mm_buf_done(&pem);
}

static void
seal_with(struct mm_stretched *kept, struct mm_buf *pem)
{
	struct mm_why why = { 0 };

	mm_buf_reset(pem);
	OK(why, mm_seal(mm_bytes_of(secret_text), mm_bytes_of("open"), kept,
	    pem, &why));
}

static enum mm_err
open_with(struct mm_stretched *kept, const char *passphrase,
    const struct mm_buf *pem)
{
	struct mm_secret *out = NULL;
	enum mm_err rc = mm_unseal(mm_buf_view(pem), mm_bytes_of(passphrase),
	    kept, &out, NULL);

	assert_true(rc != MM_OK || mm_bytes_eq(mm_secret_view(out),
	    mm_bytes_of(secret_text)));
	mm_secret_free(&out);
	return rc;
}

/* Seen by what must not be done: with what is kept of one passphrase another
 * one opens what has the same salt, and nothing else. */
static void
what_is_stretched_once_is_kept(void **state)
{
	struct mm_stretched *kept = NULL, *read = NULL;
	struct mm_buf pem[3];

	(void)state;
	assert_int_equal(mm_stretched_new(&kept, NULL), MM_OK);
	assert_int_equal(mm_stretched_new(&read, NULL), MM_OK);
	for (int i = 0; i < 3; i++) {
		mm_buf_init(&pem[i], 65536);
		seal_with(i < 2 ? kept : NULL, &pem[i]);
	}
	/* never the same nonce twice */
	assert_false(mm_bytes_eq(mm_buf_view(&pem[0]), mm_buf_view(&pem[1])));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(open_with(NULL, "open", &pem[i]), MM_OK);
		assert_int_equal(open_with(NULL, "x", &pem[i]), MM_EAUTH);
		assert_int_equal(open_with(kept, "x", &pem[i]),
		    i < 2 ? MM_OK : MM_EAUTH);
	}
	assert_int_equal(open_with(read, "open", &pem[0]), MM_OK);
	assert_int_equal(open_with(read, "x", &pem[1]), MM_OK);
	assert_int_equal(open_with(read, "open", &pem[2]), MM_OK);
	assert_int_equal(open_with(read, "open", &pem[1]), MM_OK);
	for (int i = 0; i < 3; i++)
		mm_buf_done(&pem[i]);
	mm_stretched_free(&kept);
	mm_stretched_free(&read);
}

/* A sealed file of this cost; its contents never get read. */
static void
costly(struct mm_buf *pem, uint32_t n, uint32_t r, uint32_t p)
{
	struct mm_buf b = MM_BUF_INIT(4096);
	size_t whole = mm_der_open(&b, MM_DER_SEQ);
	size_t alg = mm_der_open(&b, MM_DER_SEQ), params, kdf, cost, gcm;

	mm_der_put_oid(&b, "1.2.840.113549.1.5.13");
	params = mm_der_open(&b, MM_DER_SEQ);
	kdf = mm_der_open(&b, MM_DER_SEQ);
	mm_der_put_oid(&b, "1.3.6.1.4.1.11591.4.11");
	cost = mm_der_open(&b, MM_DER_SEQ);
	mm_der_put(&b, MM_DER_OCTETS, mm_bytes_of("salt"));
	mm_der_put_uint(&b, n);
	mm_der_put_uint(&b, r);
	mm_der_put_uint(&b, p);
	mm_der_close(&b, cost);
	mm_der_close(&b, kdf);
	gcm = mm_der_open(&b, MM_DER_SEQ);
	mm_der_put_oid(&b, "2.16.840.1.101.3.4.1.46");
	cost = mm_der_open(&b, MM_DER_SEQ);
	mm_der_put(&b, MM_DER_OCTETS, mm_bytes_of("twelve bytes"));
	mm_der_put_uint(&b, 16);
	mm_der_close(&b, cost);
	mm_der_close(&b, gcm);
	mm_der_close(&b, params);
	mm_der_close(&b, alg);
	mm_der_put(&b, MM_DER_OCTETS, mm_bytes_of("ciphertext and then a tag"));
	mm_der_close(&b, whole);
	mm_pem_put(pem, "ENCRYPTED PRIVATE KEY", mm_buf_view(&b));
	mm_buf_done(&b);
}

/* RFC 7914 2: a hostile file must not make us spend gigabytes or minutes */
static void
bounds_the_cost(void **state)
{
	static const struct {
		const char *what;
		uint32_t n, r, p;
		enum mm_err want;
	} rows[] = {
		{ "small", 16, 1, 1, MM_EAUTH },
		{ "half a gibibyte", 1U << 19, 8, 1, MM_EINPUT },
		{ "many lanes", 16, 1, 1U << 20, MM_EINPUT },
		{ "wide blocks", 16, 1U << 20, 1, MM_EINPUT },
		{ "not a power of two", 17, 1, 1, MM_EINPUT },
		{ "N of 1", 1, 1, 1, MM_EINPUT },
		{ "N of 0", 0, 1, 1, MM_EINPUT },
		{ "r of 0", 16, 0, 1, MM_EINPUT },
		{ "p of 0", 16, 1, 0, MM_EINPUT },
		{ "overflow", 1U << 31, UINT32_MAX, 1, MM_EINPUT },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf pem = MM_BUF_INIT(65536);
		struct mm_secret *out = NULL;

		costly(&pem, rows[i].n, rows[i].r, rows[i].p);
		ROW(rows[i].what, mm_unseal(mm_buf_view(&pem),
		    mm_bytes_of("x"), NULL, &out, NULL) == rows[i].want);
		mm_buf_done(&pem);
	}
}

static void
keeps_keys_in_files(void **state)
{
	char dir[] = "/tmp/mm-seal-XXXXXX", sealed[64], plain[64];
	EVP_PKEY *key = NULL, *again = NULL;
	struct mm_why why = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(sealed, sizeof(sealed), "%s/sealed.pem", dir);
	snprintf(plain, sizeof(plain), "%s/plain.pem", dir);
	for (unsigned i = 0; i < MM_KEY_TYPES; i++) {
		key = key_of((enum mm_key_type)i, false);
		OK(why, mm_key_save(sealed, key, mm_bytes_of("pass"), &why));
		OK(why, mm_key_save_plain(plain, key, 0600, &why));
		OK(why, mm_key_load(sealed, mm_bytes_of("pass"), NULL, &again,
		    &why));
		assert_int_equal(EVP_PKEY_eq(key, again), 1);
		mm_pkey_free(&again);
		OK(why, mm_key_load_plain(plain, &again, &why));
		assert_int_equal(EVP_PKEY_eq(key, again), 1);
		mm_pkey_free(&again);
		/* a key once saved is never overwritten */
		assert_int_equal(mm_key_save(sealed, key, mm_bytes_of("pass"),
		    NULL), MM_ECONFLICT);
		mm_pkey_free(&key);
		unlink(sealed);
	}
	assert_int_equal(mm_key_load(plain, mm_bytes_of("pass"), NULL, &again, NULL),
	    MM_ENOTFOUND);
	unlink(plain);
	assert_int_equal(rmdir(dir), 0);
}

static void
reads_pem_among_other_text(void **state)
{
	static const struct {
		const char *what, *text;
		size_t blocks;
		enum mm_err last;
	} rows[] = {
		{ "nothing", "", 0, MM_ENOTFOUND },
		{ "one", "-----BEGIN X-----\nAAEC\n-----END X-----\n", 1,
		    MM_ENOTFOUND },
		{ "CRLF", "-----BEGIN X-----\r\nAAEC\r\n-----END X-----\r\n",
		    1, MM_ENOTFOUND },
		{ "text around", "Subject: x\n-----BEGIN X-----\nAAEC\n"
		  "-----END X-----\nmore\n", 1, MM_ENOTFOUND },
		{ "two, another between", "-----BEGIN X-----\nAAEC\n"
		  "-----END X-----\n-----BEGIN Y-----\nAAEC\n"
		  "-----END Y-----\n-----BEGIN X-----\nAAEC\n"
		  "-----END X-----", 2, MM_ENOTFOUND },
		{ "another label", "-----BEGIN Y-----\nAAEC\n-----END Y-----\n",
		    0, MM_ENOTFOUND },
		{ "not at a line's start",
		    " -----BEGIN X-----\nAAEC\n-----END X-----\n", 0,
		    MM_ENOTFOUND },
		{ "no end", "-----BEGIN X-----\nAAEC\n", 0, MM_EINPUT },
		{ "empty", "-----BEGIN X-----\n-----END X-----\n", 0,
		    MM_EINPUT },
		{ "headers", "-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\n\n"
		  "AAEC\n-----END X-----\n", 0, MM_EINPUT },
		{ "begin twice", "-----BEGIN X-----\nAAEC\n"
		  "-----BEGIN X-----\nAAEC\n-----END X-----\n", 0, MM_EINPUT },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_bytes rest = mm_bytes_of(rows[i].text);
		struct mm_buf der = MM_BUF_INIT(64);
		enum mm_err rc;
		size_t n = 0;

		while ((rc = mm_pem_next(&rest, "X", &der, NULL)) == MM_OK) {
			assert_memory_equal(der.p, "\0\1\2", 3);
			assert_int_equal(der.n, 3);
			n++;
		}
		ROW(rows[i].what, n == rows[i].blocks && rc == rows[i].last);
		mm_buf_done(&der);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_what_it_sealed),
		cmocka_unit_test(what_is_stretched_once_is_kept),
		cmocka_unit_test(bounds_the_cost),
		cmocka_unit_test(keeps_keys_in_files),
		cmocka_unit_test(reads_pem_among_other_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
