#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "signer/outset.h"

static struct mm_journal_line
line(uint32_t n)
{
	struct mm_journal_line l = { .n = n };

	/* few buckets, so that chains grow */
	l.serial[0] = 1;
	l.serial[15] = (uint8_t)(n % 3);
	memcpy(l.serial + 4, &n, sizeof(n));
	return l;
}

static void
put(struct mm_outset *s, uint32_t n)
{
	struct mm_journal_line l = line(n);

	assert_int_equal(mm_outset_put(s, &l, n * 10, NULL), MM_OK);
}

static void
drop(struct mm_outset *s, uint32_t n)
{
	mm_outset_drop(s, line(n).serial);
}

/* Against a plain array of flags, in an order that mixes all cases. */
static void
test_as_a_model(void **state)
{
	struct mm_outset *s = NULL;
	bool in[500] = { false };
	uint32_t x = 12345;

	(void)state;
	assert_int_equal(mm_outset_new(&s, NULL), MM_OK);
	for (uint32_t n = 0; n < 500; n++) {
		const struct mm_outset_item *it = NULL;
		uint32_t want = 0;
		put(s, n);
		in[n] = true;
		x = x * 1103515245 + 12345;
		drop(s, (x >> 8) % 500);
		in[(x >> 8) % 500] = false;
		for (uint32_t k = 0; k < 500; k++) {
			assert_int_equal(in[k],
			    mm_outset_get(s, line(k).serial) != NULL);
			if (!in[k])
				continue;
			it = mm_outset_each(s, it);
			assert_int_equal(it->line.n, k);
			want++;
		}
		assert_null(it == NULL ? mm_outset_each(s, NULL) :
					 mm_outset_each(s, it));
		assert_int_equal(mm_outset_count(s), want);
	}
	mm_outset_free(&s);
}

static void
test_full(void **state)
{
	struct mm_outset *s = NULL;
	struct mm_journal_line l = line(MM_OUTSET_MAX);

	(void)state;
	assert_int_equal(mm_outset_new(&s, NULL), MM_OK);
	for (uint32_t n = 0; n < MM_OUTSET_MAX; n++)
		put(s, n);
	assert_int_equal(mm_outset_put(s, &l, 0, NULL), MM_ELIMIT);
	put(s, 7); /* there already */
	assert_int_equal(mm_outset_count(s), MM_OUTSET_MAX);
	drop(s, 7);
	assert_int_equal(mm_outset_put(s, &l, 0, NULL), MM_OK);
	mm_outset_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_a_model),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
