#include "../base/rows.h"

#include "ledger/entry.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct mm_entry
issued(void)
{
	struct mm_entry e = { .type = MM_E_CERT_ISSUED,
		.at_ms = INT64_C(1795410000123) };

	e.field[MM_F_DEVICE] = "SN-1";
	e.field[MM_F_ISSUER] = "factory";
	e.field[MM_F_SERIAL] = "01ab";
	e.field[MM_F_CERT_SHA256] = A64;
	e.field[MM_F_SPKI_SHA256] = A64;
	e.field[MM_F_PROFILE] = "thermo@3";
	return e;
}

static void
an_entry_has_the_documented_form(void **state)
{
	struct mm_entry e = issued();
	struct mm_buf b = MM_BUF_INIT(1000);

	(void)state;
	e.field[MM_F_ACTOR] = "op_\"7\"\n";
	e.field[MM_F_RESULT] = "ok";
	assert_int_equal(mm_entry_encode(&e, &b, NULL), MM_OK);
	assert_string_equal(mm_buf_cstr(&b),
	    "{\"v\":1,\"type\":\"certificate.issued\","
	    "\"at\":\"2026-11-23T05:00:00.123Z\",\"time_source\":\"system\","
	    "\"actor\":\"op_\\\"7\\\"\\n\",\"device\":\"SN-1\","
	    "\"issuer\":\"factory\",\"serial\":\"01ab\","
	    "\"cert_sha256\":\"" A64 "\",\"spki_sha256\":\"" A64 "\","
	    "\"profile\":\"thermo@3\",\"result\":\"ok\"}");
	mm_buf_done(&b);
}

static void
fields_are_checked_for_the_type(void **state)
{
	static const struct {
		const char *what;
		enum mm_entry_field field;
		const char *value, *want; /* NULL: good */
	} rows[] = {
		{ "allowed", MM_F_TOKEN, "tk_1", NULL },
		{ "a must is missing", MM_F_SERIAL, NULL,
		    "serial is missing" },
		{ "not of the type", MM_F_ROLE, "admin", "not one of" },
		{ "short hash", MM_F_CERT_SHA256, "aa", "not in its form" },
		{ "upper-case hash", MM_F_DETAIL_SHA256,
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "not in its form" },
		{ "not UTF-8", MM_F_DEVICE, "\xff", "not in its form" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_entry e = issued();
		struct mm_buf b = MM_BUF_INIT(1000);
		struct mm_why why = { 0 };
		enum mm_err err;
		e.field[rows[i].field] = rows[i].value;
		err = mm_entry_encode(&e, &b, &why);
		ROW(rows[i].what, err == (rows[i].want ? MM_EBUG : MM_OK));
		if (rows[i].want != NULL)
			ROW(rows[i].what, b.n == 0 && b.err == MM_OK &&
			    strstr(why.text, rows[i].want) != NULL);
		mm_buf_done(&b);
	}
}

static void
numbers_are_json_numbers(void **state)
{
	static const struct {
		const char *value;
		bool good;
	} rows[] = { { "0", true }, { "7", true },
		{ "9007199254740991", true }, { "9007199254740992", false },
		{ "-1", false }, { "01", false }, { "x", false },
		{ "", false }, { "1.0", false } };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_entry e = { .type = MM_E_COUNTED, .at_ms = 0 };
		struct mm_buf b = MM_BUF_INIT(1000);
		char want[64];
		e.field[MM_F_REASON] = "bad-token";
		e.field[MM_F_COUNT] = rows[i].value;
		ROW(rows[i].value, (mm_entry_encode(&e, &b, NULL) == MM_OK) ==
		    rows[i].good);
		strcat(strcat(strcpy(want, "\"count\":"), rows[i].value), "}");
		if (rows[i].good)
			ROW(rows[i].value,
			    strstr(mm_buf_cstr(&b), want) != NULL);
		mm_buf_done(&b);
	}
}

static void
an_entry_has_a_longest(void **state)
{
	static char text[MM_ENTRY_MAX];
	struct mm_entry e = { .type = MM_E_ALERT };
	struct mm_buf b = MM_BUF_INIT(1 << 20);
	size_t head, n;

	(void)state;
	e.field[MM_F_REASON] = "";
	assert_int_equal(mm_entry_encode(&e, &b, NULL), MM_OK);
	head = b.n;
	mm_buf_reset(&b);
	n = MM_ENTRY_MAX - head;
	memset(text, 'x', n);
	e.field[MM_F_REASON] = text;
	assert_int_equal(mm_entry_encode(&e, &b, NULL), MM_OK);
	assert_int_equal(b.n, MM_ENTRY_MAX);
	mm_buf_reset(&b);
	mm_buf_u8(&b, '!');
	text[n] = 'x';
	assert_int_equal(mm_entry_encode(&e, &b, NULL), MM_ELIMIT);
	assert_int_equal(b.n, 1);
	mm_buf_done(&b);
}

