#include "rows.h"

#include "base/json.h"

static void
writes_every_kind(void **state)
{
	struct mm_buf b = MM_BUF_INIT(1000);
	struct mm_json j = mm_json_over(&b);
	const struct mm_bytes two = { (const uint8_t *)"\x01\xff", 2 };

	(void)state;
	mm_json_open(&j, '{');
	mm_json_str(&j, "s", "v");
	mm_json_int(&j, "i", -5);
	mm_json_bool(&j, "t", true);
	mm_json_null(&j, "n");
	mm_json_hex(&j, "h", two);
	mm_json_b64(&j, "b", two);
	mm_json_time(&j, "at", 1);
	mm_json_open_key(&j, "a", '[');
	mm_json_str(&j, NULL, "x");
	mm_json_open(&j, '{');
	mm_json_close(&j, '}');
	mm_json_raw(&j, NULL, mm_bytes_of("[1]"));
	mm_json_close(&j, ']');
	mm_json_bool(&j, "f", false);
	mm_json_close(&j, '}');
	assert_string_equal(mm_buf_cstr(&b),
	    "{\"s\":\"v\",\"i\":-5,\"t\":true,\"n\":null,\"h\":\"01ff\","
	    "\"b\":\"Af8=\",\"at\":\"1970-01-01T00:00:00.001Z\","
	    "\"a\":[\"x\",{},[1]],\"f\":false}");
	mm_buf_done(&b);
}

/* RFC 8785 3.2.2.2 */
static void
escapes_what_must_be(void **state)
{
	static const struct {
		const char *what, *in, *want;
	} rows[] = {
		{ "quote and backslash", "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "short forms", "\b\t\n\f\r", "\"\\b\\t\\n\\f\\r\"" },
		{ "other controls", "\x01\x1f", "\"\\u0001\\u001f\"" },
		{ "delete is not escaped", "\x7f", "\"\x7f\"" },
		{ "slash is not escaped", "a/b", "\"a/b\"" },
		{ "UTF-8 as it is", "\xe2\x82\xac", "\"\xe2\x82\xac\"" },
		{ "at both ends", "\nx\n", "\"\\nx\\n\"" },
		{ "empty", "", "\"\"" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf b = MM_BUF_INIT(100);
		struct mm_json j = mm_json_over(&b);
		mm_json_str(&j, NULL, rows[i].in);
		ROW(rows[i].what, strcmp(mm_buf_cstr(&b), rows[i].want) == 0);
		mm_buf_done(&b);
	}
}

static void
a_string_that_is_not_utf8_makes_it_bad(void **state)
{
	struct mm_buf b = MM_BUF_INIT(100);
	struct mm_json j = mm_json_over(&b);

	(void)state;
	mm_json_str(&j, NULL, "caf\xe9");
	assert_int_equal(mm_buf_ok(&b, NULL), MM_EINPUT);
	mm_buf_reset(&b);
	mm_json_strn(&j, NULL, (struct mm_bytes){ (const uint8_t *)"\0", 1 });
	assert_string_equal(mm_buf_cstr(&b), ",\"\\u0000\"");
	mm_buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_every_kind),
		cmocka_unit_test(escapes_what_must_be),
		cmocka_unit_test(a_string_that_is_not_utf8_makes_it_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
