#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "signer/run.h"

static void
test_forms(void **state)
{
	static const struct {
		const char *text;
		unsigned want; /* links; 0: refused */
	} rows[] = {
		{ "issue:5", 1 },
		{ "issue:5,issue:6,ledger:7,ops:8,psk:9,psk:10,check:11,ocsp:12",
		    8 },
		{ "", 0 }, { "issue", 0 }, { "issue:", 0 }, { ":5", 0 },
		{ "issue:x", 0 }, { "issue:-1", 0 }, { "issue:5;psk:6", 0 },
		{ "issues:5", 0 }, { "issu:5", 0 }, { "issue:5 ", 0 },
		{ "issue:1234567", 0 }, { "none:3", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_links l = { 0 };
		enum mm_err err = mm_links_parse(rows[i].text, &l, NULL);
		assert_int_equal(err, rows[i].want ? MM_OK : MM_EINPUT);
		assert_int_equal(l.n, rows[i].want);
	}
}

static void
test_values(void **state)
{
	struct mm_links l;

	(void)state;
	assert_int_equal(mm_links_parse("psk:9,check:11", &l, NULL), MM_OK);
	assert_int_equal(l.link[0].role, MM_LINK_PSK);
	assert_int_equal(l.link[0].fd, 9);
	assert_int_equal(l.link[1].role, MM_LINK_CHECK);
	assert_int_equal(l.link[1].fd, 11);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
