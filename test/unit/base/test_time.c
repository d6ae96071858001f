#include "rows.h"

#include <time.h>

#include "base/time.h"

static void
reads_rfc_3339(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} rows[] = {
		{ "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z" },
		{ "2026-11-23T05:00:00.123Z", "2026-11-23T05:00:00.123Z" },
		{ "2026-11-23T05:00:00.1Z", "2026-11-23T05:00:00.100Z" },
		{ "2026-11-23T05:00:00.123456789Z",
		    "2026-11-23T05:00:00.123Z" },
		{ "2026-11-23t05:00:00z", "2026-11-23T05:00:00.000Z" },
		{ "1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57.000Z" },
		{ "1990-12-31T23:59:59+05:30", "1990-12-31T18:29:59.000Z" },
		{ "2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z" },
		{ "2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z" },
		{ "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z" },
		{ "2023-02-29T00:00:00Z", NULL },
		{ "2100-02-29T00:00:00Z", NULL },
		{ "2026-04-31T00:00:00Z", NULL },
		{ "2026-12-32T00:00:00Z", NULL },
		{ "2026-13-01T00:00:00Z", NULL },
		{ "2026-00-01T00:00:00Z", NULL },
		{ "2026-01-00T00:00:00Z", NULL },
		{ "2026-01-01T24:00:00Z", NULL },
		{ "2026-01-01T00:60:00Z", NULL },
		{ "2026-12-31T23:59:60Z", NULL },
		{ "2026-01-01 00:00:00Z", NULL },
		{ "2026-01-01T00:00:00", NULL },
		{ "2026-01-01T00:00:00.Z", NULL },
		{ "2026-01-01T00:00:00.1234567890Z", NULL },
		{ "2026-01-01T00:00:00Zx", NULL },
		{ "2026-01-01T00:00:00+24:00", NULL },
		{ "2026-01-01T00:00:00+0100", NULL },
		{ "1970-01-01T00:00:00+00:01", NULL },
		{ "9999-12-31T23:59:59-00:01", NULL },
		{ "1969-12-31T23:59:59Z", NULL },
		{ "26-01-01T00:00:00Z", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char text[MM_TIME_TEXT] = "";
		int64_t ms = -1;
		enum mm_err err = mm_time_parse(rows[i].text, &ms, NULL);
		ROW(rows[i].text, (err == MM_OK) == (rows[i].want != NULL));
		if (err != MM_OK)
			continue;
		mm_time_text(ms, text);
		ROW(rows[i].text, strcmp(text, rows[i].want) == 0);
	}
}

/* Every day of the years 1 to 9999 against the C library's calendar. */
static void
agrees_with_the_calendar(void **state)
{
	const int64_t first = -INT64_C(62135596800);

	(void)state;
	for (int64_t s = first; s <= MM_TIME_FOREVER_S; s += 86400 + 17) {
		time_t t = (time_t)s;
		struct tm tm;
		struct mm_civil c = mm_time_civil(s);
		gmtime_r(&t, &tm);
		if (c.year != tm.tm_year + 1900 || c.month != tm.tm_mon + 1 ||
		    c.day != tm.tm_mday || c.hour != tm.tm_hour ||
		    c.minute != tm.tm_min || c.second != tm.tm_sec ||
		    mm_time_from_civil(c) != s)
			fail_msg("%lld", (long long)s);
	}
}

static void
prints_and_clamps(void **state)
{
	static const struct {
		int64_t s;
		const char *want;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ -1, "1969-12-31T23:59:59Z" },
		{ MM_TIME_FOREVER_S, "9999-12-31T23:59:59Z" },
		{ MM_TIME_FOREVER_S + 1, "9999-12-31T23:59:59Z" },
		{ INT64_MAX, "9999-12-31T23:59:59Z" },
		{ INT64_MIN, "0001-01-01T00:00:00Z" },
	};
	char text[MM_TIME_TEXT];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		mm_time_text_s(rows[i].s, text);
		ROW(rows[i].want, strcmp(text, rows[i].want) == 0);
	}
	mm_time_text(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999Z");
	mm_time_text(INT64_MIN, text);
	mm_time_text(INT64_MAX, text);
}

static void
clocks_agree(void **state)
{
	int64_t ms = mm_now_ms(), mono = mm_mono_us();

	(void)state;
	assert_true(ms / 1000 - mm_now_s() <= 1);
	assert_true(mm_now_s() - time(NULL) <= 1);
	assert_true(mm_mono_us() >= mono);
	assert_true(mm_mono_ms() >= mono / 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_rfc_3339),
		cmocka_unit_test(agrees_with_the_calendar),
		cmocka_unit_test(prints_and_clamps),
		cmocka_unit_test(clocks_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