static const char *const names[] = {
#define X(e, name) [e] = name,
	MM_ENTRY_FIELDS(X)
#undef X
};

/* Takes away the field of which why says that the type does not have it. */
static bool
drop_field(struct mm_entry *e, const struct mm_why *why)
{
	char text[64];

	for (size_t f = 0; f < ROWS(names); f++) {
		strcat(strcat(strcpy(text, ": "), names[f]), " is not one");
		if (strstr(why->text, text) == NULL)
			continue;
		e->field[f] = NULL;
		return true;
	}
	return false;
}

/* An entry of the type with every field it may have. */
static enum mm_err
encode_full(enum mm_entry_type t, struct mm_entry *e, struct mm_buf *out)
{
	struct mm_why why = { 0 };

	*e = (struct mm_entry){ .type = t, .at_ms = 1, .time_source = "ntp" };
	for (unsigned f = 0; f < MM_ENTRY_FIELD_COUNT; f++)
		e->field[f] = f == MM_F_COUNT || f == MM_F_NUMBER ||
		    f == MM_F_SIZE || f == MM_F_CONFIG_VERSION ? "12" : A64;
	while (mm_entry_encode(e, out, &why) != MM_OK) {
		if (!drop_field(e, &why))
			return why.code;
		why = (struct mm_why){ 0 };
	}
	return MM_OK;
}

static bool
same_fields(const struct mm_entry *a, const struct mm_entry *b)
{
	for (unsigned f = 0; f < MM_ENTRY_FIELD_COUNT; f++) {
		const char *x = a->field[f], *y = b->field[f];
		if ((x == NULL) != (y == NULL) ||
		    (x != NULL && strcmp(x, y) != 0))
			return false;
	}
	return true;
}

static void
every_type_reads_back(void **state)
{
	(void)state;
	for (unsigned t = 0; t < MM_ENTRY_TYPE_COUNT; t++) {
		const char *name = mm_entry_type_name((enum mm_entry_type)t);
		struct mm_buf b = MM_BUF_INIT(MM_ENTRY_MAX);
		struct mm_entry e, back;
		char arena[4096];
		ROW(name, encode_full((enum mm_entry_type)t, &e, &b) == MM_OK);
		ROW(name, mm_entry_parse(mm_buf_view(&b), arena, b.n + 64,
		    &back, NULL) == MM_OK);
		ROW(name, back.type == e.type && back.at_ms == 1);
		ROW(name, strcmp(back.time_source, "ntp") == 0);
		ROW(name, same_fields(&e, &back));
		mm_buf_done(&b);
	}
}

#define HEAD "{\"v\":1,\"type\":\"refusals.counted\"," \
	     "\"at\":\"1970-01-01T00:00:00.001Z\",\"time_source\":\"ntp\""

