#include <string.h>

#include "../base/rows.h"
#include "base/time.h"
#include "station/shift.h"

/* A shift as it is in memory, without journal, centre or boards. */
static struct mm_fixture_conf fixtures[4] = { { .name = "f1" },
	{ .name = "f2" }, { .name = "f3" }, { .name = "f4" } };

static struct mm_shift *
fresh(void)
{
	static struct mm_shift s;

	memset(&s, 0, sizeof(s));
	s.left = s.of = -1;
	s.line.nplaces = 4;
	for (unsigned i = 0; i < 4; i++) {
		s.line.place[i].conf = &fixtures[i];
		s.line.place[i].number = i;
	}
	return &s;
}

/* ---- how fast ---- */

static void
passed_in(struct mm_shift *s, int64_t ms)
{
	struct mm_place p = { .ended = MM_UNIT_PASSED, .took_ms = ms };

	mm_sums_take(s, &p);
}

static void
ninety_nine_of_a_hundred(void **state)
{
	struct mm_shift *s = fresh();

	(void)state;
	assert_int_equal(mm_sums_p99_ms(s), -1);
	passed_in(s, 7);
	assert_int_equal(mm_sums_p99_ms(s), 7);
	s = fresh();
	for (int i = 100; i > 0; i--)
		passed_in(s, i);
	assert_int_equal(mm_sums_p99_ms(s), 99);
	passed_in(s, 1000);
	assert_int_equal(mm_sums_p99_ms(s), 100);
	/* The oldest are forgotten. */
	for (int i = 0; i < MM_SHIFT_TOOK; i++)
		passed_in(s, 5);
	assert_int_equal(mm_sums_p99_ms(s), 5);
}

static void
units_an_hour(void **state)
{
	struct mm_shift *s = fresh();
	int64_t now = mm_mono_ms();

	(void)state;
	assert_int_equal(mm_sums_per_hour(s), -1);
	/* The first minute counts as a whole one. */
	s->first_ms = now;
	for (int i = 0; i < 10; i++)
		passed_in(s, 5);
	assert_int_equal(mm_sums_per_hour(s), 600);
	/* Ten in the half hour since the first label. */
	s->first_ms = now - 30 * 60000;
	assert_in_range(mm_sums_per_hour(s), 19, 20);
	/* What passed more than an hour ago is no longer so fast. */
	s->first_ms = now - 90 * 60000;
	assert_int_equal(mm_sums_per_hour(s), 10);
	s->minute_at -= 61;
	assert_int_equal(mm_sums_per_hour(s), 0);
	passed_in(s, 5);
	assert_int_equal(mm_sums_per_hour(s), 1);
}

static void
what_failed_is_not_counted(void **state)
{
	struct mm_shift *s = fresh();
	struct mm_place p = { .ended = MM_UNIT_FAILED, .took_ms = 9 };

	(void)state;
	s->left = s->of = 10;
	mm_sums_take(s, &p);
	assert_int_equal(s->ntook, 0);
	assert_int_equal(s->left, 10);
	passed_in(s, 9);
	assert_int_equal(s->left, 9);
	/* one that was made before takes nothing from the quota */
	p = (struct mm_place){ .ended = MM_UNIT_PASSED, .known = true };
	mm_sums_take(s, &p);
	assert_int_equal(s->left, 9);
}

/* ---- what is next ---- */

struct now {
	bool there, gone;
	enum mm_unit_state ended;
	bool busy;
};

