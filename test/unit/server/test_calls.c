#include "../base/rows.h"

#include "server/calls.h"

enum { ALL = 2000 };

static struct mm_call calls[ALL];

/* n calls of one certificate (0: of operators); how many there is room for. */
static unsigned
put(struct mm_calls *q, unsigned *used, uint8_t serial, unsigned n)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < n; i++) {
		struct mm_call *c = &calls[*used];

		*c = (struct mm_call){ .device = serial != 0 };
		c->authority.kind = MM_AUTH_DEVICE;
		c->authority.serial[15] = serial;
		if (mm_calls_put(q, c, false)) {
			taken++;
			++*used;
		}
	}
	return taken;
}

static void
everybody_has_room(void **state)
{
	struct mm_calls q;
	unsigned used = 0, devices = 0;

	(void)state;
	mm_calls_init(&q);
	assert_int_equal(put(&q, &used, 1, 100), 8);
	assert_int_equal(put(&q, &used, 2, 1), 1); /* another is not kept out */
	for (unsigned i = 3; i <= 200; i++)
		devices += put(&q, &used, (uint8_t)i, 2);
	assert_int_equal(devices, 256 - 9);
	assert_int_equal(put(&q, &used, 201, 1), 0);
	assert_int_equal(put(&q, &used, 0, 1000), 256);
	assert_int_equal(q.n, 512);
	/* what is done is answered, and the oldest comes first */
	calls[used] = (struct mm_call){ .device = true };
	assert_true(mm_calls_put(&q, &calls[used], true));
	for (unsigned i = 0; i <= used; i++)
		assert_ptr_equal(mm_calls_take(&q), &calls[i]);
	assert_null(mm_calls_take(&q));
	assert_int_equal(q.n + q.devices + q.bytes, 0);
	assert_int_equal(put(&q, &used, 1, 9), 8); /* and all begins anew */
}

static void
bodies_are_bounded(void **state)
{
	struct mm_call big[3];
	struct mm_calls q;

	(void)state;
	mm_calls_init(&q);
	for (unsigned i = 0; i < 3; i++) {
		big[i] = (struct mm_call){ .data.cap = 30 << 20 };
		assert_int_equal(mm_calls_put(&q, &big[i], false), i < 2);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everybody_has_room),
		cmocka_unit_test(bodies_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
