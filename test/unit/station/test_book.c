#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/rows.h"
#include "base/own.h"
#include "pki/key.h"
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

static void
set(struct mm_book *b, unsigned i, unsigned key, bool certified)
{
	uint8_t spki[32] = { 0 };
	struct mm_unit *u;
	char name[32];

	snprintf(name, sizeof(name), "SN-%u", i);
	if (key > 0)
		mm_sha256((struct mm_bytes){ (uint8_t *)&key, sizeof(key) },
		    spki);
	assert_int_equal(mm_book_need(b, name, &u, NULL), MM_OK);
	assert_int_equal(mm_book_key(b, u, spki, NULL), MM_OK);
	memcpy(u->spki, spki, sizeof(u->spki));
	memset(u->cert, certified ? 7 : 0, sizeof(u->cert));
}

/* The unit that is found by the key; -1: none. */
static int
by_key(const struct mm_book *b, unsigned key)
{
	const struct mm_unit *u;
	uint8_t spki[32];

	mm_sha256((struct mm_bytes){ (uint8_t *)&key, sizeof(key) }, spki);
	u = mm_book_find_key(b, spki);
	return u == NULL ? -1 : atoi(u->serial + 3);
}

static void
units_by_their_keys(void **state)
{
	enum { N = 5000 };
	MM_OWN(mm_book_free) struct mm_book *b = NULL;
	static const uint8_t none[32];

	(void)state;
	assert_int_equal(mm_book_new(&b, NULL), MM_OK);
	for (unsigned i = 0; i < N; i++)
		set(b, i, i + 1, i % 3 != 0);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(by_key(b, i + 1), i % 3 != 0 ? (int)i : -1);
	assert_int_equal(by_key(b, N + 1), -1);
	assert_null(mm_book_find_key(b, none));
	/* A certificate comes, a key is given up, another one is made. */
	set(b, 3, 4, true);
	assert_int_equal(by_key(b, 4), 3);
	set(b, 4, 0, false);
	assert_int_equal(by_key(b, 5), -1);
	set(b, 4, N + 1, true);
	assert_int_equal(by_key(b, 5), -1);
	assert_int_equal(by_key(b, N + 1), 4);
	/* Two have it: the first. */
	set(b, 1, N + 1, true);
	assert_int_equal(by_key(b, N + 1), 1);
	/* Many times anew is no reason to forget one. */
	for (unsigned i = 0; i < 8 * N; i++)
		set(b, 7, 2 * N + i, true);
	assert_int_equal(by_key(b, 10 * N - 1), 7);
	assert_int_equal(by_key(b, 2 * N), -1);
	for (unsigned i = 8; i < N; i++)
		assert_int_equal(by_key(b, i + 1), i % 3 != 0 ? (int)i : -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_thousand_units),
		cmocka_unit_test(units_by_their_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
