#include "rows.h"

#include "base/text.h"

static void
knows_utf8(void **state)
{
	static const struct {
		const char *what, *text;
		bool want;
	} rows[] = { /* RFC 3629 4 and 10 */
		{ "empty", "", true },
		{ "ASCII", "plain", true },
		{ "two bytes", "\xc3\xa9", true },
		{ "three bytes", "\xe2\x82\xac", true },
		{ "four bytes", "\xf0\x9f\x94\x91", true },
		{ "last character", "\xf4\x8f\xbf\xbf", true },
		{ "before the surrogates", "\xed\x9f\xbf", true },
		{ "surrogate", "\xed\xa0\x80", false },
		{ "overlong slash", "\xc0\xaf", false },
		{ "overlong, three", "\xe0\x80\xaf", false },
		{ "overlong, four", "\xf0\x80\x80\xaf", false },
		{ "past the last", "\xf4\x90\x80\x80", false },
		{ "cut", "\xe2\x82", false },
		{ "cut at the first", "\xf0", false },
		{ "continuation alone", "\x80", false },
		{ "bad third", "\xe2\x82x", false },
		{ "Latin-1", "caf\xe9", false },
		{ "0xff", "\xff", false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ROW(rows[i].what,
		    mm_utf8_valid(mm_bytes_of(rows[i].text)) == rows[i].want);
}

#define X32 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void
knows_names(void **state)
{
	static const struct {
		const char *text;
		bool device, name;
	} rows[] = {
		{ "SN-1", true, false },
		{ "thermo", true, true },
		{ "a.b_c-9", true, true },
		{ X32, true, true },
		{ X32 "x", true, false },
		{ X32 X32, true, false },
		{ X32 X32 "x", false, false },
		{ "", false, false },
		{ "a b", false, false },
		{ "a/b", false, false },
		{ "caf\xc3\xa9", false, false },
		{ "a\n", false, false },
		{ "a=b", false, false },
		{ ".", false, false },
		{ "..", false, false },
		{ "...", false, false },
		{ "..a", true, true },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		ROW(rows[i].text,
		    mm_device_id_valid(rows[i].text) == rows[i].device);
		ROW(rows[i].text, mm_name_valid(rows[i].text) == rows[i].name);
	}
}

static void
copies_within_bounds(void **state)
{
	char out[4];

	(void)state;
	assert_true(mm_text_copy(out, 4, mm_bytes_of("abc")));
	assert_string_equal(out, "abc");
	assert_false(mm_text_copy(out, 4, mm_bytes_of("abcd")));
	assert_string_equal(out, "");
	assert_false(mm_text_copy(out, 4,
	    (struct mm_bytes){ (const uint8_t *)"a\0b", 3 }));
	assert_string_equal(out, "");
	assert_true(mm_text_copy(out, 4, (struct mm_bytes){ 0 }));
}

static void
reads_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: refused */
	} rows[] = {
		{ "0", 0 }, { "90", 90 }, { "90s", 90 }, { "15m", 900 },
		{ "72h", 259200 }, { "30d", 2592000 }, { "2y", 63072000 },
		{ "", -1 }, { "h", -1 }, { "-1h", -1 }, { "1.5h", -1 },
		{ "010", -1 }, { "1 h", -1 }, { "1w", -1 }, { "1H", -1 },
		{ "1hh", -1 }, { "+1", -1 }, { "0x10", -1 },
		{ "9223372036854775807", INT64_MAX },
		{ "9223372036854775808", -1 },
		{ "9223372036854775807m", -1 },
		{ "99999999999999999999999999s", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t got = -1;
		enum mm_err err = mm_duration_parse(rows[i].text, &got, NULL);
		ROW(rows[i].text, (err == MM_OK) == (rows[i].want >= 0));
		ROW(rows[i].text, got == rows[i].want);
	}
}

static void
reads_integers(void **state)
{
	static const struct {
		const char *text;
		enum mm_err err;
		int64_t want;
	} rows[] = {
		{ "0", MM_OK, 0 }, { "-1", MM_OK, -1 },
		{ "9223372036854775807", MM_OK, INT64_MAX },
		{ "-9223372036854775808", MM_OK, INT64_MIN },
		{ "9223372036854775808", MM_EINPUT, 7 },
		{ "-9223372036854775809", MM_EINPUT, 7 },
		{ "-0", MM_EINPUT, 7 }, { "00", MM_EINPUT, 7 },
		{ "-", MM_EINPUT, 7 }, { "", MM_EINPUT, 7 },
		{ "1a", MM_EINPUT, 7 }, { " 1", MM_EINPUT, 7 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t got = 7;
		ROW(rows[i].text,
		    mm_int_parse(rows[i].text, &got, NULL) == rows[i].err);
		ROW(rows[i].text, got == rows[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_utf8),
		cmocka_unit_test(knows_names),
		cmocka_unit_test(copies_within_bounds),
		cmocka_unit_test(reads_durations),
		cmocka_unit_test(reads_integers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
