#include <jansson.h>
#include <string.h>

#include "base/own.h"
#include "line/initial.h"
#include "pki/key.h"

/*
 * A device's row of a batch's table, found where it stands: of a table of
 * some thousand rows no other one is read.
 */
MM_FREE_FN(json_free, json_t, json_decref)

struct table {
	struct mm_bytes columns, rows;
};

/* How long the text, list or object is that v begins with, in JSON; 0: it
 * begins with neither, or does not end. */
static size_t
value_n(struct mm_bytes v)
{
	bool text = false;
	int depth = 0;

	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = v.p[i];

		if (text && c == '\\')
			i++;
		else if (c == '"')
			text = !text;
		else if (!text && (c == '[' || c == '{'))
			depth++;
		else if (!text && (c == ']' || c == '}'))
			depth--;
		if (depth < 0 || (i == 0 && !text && depth == 0))
			return 0;
		if (!text && depth == 0)
			return i + 1;
	}
	return 0;
}

static void
skip(struct mm_bytes *in, const char *chars)
{
	while (in->n > 0 && in->p[0] != '\0' &&
	    strchr(chars, in->p[0]) != NULL)
		*in = (struct mm_bytes){ in->p + 1, in->n - 1 };
}

/* The next value of a list or an object, and over it; n 0: none. */
static struct mm_bytes
next(struct mm_bytes *in)
{
	struct mm_bytes v;

	skip(in, " \t\r\n,:");
	v = (struct mm_bytes){ in->p, value_n(*in) };
	*in = (struct mm_bytes){ in->p + v.n, in->n - v.n };
	return v;
}

static enum mm_err
open_table(struct mm_bytes json, struct table *t, struct mm_why *why)
{
	struct mm_bytes in = json, key;

	skip(&in, " \t\r\n");
	if (in.n > 0 && in.p[0] == '{')
		in = (struct mm_bytes){ in.p + 1, in.n - 1 };
	while ((key = next(&in)).n > 0) {
		struct mm_bytes v = next(&in);

		if (mm_bytes_eq(key, mm_bytes_of("\"columns\"")))
			t->columns = v;
		else if (mm_bytes_eq(key, mm_bytes_of("\"rows\"")))
			t->rows = v;
	}
	return t->columns.n > 2 && t->rows.n > 1 && t->rows.p[0] == '['
	    ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "the table of devices' fields cannot be read");
}

/* The texts of a list; false: something else, or too many. */
static bool
texts(struct mm_bytes json, json_t **owner,
    const char *out[MM_INITIAL_COLUMNS], size_t *n)
{
	json_t *list = json_loadb((const char *)json.p, json.n, 0, NULL);
	const json_t *item;
	size_t i;

	*owner = list;
	*n = json_array_size(list);
	if (!json_is_array(list) || *n > MM_INITIAL_COLUMNS)
		return false;
	json_array_foreach(list, i, item)
	{
		out[i] = json_string_value(item);
		if (out[i] == NULL)
			return false;
	}
	return true;
}

static enum mm_err
find_row(const struct mm_initial_of *of, const struct table *t,
    const struct mm_initial *map, struct mm_buf *out, uint8_t sha256[32],
    struct mm_why *why)
{
	struct mm_bytes in = { t->rows.p + 1, t->rows.n - 1 }, json;
	const char *cell[MM_INITIAL_COLUMNS];
	size_t n;

	for (unsigned long long row = 1; (json = next(&in)).n > 0; row++) {
		const struct mm_initial_row r = { row, cell, of->product,
			of->batch };
		MM_OWN(json_free) json_t *list = NULL;

		/* Of a device id JSON escapes nothing. */
		if (memmem(json.p, json.n, of->device, strlen(of->device)) ==
		    NULL || !texts(json, &list, cell, &n) ||
		    n != map->ncolumns ||
		    strcmp(cell[map->device], of->device) != 0)
			continue;
		return mm_initial_render(map, &r, out, NULL, sha256, why);
	}
	return MM_FAIL(why, MM_ENOTFOUND, "%.64s has no row in the table of "
	    "devices' fields", of->device);
}

/* see initial.h */
enum mm_err
mm_initial_make(const struct mm_initial_of *of, struct mm_buf *out,
    uint8_t sha256[32], struct mm_why *why)
{
	MM_OWN(mm_fill_free) struct mm_fill *fill = NULL;
	MM_OWN(json_free) json_t *list = NULL;
	const char *column[MM_INITIAL_COLUMNS] = { "device" };
	const struct mm_initial_row only = { 1, &of->device, of->product,
		of->batch };
	struct table t = { .rows = { NULL, 0 } };
	struct mm_initial map;
	size_t n = 1;

	MM_TRY(mm_fill_parse(MM_FILL_JSON, of->template, &fill, why));
	if (of->fields.n > 0) {
		MM_TRY(open_table(of->fields, &t, why));
		if (!texts(t.columns, &list, column, &n))
			return MM_FAIL(why, MM_EINPUT,
			    "the table of devices' fields has no columns");
	}
	MM_TRY(mm_initial_map(fill, column, n, &map, why));
	return of->fields.n > 0 ? find_row(of, &t, &map, out, sha256, why)
	    : mm_initial_render(&map, &only, out, NULL, sha256, why);
}
