/* The devices of a batch's serial numbers, among many others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "core/production.h"
#include "core/priv.h"
#include "rig.h"

enum { FLEET = 60000, PAGE = 100 };

/* R-1 to R-60000, behind the program's back. */
static void
fill(struct rig *r)
{
	static const char sql[] =
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
	    " WHERE i < ?1) INSERT INTO device (name, class, state,"
	    " created_at) SELECT 'R-' || i, 1, 0, 1 FROM n";
	struct sqlite3 *db = rig_lock_store(r);
	sqlite3_stmt *st;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_bind_int(st, 1, FLEET), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "COMMIT; BEGIN", NULL, NULL, NULL),
	    SQLITE_OK);
	rig_unlock_store(db);
}

struct seen {
	const struct mm_roll *roll;
	char place[MM_ROLL_PLACE]; /* behind the last one */
	unsigned n, most;
	uint64_t sum;
};

static enum mm_err
see(void *ctx, const char *device, const char *place, struct mm_why *why)
{
	struct seen *s = ctx;

	if (s->n == s->most)
		return MM_FAIL(why, MM_EBUSY, "enough");
	assert_true(mm_roll_has(s->roll, device));
	s->sum += (uint64_t)atoll(device + 2);
	strcpy(s->place, place);
	s->n++;
	return MM_OK;
}

/* All of them, from that place; how many rows were looked at. */
static uint64_t
walk(struct rig *r, struct seen *s, const char *from)
{
	struct mm_roll_page p = { .most = PAGE };
	struct mm_why why = { 0 };
	uint64_t looked = 0;
	enum mm_err rc;

	strcpy(p.place, from);
	do {
		rc = mm_roll_devices(r->desk->r, s->roll, &p, see, s, &why);
		looked += p.looked;
	} while (rc == MM_OK && p.place[0] != '\0');
	assert_true(rc == MM_OK || (rc == MM_EBUSY && s->n == s->most));
	return looked;
}

/* Between stands nearly the whole fleet: it is passed over. */
static void
test_others_are_passed_over(void **state)
{
	static const struct {
		const char *serials;
		unsigned n;
		uint64_t sum;
	} rows[] = {
		{ "R-{1..20}", 20, 210 },
		{ "r-{95..105}", 11, 1100 },
		{ "R-{9000..9999}", 1000, 9499500 },
		{ "R-{59990..70000}", 11, 659945 },
		{ "R-{00001..00100}", 0, 0 },
	};
	struct rig *r = *state;

	fill(r);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_work_order o = { .serials_count = 0 };
		struct mm_roll roll;
		struct seen s = { .roll = &roll, .most = UINT32_MAX };
		struct seen half = { .roll = &roll, .most = 6 };
		uint64_t looked;

		strcpy(o.serials, rows[i].serials);
		assert_int_equal(mm_roll_over(&o, (struct mm_bytes){ 0 },
		    &roll, NULL), MM_OK);
		looked = walk(r, &s, "");
		assert_int_equal(s.n, rows[i].n);
		assert_int_equal(s.sum, rows[i].sum);
		/* no more than a page for each, and one for each length */
		assert_in_range(looked, 0, (rows[i].n + 5) * PAGE);
		/* and goes on behind any of them */
		(void)walk(r, &half, "");
		half.most = UINT32_MAX;
		if (half.n > 0)
			(void)walk(r, &half, half.place);
		assert_int_equal(half.sum, rows[i].sum);
		mm_roll_done(&roll);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_others_are_passed_over),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
