#include <stdio.h>

#include "../base/rows.h"
#include "base/own.h"
#include "station/book.h"

static void
ten_thousand_units(void **state)
{
	MM_OWN(mm_book_free) struct mm_book *b = NULL;
	struct mm_unit *first, *u;
	char name[32];

	(void)state;
	assert_int_equal(mm_book_new(&b, NULL), MM_OK);
	assert_int_equal(mm_book_need(b, "SN-0", &first, NULL), MM_OK);
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "SN-%u", i);
		assert_int_equal(mm_book_need(b, name, &u, NULL), MM_OK);
		u->attempt = i;
	}
	assert_int_equal(mm_book_n(b), 10000);
	/* It stays where it is. */
	assert_ptr_equal(mm_book_find(b, "SN-0"), first);
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), i % 2 ? "sn-%u" : "SN-%u", i);
		u = mm_book_find(b, name);
		assert_non_null(u);
		assert_int_equal(u->attempt, i);
	}
	assert_null(mm_book_find(b, "SN-10000"));
	assert_null(mm_book_find(b, ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_thousand_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
