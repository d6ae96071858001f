#include "rows.h"

#include "base/text.h"

/* RFC 4648 10. */
static const struct {
	const char *plain, *base64, *url, *hex;
} vectors[] = {
	{ "", "", "", "" },
	{ "f", "Zg==", "Zg", "66" },
	{ "fo", "Zm8=", "Zm8", "666f" },
	{ "foo", "Zm9v", "Zm9v", "666f6f" },
	{ "foob", "Zm9vYg==", "Zm9vYg", "666f6f62" },
	{ "fooba", "Zm9vYmE=", "Zm9vYmE", "666f6f6261" },
	{ "foobar", "Zm9vYmFy", "Zm9vYmFy", "666f6f626172" },
	{ "\xfb\xff\xfe", "+//+", "-__-", "fbfffe" },
};

static void
encodes_as_rfc_4648(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(vectors); i++) {
		struct mm_buf b = MM_BUF_INIT(100);
		mm_base64_put(&b, mm_bytes_of(vectors[i].plain), 0);
		assert_string_equal(mm_buf_cstr(&b), vectors[i].base64);
		mm_buf_reset(&b);
		mm_base64url_put(&b, mm_bytes_of(vectors[i].plain));
		assert_string_equal(mm_buf_cstr(&b), vectors[i].url);
		mm_buf_reset(&b);
		mm_hex_put(&b, mm_bytes_of(vectors[i].plain));
		assert_string_equal(mm_buf_cstr(&b), vectors[i].hex);
		mm_buf_done(&b);
	}
}

static void
decodes_as_rfc_4648(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(vectors); i++) {
		struct mm_buf b = MM_BUF_INIT(100);
		uint8_t bytes[16] = { 0 };
		size_t n = strlen(vectors[i].plain);
		assert_int_equal(mm_base64_parse(
		    mm_bytes_of(vectors[i].base64), &b, NULL), MM_OK);
		assert_string_equal(mm_buf_cstr(&b), vectors[i].plain);
		mm_buf_reset(&b);
		assert_int_equal(mm_base64url_parse(
		    mm_bytes_of(vectors[i].url), &b, NULL), MM_OK);
		assert_string_equal(mm_buf_cstr(&b), vectors[i].plain);
		assert_int_equal(mm_hex_parse(vectors[i].hex, 2 * n, bytes, n,
		    NULL), MM_OK);
		assert_memory_equal(bytes, vectors[i].plain, n);
		mm_buf_done(&b);
	}
}

