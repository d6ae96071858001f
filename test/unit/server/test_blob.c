#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/blob.h"

/* Lists that a newer one has taken the place of, and who reads them still. */

enum { SIZE = 1000, MOST = 3 * SIZE };

static struct mm_blob *
blob(void)
{
	static const uint8_t zeros[SIZE];
	struct mm_blob *b = mm_blob_new(SIZE);

	assert_non_null(b);
	mm_buf_put(&b->bytes, zeros, sizeof(zeros));
	return b;
}

/* A reader of the blob; and the blob, retired. */
static struct mm_http_resp
read_old(struct mm_blobs *s)
{
	struct mm_http_resp reader = { 0 };
	struct mm_blob *b = blob();

	mm_blob_lend(b, &reader);
	mm_blobs_retire(s, b, MOST);
	return reader;
}

static void
what_nobody_reads_is_freed(void **state)
{
	struct mm_blobs s = { 0 };
	struct mm_http_resp reader;

	(void)state;
	mm_blobs_retire(&s, NULL, MOST);
	mm_blobs_retire(&s, blob(), MOST);
	assert_int_equal(s.n, 0);
	reader = read_old(&s);
	assert_int_equal(s.n, 1);
	assert_true(reader.stands(reader.owner));
	reader.give_back(reader.owner);
	mm_blobs_tidy(&s, MOST);
	assert_int_equal(s.n, 0);
	mm_blobs_done(&s);
}

/* However many readers there are of one, it is there once. */
static void
the_oldest_is_cut(void **state)
{
	struct mm_blobs s = { 0 };
	struct mm_http_resp reader[6];

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		reader[i] = read_old(&s);
	assert_int_equal(s.n, 3);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(reader[i].stands(reader[i].owner), i >= 3);
	for (unsigned i = 0; i < 6; i++)
		reader[i].give_back(reader[i].owner);
	mm_blobs_done(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_reads_is_freed),
		cmocka_unit_test(the_oldest_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
