#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/priv.h"

#define SALT 0x5a17

static struct failures f;

static int
clear(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	return 0;
}

static void
misses(uint64_t key, unsigned times, int64_t now_s)
{
	while (times-- > 0)
		mm_http_failures_add(&f, SALT, key, now_s);
}

static uint32_t
count(uint64_t key, int64_t now_s)
{
	return mm_http_failures_of(&f, SALT, key, now_s);
}

static void
counts_halve(void **state)
{
	(void)state;
	misses(1, 16, 1000);
	assert_int_equal(count(1, 1000), 16);
	assert_int_equal(count(1, 1029), 16);
	assert_int_equal(count(1, 1030), 8);
	assert_int_equal(count(1, 1060), 4);
	assert_int_equal(count(1, 100000), 0);
	assert_int_equal(count(2, 1000), 0);
}

/* One failure every 20 s is not many, however long it lasts. */
static void
a_steady_trickle_does_not_add_up(void **state)
{
	(void)state;
	for (int64_t at = 1000; at < 100000; at += 20)
		misses(1, 1, at);
	assert_true(count(1, 100000) < 5);
}

/* A million other sources, twice each, do not push out one that is slowed. */
static void
nobody_is_pushed_out(void **state)
{
	(void)state;
	misses(7, 100, 1000);
	for (uint64_t key = 1000; key < 1001000; key++)
		misses(key, 2, 1000);
	assert_int_equal(count(7, 1000), 100);
}

/* A light one gives way, so that old neighbours hide no new one. */
static void
a_light_one_gives_way(void **state)
{
	unsigned heavy = 0;

	(void)state;
	for (uint64_t key = 1000; key < 101000; key++)
		misses(key, 1, 1000);
	for (uint64_t key = 1; key <= 100; key++)
		misses(key, 20, 1000);
	for (uint64_t key = 1; key <= 100; key++)
		heavy += count(key, 1000) == 20;
	assert_true(heavy >= 99);
}

static struct in6_addr
address(const char *text)
{
	struct in6_addr a;

	assert_int_equal(inet_pton(AF_INET6, text, &a), 1);
	return a;
}

static void
a_source_is_an_address_or_a_network(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.1", true },
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.2", false },
		{ "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true },
		{ "2001:db8:1:2::1", "2001:db8:1:3::1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct in6_addr a = address(rows[i].a), b = address(rows[i].b);

		assert_int_equal(
		    mm_http_source_key(&a) == mm_http_source_key(&b),
		    rows[i].same);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(counts_halve, clear),
		cmocka_unit_test_setup(a_steady_trickle_does_not_add_up, clear),
		cmocka_unit_test_setup(nobody_is_pushed_out, clear),
		cmocka_unit_test_setup(a_light_one_gives_way, clear),
		cmocka_unit_test(a_source_is_an_address_or_a_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
