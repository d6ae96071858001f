#include "../base/rows.h"

#include <stdio.h>

#include "base/text.h"
#include "line/weak.h"
#include "pki/key.h"

static struct mm_fill *
parse(enum mm_fill_form form, const char *text, struct mm_why *why)
{
	struct mm_fill *f = NULL;

	if (mm_fill_parse(form, mm_bytes_of(text), &f, why) != MM_OK)
		return NULL;
	return f;
}

static void
reads_templates(void **state)
{
	static const struct {
		const char *what, *text;
		enum mm_fill_form form;
		const char *want; /* NULL: fine; else a part of the words */
	} rows[] = {
		{ "empty", "", MM_FILL_TEXT, NULL },
		{ "a field", "a={{a}}", MM_FILL_TEXT, NULL },
		{ "a secret", "a={{a:secret}}", MM_FILL_TEXT, NULL },
		{ "closing braces alone", "}} }", MM_FILL_TEXT, NULL },
		{ "one brace", "{a}", MM_FILL_TEXT, NULL },
		{ "doubled braces", "{{{{a}}", MM_FILL_TEXT, NULL },
		{ "doubled, then a field", "{{{{{{a}}", MM_FILL_TEXT, NULL },
		{ "not closed", "x\n a={{a", MM_FILL_TEXT,
		    "line 2, column 4: want }}" },
		{ "space in it", "{{ a }}", MM_FILL_TEXT,
		    "line 1, column 1: a field's name" },
		{ "upper case", "{{A}}", MM_FILL_TEXT, "a field's name" },
		{ "a digit first", "{{1a}}", MM_FILL_TEXT, "a field's name" },
		{ "33 characters", "{{a23456789012345678901234567890123}}",
		    MM_FILL_TEXT, "a field's name" },
		{ "another mark", "{{a:hidden}}", MM_FILL_TEXT, "want }}" },
		{ "secret here, not there", "{{a:secret}}{{a}}", MM_FILL_TEXT,
		    "line 1, column 13: a field that is secret elsewhere" },
		{ "not UTF-8", "caf\xe9", MM_FILL_TEXT, "UTF-8" },
		{ "zpl outside data", "^XA{{a}}", MM_FILL_ZPL, "^FH^FD" },
		{ "zpl without ^FH", "^FD{{a}}^FS", MM_FILL_ZPL, "^FH^FD" },
		{ "zpl after its end", "^FH^FDx^FS{{a}}", MM_FILL_ZPL,
		    "^FH^FD" },
		{ "zpl", "^FH^FDx {{a}} y^FS", MM_FILL_ZPL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_why why = { 0 };
		struct mm_fill *f = parse(rows[i].form, rows[i].text, &why);

		ROW(rows[i].what, (f != NULL) == (rows[i].want == NULL));
		if (rows[i].want != NULL)
			ROW(rows[i].what,
			    strstr(why.text, rows[i].want) != NULL);
		mm_fill_free(&f);
	}
}

static const struct {
	const char *what, *text;
	enum mm_fill_form form;
	const char *value;
	const char *want; /* NULL: refused */
	const char *shown; /* NULL: as want */
} fillings[] = {
	{ "text", "a={{a}};", MM_FILL_TEXT, "v", "a=v;", NULL },
	{ "twice", "{{a}}{{a}}", MM_FILL_TEXT, "v", "vv", NULL },
	{ "empty value", "[{{a}}]", MM_FILL_TEXT, "", "[]", NULL },
	{ "doubled", "{{{{a}}", MM_FILL_TEXT, "v", "{{a}}", NULL },
	{ "a value is no template", "{{a}}", MM_FILL_TEXT, "{{a}}",
	    "{{a}}", NULL },
	{ "secret", "psk={{a:secret}}", MM_FILL_TEXT, "hunter2",
	    "psk=hunter2", "psk=(secret)" },
	{ "a line more", "a={{a}}", MM_FILL_TEXT, "1\nadmin=1", NULL,
	    NULL },
	{ "DEL", "a={{a}}", MM_FILL_TEXT, "\x7f", NULL, NULL },
	{ "not UTF-8", "a={{a}}", MM_FILL_TEXT, "\xff", NULL, NULL },
	{ "json", "{\"a\":\"{{a}}\"}", MM_FILL_JSON, "v",
	    "{\"a\":\"v\"}", NULL },
	{ "json quotes", "{\"a\":\"{{a}}\"}", MM_FILL_JSON,
	    "\",\"x\":\"\\\n", "{\"a\":\"\\\",\\\"x\\\":\\\"\\\\\\n\"}",
	    NULL },
	{ "json number", "{\"a\":{{a}}}", MM_FILL_JSON, "-1.5e3",
	    "{\"a\":-1.5e3}", NULL },
	{ "json word", "[{{a}}]", MM_FILL_JSON, "true", "[true]",
	    NULL },
	{ "json injection", "{\"a\":{{a}}}", MM_FILL_JSON,
	    "1,\"x\":2", NULL, NULL },
	{ "json object", "{\"a\":{{a}}}", MM_FILL_JSON, "{}", NULL,
	    NULL },
	{ "json string without quotes", "{\"a\":{{a}}}", MM_FILL_JSON,
	    "\"x\"", NULL, NULL },
	{ "json white space", "[{{a}}]", MM_FILL_JSON, " 1", NULL,
	    NULL },
	{ "json escaped quote", "{\"a\\\"\":{{a}}}", MM_FILL_JSON,
	    "1", "{\"a\\\"\":1}", NULL },
	{ "json that is none", "{\"a\":\"{{a}}\"", MM_FILL_JSON, "v",
	    NULL, NULL },
	{ "json key twice", "{\"dup\":1,\"{{a}}\":2}", MM_FILL_JSON,
	    "dup", NULL, NULL },
	{ "json secret", "[\"{{a:secret}}\"]", MM_FILL_JSON, "p",
	    "[\"p\"]", "[\"(secret)\"]" },
	{ "zpl plain", "^FH^FD{{a}}^FS", MM_FILL_ZPL, "SN-1.2 x",
	    "^FH^FDSN-1.2 x^FS", NULL },
	{ "zpl commands", "^FH^FD{{a}}^FS", MM_FILL_ZPL,
	    "^FS^XZ~JA_5E\\", "^FH^FD_5EFS_5EXZ_7EJA_5F5E_5C^FS",
	    NULL },
	{ "zpl UTF-8", "^FH^FD{{a}}^FS", MM_FILL_ZPL, "\u00e9",
	    "^FH^FD_C3_A9^FS", NULL },
	{ "zpl control", "^FH^FD{{a}}^FS", MM_FILL_ZPL, "a\rb", NULL,
	    NULL },
};

static void
fills_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(fillings); i++) {
		const char *value[MM_FILL_FIELDS] = { fillings[i].value };
		const char *what = fillings[i].what, *want = fillings[i].want;
		struct mm_buf out = MM_BUF_INIT(4096);
		struct mm_buf shown = MM_BUF_INIT(4096);
		struct mm_why why = { 0 };
		struct mm_fill *f = parse(fillings[i].form, fillings[i].text,
		    &why);
		enum mm_err rc;
		size_t field;

		ROW(what, f != NULL);
		rc = mm_fill_render(f, value, &out, &shown, &field, &why);
		ROW(what, (rc == MM_OK) == (want != NULL));
		if (rc == MM_OK) {
			ROW(what, strcmp(mm_buf_cstr(&out), want) == 0);
			ROW(what, strcmp(mm_buf_cstr(&shown),
			    fillings[i].shown != NULL ? fillings[i].shown
			    : want) == 0);
		} else if (value[0][0] != '\0') {
			ROW(what, strstr(why.text, value[0]) == NULL);
		}
		mm_buf_done(&out);
		mm_buf_done(&shown);
		mm_fill_free(&f);
	}
}

