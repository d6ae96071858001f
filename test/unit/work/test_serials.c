#include <stdio.h>

#include "../base/rows.h"

#include "work/serials.h"

static void
runs_parse(void **state)
{
	static const struct {
		const char *text;
		uint64_t count;
		const char *first, *last;
	} row[] = {
		{ "SN-{000001..005000}", 5000, "SN-000001", "SN-005000" },
		{ "{7..7}", 1, "7", "7" },
		{ "{1..5000}", 5000, "1", "5000" },
		{ "a{08..12}.b", 5, "a08.b", "a12.b" },
		{ "{0..9}", 10, "0", "9" },
		{ "{0000001..9999999}", 9999999, "0000001", "9999999" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		char text[MM_SERIALS_TEXT], at[MM_DEVICE_ID_MAX + 1];
		struct mm_serials s;

		ROW(row[i].text, mm_serials_parse(row[i].text, &s, NULL) ==
		    MM_OK);
		mm_serials_text(&s, text);
		ROW(row[i].text, strcmp(text, row[i].text) == 0);
		ROW(row[i].text, mm_serials_count(&s) == row[i].count);
		mm_serials_at(&s, 0, at);
		ROW(row[i].text, strcmp(at, row[i].first) == 0);
		mm_serials_at(&s, row[i].count - 1, at);
		ROW(row[i].text, strcmp(at, row[i].last) == 0);
	}
}

static void
others_are_refused(void **state)
{
	static const char *const bad[] = { "", "SN-1", "SN-{1}", "SN-{1..}",
		"SN-{..2}", "SN-{2..1}", "SN-{01..005}", "SN-{0..10}",
		"SN-{1..2", "SN-1..2}", "SN {1..2}", "SN-{1..2}{3..4}",
		"SN-{-1..2}", "SN-{1 ..2}", "SN-{1..2}\n", "\xc3\xa4{1..2}",
		"{1..10000001}", "{1...3}", "{1..2..3}",
		"SN-{0000000000000000001..0000000000000000002}",
		("0123456789012345678901234567890123456789012345678901234567890"
		"{0001..0002}") };

	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++) {
		struct mm_serials s;
		ROW(bad[i], mm_serials_parse(bad[i], &s, NULL) == MM_EINPUT);
	}
}

