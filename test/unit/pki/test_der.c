#include "../base/rows.h"

#include "base/text.h"
#include "base/time.h"
#include "pki/der.h"

static struct mm_bytes
bytes(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;

	assert_int_equal(mm_hex_parse(hex, 2 * n, out, n, NULL), MM_OK);
	return (struct mm_bytes){ out, n };
}

static void
reads_one_element(void **state)
{
	static const struct {
		const char *what, *hex;
		bool ok;
	} rows[] = {
		{ "short form", "0403010203", true },
		{ "empty", "0400", true },
		{ "short form written long", "048103010203", false },
		{ "leading zero in the length", "04820003010203", false },
		{ "indefinite, whole", "24800401010000", false },
		{ "high tag", "1f810403010203", false },
		{ "cut in the length", "0482", false },
		{ "cut in the contents", "04030102", false },
		{ "length of five bytes", "048500000000010a", false },
		{ "length of all ones", "0484ffffffff", false },
		{ "nothing", "", false },
	};
	uint8_t raw[64];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_rd r = mm_rd_over(bytes(rows[i].hex, raw));
		struct mm_bytes body, whole;
		uint8_t tag;
		bool ok = mm_der_any(&r, &tag, &body, &whole);

		ROW(rows[i].what, ok == rows[i].ok && ok == !r.bad);
	}
}

static void
reads_integers(void **state)
{
	static const struct {
		const char *what, *hex;
		bool ok;
		uint32_t want;
	} rows[] = {
		{ "zero", "020100", true, 0 },
		{ "127", "02017f", true, 127 },
		{ "128", "02020080", true, 128 },
		{ "the largest", "020500ffffffff", true, UINT32_MAX },
		{ "one more", "02050100000000", false, 0 },
		{ "negative", "020180", false, 0 },
		{ "leading zero", "0202007f", false, 0 },
		{ "empty", "0200", false, 0 },
		{ "not an INTEGER", "040100", false, 0 },
	};
	uint8_t raw[64];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_rd r = mm_rd_over(bytes(rows[i].hex, raw));
		uint32_t v = mm_der_take_uint(&r);

		ROW(rows[i].what, r.bad == !rows[i].ok && v == rows[i].want);
	}
}

static void
reads_and_writes_times(void **state)
{
	static const struct {
		uint8_t tag;
		const char *text, *want; /* NULL: refused */
		bool again;              /* written the same way */
	} rows[] = {
		{ 0x17, "491231235959Z", "2049-12-31T23:59:59Z", true },
		{ 0x17, "500101000000Z", "1950-01-01T00:00:00Z", true },
		{ 0x17, "000229120000Z", "2000-02-29T12:00:00Z", true },
		{ 0x18, "20500101000000Z", "2050-01-01T00:00:00Z", true },
		{ 0x18, "99991231235959Z", "9999-12-31T23:59:59Z", true },
		{ 0x18, "20260101000000Z", "2026-01-01T00:00:00Z", false },
		{ 0x17, "010229120000Z", NULL, false },
		{ 0x17, "261301000000Z", NULL, false },
		{ 0x17, "260132000000Z", NULL, false },
		{ 0x17, "260101240000Z", NULL, false },
		{ 0x17, "260101006000Z", NULL, false },
		{ 0x17, "260101000060Z", NULL, false },
		{ 0x17, "2601010000Z", NULL, false },
		{ 0x17, "260101000000+0100", NULL, false },
		{ 0x17, "26010100000 Z", NULL, false },
		{ 0x18, "20260101000000.5Z", NULL, false },
		{ 0x18, "00000101000000Z", NULL, false },
		{ 0x18, "20260101000000", NULL, false },
		{ 0x0c, "260101000000Z", NULL, false },
	};
	char text[MM_TIME_TEXT];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf b = MM_BUF_INIT(64), w = MM_BUF_INIT(64);
		struct mm_rd r;
		int64_t at;

		mm_der_put(&b, rows[i].tag, mm_bytes_of(rows[i].text));
		r = mm_rd_over(mm_buf_view(&b));
		at = mm_der_take_time(&r);
		ROW(rows[i].text, r.bad == (rows[i].want == NULL));
		mm_time_text_s(at, text);
		mm_der_put_time(&w, at);
		ROW(rows[i].text, rows[i].want == NULL ||
		    strcmp(text, rows[i].want) == 0);
		ROW(rows[i].text, rows[i].want == NULL || rows[i].again ==
		    mm_bytes_eq(mm_buf_view(&b), mm_buf_view(&w)));
		mm_buf_done(&b);
		mm_buf_done(&w);
	}
}

static void
writes_oids(void **state)
{
	static const struct {
		const char *dotted, *hex; /* NULL: refused */
	} rows[] = {
		{ "2.5.4.3", "0603550403" },
		{ "1.2.840.113549.1.1.11", "06092a864886f70d01010b" },
		{ "2.999.4294967295", "060788378fffffff7f" },
		{ "0.0", "060100" },
		{ "2.5.4.", NULL },
		{ "1", NULL },
		{ "1.40", NULL },
		{ "3.1", NULL },
		{ "1.2.03", NULL },
		{ "1.2.4294967296", NULL },
		{ "1..2", NULL },
		{ "1.2.x", NULL },
		{ "", NULL },
	};
	char hex[200];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf b = MM_BUF_INIT(128);

		mm_der_put_oid(&b, rows[i].dotted);
		ROW(rows[i].dotted, (mm_buf_ok(&b, NULL) == MM_OK) ==
		    (rows[i].hex != NULL));
		mm_hex_text(b.p, b.n, hex);
		ROW(rows[i].dotted, rows[i].hex == NULL ||
		    strcmp(hex, rows[i].hex) == 0);
		mm_buf_done(&b);
	}
}

/* Every length around the steps of the length's own length. */
static void
writes_lengths_as_it_reads_them(void **state)
{
	static const size_t sizes[] = { 0, 1, 127, 128, 255, 256, 65535,
		65536 };
	static uint8_t zeros[65536];

	(void)state;
	for (size_t i = 0; i < ROWS(sizes); i++) {
		struct mm_buf b = MM_BUF_INIT(70000);
		size_t mark = mm_der_open(&b, MM_DER_SEQ);
		struct mm_rd r;

		mm_buf_put(&b, zeros, sizes[i]);
		mm_der_close(&b, mark);
		r = mm_rd_over(mm_buf_view(&b));
		assert_int_equal(mm_der_take(&r, MM_DER_SEQ).n, sizes[i]);
		assert_true(mm_rd_end(&r));
		mm_buf_done(&b);
	}
}

static void
writes_integers(void **state)
{
	static const struct {
		const char *magnitude, *hex;
	} rows[] = {
		{ "", "020100" }, { "0000", "020100" }, { "7f", "02017f" },
		{ "80", "02020080" }, { "0080", "02020080" },
		{ "0123", "02020123" },
	};
	uint8_t raw[16];
	char hex[64];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf b = MM_BUF_INIT(64);

		mm_der_put_integer(&b, bytes(rows[i].magnitude, raw));
		mm_hex_text(b.p, b.n, hex);
		ROW(rows[i].hex, strcmp(hex, rows[i].hex) == 0);
		mm_buf_done(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_one_element),
		cmocka_unit_test(reads_integers),
		cmocka_unit_test(reads_and_writes_times),
		cmocka_unit_test(writes_oids),
		cmocka_unit_test(writes_lengths_as_it_reads_them),
		cmocka_unit_test(writes_integers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