static void
holds_to_limits(void **state)
{
	static char big[MM_FILL_MAX + 2], value[MM_FILL_VALUE + 2];
	struct mm_buf out = MM_BUF_INIT(MM_FILL_MAX);
	struct mm_why why = { 0 };
	struct mm_fill *f;
	const char *values[1] = { value };
	size_t field;

	(void)state;
	memset(big, 'x', MM_FILL_MAX + 1);
	assert_null(parse(MM_FILL_TEXT, big, &why));
	assert_int_equal(why.code, MM_ELIMIT);
	for (size_t i = 0; i < MM_FILL_FIELDS + 1; i++)
		snprintf(big + 7 * i, 8, "{{f%02zu}}", i);
	why.code = MM_OK;
	assert_null(parse(MM_FILL_TEXT, big, &why));
	assert_int_equal(why.code, MM_ELIMIT);
	memset(value, 'v', MM_FILL_VALUE + 1);
	f = parse(MM_FILL_TEXT, "{{a}}", NULL);
	assert_int_equal(mm_fill_render(f, values, &out, NULL, &field, NULL),
	    MM_ELIMIT);
	assert_int_equal(field, 0);
	mm_buf_done(&out);
	mm_fill_free(&f);
}

/* ---- initial configurations ---- */

static void
maps_columns(void **state)
{
	static const struct {
		const char *what;
		const char *columns[4];
		const char *want; /* NULL: fine */
	} rows[] = {
		{ "all", { "device", "ssid", "psk" }, NULL },
		{ "any order", { "psk", "device", "ssid" }, NULL },
		{ "none for a field", { "device", "ssid" },
		    "field psk has no column" },
		{ "one too many", { "device", "ssid", "psk", "pks" },
		    "column pks is no field" },
		{ "twice", { "device", "ssid", "psk", "ssid" },
		    "column ssid twice" },
		{ "no device", { "ssid", "psk" }, "no column \"device\"" },
	};
	struct mm_fill *f = parse(MM_FILL_TEXT,
	    "{{ssid}} {{psk:secret}} {{product}} {{batch}}", NULL);

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_why why = { 0 };
		struct mm_initial m;
		size_t n = 0;

		while (n < 4 && rows[i].columns[n] != NULL)
			n++;
		ROW(rows[i].what, (mm_initial_map(f, rows[i].columns, n, &m,
		    &why) == MM_OK) == (rows[i].want == NULL));
		if (rows[i].want != NULL)
			ROW(rows[i].what, strstr(why.text, rows[i].want) !=
			    NULL);
	}
	mm_fill_free(&f);
}

