#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "signer/state.h"

static struct mm_state *
sample(void)
{
	struct mm_state *s = calloc(1, sizeof(*s));
	struct mm_hash leaf = { { 1, 2, 3 } };

	assert_non_null(s);
	for (int i = 0; i < 13; i++)
		mm_frontier_append(&s->frontier, &leaf);
	s->settled_at = 1234;
	s->settled = (struct mm_journal_chain){ 5, 1800000000000, { 9 } };
	s->journal_at = 5678;
	mm_state_row(s->crl, &s->ncrl, "issuing")->count = 77;
	mm_state_row(s->day, &s->nday, "thermo")->count = 9;
	mm_state_row(s->day, &s->nday, "other")->day = 20000;
	s->nserial = 2;
	memset(s->serial, 7, 32);
	return s;
}

static void
test_round_trip(void **state)
{
	struct mm_state *a = sample(), *b = calloc(1, sizeof(*b));
	struct mm_buf x = MM_BUF_INIT(65536), y = MM_BUF_INIT(65536);

	(void)state;
	assert_int_equal(mm_state_encode(a, &x, NULL), MM_OK);
	assert_int_equal(mm_state_parse(mm_buf_view(&x), b, NULL), MM_OK);
	assert_int_equal(mm_state_encode(b, &y, NULL), MM_OK);
	assert_true(mm_bytes_eq(mm_buf_view(&x), mm_buf_view(&y)));
	assert_int_equal(b->frontier.size, 13);
	assert_int_equal(b->crl[0].count, 77);
	assert_string_equal(b->day[1].name, "other");
	mm_buf_done(&x);
	mm_buf_done(&y);
	free(a);
	free(b);
}

static void
test_every_damage_is_found(void **state)
{
	struct mm_state *a = sample();
	struct mm_buf x = MM_BUF_INIT(65536);

	(void)state;
	assert_int_equal(mm_state_encode(a, &x, NULL), MM_OK);
	for (size_t n = 0; n < x.n; n++) {
		assert_int_equal(mm_state_parse((struct mm_bytes){ x.p, n }, a,
		    NULL), MM_EINPUT);
		x.p[n] ^= 0x10;
		assert_int_equal(mm_state_parse(mm_buf_view(&x), a, NULL),
		    MM_EINPUT);
		x.p[n] ^= 0x10;
	}
	mm_buf_done(&x);
	free(a);
}

static void
test_rows_end(void **state)
{
	struct mm_state *a = sample();
	char name[16];

	(void)state;
	for (int i = 0; i < MM_STATE_ROWS - 1; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		assert_non_null(mm_state_row(a->crl, &a->ncrl, name));
	}
	assert_null(mm_state_row(a->crl, &a->ncrl, "more"));
	assert_int_equal(mm_state_row(a->crl, &a->ncrl, "issuing")->count, 77);
	free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_damage_is_found),
		cmocka_unit_test(test_rows_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
