#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/sha.h>
#include <string.h>
#include <time.h>

#include "mmd_codec.h"
#include "port/sha256.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct mmd_bytes
text(const char *s)
{
	return (struct mmd_bytes){ (const uint8_t *)s, strlen(s) };
}

static enum mmd_rc
decode(const char *in, size_t step, uint8_t *out, size_t cap, size_t *n)
{
	struct mmd_base64 s = { 0 };
	struct mmd_bytes v = text(in);
	enum mmd_rc rc = MMD_OK;

	*n = 0;
	while (rc == MMD_OK && v.n > 0) {
		size_t k = v.n < step ? v.n : step;

		rc = mmd_base64_decode(&s, (struct mmd_bytes){ v.p, k }, out,
		    cap, n);
		v.p += k;
		v.n -= k;
	}
	return rc == MMD_OK ? mmd_base64_end(&s) : rc;
}

/* RFC 4648 4 and 10; RFC 8951 3.1 for white space. */
static void
base64_rows(void **state)
{
	static const struct {
		const char *what, *in;
		enum mmd_rc rc;
		const char *want;
	} rows[] = {
		{ "nothing", "", MMD_OK, "" },
		{ "one byte", "Zg==", MMD_OK, "f" },
		{ "two bytes", "Zm8=", MMD_OK, "fo" },
		{ "three bytes", "Zm9v", MMD_OK, "foo" },
		{ "wrapped", "Zm9v\r\nYm\n Fy\t\n", MMD_OK, "foobar" },
		{ "padding broken over lines", "Zg=\n=\n", MMD_OK, "f" },
		{ "ends within a group", "Zm9", MMD_EINPUT, "" },
		{ "leftover bits", "Zh==", MMD_EINPUT, "" },
		{ "padding first", "=Zg=", MMD_EINPUT, "" },
		{ "digit after padding", "Zg=v", MMD_EINPUT, "" },
		{ "group after the end", "Zg==Zg==", MMD_EINPUT, "" },
		{ "not a digit", "Zm9*", MMD_EINPUT, "" },
		{ "base64url", "Zm_v", MMD_EINPUT, "" },
		{ "more than fits", "Zm9vYmFyZm9v", MMD_ESPACE, "" },
	};
	uint8_t out[8];
	size_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t step = 1; step < 6; step++) {
			print_message("%s by %zu\n", rows[i].what, step);
			assert_int_equal(decode(rows[i].in, step, out,
			    sizeof(out), &n), rows[i].rc);
			if (rows[i].rc != MMD_OK)
				continue;
			assert_int_equal(n, strlen(rows[i].want));
			assert_memory_equal(out, rows[i].want, n);
		}
}

/* RFC 4648 table 1: each character has its value, and no other has one. */
static void
base64_each_character(void **state)
{
	static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		const char *at = c == 0 ? NULL : strchr(all, (int)c);
		uint8_t in[] = { 'A', 'A', 'A', (uint8_t)c }, out[3];
		struct mmd_base64 s = { 0 };
		size_t n = 0;

		if (strchr(" \t\r\n=", (int)c) != NULL && c != 0)
			continue;
		assert_int_equal(mmd_base64_decode(&s, (struct mmd_bytes){ in,
		    sizeof(in) }, out, sizeof(out), &n), at != NULL ? MMD_OK
		    : MMD_EINPUT);
		if (at != NULL)
			assert_int_equal(out[2], at - all);
	}
}

static void
base64_there_and_back(void **state)
{
	uint8_t in[40], enc[64], out[40];
	size_t n, m;

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 37);
	for (size_t len = 0; len <= sizeof(in); len++) {
		struct mmd_base64 s = { 0 };

		assert_int_equal(mmd_base64_encode((struct mmd_bytes){ in,
		    len }, enc, sizeof(enc), &n), MMD_OK);
		assert_int_equal(n, MMD_BASE64_LEN(len));
		m = 0;
		assert_int_equal(mmd_base64_decode(&s, (struct mmd_bytes){ enc,
		    n }, out, sizeof(out), &m), MMD_OK);
		assert_int_equal(mmd_base64_end(&s), MMD_OK);
		assert_int_equal(m, len);
		assert_memory_equal(in, out, len);
	}
}

/* X.690 8.1 and 10.1 */
static void
der_lengths(void **state)
{
	static const struct {
		const char *what;
		uint8_t in[8];
		size_t n;
		bool good;
	} rows[] = {
		{ "empty sequence", { 0x30, 0 }, 2, true },
		{ "short length", { 0x30, 1, 5 }, 3, true },
		{ "content missing", { 0x30, 2, 5 }, 3, false },
		{ "header missing", { 0x30 }, 1, false },
		{ "long form for a short length", { 0x30, 0x81, 1, 5 }, 4,
		    false },
		{ "leading zero in a length", { 0x30, 0x82, 0, 0x80 }, 4,
		    false },
		{ "indefinite length", { 0x30, 0x80, 0, 0 }, 4, false },
		{ "five bytes of length", { 0x30, 0x85, 1, 1, 1, 1, 1 }, 7,
		    false },
		{ "another tag", { 0x31, 0 }, 2, false },
		{ "bytes left over", { 0x30, 0, 0 }, 3, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct mmd_der r = mmd_der_over((struct mmd_bytes){ rows[i].in,
		    rows[i].n });

		print_message("%s\n", rows[i].what);
		(void)mmd_der_take(&r, MMD_DER_SEQ);
		assert_int_equal(mmd_der_end(&r), rows[i].good);
	}
}

static void
der_writes_what_it_reads(void **state)
{
	static const size_t sizes[] = { 0, 1, 127, 128, 255, 256, 65535,
		65536 };
	static uint8_t content[65536], buf[65600];

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct mmd_derw w = mmd_derw_over(buf, sizeof(buf));
		struct mmd_der r;

		mmd_derw_put(&w, content, sizes[i]);
		mmd_derw_wrap(&w, MMD_DER_OCTETS, sizeof(buf));
		assert_false(w.bad);
		r = mmd_der_over((struct mmd_bytes){ buf + w.at,
		    sizeof(buf) - w.at });
		assert_int_equal(mmd_der_take(&r, MMD_DER_OCTETS).n, sizes[i]);
		assert_true(mmd_der_end(&r));
	}
}