static void
renders_rows(void **state)
{
	static const char *const columns[] = { "device", "ssid", "psk" };
	static const struct {
		const char *what;
		const char *cell[3];
		const char *want, *shown, *words;
	} rows[] = {
		{ "good", { "SN-1", "net", "hunter2" },
		    "SN-1 net hunter2 thermo", "SN-1 net (secret) thermo",
		    NULL },
		{ "a bad name", { "S N", "net", "x" }, NULL, NULL,
		    "row 7, column device" },
		{ "a bad value", { "SN-1", "net", "hun\nter" }, NULL, NULL,
		    "row 7, column psk: a control character" },
	};
	struct mm_fill *f = parse(MM_FILL_TEXT,
	    "{{device}} {{ssid}} {{psk:secret}} {{product}}", NULL);
	struct mm_initial m;

	(void)state;
	assert_int_equal(mm_initial_map(f, columns, 3, &m, NULL), MM_OK);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf out = MM_BUF_INIT(4096);
		struct mm_buf shown = MM_BUF_INIT(4096);
		struct mm_initial_row row = { 7, rows[i].cell, "thermo", NULL };
		struct mm_why why = { 0 };
		uint8_t hash[32];
		enum mm_err rc = mm_initial_render(&m, &row, &out, &shown,
		    hash, &why);

		ROW(rows[i].what, (rc == MM_OK) == (rows[i].want != NULL));
		if (rc == MM_OK) {
			uint8_t want[32];

			ROW(rows[i].what, strcmp(mm_buf_cstr(&out),
			    rows[i].want) == 0);
			ROW(rows[i].what, strcmp(mm_buf_cstr(&shown),
			    rows[i].shown) == 0);
			mm_sha256(mm_bytes_of(rows[i].want), want);
			ROW(rows[i].what, memcmp(want, hash, 32) == 0);
		} else {
			ROW(rows[i].what, strstr(why.text, rows[i].words) !=
			    NULL);
			ROW(rows[i].what, strstr(why.text, "hun") == NULL);
		}
		mm_buf_done(&out);
		mm_buf_done(&shown);
	}
	mm_fill_free(&f);
}

/* A device's row, wherever and however it stands in a table. */
static enum mm_err
make(struct mm_initial_of *of, bool indexed, struct mm_buf *out,
    struct mm_initial_made *made)
{
	struct mm_initial_index *index = NULL;
	enum mm_err rc = indexed ?
	    mm_initial_index_new(of->fields, &index, NULL) : MM_OK;

	of->index = index;
	if (rc == MM_OK)
		rc = mm_initial_make(of, out, made, NULL);
	mm_initial_index_free(&index);
	return rc;
}