static void
what_is_next(void **state)
{
	static const struct {
		const char *what;
		struct now f[4];
		const char *next, *where;
	} rows[] = {
		{ "nothing is there", { { 0 } }, "insert", "" },
		{ "one is there", { [2] = { .there = true } }, "scan", "f3" },
		{ "one has passed", { [1] = { .there = true,
		    .ended = MM_UNIT_PASSED } }, "out", "f2" },
		{ "it was taken out", { [1] = { .gone = true,
		    .ended = MM_UNIT_PASSED } }, "insert", "" },
		{ "one passed, another waits", { { .there = true,
		    .ended = MM_UNIT_PASSED }, { .there = true } }, "scan",
		    "f2" },
		{ "one failed, others wait", { { .there = true },
		    [3] = { .ended = MM_UNIT_FAILED } }, "see", "f4" },
		{ "put aside is failed, too", { { .there = true },
		    [3] = { .ended = MM_UNIT_QUARANTINED } }, "see", "f4" },
		{ "all are at work", { { .busy = true }, { .busy = true },
		    { .busy = true }, { .busy = true } }, "wait", "f1" },
		{ "one passed beside work", { { .busy = true },
		    { .there = true, .ended = MM_UNIT_PASSED } }, "out",
		    "f2" },
	};
	static struct mm_unit unit = { .state = MM_UNIT_KEYED };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_shift *s = fresh();
		const struct mm_place *p = NULL;
		enum mm_next next;

		for (unsigned k = 0; k < 4; k++) {
			s->there[k] = rows[i].f[k].there;
			s->gone[k] = rows[i].f[k].gone;
			s->line.place[k].ended = rows[i].f[k].ended;
			if (rows[i].f[k].busy)
				s->line.place[k].unit = &unit;
		}
		next = mm_shift_next(s, &p);
		ROW(rows[i].what,
		    strcmp(mm_next_name(next), rows[i].next) == 0);
		ROW(rows[i].what, strcmp(p != NULL ? p->conf->name : "",
		    rows[i].where) == 0);
	}
}

static void
a_line_that_stands_still(void **state)
{
	struct mm_shift *s = fresh();
	const struct mm_place *p;

	(void)state;
	s->there[0] = true;
	s->line.broken = MM_ESYS;
	assert_int_equal(mm_shift_next(s, &p), MM_NEXT_STOP);
	s->line.broken = MM_OK;
	s->stopped_for = MM_UR_ORDER;
	assert_int_equal(mm_shift_next(s, &p), MM_NEXT_STOP);
	assert_int_equal(mm_shift_stopped(s), MM_UR_ORDER);
	s->line.broken = MM_ESYS;
	assert_int_equal(mm_shift_stopped(s), MM_UR_JOURNAL);
}

/* ---- what is typed ---- */

struct heard {
	enum mm_no no;
	unsigned n;
};

static void
hear(void *ctx, const struct mm_shift *s, const struct mm_said *what)
{
	struct heard *h = ctx;

	(void)s;
	h->no = what->no;
	h->n++;
}

static void
what_leads_to_nothing(void **state)
{
	static const struct {
		const char *typed;
		enum mm_no no;
		unsigned n;
	} rows[] = {
		{ "", MM_NO_NONE, 0 },
		{ "SN-1", MM_NO_FREE, 1 },
		{ "f9 SN-1", MM_NO_FIXTURE, 1 },
		{ "SN-1+", MM_NO_GANG, 1 },
		{ "SN-1+0", MM_NO_GANG, 1 },
		{ "SN-1+33", MM_NO_GANG, 1 },
		{ "SN-1+x", MM_NO_GANG, 1 },
		{ "SN-1+2", MM_NO_FREE, 2 },
		{ "SN-9+2", MM_NO_COUNT, 2 },
		{ "SN+2", MM_NO_COUNT, 2 },
	};
	char longest[400];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_shift *s = fresh();
		struct heard h = { MM_NO_NONE, 0 };

		mm_shift_listen(s, hear, &h);
		assert_true(mm_shift_type(s, MM_DOOR_TYPED, rows[i].typed));
		ROW(rows[i].typed, h.no == rows[i].no && h.n == rows[i].n);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	struct mm_shift *s = fresh();
	struct heard h = { MM_NO_NONE, 0 };

	mm_shift_listen(s, hear, &h);
	assert_true(mm_shift_type(s, MM_DOOR_TYPED, longest));
	assert_int_equal(h.no, MM_NO_LABEL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ninety_nine_of_a_hundred),
		cmocka_unit_test(units_an_hour),
		cmocka_unit_test(what_failed_is_not_counted),
		cmocka_unit_test(what_is_next),
		cmocka_unit_test(a_line_that_stands_still),
		cmocka_unit_test(what_leads_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