static void
times(void **state)
{
	static const struct {
		uint8_t tag; /* 0: HTTP */
		const char *in;
		enum mmd_rc rc;
		int64_t want;
	} rows[] = {
		{ MMD_DER_UTCTIME, "700101000000Z", MMD_OK, 0 },
		{ MMD_DER_UTCTIME, "491231235959Z", MMD_OK, 2524607999 },
		{ MMD_DER_UTCTIME, "500101000000Z", MMD_OK, -631152000 },
		{ MMD_DER_UTCTIME, "240229120000Z", MMD_OK, 1709208000 },
		{ MMD_DER_UTCTIME, "230229120000Z", MMD_EINPUT, 0 },
		{ MMD_DER_UTCTIME, "2401010000Z", MMD_EINPUT, 0 },
		{ MMD_DER_UTCTIME, "240101000000+", MMD_EINPUT, 0 },
		{ MMD_DER_GENTIME, "99991231235959Z", MMD_OK,
		    MMD_TIME_FOREVER },
		{ MMD_DER_GENTIME, "20240101000000.5Z", MMD_EINPUT, 0 },
		{ MMD_DER_GENTIME, "20241301000000Z", MMD_EINPUT, 0 },
		{ MMD_DER_SEQ, "20240101000000Z", MMD_EINPUT, 0 },
		{ 0, "Sun, 06 Nov 1994 08:49:37 GMT", MMD_OK, 784111777 },
		{ 0, "Sun, 06 Nox 1994 08:49:37 GMT", MMD_EINPUT, 0 },
		{ 0, "Sun, 6 Nov 1994 08:49:37 GMT", MMD_EINPUT, 0 },
		{ 0, "Sun, 06 Nov 1994 24:49:37 GMT", MMD_EINPUT, 0 },
		{ 0, "Sunday, 06-Nov-94 08:49:37 GMT", MMD_EINPUT, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t at = -1;
		enum mmd_rc rc = rows[i].tag == 0
		    ? mmd_time_http(text(rows[i].in), &at)
		    : mmd_time_asn1(rows[i].tag, text(rows[i].in), &at);

		print_message("%s\n", rows[i].in);
		assert_int_equal(rc, rows[i].rc);
		assert_true(at == (rc == MMD_OK ? rows[i].want : -1));
	}
}

/* Each day of eight thousand years, both ways of writing it, as libc has it. */
static void
every_day(void **state)
{
	(void)state;
	for (time_t day = -7305; day <= 2932896; day++) {
		time_t want = day * 86400 + (day & 0xffff);
		struct tm *tm = gmtime(&want);
		char asn1[32], http[32];
		int64_t at = -1;

		assert_int_equal(strftime(asn1, sizeof(asn1), "%Y%m%d%H%M%SZ",
		    tm), 15);
		assert_int_equal(mmd_time_asn1(MMD_DER_GENTIME, text(asn1),
		    &at), MMD_OK);
		assert_true(at == want);
		assert_int_equal(strftime(http, sizeof(http),
		    "%a, %d %b %Y %H:%M:%S GMT", tm), 29);
		assert_int_equal(mmd_time_http(text(http), &at), MMD_OK);
		assert_true(at == want);
	}
}

/* FIPS 180-4; and as OpenSSL has it, of every length about a block's, in two
 * pieces. */
static void
sha256_is_sha256(void **state)
{
	static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01,
		0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
		0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10,
		0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
	struct mmd_sha256 s;
	uint8_t in[300], got[32], want[32];

	(void)state;
	mmd_sha256_init(&s);
	mmd_sha256_put(&s, (const uint8_t *)"abc", 3);
	mmd_sha256_end(&s, got);
	assert_memory_equal(got, abc, 32);
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7 + i / 64);
	for (size_t n = 0; n <= sizeof(in); n++) {
		mmd_sha256_init(&s);
		mmd_sha256_put(&s, in, n / 3);
		mmd_sha256_put(&s, in + n / 3, n - n / 3);
		mmd_sha256_end(&s, got);
		SHA256(in, n, want);
		assert_memory_equal(got, want, 32);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_rows),
		cmocka_unit_test(base64_each_character),
		cmocka_unit_test(base64_there_and_back),
		cmocka_unit_test(der_lengths),
		cmocka_unit_test(der_writes_what_it_reads),
		cmocka_unit_test(times),
		cmocka_unit_test(every_day),
		cmocka_unit_test(sha256_is_sha256),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