static void
makes_of_papers(void **state)
{
	static const struct {
		const char *what, *fields, *device, *want;
		enum mm_err rc;
	} rows[] = {
		{ "compact", "{\"columns\":[\"device\",\"k\"],\"rows\":[[\"A-1\","
		    "\"x\"],[\"A-2\",\"y\"]]}", "A-2",
		    "{\"d\":\"A-2\",\"k\":\"y\"}", MM_OK },
		{ "with spaces, the other way round", " { \"rows\" : [ [ \"x\" , "
		    "\"A-1\" ] ,\n [\"y\",\"A-2\"] ] , \"columns\" : [\"k\", "
		    "\"device\"] }\n", "A-2", "{\"d\":\"A-2\",\"k\":\"y\"}",
		    MM_OK },
		{ "brackets and quotes in values", "{\"columns\":[\"device\","
		    "\"k\"],\"rows\":[[\"A-1\",\"],[\\\"A-2\\\",{\\\\\"],"
		    "[\"A-2\",\"]}\"]]}", "A-2",
		    "{\"d\":\"A-2\",\"k\":\"]}\"}", MM_OK },
		{ "another's value has its name", "{\"columns\":[\"device\","
		    "\"k\"],\"rows\":[[\"A-1\",\"A-2\"],[\"A-22\",\"n\"],"
		    "[\"A-2\",\"y\"]]}", "A-2",
		    "{\"d\":\"A-2\",\"k\":\"y\"}", MM_OK },
		{ "no row", "{\"columns\":[\"device\",\"k\"],\"rows\":"
		    "[[\"A-1\",\"x\"]]}", "A-2", NULL, MM_ENOTFOUND },
		{ "no rows", "{\"columns\":[\"device\",\"k\"],\"rows\":[]}",
		    "A-2", NULL, MM_ENOTFOUND },
		{ "no column of that name", "{\"columns\":[\"device\"],"
		    "\"rows\":[[\"A-2\"]]}", "A-2", NULL, MM_EINPUT },
		{ "cut off", "{\"columns\":[\"device\",\"k\"],\"rows\":"
		    "[[\"A-2\",\"y", "A-2", NULL, MM_EINPUT },
		{ "no table", "[[\"A-2\"]]", "A-2", NULL, MM_EINPUT },
		{ "numbers", "{\"columns\":[\"device\",\"k\"],\"rows\":"
		    "[[\"A-2\",7]]}", "A-2", NULL, MM_ENOTFOUND },
	};

	(void)state;
	for (size_t n = 0; n < 2 * ROWS(rows); n++) {
		size_t i = n / 2; /* without an index, and with one */
		struct mm_initial_of of = {
			mm_bytes_of("{\"d\":\"{{device}}\",\"k\":"
			    "\"{{k:secret}}\"}"),
			mm_bytes_of(rows[i].fields), rows[i].device, "thermo",
			"b7", NULL };
		struct mm_buf out = MM_BUF_INIT(4096);
		struct mm_initial_made made;
		uint8_t want[32];

		ROW(rows[i].what, make(&of, n % 2 == 1, &out, &made) ==
		    rows[i].rc);
		if (rows[i].rc == MM_OK) {
			mm_sha256(mm_bytes_of(rows[i].want), want);
			ROW(rows[i].what, strcmp(mm_buf_cstr(&out),
			    rows[i].want) == 0);
			ROW(rows[i].what, memcmp(want, made.sha256, 32) == 0);
		}
		mm_buf_done(&out);
	}
}

/* Ids that are each other's beginning, in no order; two rows of one. */
static void
finds_each_by_the_index(void **state)
{
	struct mm_initial_index *index = NULL;
	struct mm_buf table = MM_BUF_INIT(1 << 20);
	struct mm_initial_of of = {
		mm_bytes_of("{\"d\":\"{{device}}\",\"k\":\"{{k}}\"}"),
		{ NULL, 0 }, NULL, "thermo", "b7", NULL };

	(void)state;
	mm_buf_text(&table, "{\"columns\":[\"k\",\"device\"],\"rows\":[");
	for (unsigned i = 0; i < 1000; i++)
		mm_buf_printf(&table, "[\"%u\",\"D-%u\"],", i,
		    i * 617 % 1000);
	mm_buf_text(&table, "[\"again\",\"D-7\"]]}");
	of.fields = mm_buf_view(&table);
	assert_int_equal(mm_initial_index_new(of.fields, &index, NULL),
	    MM_OK);
	for (unsigned i = 0; i <= 1000; i++) {
		struct mm_buf one = MM_BUF_INIT(4096), two = MM_BUF_INIT(4096);
		struct mm_initial_made made[2];
		char device[16];
		enum mm_err rc;

		snprintf(device, sizeof(device), "D-%u", i);
		of.device = device;
		of.index = NULL;
		rc = mm_initial_make(&of, &one, &made[0], NULL);
		assert_int_equal(rc, i < 1000 ? MM_OK : MM_ENOTFOUND);
		of.index = index;
		assert_int_equal(mm_initial_make(&of, &two, &made[1], NULL),
		    rc);
		assert_memory_equal(made[0].sha256, made[1].sha256, 32);
		mm_buf_done(&one);
		mm_buf_done(&two);
	}
	mm_initial_index_free(&index);
	mm_buf_done(&table);
}