static const struct {
	const char *what, *json;
	bool good;
} forms[] = {
	{ "as written", HEAD ",\"reason\":\"r\",\"count\":3}", true },
	{ "escapes", HEAD ",\"reason\":\"\\u0001\\n\\\"\","
			  "\"count\":3}", true },
	{ "optional field", HEAD ",\"actor\":\"a\",\"reason\":\"r\","
				 "\"count\":3}", true },
	{ "empty text", HEAD ",\"reason\":\"\",\"count\":3}", true },
	{ "nothing", "", false },
	{ "no object", "1", false },
	{ "a space", HEAD ", \"reason\":\"r\",\"count\":3}", false },
	{ "an end of line", HEAD ",\"reason\":\"r\",\"count\":3}\n",
	    false },
	{ "other order", HEAD ",\"count\":3,\"reason\":\"r\"}",
	    false },
	{ "twice", HEAD ",\"reason\":\"r\",\"reason\":\"r\","
			"\"count\":3}", false },
	{ "unknown field", HEAD ",\"reason\":\"r\",\"count\":3,"
				"\"x\":\"y\"}", false },
	{ "missing field", HEAD ",\"count\":3}", false },
	{ "not of the type", HEAD ",\"role\":\"x\",\"reason\":\"r\","
				  "\"count\":3}", false },
	{ "number as text", HEAD ",\"reason\":\"r\",\"count\":\"3\"}",
	    false },
	{ "text as number", HEAD ",\"reason\":3,\"count\":3}", false },
	{ "leading zero", HEAD ",\"reason\":\"r\",\"count\":03}",
	    false },
	{ "needless escape", HEAD ",\"reason\":\"\\u0041\","
				  "\"count\":3}", false },
	{ "upper-case escape", HEAD ",\"reason\":\"\\u001F\","
				    "\"count\":3}", false },
	{ "long escape", HEAD ",\"reason\":\"\\u000a\",\"count\":3}",
	    false },
	{ "escaped slash", HEAD ",\"reason\":\"\\/\",\"count\":3}",
	    false },
	{ "escaped NUL", HEAD ",\"reason\":\"\\u0000\",\"count\":3}",
	    false },
	{ "raw control", HEAD ",\"reason\":\"\n\",\"count\":3}",
	    false },
	{ "not UTF-8", HEAD ",\"reason\":\"\xff\",\"count\":3}",
	    false },
	{ "cut in a text", HEAD ",\"reason\":\"r", false },
	{ "cut in an escape", HEAD ",\"reason\":\"\\", false },
	{ "cut in \\u", HEAD ",\"reason\":\"\\u00", false },
	{ "cut before the end", HEAD ",\"reason\":\"r\",\"count\":3",
	    false },
	{ "unknown type", "{\"v\":1,\"type\":\"x\",\"at\":"
			  "\"1970-01-01T00:00:00.001Z\","
			  "\"time_source\":\"ntp\"}", false },
	{ "version 2", "{\"v\":2,\"type\":\"x\"}", false },
	{ "time without milliseconds",
	    "{\"v\":1,\"type\":\"refusals.counted\","
	    "\"at\":\"1970-01-01T00:00:00Z\",\"time_source\":\"n\","
	    "\"reason\":\"r\",\"count\":3}", false },
};

static void
only_the_canonical_form_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(forms); i++) {
		struct mm_entry e = { .at_ms = -1 };
		struct mm_why why = { 0 };
		char arena[1024];
		enum mm_err err = mm_entry_parse(mm_bytes_of(forms[i].json),
		    arena, strlen(forms[i].json) + 64, &e, &why);
		ROW(forms[i].what, err == (forms[i].good ? MM_OK : MM_EINPUT));
		ROW(forms[i].what, why.code == err);
		ROW(forms[i].what, (e.at_ms == 1) == forms[i].good);
	}
}

#define LATER(type, more) "{\"v\":1,\"type\":\"" type "\"," \
	"\"at\":\"1970-01-01T00:00:00.001Z\",\"time_source\":\"ntp\"" more "}"

/* Good: read, as what parse would not have. */
static const struct {
	const char *what, *json;
	bool good;
} laters[] = {
	{ "a type", LATER("x.y_2", ""), true },
	{ "a type with fields", LATER("x", ",\"device\":\"SN-1\",\"a\":1,"
	    "\"count\":3,\"b\":\"\\u0001\\n\xc3\xa9\""), true },
	{ "a field of a known type", HEAD ",\"reason\":\"r\",\"a\":\"\","
	    "\"count\":3}", true },
	{ "a known field that the type did not have", HEAD
	    ",\"role\":\"x\",\"reason\":\"r\",\"count\":3}", true },
	{ "no type", LATER("", ""), false },
	{ "a type with capitals", LATER("X", ""), false },
	{ "a long type", LATER("x2345678901234567890123456789012345678901",
	    ""), false },
	{ "no field", LATER("x", ",\"\":\"\""), false },
	{ "a must is missing", HEAD ",\"a\":\"b\",\"count\":3}", false },
	{ "a number as text", LATER("x", ",\"count\":\"3\""), false },
	{ "no number", LATER("x", ",\"a\":"), false },
	{ "a leading zero", LATER("x", ",\"a\":03"), false },
	{ "past 2^53 - 1", LATER("x", ",\"a\":9007199254740992"), false },
	{ "a fraction", LATER("x", ",\"a\":1.5"), false },
	{ "true", LATER("x", ",\"a\":true"), false },
	{ "an object", LATER("x", ",\"a\":{}"), false },
	{ "twice", LATER("x", ",\"a\":1,\"a\":2"), false },
	{ "the time's source twice", LATER("x", ",\"time_source\":\"\""),
	    false },
	{ "known fields twice", LATER("x", ",\"role\":\"a\",\"role\":\"b\""),
	    false },
	{ "known fields in another order", LATER("x", ",\"role\":\"a\","
	    "\"key\":\"b\""), false },
	{ "a needless escape", LATER("x", ",\"a\":\"\\u0041\""), false },
	{ "a raw control", LATER("x", ",\"a\":\"\x1b\""), false },
	{ "not UTF-8", LATER("x", ",\"a\":\"\xff\""), false },
	{ "a time without milliseconds", "{\"v\":1,\"type\":\"x\",\"at\":"
	    "\"1970-01-01T00:00:00Z\",\"time_source\":\"n\"}", false },
	{ "something after it", LATER("x", "") "\n", false },
};