static void
base64_is_lenient_in_white_space_only(void **state)
{
	static const struct {
		const char *what, *text, *want; /* NULL: refused */
	} rows[] = {
		{ "RFC 8951 3.1 line breaks", "Zm9v\r\nYmFy\r\n", "foobar" },
		{ "space and tab anywhere", " Z\tm 9 v Yg = =", "foob" },
		{ "only white space", " \r\n", "" },
		{ "no padding", "Zg", NULL },
		{ "half the padding", "Zg=", NULL },
		{ "too much padding", "Zg===", NULL },
		{ "padding alone", "====", NULL },
		{ "padding inside", "Zg==Zg==", NULL },
		{ "leftover bits, one byte", "Zh==", NULL },
		{ "leftover bits, two bytes", "Zm9=", NULL },
		{ "one digit", "Z", NULL },
		{ "URL alphabet", "-__-", NULL },
		{ "form feed", "Zm9v\f", NULL },
		{ "not ASCII", "Zm9\xc3", NULL },
		{ "PEM line", "-----BEGIN", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf b = MM_BUF_INIT(100);
		struct mm_why why = { 0 };
		enum mm_err err;
		mm_buf_text(&b, "<");
		err = mm_base64_parse(mm_bytes_of(rows[i].text), &b, &why);
		ROW(rows[i].what, (err == MM_OK) == (rows[i].want != NULL));
		ROW(rows[i].what, err == why.code);
		ROW(rows[i].what, strcmp(mm_buf_cstr(&b) + 1,
		    rows[i].want == NULL ? "" : rows[i].want) == 0);
		mm_buf_done(&b);
	}
}

static void
base64url_is_strict(void **state)
{
	static const char *const refused[] = { "Zg==", "Zm9v ", "+//+", "Z",
		"Zh", "Zm9" };

	(void)state;
	for (size_t i = 0; i < ROWS(refused); i++) {
		struct mm_buf b = MM_BUF_INIT(100);
		ROW(refused[i], mm_base64url_parse(mm_bytes_of(refused[i]),
		    &b, NULL) == MM_EINPUT);
		ROW(refused[i], b.n == 0);
		mm_buf_done(&b);
	}
}

static void
base64_fits_exactly(void **state)
{
	struct mm_buf b = MM_BUF_INIT(6);

	(void)state;
	assert_int_equal(mm_base64_parse(mm_bytes_of("Zm9v\r\nYmFy\r\n"), &b,
	    NULL), MM_OK);
	mm_buf_done(&b);
	mm_buf_init(&b, 5);
	assert_int_equal(mm_base64_parse(mm_bytes_of("Zm9vYmFy"), &b, NULL),
	    MM_ELIMIT);
	mm_buf_done(&b);
}

static void
base64_wraps(void **state)
{
	static const struct {
		const char *what, *plain, *want;
	} rows[] = {
		{ "nothing", "", "" },
		{ "less than a line", "fo", "Zm8=\n" },
		{ "one line", "foobar", "Zm9vYmFy\n" },
		{ "a line and a byte", "foobarf", "Zm9vYmFy\nZg==\n" },
		{ "two lines", "foobarfoobar", "Zm9vYmFy\nZm9vYmFy\n" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf b = MM_BUF_INIT(strlen(rows[i].want));
		mm_base64_put(&b, mm_bytes_of(rows[i].plain), 8);
		ROW(rows[i].what, mm_buf_ok(&b, NULL) == MM_OK);
		ROW(rows[i].what, strcmp(mm_buf_cstr(&b), rows[i].want) == 0);
		mm_buf_done(&b);
	}
}

static void
hex_is_exact(void **state)
{
	static const struct {
		const char *what, *text;
		enum mm_err want;
	} rows[] = {
		{ "lower case", "00ff7a", MM_OK },
		{ "upper case", "00FF7A", MM_OK },
		{ "short", "00ff7", MM_EINPUT },
		{ "long", "00ff7a0", MM_EINPUT },
		{ "two long", "00ff7a00", MM_EINPUT },
		{ "not a digit", "00fg7a", MM_EINPUT },
		{ "not ASCII", "00\xff\xff" "7a", MM_EINPUT },
		{ "space", "00 f7a", MM_EINPUT },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		uint8_t out[3] = { 1, 1, 1 };
		const uint8_t want[3] = { 0, 0xff, 0x7a }, was[3] = { 1, 1, 1 };
		enum mm_err err = mm_hex_parse(rows[i].text,
		    strlen(rows[i].text), out, 3, NULL);
		ROW(rows[i].what, err == rows[i].want);
		ROW(rows[i].what,
		    memcmp(out, err == MM_OK ? want : was, 3) == 0);
	}
}

static void
base32_is_crockford(void **state)
{
	static const struct {
		const char *what, *text, *canonical; /* NULL: refused */
		size_t n;
	} rows[] = {
		{ "zero", "00", "00", 1 },
		{ "all ones", "ZW", "ZW", 1 },
		{ "five bytes", "ZZZZZZZZ", "ZZZZZZZZ", 5 },
		{ "lower case", "zzzzzzzz", "ZZZZZZZZ", 5 },
		{ "O is 0, I and L are 1", "OoIiLl10", "00111110", 5 },
		{ "U is no digit", "UUUUUUUU", NULL, 5 },
		{ "leftover bits", "ZZ", NULL, 1 },
		{ "short", "ZZZZZZZ", NULL, 5 },
		{ "long", "ZZZZZZZZ0", NULL, 5 },
		{ "hyphen", "ZZZZ-ZZZ", NULL, 5 },
		{ "nothing", "", "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		uint8_t out[8];
		char text[16];
		enum mm_err err = mm_base32_parse(rows[i].text,
		    strlen(rows[i].text), out, rows[i].n, NULL);
		ROW(rows[i].what,
		    (err == MM_OK) == (rows[i].canonical != NULL));
		if (err != MM_OK)
			continue;
		mm_base32_text(out, rows[i].n, text);
		ROW(rows[i].what, strcmp(text, rows[i].canonical) == 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodes_as_rfc_4648),
		cmocka_unit_test(decodes_as_rfc_4648),
		cmocka_unit_test(base64_is_lenient_in_white_space_only),
		cmocka_unit_test(base64url_is_strict),
		cmocka_unit_test(base64_fits_exactly),
		cmocka_unit_test(base64_wraps),
		cmocka_unit_test(hex_is_exact),
		cmocka_unit_test(base32_is_crockford),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