static void
makes_without_a_table(void **state)
{
	const struct mm_initial_of of = {
		mm_bytes_of("{\"d\":\"{{device}}\",\"b\":\"{{batch}}\"}"),
		{ NULL, 0 }, "A-1", "thermo", "b7", NULL };
	struct mm_buf out = MM_BUF_INIT(4096);
	struct mm_initial_made made;

	(void)state;
	assert_int_equal(mm_initial_make(&of, &out, &made, NULL), MM_OK);
	assert_string_equal(mm_buf_cstr(&out), "{\"d\":\"A-1\",\"b\":"
	    "\"b7\"}");
	mm_buf_done(&out);
}

#define TABLE "{\"columns\":[\"device\"],\"rows\":[[\"A-1\"],[\"A-2\"]]"
#define SALTED(salt) TABLE ",\"salt\":" salt "}"
#define SALTS(salts) TABLE ",\"salts\":" salts "}"
#define ONE "\"000102030405060708090a0b0c0d0e0f\""
#define TWO "\"101112131415161718191a1b1c1d1e1f\""

static enum mm_err
make_salt(struct mm_initial_of *of, bool indexed, char hex[2 * MM_SALT_N + 1])
{
	struct mm_buf out = MM_BUF_INIT(4096);
	struct mm_initial_made made;
	enum mm_err rc = make(of, indexed, &out, &made);

	if (rc == MM_OK)
		mm_hex_text(made.salt, sizeof(made.salt), hex);
	mm_buf_done(&out);
	return rc;
}

/* Also by Python: hmac.new(bytes.fromhex(...), b"mintmark-initial A-1",
 * "sha256").hexdigest()[:32]. */
static void
salts_of_a_table(void **state)
{
	static const struct {
		const char *what, *fields, *device, *want; /* NULL: none */
	} rows[] = {
		{ "a device's", SALTED(ONE), "A-1",
		    "6d70d98e8ba7bbffb689d9351e744173" },
		{ "another's", SALTED(ONE), "A-2",
		    "262e9ca0cce918099bc51694f8c70a41" },
		{ "of before there were any", TABLE "}", "A-1",
		    "00000000000000000000000000000000" },
		{ "no table", "", "A-1", "00000000000000000000000000000000" },
		{ "too short", SALTED("\"0001\""), "A-1", NULL },
		{ "too long", SALTED("\"000102030405060708090a0b0c0d0e0f00\""),
		    "A-1", NULL },
		{ "no digits", SALTED("\"gg0102030405060708090a0b0c0d0e0f\""),
		    "A-1", NULL },
		{ "a list", SALTED("[\"0102030405060708090a0b0c0d0e0f\"]"),
		    "A-1", NULL },
		{ "a row's own", SALTS("[" ONE "," TWO "]"), "A-1",
		    "000102030405060708090a0b0c0d0e0f" },
		{ "another row's", SALTS("[ " ONE ", " TWO " ]"), "A-2",
		    "101112131415161718191a1b1c1d1e1f" },
		{ "too few of them", SALTS("[" ONE "]"), "A-2", NULL },
		{ "none of them", SALTS("[]"), "A-1", NULL },
		{ "no list of them", SALTS(ONE), "A-1", NULL },
	};

	(void)state;
	for (size_t n = 0; n < 2 * ROWS(rows); n++) {
		size_t i = n / 2; /* without an index, and with one */
		struct mm_initial_of of = {
			mm_bytes_of("{\"d\":\"{{device}}\"}"),
			mm_bytes_of(rows[i].fields), rows[i].device, "thermo",
			"b7", NULL };
		char hex[2 * MM_SALT_N + 1] = "";

		if (of.fields.n == 0 && n % 2 == 1)
			continue;
		ROW(rows[i].what, make_salt(&of, n % 2 == 1, hex) ==
		    (rows[i].want != NULL ? MM_OK : MM_EINPUT));
		ROW(rows[i].what, rows[i].want == NULL ||
		    strcmp(hex, rows[i].want) == 0);
	}
}

