#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/own.h"
#include "core/schema.h"

/* What is a schema, and what fits one. */

static enum mm_err
parse(const char *text, struct mm_schema **out, struct mm_why *why)
{
	return mm_schema_parse(mm_bytes_of(text), out, why);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{ "", "want a JSON object" },
		{ "[]", "want a JSON object" },
		{ "{\"a\":1}", "\"a\" is not a keyword" },
		{ "{\"type\":\"array\"}", "type" },
		{ "{\"type\":[\"object\"]}", "type" },
		{ "{\"additionalProperties\":{}}", "additionalProperties" },
		{ "{\"required\":[\"a\"]}", "not one of its properties" },
		{ "{\"required\":[1]}", "not one of its properties" },
		{ "{\"properties\":[]}", "properties" },
		{ "{\"properties\":{\"a\":1}}", "want an object" },
		{ "{\"properties\":{\"\":{}}}", "want a name" },
		{ "{\"properties\":{\"a/b\":{}}}", "want a name" },
		{ "{\"properties\":{\"a\":{\"type\":\"null\"}}}", "type" },
		{ "{\"properties\":{\"a\":{\"type\":[]}}}", "type" },
		{ "{\"properties\":{\"a\":{\"type\":[\"string\",1]}}}", "type" },
		{ "{\"properties\":{\"a\":{\"enum\":[]}}}", "enum" },
		{ "{\"properties\":{\"a\":{\"enum\":[null]}}}", "enum" },
		{ "{\"properties\":{\"a\":{\"minLength\":-1}}}", "minLength" },
		{ "{\"properties\":{\"a\":{\"maximum\":\"1\"}}}", "maximum" },
		{ "{\"properties\":{\"a\":{\"x-indexed\":1}}}", "x-indexed" },
		{ "{\"properties\":{\"a\":{\"x-indexed\":true}}}",
		    "maxLength" },
		{ "{\"properties\":{\"a\":{\"format\":\"date\"}}}",
		    "\"format\" is not a keyword" },
		{ "{\"properties\":{\"a\":{},\"a\":{}}}", "JSON object" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_schema *s = NULL;
		struct mm_why why = { 0 };

		print_message("%s\n", rows[i].text);
		assert_int_equal(parse(rows[i].text, &s, &why), MM_EINPUT);
		assert_non_null(strstr(why.text, rows[i].words));
		assert_null(s);
	}
}

#define SCHEMA                                                           \
	"{\"additionalProperties\":false,\"required\":[\"t\"],"          \
	"\"properties\":{\"t\":{\"type\":\"string\",\"minLength\":1,"    \
	"\"maxLength\":3,\"x-indexed\":true},\"i\":{\"type\":\"integer\"," \
	"\"minimum\":-1,\"maximum\":9,\"x-indexed\":true},"              \
	"\"n\":{\"type\":\"number\"},\"b\":{\"type\":\"boolean\"},"      \
	"\"e\":{\"enum\":[\"x\",1,true]},"                               \
	"\"m\":{\"type\":[\"string\",\"integer\"],\"maxLength\":64}}}"

static void
test_fits(void **state)
{
	static const struct {
		const char *attributes, *column; /* NULL: fits */
	} rows[] = {
		{ "", "attributes.t" },
		{ "[]", "attributes" },
		{ "{\"t\":\"a\"}", NULL },
		{ "{\"t\":\"\"}", "attributes.t" },
		{ "{\"t\":\"\xc3\xa4\xc3\xb6\xc3\xbc\"}", NULL },
		{ "{\"t\":\"abcd\"}", "attributes.t" },
		{ "{\"t\":null}", "attributes.t" },
		{ "{\"t\":\"a\",\"i\":-1}", NULL },
		{ "{\"t\":\"a\",\"i\":-2}", "attributes.i" },
		{ "{\"t\":\"a\",\"i\":10}", "attributes.i" },
		{ "{\"t\":\"a\",\"i\":3.0}", NULL },
		{ "{\"t\":\"a\",\"i\":3.5}", "attributes.i" },
		{ "{\"t\":\"a\",\"n\":3}", NULL },
		{ "{\"t\":\"a\",\"n\":3.5}", NULL },
		{ "{\"t\":\"a\",\"n\":\"3\"}", "attributes.n" },
		{ "{\"t\":\"a\",\"b\":false}", NULL },
		{ "{\"t\":\"a\",\"b\":0}", "attributes.b" },
		{ "{\"t\":\"a\",\"e\":1.0}", NULL },
		{ "{\"t\":\"a\",\"e\":false}", "attributes.e" },
		{ "{\"t\":\"a\",\"m\":1}", NULL },
		{ "{\"t\":\"a\",\"m\":{}}", "attributes.m" },
		{ "{\"t\":\"a\",\"z\":1}", "attributes.z" },
	};
	MM_OWN(mm_schema_free) struct mm_schema *s = NULL;

	(void)state;
	assert_int_equal(parse(SCHEMA, &s, NULL), MM_OK);
	assert_string_equal(mm_schema_indexed(s), "[\"t\",\"i\"]");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char column[MM_SCHEMA_COLUMN];
		enum mm_err rc = mm_schema_check(s, rows[i].attributes, column,
		    NULL);

		print_message("%s\n", rows[i].attributes);
		assert_int_equal(rc, rows[i].column == NULL ? MM_OK :
							      MM_EINPUT);
		if (rows[i].column != NULL)
			assert_string_equal(column, rows[i].column);
	}
}