static void
serials_are_found(void **state)
{
	static const struct {
		const char *run, *serial;
		int64_t want;
	} row[] = {
		{ "SN-{0001..5000}", "SN-0001", 0 },
		{ "SN-{0001..5000}", "SN-5000", 4999 },
		{ "SN-{0001..5000}", "SN-0000", -1 },
		{ "SN-{0001..5000}", "SN-5001", -1 },
		{ "SN-{0001..5000}", "SN-1", -1 },
		{ "SN-{0001..5000}", "SN-00001", -1 },
		{ "SN-{0001..5000}", "sn-0001", -1 },
		{ "SN-{0001..5000}", "SN-0001x", -1 },
		{ "SN-{0001..5000}", "SN-", -1 },
		{ "SN-{0001..5000}", "", -1 },
		{ "SN-{0001..5000}", "SN-+001", -1 },
		{ "{1..500}", "12", 11 },
		{ "{1..500}", "012", -1 },
		{ "1{1..5}1", "131", 2 },
		{ "1{1..5}1", "11", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mm_serials s;
		uint64_t at = 77;
		bool found;

		ROW(row[i].run, mm_serials_parse(row[i].run, &s, NULL) ==
		    MM_OK);
		found = mm_serials_find(&s, row[i].serial, &at);
		ROW(row[i].serial, found == (row[i].want >= 0));
		ROW(row[i].serial, !found || at == (uint64_t)row[i].want);
		ROW(row[i].serial, mm_serials_find_caseless(&s, row[i].serial,
		    &at) == (found || strcmp(row[i].serial, "sn-0001") == 0));
	}
}

static void
runs_are_cut(void **state)
{
	static const struct {
		const char *run;
		uint64_t n;
		const char *part, *rest;
	} row[] = {
		{ "SN-{001..100}", 40, "SN-{001..040}", "SN-{041..100}" },
		{ "SN-{1..100}", 9, "SN-{1..9}", "SN-{10..100}" },
		{ "SN-{1..100}", 99, "SN-{1..99}", "SN-{100..100}" },
		{ "SN-{1..100}", 12, "SN-{1..12}", "SN-{13..100}" },
		{ "SN-{1..9}", 9, "SN-{1..9}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mm_serials s, part, again;
		char text[MM_SERIALS_TEXT];

		ROW(row[i].run, mm_serials_parse(row[i].run, &s, NULL) ==
		    MM_OK);
		ROW(row[i].run, mm_serials_cut(&s, row[i].n, &part, NULL) ==
		    MM_OK);
		mm_serials_text(&part, text);
		ROW(row[i].run, strcmp(text, row[i].part) == 0);
		ROW(text, mm_serials_parse(text, &again, NULL) == MM_OK);
		if (row[i].rest == NULL) {
			ROW(row[i].run, mm_serials_cut(&s, 1, &part, NULL) ==
			    MM_ECONFLICT);
			continue;
		}
		mm_serials_text(&s, text);
		ROW(row[i].run, strcmp(text, row[i].rest) == 0);
		ROW(text, mm_serials_parse(text, &again, NULL) == MM_OK);
	}
}

static void
runs_overlap(void **state)
{
	static const struct {
		const char *a, *b, *first; /* of a's; NULL: none */
	} row[] = {
		{ "SN-{1..5000}", "SN-{1000..2000}", "SN-1000" },
		{ "SN-{1000..2000}", "SN-{1..5000}", "SN-1000" },
		{ "SN-{1..5000}", "sn-1{000..999}", "SN-1000" },
		{ "SN-{1..5000}", "SN-{0001..0999}", NULL },
		{ "SN-{1..5000}", "SN-{0001..1000}", "SN-1000" },
		{ "SN-{1..99}5", "SN-{7..120}", "SN-15" },
		{ "SN-{1..99}5", "SN-{7..14}", NULL },
		{ "X{0..9}Y5", "X3Y{0..9}", "X3Y5" },
		{ "X{4..9}Y5", "X3Y{0..9}", NULL },
		{ "1{0000..9999}99", "100{0000..9999}", "1000099" },
		{ "1{0034..9999}99", "100{0000..0098}", NULL },
		{ "{1..10000000}", "{10000000..10000000}", "10000000" },
		{ "SN-{1..9}", "SM-{1..9}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		char at[MM_DEVICE_ID_MAX + 1] = "";
		struct mm_serials a, b;
		uint64_t index;

		ROW(row[i].a, mm_serials_parse(row[i].a, &a, NULL) == MM_OK);
		ROW(row[i].b, mm_serials_parse(row[i].b, &b, NULL) == MM_OK);
		if (mm_serials_overlap(&a, &b, &index))
			mm_serials_at(&a, index, at);
		ROW(row[i].a, strcmp(at, row[i].first != NULL ?
		    row[i].first : "") == 0);
	}
}

/* The first of a's that b has, one by one. */
static bool
look_at_each(const struct mm_serials *a, const struct mm_serials *b,
    uint64_t *index)
{
	char at[MM_DEVICE_ID_MAX + 1];
	uint64_t i, unused;

	for (i = 0; i < mm_serials_count(a); i++) {
		mm_serials_at(a, i, at);
		if (mm_serials_find_caseless(b, at, &unused))
			break;
	}
	*index = i;
	return i < mm_serials_count(a);
}

enum { HEADS = 6, RANGES = 8, TAILS = 4, RUNS = HEADS * RANGES * TAILS };

static void
make_runs(struct mm_serials *run)
{
	static const char *const heads[HEADS] = { "", "s", "S1", "1", "10",
		"0" };
	static const char *const ranges[RANGES] = { "{1..12}", "{8..120}",
		"{01..12}", "{001..120}", "{0..9}", "{95..105}", "{000..019}",
		"{100..112}" };
	static const char *const tails[TAILS] = { "", "0", "1x", "12" };

	for (size_t i = 0; i < RUNS; i++) {
		char text[MM_SERIALS_TEXT];

		snprintf(text, sizeof(text), "%s%s%s", heads[i % HEADS],
		    ranges[i / HEADS % RANGES], tails[i / HEADS / RANGES]);
		ROW(text, mm_serials_parse(text, &run[i], NULL) == MM_OK);
	}
}

/* As if each serial had been looked for, for runs of every kind. */
static void
overlaps_are_what_they_are(void **state)
{
	static struct mm_serials run[RUNS];
	unsigned n = 0;

	(void)state;
	make_runs(run);
	for (size_t i = 0; i < RUNS; i++) {
		for (size_t k = 0; k < RUNS; k++) {
			char a[MM_SERIALS_TEXT];
			uint64_t want = 0, got = 0;
			bool yes = look_at_each(&run[i], &run[k], &want);

			mm_serials_text(&run[i], a);
			ROW(a, mm_serials_overlap(&run[i], &run[k], &got) ==
			    yes);
			ROW(a, !yes || got == want);
			n += yes;
		}
	}
	assert_in_range(n, RUNS + 1, RUNS * RUNS - 1);
}

/* Of each length the ends, between which all of that length stand. */
static void
ends_have_all_between_them(void **state)
{
	static struct mm_serials run[RUNS];

	(void)state;
	make_runs(run);
	for (size_t i = 0; i < RUNS; i++) {
		char low[MM_DEVICE_ID_MAX + 1], high[MM_DEVICE_ID_MAX + 1];
		char at[MM_DEVICE_ID_MAX + 1];
		uint64_t from = 0, seen = 0;

		while (mm_serials_ends(&run[i], &from, low, high)) {
			for (; seen < from; seen++) {
				mm_serials_at(&run[i], seen, at);
				ROW(at, strcmp(low, at) <= 0 &&
				    strcmp(at, high) <= 0);
			}
		}
		assert_int_equal(seen, mm_serials_count(&run[i]));
	}
}

static void
misfits_are_told(void **state)
{
	static const struct {
		const char *serial;
		unsigned want;
	} row[] = {
		{ "SN-000001", 0 },
		{ "SN.1", MM_MISFIT_AWS },
		{ "SN_", MM_MISFIT_AZURE },
		{ "SN.", MM_MISFIT_AWS | MM_MISFIT_AZURE },
		{ "12345678901234567890123", 0 },
		{ "123456789012345678901234", MM_MISFIT_MQTT },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++)
		ROW(row[i].serial, mm_serial_misfits(row[i].serial) ==
		    row[i].want);
	for (unsigned bit = 1; bit <= MM_MISFIT_MQTT; bit <<= 1)
		assert_non_null(mm_serial_misfit_text(bit));
	assert_null(mm_serial_misfit_text(8));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_parse),
		cmocka_unit_test(others_are_refused),
		cmocka_unit_test(serials_are_found),
		cmocka_unit_test(runs_are_cut),
		cmocka_unit_test(runs_overlap),
		cmocka_unit_test(overlaps_are_what_they_are),
		cmocka_unit_test(ends_have_all_between_them),
		cmocka_unit_test(misfits_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