/* By Python: hashlib.sha256(b"mintmark-configuration" + bytes(range(16)) +
 * hashlib.sha256(b"{}").digest()). */
static void
marks_of_all_times(void **state)
{
	static const char want[] = "8cd83dc5ad6f99fe53204660b1033ca70cf0c6ffe43201d23c2762bf98e5204c";
	uint8_t salt[MM_SALT_N], none[MM_SALT_N] = { 0 }, hash[32], mark[32],
	    before[32];
	char hex[65];

	(void)state;
	for (size_t i = 0; i < sizeof(salt); i++)
		salt[i] = (uint8_t)i;
	mm_sha256(mm_bytes_of("{}"), hash);
	mm_initial_mark(salt, hash, mark);
	mm_initial_mark_before(salt, hash, before);
	mm_hex_text(mark, sizeof(mark), hex);
	assert_string_equal(hex, want);
	assert_true(memcmp(mark, before, 32) != 0);
	assert_true(mm_initial_is_mark(mark, salt, hash));
	assert_true(mm_initial_is_mark(before, salt, hash));
	assert_true(mm_initial_is_mark(hash, salt, hash));
	salt[0]++;
	assert_false(mm_initial_is_mark(mark, salt, hash));
	assert_false(mm_initial_is_mark(before, salt, hash));
	mm_initial_mark(none, hash, mark);
	assert_memory_equal(mark, hash, 32);
}

static void
versions_never_fall(void **state)
{
	static const struct mm_initial_at v1 = { 1, { 1 } }, v2 = { 2, { 2 } },
	    other2 = { 2, { 3 } }, v0 = { 0, { 0 } };
	static const struct {
		const char *what;
		const struct mm_initial_at *have, *next;
		enum mm_err want;
		bool same;
	} rows[] = {
		{ "the first", NULL, &v1, MM_OK, false },
		{ "the next", &v1, &v2, MM_OK, false },
		{ "the same", &v2, &v2, MM_OK, true },
		{ "older", &v2, &v1, MM_EPOLICY, false },
		{ "another of the same version", &v2, &other2, MM_EPOLICY,
		    false },
		{ "version 0", NULL, &v0, MM_EINPUT, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		bool same = false;

		ROW(rows[i].what, mm_initial_check(rows[i].have, rows[i].next,
		    &same, NULL) == rows[i].want);
		ROW(rows[i].what, same == rows[i].same);
	}
}

static void
weak_secrets(void **state)
{
	static const struct {
		const char *value, *device;
		bool shorts;
	} rows[] = {
		{ "", "SN-1", true },
		{ "fifteen-letters", "SN-1", true },
		{ "sixteen-letters!", "SN-1", false },
		{ "sixteen-let-SN-1", "SN-1", true },
		{ "sn-1sixteen-letters!Sn-1", "SN-1", false },
		{ "sn-1sn-1sn-1sn-1", "SN-1", true },
		{ "sixteen-letters!", "", false },
	};
	const char *value[] = { "b", "a", "c", "a", "b", "a" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ROW(rows[i].value, mm_weak_short(rows[i].value,
		    rows[i].device) == rows[i].shorts);
	assert_int_equal(mm_weak_repeated(value, 6), 5);
	assert_int_equal(mm_weak_repeated(value, 1), 0);
	assert_int_equal(mm_weak_repeated(value, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weak_secrets),
		cmocka_unit_test(reads_templates),
		cmocka_unit_test(fills_them),
		cmocka_unit_test(holds_to_limits),
		cmocka_unit_test(maps_columns),
		cmocka_unit_test(renders_rows),
		cmocka_unit_test(makes_of_papers),
		cmocka_unit_test(finds_each_by_the_index),
		cmocka_unit_test(makes_without_a_table),
		cmocka_unit_test(salts_of_a_table),
		cmocka_unit_test(marks_of_all_times),
		cmocka_unit_test(versions_never_fall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