static void
test_converted(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "{\"t\":\"1\",\"i\":\"2\",\"n\":\"2.5\",\"b\":\"true\"}",
		    "{\"b\":true,\"i\":2,\"n\":2.5,\"t\":\"1\"}" },
		{ "{\"i\":\"x\"}", "{\"i\":\"x\"}" },
		{ "{\"i\":\"2.5\"}", "{\"i\":\"2.5\"}" },
		{ "{\"n\":\"0x10\"}", "{\"n\":\"0x10\"}" },
		{ "{\"n\":\"nan\"}", "{\"n\":\"nan\"}" },
		{ "{\"n\":\"-3\"}", "{\"n\":-3}" },
		{ "{\"b\":\"yes\"}", "{\"b\":\"yes\"}" },
		{ "{\"m\":\"7\"}", "{\"m\":\"7\"}" },
		{ "{\"z\":\"7\"}", "{\"z\":\"7\"}" },
	};
	MM_OWN(mm_schema_free) struct mm_schema *s = NULL;

	(void)state;
	assert_int_equal(parse(SCHEMA, &s, NULL), MM_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256];

		strcpy(text, rows[i][0]);
		assert_int_equal(mm_schema_convert(s, text, sizeof(text),
		    NULL), MM_OK);
		assert_string_equal(text, rows[i][1]);
	}
}

/* What is good where it stands; anything else is schema.c's to judge. */
static void
test_plain(void **state)
{
	static const struct {
		const char *attributes;
		bool texts;
		const char *out; /* NULL: not plain, or not good */
	} rows[] = {
		{ "{\"t\":\"a\"}", false, "{\"t\":\"a\"}" },
		{ " { \"t\" : \"a\" , \"i\" : 9 }", false,
		    "{\"i\":9,\"t\":\"a\"}" },
		{ "{\"t\":\"a\",\"i\":\"-1\",\"b\":\"true\",\"n\":\"3\"}", true,
		    "{\"b\":true,\"i\":-1,\"n\":3,\"t\":\"a\"}" },
		{ "{\"t\":\"a\",\"e\":\"x\",\"m\":\"7\"}", true,
		    "{\"e\":\"x\",\"m\":\"7\",\"t\":\"a\"}" },
		{ "{\"t\":\"a\",\"e\":1}", false, "{\"e\":1,\"t\":\"a\"}" },
		{ "{\"t\":\"a\",\"e\":true}", false,
		    "{\"e\":true,\"t\":\"a\"}" },
		{ "", false, NULL }, { "{}", false, NULL },
		{ "{\"t\":\"\"}", false, NULL },
		{ "{\"t\":\"abcd\"}", false, NULL },
		{ "{\"t\":1}", false, NULL },
		{ "{\"t\":\"a\",\"i\":10}", false, NULL },
		{ "{\"t\":\"a\",\"i\":-0}", false, NULL },
		{ "{\"t\":\"a\",\"i\":01}", false, NULL },
		{ "{\"t\":\"a\",\"i\":\"1\"}", false, NULL },
		{ "{\"t\":\"a\",\"i\":\"01\"}", true, NULL },
		{ "{\"t\":\"a\",\"i\":3.0}", false, NULL },
		{ "{\"t\":\"a\",\"n\":\"2.5\"}", true, NULL },
		{ "{\"t\":\"a\",\"b\":\"yes\"}", true, NULL },
		{ "{\"t\":\"a\",\"e\":\"y\"}", false, NULL },
		{ "{\"t\":\"a\",\"e\":false}", false, NULL },
		{ "{\"t\":\"a\",\"z\":1}", false, NULL },
		{ "{\"t\":\"a\",\"t\":\"a\"}", false, NULL },
		{ "{\"t\":\"a\"} ", false, NULL },
		{ "{\"t\":\"\\u0061\"}", false, NULL },
		{ "{\"t\":\"\xc3\xa4\"}", false, NULL },
		{ "{\"t\":\"a\",\"m\":{}}", false, NULL },
	};
	MM_OWN(mm_schema_free) struct mm_schema *s = NULL;
	char out[64];

	(void)state;
	assert_int_equal(parse(SCHEMA, &s, NULL), MM_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool good;

		memset(out, 'x', sizeof(out));
		good = mm_schema_plain(s, mm_bytes_of(rows[i].attributes),
		    rows[i].texts, out, sizeof(out));
		print_message("%s\n", rows[i].attributes);
		assert_int_equal(good, rows[i].out != NULL);
		assert_string_equal(out, good ? rows[i].out : "");
	}
	/* without a schema texts are texts */
	assert_true(mm_schema_plain(NULL, mm_bytes_of("{\"i\":\"1\"}"), true,
	    out, 10));
	assert_string_equal(out, "{\"i\":\"1\"}");
	assert_false(mm_schema_plain(NULL, mm_bytes_of("{\"i\":\"1\"}"), true,
	    out, 9));
}

static void
test_members(void **state)
{
	static const struct {
		const char *name;
		enum mm_schema_member is;
		bool indexed;
	} rows[] = {
		{ "t", MM_SCHEMA_TEXT, true }, { "i", MM_SCHEMA_NUMBER, true },
		{ "n", MM_SCHEMA_NUMBER, false },
		{ "b", MM_SCHEMA_TRUTH, false },
		{ "m", MM_SCHEMA_MIXED, false },
		{ "z", MM_SCHEMA_FORBIDDEN, false },
	};
	MM_OWN(mm_schema_free) struct mm_schema *s = NULL, *open = NULL;
	bool indexed;

	(void)state;
	assert_int_equal(parse(SCHEMA, &s, NULL), MM_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(mm_schema_member(s, rows[i].name, &indexed),
		    rows[i].is);
		assert_int_equal(indexed, rows[i].indexed);
	}
	assert_int_equal(parse("{}", &open, NULL), MM_OK);
	assert_null(mm_schema_indexed(open));
	assert_int_equal(mm_schema_member(open, "z", &indexed),
	    MM_SCHEMA_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_fits),
		cmocka_unit_test(test_converted),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
