#include "../base/rows.h"

#include <stdio.h>

#include "base/time.h"
#include "line/scan.h"

#define GTIN  "04012345000009"
#define OTHER "09506000134352"

static void
reads_rules(void **state)
{
	static const struct {
		const char *rule;
		const char *want; /* NULL: fine */
	} rows[] = {
		{ "plain", NULL }, { "gs1", NULL }, { "gs1:8004", NULL },
		{ "gs1:01=" GTIN, NULL }, { "gs1:01=" GTIN ":8004", NULL },
		{ "plain => SN-{serial}", NULL }, { "label:{serial}", NULL },
		{ "label:S/N: {serial:8}", NULL },
		{ "label:*;{serial};*", NULL }, { "label:*{serial:4}", NULL },
		{ "label:{serial:4}*", NULL }, { "label:\\*{serial}", NULL },
		{ "", "want plain" }, { "regex:.*", "want plain" },
		{ "plainer", "want plain" }, { "gs1:", "want gs1" },
		{ "gs1:01=0401234500000", "14 digits" },
		{ "gs1:01=04012345000008", "check digit" },
		{ "gs1:x1", "want gs1" }, { "label:", "want plain" },
		{ "label:abc", "no {serial}" },
		{ "label:{serial}{serial:3}", "twice" },
		{ "label:{serial}*", "text between" },
		{ "label:*{serial}", "text between" },
		{ "label:**{serial:1}", "text between" },
		{ "label:*{serial:4}x", "text between" },
		{ "label:{serial:0}", "1 to 64" },
		{ "label:{serial:65}", "1 to 64" },
		{ "label:{serial:99999999999}", "1 to 64" },
		{ "label:{serial", "want {serial}" },
		{ "label:{sn}", "want {serial}" },
		{ "label:{serial}\\", "nothing after" },
		{ "plain => SN-", "{serial} after" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_scan_rule rule;
		struct mm_why why = { 0 };
		enum mm_err rc = mm_scan_rule_parse(rows[i].rule, &rule, &why);

		ROW(rows[i].rule, (rc == MM_OK) == (rows[i].want == NULL));
		if (rows[i].want != NULL)
			ROW(rows[i].rule, strstr(why.text, rows[i].want) !=
			    NULL);
	}
}

static const struct {
	const char *what, *rule, *label;
	const char *want; /* NULL: refused */
} labels[] = {
	{ "plain", "plain", "SN-1", "SN-1" },
	{ "plain with the scanner's end", "plain", "SN-1\r\n",
	    "SN-1" },
	{ "plain, a space in it", "plain", "SN 1", NULL },
	{ "plain, empty", "plain", "", NULL },
	{ "plain, dots", "plain", "..", NULL },
	{ "GS1 with identifier", "gs1", "]d201" GTIN "21SN7", "SN7" },
	{ "GS1 without", "gs1", "01" GTIN "21SN7", "SN7" },
	{ "GS1, serial not last", "gs1",
	    "]C101" GTIN "21SN7\x1d" "10LOT", "SN7" },
	{ "GS1, serial first", "gs1", "21SN7\x1d" "01" GTIN, "SN7" },
	{ "GS1, a leading separator", "gs1", "\x1d" "01" GTIN "21SN7",
	    "SN7" },
	{ "GS1 printed", "gs1", "(01)" GTIN "(21)SN7(10)L", "SN7" },
	{ "GS1 printed, wrong check digit", "gs1",
	    "(01)04012345000008(21)SN7", NULL },
	{ "GS1 link", "gs1",
	    "https://id.gs1.org/01/" GTIN "/21/SN7?17=271231", "SN7" },
	{ "GS1 link, another article", "gs1:01=" GTIN,
	    "https://id.gs1.org/01/" OTHER "/21/SN7", NULL },
	{ "GS1, the article", "gs1:01=" GTIN, "01" GTIN "21SN7",
	    "SN7" },
	{ "GS1, another article", "gs1:01=" GTIN, "01" OTHER "21SN7",
	    NULL },
	{ "GS1, no article", "gs1:01=" GTIN, "21SN7", NULL },
	{ "GS1, another AI", "gs1:8004", "01" GTIN "8004ABC",
	    "ABC" },
	{ "GS1, a date before", "gs1", "11260101" "21SN7", "SN7" },
	{ "GS1, no serial", "gs1", "01" GTIN "10LOT", NULL },
	{ "GS1, serial twice", "gs1", "21A\x1d" "21B", NULL },
	{ "GS1, serial too long", "gs1", "21123456789012345678901",
	    NULL },
	{ "GS1, cut", "gs1", "01040123", NULL },
	{ "GS1, no AI", "gs1", "SN7", NULL },
	{ "GS1, an AI that is none", "gs1", "05" GTIN "21SN7", NULL },
	{ "GS1, a character that none may have", "gs1", "21S{7",
	    NULL },
	{ "vendor", "label:P/N:*;S/N:{serial};*",
	    "P/N:77-A;S/N:0047;REV:C", "0047" },
	{ "vendor, S/N in the part number", "label:*S/N:{serial};*",
	    "S/N:1;S/N:2;", "1" },
	{ "vendor, not there", "label:*S/N:{serial};*", "P/N:7;",
	    NULL },
	{ "vendor, last text anchors at the end",
	    "label:{serial}-A", "X-A-A", "X-A" },
	{ "vendor, more than the form", "label:{serial:2}", "ABC",
	    NULL },
	{ "vendor, less than the form", "label:{serial:4}", "ABC",
	    NULL },
	{ "vendor, the last eight", "label:*{serial:8}",
	    "00AA12345678", "12345678" },
	{ "vendor, eight exactly", "label:*{serial:8}", "12345678",
	    "12345678" },
	{ "vendor, fewer than eight", "label:*{serial:8}", "1234567",
	    NULL },
	{ "vendor, digits", "label:##-{serial}", "12-X", "X" },
	{ "vendor, no digits", "label:##-{serial}", "1A-X", NULL },
	{ "vendor, any character", "label:?\?-{serial}", "1A-X", "X" },
	{ "vendor, a star itself", "label:\\*{serial}\\*", "*X*",
	    "X" },
	{ "vendor, an empty serial", "label:S{serial}E", "SE", NULL },
	{ "result", "gs1 => SN-{serial}.b", "2147", "SN-47.b" },
	{ "result too long", "plain => 12345678901234567890123456789"
	    "0123456789012345678901234567890{serial}", "12345", NULL },
};

static void
cuts_serials(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(labels); i++) {
		char serial[MM_DEVICE_ID_MAX + 1] = "untouched";
		struct mm_scan_rule rule;
		enum mm_err rc;

		ROW(labels[i].what, mm_scan_rule_parse(labels[i].rule, &rule,
		    NULL) == MM_OK);
		rc = mm_scan(&rule, mm_bytes_of(labels[i].label), serial, NULL);
		ROW(labels[i].what, (rc == MM_OK) == (labels[i].want != NULL));
		ROW(labels[i].what, strcmp(serial, labels[i].want != NULL
		    ? labels[i].want : "untouched") == 0);
	}
}

