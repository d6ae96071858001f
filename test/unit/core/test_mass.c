#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/mass.h"
#include "rig.h"

/* A selection in as many calls as its limits make of it: more devices than a
 * page has, and limits of a few. */
enum { DEVICES = 260, LONG_MS = 60000 };

static int
setup(void **state)
{
	EVP_PKEY *key;
	struct mm_job *job;

	assert_int_equal(rig_setup(state), 0);
	for (int i = 0; i < DEVICES; i++) {
		struct mm_token_made t;
		char id[16];

		snprintf(id, sizeof(id), "SN-%d", i);
		t = rig_token(*state, id);
		key = rig_key();
		job = rig_job(MM_JOB_ENROL, key, "");
		rig_psk(job, &t);
		rig_run(*state, job);
		assert_int_equal(job->result, MM_OK);
		mm_pkey_free(&key);
		mm_job_free(&job);
	}
	return 0;
}

static const struct mm_selection thermo = { .product = "thermo" };

static enum mm_err
mass(struct rig *r, const struct mm_selection *of, struct mm_mass *m)
{
	return mm_desk_mass(r->desk, &r->admin, of, m, NULL);
}

/* All calls of it: how many, and what they found. */
static unsigned
walk(struct rig *r, const struct mm_mass *how, struct mm_mass *sum)
{
	struct mm_mass m = *how;
	unsigned calls = 0;

	*sum = (struct mm_mass){ 0 };
	do {
		struct mm_mass one = *how;

		strcpy(one.after, m.next);
		m = one;
		assert_int_equal(mass(r, &thermo, &m), MM_OK);
		assert_true(m.left == (m.next[0] != '\0'));
		sum->found += m.found;
		sum->changed += m.changed;
		sum->state[MM_CERT_ISSUED] += m.state[MM_CERT_ISSUED];
		calls++;
	} while (m.left && calls < 2 * DEVICES);
	return calls;
}

static void
looks(void **state)
{
	const struct {
		uint64_t rows;
		int64_t run_ms;
		unsigned calls;
	} rows[] = {
		{ 100000, LONG_MS, 1 },
		{ 100, LONG_MS, 3 },
		{ 130, LONG_MS, 3 }, /* full with the last: there may be more */
		{ 131, LONG_MS, 2 },
		{ 100000, 0, 2 },    /* no time: a page a call */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_mass m = { .dry_run = true, .most = 1,
			.rows = rows[i].rows, .run_ms = rows[i].run_ms }, sum;

		assert_int_equal(walk(*state, &m, &sum), rows[i].calls);
		assert_int_equal(sum.found, DEVICES);
		assert_int_equal(sum.state[MM_CERT_ISSUED], DEVICES);
		assert_int_equal(sum.changed, 0);
	}
}

static void
ends_at_its_time(void **state)
{
	struct mm_selection of = thermo;
	struct mm_mass m = { .dry_run = true, .most = 1, .rows = 10,
		.run_ms = LONG_MS }, in_order = m;

	of.issued_to = 1;
	assert_int_equal(mass(*state, &of, &m), MM_OK);
	assert_true(m.left && m.found == 0);
	of.in_order = true;
	assert_int_equal(mass(*state, &of, &in_order), MM_OK);
	assert_true(!in_order.left && in_order.found == 0);
}

static void
foreign_keys(void **state)
{
	static const char *const keys[] = { "x", "1", "1/", "x//", "-1//",
		"99999999999///", "0/nosuch/", "0/nosuch//", "1/zz//", "0//",
		"/0//", "0/zz/SN-1/" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct mm_mass m = { .dry_run = true, .most = 1, .rows = 10,
			.run_ms = LONG_MS };

		strcpy(m.after, keys[i]);
		assert_int_equal(mass(*state, &thermo, &m), MM_EINPUT);
	}
}

static void
changes(void **state)
{
	const struct {
		enum mm_mass_verb verb;
		uint64_t most;
		unsigned calls;
	} rows[] = {
		{ MM_MASS_HOLD, 100, 3 },
		{ MM_MASS_RELEASE, 7, 38 },
		{ MM_MASS_REVOKE, 10000, 1 }, /* more than a page */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_mass m = { .verb = rows[i].verb, .reason = 1,
			.most = rows[i].most, .rows = 100000,
			.run_ms = LONG_MS }, sum;

		assert_int_equal(walk(*state, &m, &sum), rows[i].calls);
		assert_int_equal(sum.changed, DEVICES);
		walk(*state, &m, &sum); /* from the beginning: nothing */
		assert_int_equal(sum.found, 0);
	}
	assert_int_equal(rig_entries(*state, "certificate.revoked"), DEVICES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks),
		cmocka_unit_test(ends_at_its_time),
		cmocka_unit_test(foreign_keys),
		cmocka_unit_test(changes),
	};

	return cmocka_run_group_tests(tests, setup, rig_teardown);
}