static void
what_a_later_release_wrote_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(laters); i++) {
		struct mm_bytes json = mm_bytes_of(laters[i].json);
		struct mm_entry_read r = { .e.at_ms = -1 };
		struct mm_why why = { 0 };
		struct mm_entry e;
		char arena[1024];
		enum mm_err err =
		    mm_entry_read(json, arena, json.n + 64, &r, &why);
		ROW(laters[i].what, (err == MM_OK) == laters[i].good);
		ROW(laters[i].what, laters[i].good || err == MM_EINPUT);
		ROW(laters[i].what, why.code == err);
		ROW(laters[i].what, r.later == laters[i].good);
		ROW(laters[i].what, (r.e.at_ms == 1) == laters[i].good);
		ROW(laters[i].what, mm_entry_parse(json, arena, json.n + 64, &e,
		    NULL) == MM_EINPUT);
	}
}

static void
of_a_later_entry_the_known_fields_are_there(void **state)
{
	struct mm_bytes json = mm_bytes_of(laters[1].json);
	struct mm_entry_read r;
	char arena[1024];

	(void)state;
	assert_int_equal(mm_entry_read(json, arena, json.n + 64, &r, NULL),
	    MM_OK);
	assert_int_equal(r.e.type, MM_ENTRY_TYPE_COUNT);
	assert_string_equal(r.type, "x");
	assert_string_equal(r.e.field[MM_F_DEVICE], "SN-1");
	assert_string_equal(r.e.field[MM_F_COUNT], "3");
}

/* As many fields that are not known as a reader keeps, and one more. */
static void
fields_that_are_not_known_have_a_limit(void **state)
{
	(void)state;
	for (unsigned n = 63; n <= 65; n++) {
		struct mm_buf b = MM_BUF_INIT(4096);
		struct mm_entry_read r;
		char arena[4096];
		mm_buf_bytes(&b, mm_bytes_of(LATER("x", "")));
		b.n--;
		for (unsigned i = 0; i < n; i++)
			mm_buf_printf(&b, ",\"f%u\":%u", i, i);
		mm_buf_u8(&b, '}');
		assert_int_equal(mm_entry_read(mm_buf_view(&b), arena, b.n + 64,
		    &r, NULL), n <= 64 ? MM_OK : MM_EINPUT);
		mm_buf_done(&b);
	}
}

static void
the_reference_has_every_type(void **state)
{
	struct mm_buf b = MM_BUF_INIT(1 << 20);

	(void)state;
	mm_entry_print_reference(&b);
	for (unsigned t = 0; t < MM_ENTRY_TYPE_COUNT; t++) {
		const char *name = mm_entry_type_name((enum mm_entry_type)t);
		ROW(name, strstr(mm_buf_cstr(&b), name) != NULL);
	}
	mm_buf_done(&b);
}

static void
filters_name_types_that_there_are(void **state)
{
	static const struct {
		const char *types;
		enum mm_err want;
	} rows[] = {
		{ "", MM_OK }, { "alert", MM_OK }, { "certificate.", MM_OK },
		{ "alert,webhook.", MM_OK }, { "certificate", MM_EINPUT },
		{ "nosuch.", MM_EINPUT }, { ".", MM_EINPUT },
		{ "alert,", MM_OK }, { ",alert", MM_EINPUT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (mm_entry_types_check(rows[i].types, NULL) != rows[i].want)
			fail_msg("\"%s\"", rows[i].types);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_name_types_that_there_are),
		cmocka_unit_test(an_entry_has_the_documented_form),
		cmocka_unit_test(fields_are_checked_for_the_type),
		cmocka_unit_test(numbers_are_json_numbers),
		cmocka_unit_test(an_entry_has_a_longest),
		cmocka_unit_test(every_type_reads_back),
		cmocka_unit_test(only_the_canonical_form_is_read),
		cmocka_unit_test(what_a_later_release_wrote_is_read),
		cmocka_unit_test(of_a_later_entry_the_known_fields_are_there),
		cmocka_unit_test(fields_that_are_not_known_have_a_limit),
		cmocka_unit_test(the_reference_has_every_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
