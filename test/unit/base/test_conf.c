#include "rows.h"

#include <stdlib.h>

#include "base/conf.h"
#include "base/text.h"

struct top {
	char name[9];
	int64_t count, wait_s;
	bool on;
	int colour;
	char file[65];
	struct mm_conf_list labels;
};

struct part {
	char title[MM_NAME_MAX + 1];
	int64_t size;
	char label[MM_NAME_MAX + 1];
};

static const char *const colours[] = { "red", "green", NULL };

static const struct mm_conf_key top_keys[] = {
	{ "name", MM_CONF_TEXT, offsetof(struct top, name), 1, 8, "none",
	    "A name.", NULL },
	{ "count", MM_CONF_INT, offsetof(struct top, count), -3, 10, "2",
	    "A count.", NULL },
	{ "wait", MM_CONF_DURATION, offsetof(struct top, wait_s), 0, 86400,
	    "1h", "A time.", NULL },
	{ "on", MM_CONF_BOOL, offsetof(struct top, on), 0, 1, "false",
	    "A switch.", NULL },
	{ "colour", MM_CONF_CHOICE, offsetof(struct top, colour), 0, 1,
	    "green", "A colour.", colours },
	{ "file", MM_CONF_PATH, offsetof(struct top, file), 0, 64, "",
	    "A file.", NULL },
	{ "labels", MM_CONF_LIST, offsetof(struct top, labels), 1, 32, "p,q",
	    "Some labels.", NULL },
};

static const struct mm_conf_key part_keys[] = {
	{ "size", MM_CONF_INT, offsetof(struct part, size), 0, 9, NULL,
	    "A size.", NULL },
	{ "label", MM_CONF_NAME, offsetof(struct part, label), 1, MM_NAME_MAX,
	    "plain", "A label.", NULL },
};

static const struct mm_conf_block part_block = { "part", "A part.", part_keys,
	ROWS(part_keys), sizeof(struct part), offsetof(struct part, title), 2 };

static const struct mm_conf_spec spec = { top_keys, ROWS(top_keys),
	&part_block, 1 };

static enum mm_err
parse(const char *text, struct top *top, struct mm_conf_doc *doc,
    struct mm_why *why)
{
	*top = (struct top){ 0 };
	*doc = (struct mm_conf_doc){ .top = top };
	return mm_conf_parse(mm_bytes_of(text), "/etc/t.conf", &spec, doc,
	    why);
}

static void
reads_every_type(void **state)
{
	struct top t;
	struct mm_conf_doc doc;
	const struct part *parts;

	(void)state;
	assert_int_equal(parse("# one\nname = \"a b\"\ncount = -3 wait = 90s\n"
			       "on = yes // two\n"
			       "colour = red /* three */ file = x/y\n"
			       "labels = { a, \"b\" }\n"
			       "part \"one\" { size = 1 }\n"
			       "part two { size = 2\n label = 'x' }\n",
	    &t, &doc, NULL), MM_OK);
	assert_string_equal(t.name, "a b");
	assert_int_equal(t.count, -3);
	assert_int_equal(t.wait_s, 90);
	assert_true(t.on);
	assert_int_equal(t.colour, 0);
	assert_string_equal(t.file, "/etc/x/y");
	assert_int_equal(t.labels.n, 2);
	assert_string_equal(t.labels.item[1], "b");
	assert_int_equal(doc.n[0], 2);
	parts = doc.blocks[0];
	assert_string_equal(parts[0].title, "one");
	assert_string_equal(parts[0].label, "plain");
	assert_string_equal(parts[1].title, "two");
	assert_int_equal(parts[1].size, 2);
	assert_string_equal(parts[1].label, "x");
	mm_conf_doc_done(&doc);
}

static void
presets_hold_for_what_is_absent(void **state)
{
	struct top t;
	struct mm_conf_doc doc;

	(void)state;
	assert_int_equal(parse("", &t, &doc, NULL), MM_OK);
	assert_string_equal(t.name, "none");
	assert_int_equal(t.count, 2);
	assert_int_equal(t.wait_s, 3600);
	assert_int_equal(t.colour, 1);
	assert_string_equal(t.file, "");
	assert_int_equal(t.labels.n, 2);
	assert_string_equal(t.labels.item[0], "p");
	assert_int_equal(doc.n[0], 0);
	mm_conf_doc_done(&doc);
	assert_int_equal(parse("labels = {}", &t, &doc, NULL), MM_OK);
	assert_int_equal(t.labels.n, 0);
	mm_conf_doc_done(&doc);
	assert_int_equal(parse("labels = x", &t, &doc, NULL), MM_OK);
	assert_int_equal(t.labels.n, 1);
	mm_conf_doc_done(&doc);
	assert_int_equal(parse("labels = {x} labels += {y}", &t, &doc, NULL),
	    MM_OK);
	assert_int_equal(t.labels.n, 2);
	mm_conf_doc_done(&doc);
}

