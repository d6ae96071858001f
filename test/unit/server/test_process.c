#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/settings.h"
#include "server/process.h"

static const struct {
	const char *what;
	int64_t threads, connections;
	const char *public_listen;
	uint64_t fds;
	unsigned want;
} rows[] = {
	{ "as configured", 2, 20000, "a", 100000, 20000 },
	{ "just enough", 2, 1000, "a", 3000 + 128 + 128, 1000 },
	{ "one too few", 2, 1000, "a", 3000 + 128 + 127, 999 },
	{ "the usual soft limit", 2, 20000, "a", 1024, 256 },
	{ "two listeners share more", 2, 20000, "", 1024, 384 },
	{ "a thread costs", 4, 20000, "a", 1024, 213 },
	{ "hardly any", 2, 20000, "a", 256, 8 },
	{ "none known", 16, 20000, "a", 0, 8 },
};

static void
each_listener_has_its_share(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_settings set = { .threads = rows[i].threads,
			.connections = rows[i].connections };
		unsigned got;

		snprintf(set.devices_listen, sizeof(set.devices_listen), "a");
		snprintf(set.operators_listen, sizeof(set.operators_listen),
		    "a");
		snprintf(set.public_listen, sizeof(set.public_listen), "%s",
		    rows[i].public_listen);
		got = mm_process_connections(&set, rows[i].fds);
		if (got != rows[i].want)
			fail_msg("%s: %u, want %u", rows[i].what, got,
			    rows[i].want);
	}
}

static void
the_soft_limit_is_raised(void **state)
{
	struct rlimit l;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
	l.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
	assert_int_equal(mm_process_fds_max(), 64);
	mm_process_fds_raise();
	assert_int_equal(mm_process_fds_max(), l.rlim_max);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_listener_has_its_share),
		cmocka_unit_test(the_soft_limit_is_raised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
