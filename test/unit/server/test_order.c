#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/order.h"

/* How far times go back, from one start to the next. */

enum { SIZE = 1000 };

static void
test_again(void **state)
{
	struct mm_order a = { .newest_ms = { 5000, 4000 }, .seen = 900,
		.back_ms = { 70, 0 } }, b = { .seen = 0 };
	struct mm_buf json = MM_BUF_INIT(4096);

	(void)state;
	assert_true(mm_order_write(&a, &json));
	assert_true(mm_order_read(&b, mm_buf_view(&json), SIZE));
	assert_int_equal(b.seen, 900);
	assert_memory_equal(b.newest_ms, a.newest_ms, sizeof(a.newest_ms));
	assert_false(mm_order_within(&b, MM_ORDER_ENTRIES, 900, 69));
	assert_true(mm_order_within(&b, MM_ORDER_ENTRIES, 900, 70));
	assert_true(mm_order_within(&b, MM_ORDER_ROWS, 900, 0));
	assert_false(mm_order_within(&b, MM_ORDER_ROWS, 901, 0));
	/* more was seen meanwhile */
	atomic_store(&b.seen, 901);
	assert_false(mm_order_read(&b, mm_buf_view(&json), SIZE));
	mm_buf_done(&json);
}

/* Nobody waits, and what is half written is not read. */
static void
test_busy(void **state)
{
	struct mm_order o = { .busy = true };
	struct mm_buf json = MM_BUF_INIT(4096);

	(void)state;
	assert_false(mm_order_write(&o, &json));
	assert_int_equal(json.n, 0);
	assert_false(mm_order_read(&o, mm_bytes_of("{}"), SIZE));
	assert_true(atomic_load(&o.busy));
}

#define DOC(seen, newest, back, newest_row, back_rows)                    \
	"{\"rules\":1,\"seen\":" seen ",\"newest\":" newest ",\"back\":" back       \
	",\"newest_row\":" newest_row ",\"back_rows\":" back_rows "}"

static void
test_refused(void **state)
{
	static const struct {
		const char *json;
		bool want;
	} rows[] = {
		{ DOC("1000", "9", "0", "9", "0"), true },
		{ DOC("1001", "9", "0", "9", "0"), false },
		{ DOC("0", "9", "0", "9", "0"), false },
		{ DOC("-1", "9", "0", "9", "0"), false },
		{ DOC("7", "9", "-1", "9", "0"), false },
		{ DOC("7", "9", "0", "-9", "0"), false },
		{ DOC("7", "9", "0", "9", "\"0\""), false },
		{ DOC("7", "9", "0", "9", "1e300"), false },
		{ "{\"seen\":7,\"newest\":9,\"back\":0}", false },
		{ "{\"rules\":2,\"seen\":1000,\"newest\":9,\"back\":0,"
		  "\"newest_row\":9,\"back_rows\":0}", false },
		{ "[]", false }, { "", false }, { "{", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_order o = { .seen = 0 };

		assert_int_equal(mm_order_read(&o, mm_bytes_of(rows[i].json),
		    SIZE), rows[i].want);
		assert_int_equal(o.seen, rows[i].want ? SIZE : 0);
		assert_int_equal(o.newest_ms[0], rows[i].want ? 9 : 0);
		assert_false(atomic_load(&o.busy));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