static const struct {
	const char *what, *text, *want;
} refused[] = {
	{ "unknown key", "\nsize = 1", "t.conf:2: no such option" },
	{ "unknown block", "x \"y\" {}", "t.conf:1: no such option" },
	{ "unknown in a block", "part a {\n\n other = 1 }",
	    "t.conf:3: no such option" },
	{ "repeated", "count = 1\n\ncount = 1",
	    "t.conf:3: count: already set in line 1" },
	{ "repeated in a block", "part a { size = 1\n size = 2 }",
	    "t.conf:2: size: already set in line 1" },
	{ "repeated list", "labels = {a,b}\nlabels = {c}",
	    "t.conf:2: labels: already set in line 1" },
	{ "repeated short list", "labels = {a}\nlabels = {c, d}",
	    "t.conf:2: labels: already set in line 1" },
	{ "list emptied", "labels = {a}\nlabels = {}",
	    "set, then emptied" },
	{ "repeated title", "part a { size = 1 }\npart a { size = 2 }",
	    "t.conf:2:" },
	{ "above the range", "\ncount = 11",
	    "t.conf:2: count: want -3 to 10" },
	{ "below the range", "count = -4", "want -3 to 10" },
	{ "octal", "count = 010", "leading zeros" },
	{ "not a number", "count = two", "not a whole number" },
	{ "a list for a number", "count = { 1 }", "t.conf:1:" },
	{ "no value", "count =", "t.conf:2:" },
	{ "no equals", "count 1", "t.conf:1:" },
	{ "long duration", "wait = 25h", "want 0 to 86400 seconds" },
	{ "not a duration", "wait = 1w", "not a duration" },
	{ "not a switch", "on = 1", "want true or false" },
	{ "not a choice", "colour = blue", "want one of red, green" },
	{ "long text", "name = 123456789", "want 1 to 8" },
	{ "empty text", "name = \"\"", "want 1 to 8" },
	{ "control character", "name = \"a\\nb\"", "control" },
	{ "bad name", "part a { size = 1 label = A }", "want 1 to 32" },
	{ "bad title", "part A { size = 1 }", "want a title" },
	{ "required", "part a {}", "part a: size is missing" },
	{ "too many blocks", "part a {size = 1} part b {size = 1} "
			     "part c {size = 1}",
	    "want at most 2" },
	{ "environment", "\n\nname = ${HOME}", "t.conf:3: \"${\"" },
	{ "environment in a comment", "# ${HOME}", "\"${\"" },
	{ "unclosed block", "part a { size = 1\n", "not closed" },
	{ "unclosed comment", "/* x", "not closed" },
	{ "unclosed text", "name = \"x", "t.conf:" },
	{ "unclosed list", "labels = { a", "t.conf:" },
	{ "closed too often", "part a { size = 1 } }", "t.conf:1:" },
	{ "the sentinel", "mm_conf_end = 1 /*", "reserved" },
	{ "include", "include(\"/etc/passwd\")", "no such option" },
	{ "not UTF-8", "name = \"\xe9\"", "not UTF-8" },
};

static void
refuses_with_file_line_and_wish(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(refused); i++) {
		struct top t;
		struct mm_conf_doc doc;
		struct mm_why why = { 0 };
		enum mm_err err = parse(refused[i].text, &t, &doc, &why);
		ROW(refused[i].what, err == MM_EINPUT);
		if (strstr(why.text, refused[i].want) == NULL)
			fail_msg("row \"%s\": %s", refused[i].what, why.text);
		ROW(refused[i].what,
		    strncmp(why.text, "/etc/t.conf:", 12) == 0);
		ROW(refused[i].what, doc.blocks == NULL);
	}
}

static void
refuses_a_nul(void **state)
{
	struct top t = { 0 };
	struct mm_conf_doc doc = { .top = &t };

	(void)state;
	assert_int_equal(mm_conf_parse((struct mm_bytes){
	    (const uint8_t *)"on = yes\0}", 10 }, "t", &spec, &doc, NULL),
	    MM_EINPUT);
	assert_int_equal(mm_conf_load("/nonexistent", &spec, &doc, NULL),
	    MM_ENOTFOUND);
}

static void
what_it_prints_it_reads(void **state)
{
	struct mm_buf b = MM_BUF_INIT(10000);
	struct mm_conf_doc doc;
	struct top t;

	(void)state;
	for (size_t i = 0; i < ROWS(top_keys); i++)
		mm_conf_print_key(&b, &top_keys[i], NULL, "");
	mm_buf_text(&b, "part \"a\" {\n");
	mm_conf_print_key(&b, &part_keys[0], "7", "\t");
	mm_conf_print_key(&b, &part_keys[1], NULL, "\t");
	mm_buf_text(&b, "}\n");
	assert_non_null(strstr(mm_buf_cstr(&b),
	    "# Some labels.\nlabels = { \"p\", \"q\" }\n"));
	assert_non_null(strstr(mm_buf_cstr(&b), "\t# A size.\n\tsize = 7\n"));
	assert_int_equal(parse(mm_buf_cstr(&b), &t, &doc, NULL), MM_OK);
	assert_int_equal(t.count, 2);
	assert_int_equal(((struct part *)doc.blocks[0])->size, 7);
	mm_conf_doc_done(&doc);
	mm_buf_reset(&b);
	mm_conf_print_key(&b, &top_keys[0], "a\"b\\c", "");
	assert_int_equal(parse(mm_buf_cstr(&b), &t, &doc, NULL), MM_OK);
	assert_string_equal(t.name, "a\"b\\c");
	mm_conf_doc_done(&doc);
	mm_buf_done(&b);
}

static void
the_reference_has_every_key(void **state)
{
	struct mm_buf b = MM_BUF_INIT(10000);
	const char *text;

	(void)state;
	mm_conf_print_reference(&b, &spec);
	text = mm_buf_cstr(&b);
	assert_non_null(strstr(text,
	    "| `count` | number | -3 to 10 | `2` | A count. |\n"));
	assert_non_null(strstr(text, "## `part \"name\" { ... }`\n"));
	assert_non_null(strstr(text,
	    "| `size` | number | 0 to 9 | required | A size. |\n"));
	mm_buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_type),
		cmocka_unit_test(presets_hold_for_what_is_absent),
		cmocka_unit_test(refuses_with_file_line_and_wish),
		cmocka_unit_test(refuses_a_nul),
		cmocka_unit_test(what_it_prints_it_reads),
		cmocka_unit_test(the_reference_has_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
