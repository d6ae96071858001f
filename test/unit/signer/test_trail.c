#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "signer/priv.h"

/* A tree of n leaves and its trail, which begins at `from`. */
struct grown {
	struct mm_frontier tree;
	struct mm_trail *trail;
};

static struct mm_hash
leaf(uint64_t i)
{
	return mm_tree_leaf((struct mm_bytes){ (uint8_t *)&i, sizeof(i) });
}

static void
grow(struct grown *g, uint64_t n)
{
	while (n-- > 0) {
		struct mm_hash h = leaf(g->tree.size);

		mm_frontier_append(&g->tree, &h);
		if (g->trail != NULL)
			mm_trail_append(g->trail, &h);
	}
}

static void
begin(struct grown *g, uint64_t from)
{
	*g = (struct grown){ 0 };
	grow(g, from);
	assert_int_equal(mm_trail_new(&g->tree, &g->trail, NULL), MM_OK);
}

/* What another signer would sign of the first n leaves. */
static struct mm_checkpoint
of(uint64_t n)
{
	struct grown g = { 0 };
	struct mm_checkpoint c = { .size = n };

	grow(&g, n);
	c.root = mm_frontier_root(&g.tree);
	return c;
}

static enum mm_err
check(struct grown *g, uint64_t n)
{
	struct mm_checkpoint c = of(n);

	return mm_trail_check(g->trail, &c, NULL);
}

static void
test_sizes(void **state)
{
	static const struct {
		uint64_t n;
		enum mm_err want;
	} rows[] = { /* in this order: each success moves the base */
		{ 101, MM_EAGAIN }, { 49, MM_ENOTFOUND }, { 50, MM_OK },
		{ 63, MM_OK }, { 62, MM_ENOTFOUND }, { 64, MM_OK },
		{ 100, MM_OK }, { 100, MM_OK }, { 99, MM_ENOTFOUND },
	};
	struct grown g;

	(void)state;
	begin(&g, 50);
	grow(&g, 50);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(check(&g, rows[i].n), rows[i].want);
	mm_trail_free(&g.trail);
}

static void
test_another_tree(void **state)
{
	struct mm_checkpoint c = of(70);
	struct grown g;

	(void)state;
	begin(&g, 50);
	grow(&g, 50);
	c.root.b[31] ^= 1;
	assert_int_equal(mm_trail_check(g.trail, &c, NULL), MM_EPOLICY);
	/* it has not moved */
	assert_int_equal(check(&g, 60), MM_OK);
	mm_trail_free(&g.trail);
}

static void
test_more_than_is_kept(void **state)
{
	struct grown g;

	(void)state;
	begin(&g, 3);
	grow(&g, 65536 + 10);
	assert_int_equal(check(&g, 12), MM_ENOTFOUND);
	assert_int_equal(check(&g, 13), MM_OK);
	assert_int_equal(check(&g, 65000), MM_OK);
	grow(&g, 65536);
	assert_int_equal(check(&g, g.tree.size), MM_OK);
	mm_trail_free(&g.trail);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_another_tree),
		cmocka_unit_test(test_more_than_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