static void
refuses_a_nul(void **state)
{
	static const uint8_t label[] = { 'S', 0, '1' };
	char serial[MM_DEVICE_ID_MAX + 1];
	struct mm_scan_rule rule;

	(void)state;
	assert_int_equal(mm_scan_rule_parse("plain", &rule, NULL), MM_OK);
	assert_int_equal(mm_scan(&rule, (struct mm_bytes){ label, 3 }, serial,
	    NULL), MM_EINPUT);
}

/* What would take a backtracking matcher years. */
static void
takes_no_time(void **state)
{
	static const char text[] =
	    "label:*a*a*a*a*a*a*a*a*a*a{serial}b";
	char label[MM_SCAN_MAX], serial[MM_DEVICE_ID_MAX + 1];
	struct mm_scan_rule rule;
	int64_t began = mm_mono_ms();

	(void)state;
	memset(label, 'a', sizeof(label));
	assert_int_equal(mm_scan_rule_parse(text, &rule, NULL), MM_OK);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(mm_scan(&rule, (struct mm_bytes){
		    (const uint8_t *)label, sizeof(label) }, serial, NULL),
		    MM_EINPUT);
	/* Microseconds each; a hundred times that is no exponent. */
	assert_true(mm_mono_ms() - began < 10000);
}

static void
knows_check_digits(void **state)
{
	static const struct {
		const char *digits;
		bool want;
	} rows[] = {
		{ GTIN, true }, { OTHER, true }, { "04012345000008", false },
		{ "106141412345678908", true }, { "0", false }, { "", false },
		{ "0401234500000x", false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ROW(rows[i].digits, mm_gs1_checked(mm_bytes_of(
		    rows[i].digits)) == rows[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_rules),
		cmocka_unit_test(cuts_serials),
		cmocka_unit_test(refuses_a_nul),
		cmocka_unit_test(takes_no_time),
		cmocka_unit_test(knows_check_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
