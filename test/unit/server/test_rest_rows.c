#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/schema.h"
#include "server/rest.h"
#include "server/rest_rows.h"

/* An import's rows: what is cut out of a body, and what each one is. */

static struct mm_import_row row[MM_REST_ROWS_MAX], other[2];

static bool
cut(const char *text, struct mm_rest_rows *rows, json_t **rest)
{
	*rest = NULL;
	*rows = (struct mm_rest_rows){ .n = 0 };
	return mm_rest_rows_cut(mm_bytes_of(text), rows, rest);
}

static void
test_cut(void **state)
{
	static const struct {
		const char *text;
		size_t n; /* 0: is read whole */
	} rows[] = {
		{ "{\"rows\":[{}]}", 1 },
		{ " {\n\"a\" : 1 , \"rows\" : [ {} , {\"b\":[{}]} ] }", 2 },
		{ "{\"a\":\"\\\"rows\\\":[{\",\"rows\":[{}],\"b\":{}}", 1 },
		{ "{\"a\":{\"rows\":[{}]},\"rows\":[{},{}]}", 2 },
		{ "{\"rows\":[{\"a\":\"]}\"}]}", 1 },
		/* not found, or none */
		{ "", 0 }, { "[]", 0 }, { "{}", 0 }, { "{\"rows\":[]}", 0 },
		{ "{\"rows\":{}}", 0 }, { "{\"rows\":[1]}", 0 },
		{ "{\"r\\u006fws\":[{}]}", 0 },
		{ "{\"a\":{\"rows\":[{}]}}", 0 }, { "[{\"rows\":[{}]}]", 0 },
		/* no JSON, or not what is left of it */
		{ "{\"rows\":[{}]", 0 }, { "{\"rows\":[{}}}", 0 },
		{ "{\"rows\":[{}]} x", 0 }, { "{\"rows\":[{}],}", 0 },
		{ "{\"rows\":[{}],\"rows\":[{}]}", 0 },
		{ "{\"rows\":[{}],\"r\\u006fws\":[{}]}", 0 },
		{ "{\"rows\":[{}],\"a\":\"\\", 0 },
		/* too deep, before, in and after */
		{ "{\"rows\":[{\"a\":[[[1]]]}]}", 1 },
		{ "{\"rows\":[{\"a\":[[[[1]]]]}]}", 0 },
		{ "{\"rows\":[{}],\"a\":[[[[[[1]]]]]]}", 0 },
		{ "{\"a\":[[[[[[1]]]]]],\"rows\":[{}]}", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_rest_rows got;
		json_t *rest;
		bool yes = cut(rows[i].text, &got, &rest);

		if (yes != (rows[i].n > 0) || got.n != rows[i].n)
			fail_msg("%s", rows[i].text);
		if (yes)
			assert_int_equal(json_array_size(
			    json_object_get(rest, "rows")), 0);
		json_decref(rest);
	}
}

/* One more than there may be is read whole, and refused there. */
static void
test_most(void **state)
{
	static char text[16 + 3 * (MM_REST_ROWS_MAX + 1)];
	struct mm_rest_rows got;
	json_t *rest;

	(void)state;
	for (size_t n = MM_REST_ROWS_MAX; n <= MM_REST_ROWS_MAX + 1; n++) {
		strcpy(text, "{\"rows\":[{}");
		for (size_t i = 1; i < n; i++)
			memcpy(text + 8 + 3 * i, ",{}", 4);
		strcat(text, "]}");
		assert_int_equal(cut(text, &got, &rest),
		    n <= MM_REST_ROWS_MAX);
		json_decref(rest);
	}
}

#define HEX "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"

/* By the document of the whole body the row is the same, refused in the same
 * words. */
static void
compare(const char *text)
{
	char plain[512] = "", whole[512] = "";
	json_t *body;

	assert_int_equal(mm_rest_parse(mm_bytes_of(text), &body, NULL), MM_OK);
	memset(&other[0], 0, sizeof(other[0]));
	mm_rest_rows_take(json_object_get(body, "rows"), other);
	if (row[0].result != other[0].result ||
	    strcmp(row[0].why.text, other[0].why.text) != 0 ||
	    strcmp(row[0].column, other[0].column) != 0 ||
	    strcmp(row[0].dev.id, other[0].dev.id) != 0 ||
	    strcmp(row[0].dev.product, other[0].dev.product) != 0 ||
	    memcmp(row[0].dev.bound_spki, other[0].dev.bound_spki, 32) != 0)
		fail_msg("%s: %s, %s", text, row[0].why.text,
		    other[0].why.text);
	if (row[0].plain.n > 0 && mm_schema_plain(NULL, row[0].plain, false,
	    plain, sizeof(plain))) {
		assert_int_equal(mm_attributes_text(other[0].attributes,
		    whole, sizeof(whole), NULL), MM_OK);
		assert_string_equal(plain, whole);
	}
	json_decref(body);
}

struct named {
	const char *id, *product;
	unsigned n;
};

static enum mm_err
note_names(void *ctx, const char *id, const char *product,
    struct mm_why *why)
{
	struct named *n = ctx;

	(void)why;
	n->n++;
	return (id == NULL) == (n->id == NULL) &&
	    (product == NULL) == (n->product == NULL) &&
	    (id == NULL || strcmp(id, n->id) == 0) &&
	    (product == NULL || strcmp(product, n->product) == 0) ? MM_OK :
	    MM_EPOLICY;
}

/* What a limited login's row is held to is what is read of it. */
static void
check_names(const struct mm_rest_rows *rows, const char *text)
{
	struct named n = { .n = 0 };
	enum mm_err rc;
	json_t *body, *first;

	assert_int_equal(mm_rest_parse(mm_bytes_of(text), &body, NULL), MM_OK);
	first = json_array_get(json_object_get(body, "rows"), 0);
	n.id = json_string_value(json_object_get(first, "id"));
	n.product = json_string_value(json_object_get(first, "product"));
	assert_true(mm_rest_rows_names(rows, note_names, &n, &rc, NULL));
	if (rc != MM_OK || n.n != 1)
		fail_msg("%s: other names", text);
	json_decref(body);
}

static const struct {
	const char *text;
	bool read, plain;
	enum mm_err result;
} bodies[] = {
	{ "{\"id\":\"A\",\"product\":\"m\",\"attributes\":{\"a\":1}}",
	    true, true, MM_OK },
	{ " { \"id\" : \"A\" , \"product\" : \"m\" , "
	    "\"attributes\" : { } , \"bound_spki_sha256\" : \"" HEX
	    "\" } ", true, true, MM_OK },
	{ "{\"id\":\"A\",\"product\":\"m\"}", true, false, MM_OK },
	{ "{\"id\":\"\\u0041\",\"product\":\"m\"}", true, false,
	    MM_OK },
	{ "{\"id\":\"A\",\"product\":\"m\",\"attributes\":null}",
	    true, false, MM_OK },
	{ "{\"id\":\"A\",\"product\":\"m\",\"attributes\":"
	    "{\"a\":1.5}}", true, false, MM_OK },
	{ "{\"id\":\"A B\",\"product\":\"m\",\"attributes\":{}}",
	    true, false, MM_EINPUT },
	{ "{\"id\":\"A\",\"attributes\":{}}", true, false,
	    MM_EINPUT },
	{ "{\"id\":\"A\",\"product\":\"m\",\"other\":1}", true, false,
	    MM_EINPUT },
	{ "{\"id\":\"A\",\"product\":\"m\",\"attributes\":1}", true,
	    false, MM_EINPUT },
	{ "{\"id\":\"\",\"product\":\"m\"}", true, false,
	    MM_EINPUT },
	{ "{\"id\":1,\"product\":\"m\"}", true, false, MM_EINPUT },
	{ "{\"id\":\"A\",\"product\":true}", true, false,
	    MM_EINPUT },
	{ "{\"id\":\"A\",\"product\":\"M\"}", true, false,
	    MM_EINPUT },
	{ "{\"id\":\"A\",\"product\":\"\"}", true, false, MM_OK },
	{ "{\"id\":\"A\",\"product\":\"m\",\"attributes\":[]}",
	    true, false, MM_EINPUT },
	{ "{\"id\":\"A\",\"product\":\"m\",\"attributes\":"
	    "{\"b\":2,\"a\":\"x\",\"c\":false}}", true, true,
	    MM_OK },
	{ "{\"id\":\"A\",\"product\":\"m\",\"attributes\":"
	    "{\"a\":{\"b\":1}}}", true, false, MM_OK },
	{ "{\"id\":\"A\",\"product\":\"m\","
	    "\"bound_spki_sha256\":\"0f\"}", true, false, MM_EINPUT },
	{ "{\"id\":\"A\",\"product\":\"m\","
	    "\"bound_spki_sha256\":\"" HEX "0\"}", true, false,
	    MM_EINPUT },
	{ "{\"id\":\"A\",\"product\":\"m\","
	    "\"bound_spki_sha256\":\"\"}", true, false, MM_OK },
	{ "{\"product\":\"m\",\"id\":\"A\",\"\":1}", true, false,
	    MM_EINPUT },
	{ "{\"id\":\"A\",\"product\":\"m\",\"Product\":\"m\"}",
	    true, false, MM_EINPUT },
	{ "{}", true, false, MM_EINPUT },
	{ "{\"id\":\"A\",\"product\":\"m\",\"id\":\"A\"}", false,
	    false, MM_OK },
	{ "{\"id\":\"A\",\"product\":\"m\",}", false, false, MM_OK },
	{ "{\"id\":\"A\",\"product\":\"m\"},", false, false, MM_OK },
	{ "{\"id\":\"A\" \"product\":\"m\"}", false, false, MM_OK },
	{ "{\"id\":\"A\",\"product\":\"m\",\"attributes\":{\"a\":01}}",
	    false, false, MM_OK },
};

static void
test_rows(void **state)
{
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct mm_rest_rows got;
		json_t *rest, *kept = NULL;

		snprintf(text, sizeof(text), "{\"rows\":[%s]}", bodies[i].text);
		assert_true(cut(text, &got, &rest));
		memset(row, 0, got.n * sizeof(row[0]));
		if (mm_rest_rows_read(&got, row, &kept) != bodies[i].read ||
		    (bodies[i].read && (row[0].result != bodies[i].result ||
		    (row[0].plain.n > 0) != bodies[i].plain)))
			fail_msg("%s", bodies[i].text);
		if (bodies[i].read) {
			compare(text);
			check_names(&got, text);
		}
		json_decref(rest);
		json_decref(kept);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
