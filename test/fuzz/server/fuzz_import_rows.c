/* Property: rows that are cut out of a body and read where they stand are what
 * the body's document has, and so is the rest of it; what is plain is written
 * as the document writes it. */
#include <stdlib.h>
#include <string.h>

#include "core/schema.h"
#include "server/rest.h"
#include "server/rest_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mm_import_row fast[MM_REST_ROWS_MAX], slow[MM_REST_ROWS_MAX];

static void
same_attributes(const struct mm_import_row *a, const struct mm_import_row *b)
{
	char one[sizeof(a->dev.attributes)], two[sizeof(one)];

	if (a->plain.n == 0) {
		if (!json_equal(a->attributes, b->attributes) &&
		    a->attributes != b->attributes)
			abort();
		return;
	}
	if (b->attributes == NULL)
		abort();
	if (mm_schema_plain(NULL, a->plain, false, one, sizeof(one)) &&
	    (mm_attributes_text(b->attributes, two, sizeof(two), NULL) !=
		MM_OK || strcmp(one, two) != 0))
		abort();
}

static void
same_row(const struct mm_import_row *a, const struct mm_import_row *b)
{
	if (a->result != b->result || strcmp(a->why.text, b->why.text) != 0 ||
	    strcmp(a->column, b->column) != 0)
		abort();
	if (a->result != MM_OK)
		return;
	if (strcmp(a->dev.id, b->dev.id) != 0 ||
	    strcmp(a->dev.product, b->dev.product) != 0 ||
	    memcmp(a->dev.bound_spki, b->dev.bound_spki, 32) != 0)
		abort();
	same_attributes(a, b);
}

static void
compare(const struct mm_rest_rows *rows, json_t *rest, json_t *whole)
{
	const json_t *list = json_object_get(whole, "rows");

	if (json_array_size(list) != rows->n)
		abort();
	mm_rest_rows_take(list, slow);
	for (size_t i = 0; i < rows->n; i++)
		same_row(&fast[i], &slow[i]);
	if (json_object_del(rest, "rows") != 0 ||
	    json_object_del(whole, "rows") != 0 || !json_equal(rest, whole))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_bytes body = { data, size };
	json_t *rest = NULL, *whole = NULL, *kept = NULL;
	struct mm_rest_rows rows;

	if (!mm_rest_rows_cut(body, &rows, &rest))
		return 0;
	if (rows.n < 1 || rows.n > MM_REST_ROWS_MAX)
		abort();
	memset(fast, 0, rows.n * sizeof(fast[0]));
	memset(slow, 0, rows.n * sizeof(slow[0]));
	if (mm_rest_rows_read(&rows, fast, &kept)) {
		if (mm_rest_parse(body, &whole, NULL) != MM_OK)
			abort();
		compare(&rows, rest, whole);
	}
	json_decref(kept);
	json_decref(whole);
	json_decref(rest);
	return 0;
}
