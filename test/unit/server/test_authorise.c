#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "server/authorise.h"

#define E2 "\xc3\xa9" /* two bytes */
#define TEN(x) x x x x x x x x x x

static void
texts_are_cleaned_and_cut(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "", "" },
		{ "not on the list", "not on the list" },
		{ "a\nb\tc\x7f", "a b c " },
		{ "\x1b[2J", " [2J" },
		{ "x\xc2\x85y\xc2\xa0z", "x y\xc2\xa0z" },
		{ "\xe2\x80\xae" "abc", " abc" },
		{ "\xe2\x81\xa6\xe2\x81\xa9\xe2\x80\x8f", "   " },
		{ "\xe2\x82\xac", "\xe2\x82\xac" },
		{ "\xf0\x9f\x94\x92", "\xf0\x9f\x94\x92" },
	};
	char out[MM_SAID_TEXT], most[401] = "x";

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		mm_authorise_clean(rows[i].in, out);
		assert_string_equal(out, rows[i].want);
	}
	/* one byte short of a whole character */
	strcpy(most + 1, TEN(TEN(E2)));
	mm_authorise_clean(most, out);
	assert_int_equal(strlen(out), MM_SAID_TEXT - 2);
	assert_memory_equal(out, most, MM_SAID_TEXT - 2);
}

static void
only_a_whole_answer_counts(void **state)
{
	static const struct {
		unsigned status;
		const char *body, *text;
		enum mm_said want;
	} rows[] = {
		{ 200, "{\"id\":\"q\",\"allow\":true}", "", MM_SAID_YES },
		{ 200, "{\"id\":\"q\",\"allow\":true,\"x\":1}", "",
		    MM_SAID_YES },
		{ 200, "{\"id\":\"q\",\"allow\":false,\"reason\":\"r\"}", "r",
		    MM_SAID_NO },
		{ 200, "{\"id\":\"q\",\"allow\":false}", "", MM_SAID_NO },
		{ 200, "{\"id\":\"q\",\"allow\":false,\"reason\":7}", "",
		    MM_SAID_NO },
		{ 200, "{\"id\":\"p\",\"allow\":true}", NULL,
		    MM_SAID_NOTHING },
		{ 200, "{\"allow\":true}", NULL, MM_SAID_NOTHING },
		{ 200, "{\"id\":\"q\"}", NULL, MM_SAID_NOTHING },
		{ 200, "{\"id\":\"q\",\"allow\":null}", NULL,
		    MM_SAID_NOTHING },
		{ 200, "", NULL, MM_SAID_NOTHING },
		{ 204, "{\"id\":\"q\",\"allow\":true}", "status 204",
		    MM_SAID_NOTHING },
		{ 0, "", "broken", MM_SAID_NOTHING },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_deliver_rep rep = { .status = rows[i].status,
			.why = "broken", .body = mm_bytes_of(rows[i].body) };
		char text[MM_SAID_TEXT];

		assert_int_equal(mm_authorise_read(&rep, "q", text),
		    rows[i].want);
		if (rows[i].text != NULL)
			assert_string_equal(text, rows[i].text);
		else
			assert_true(text[0] != '\0');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_cleaned_and_cut),
		cmocka_unit_test(only_a_whole_answer_counts),
	};

	return cmocka_run_group_tests_name("authorise", tests, NULL, NULL);
}
