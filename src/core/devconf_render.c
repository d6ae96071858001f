#include <jansson.h>
#include <string.h>

#include "core/devconf_priv.h"
#include "core/schema.h"
#include "line/initial.h"

/* A device's document: by its row of the table, or by its attributes. */

enum { VALUES_MAX = 4096 }; /* more than attributes have */

MM_FREE_FN(json_free, json_t, json_decref)

/* What stands for a row where there is no table. */
struct row {
	const char *column[MM_FILL_FIELDS + 1], *cell[MM_FILL_FIELDS + 1];
	size_t at[MM_FILL_FIELDS + 1], n;
	struct mm_buf values;
};

static bool
is_known(const char *name)
{
	return strcmp(name, "device") == 0 || strcmp(name, "product") == 0 ||
	    strcmp(name, "batch") == 0;
}

/* A text, a number or a truth; of others, and of none, there is no column. */
static void
add(struct row *row, const char *name, const json_t *v)
{
	char number[64];
	size_t n;

	if (!json_is_string(v) && !json_is_number(v) && !json_is_boolean(v))
		return;
	row->column[row->n] = name;
	row->at[row->n++] = row->values.n;
	if (json_is_string(v)) {
		mm_buf_put(&row->values, json_string_value(v),
		    json_string_length(v));
	} else {
		n = json_dumpb(v, number, sizeof(number), JSON_ENCODE_ANY);
		mm_buf_put(&row->values, number,
		    n < sizeof(number) ? n : 0);
	}
	mm_buf_u8(&row->values, 0);
}

/* The template's fields that the device's attributes have. */
static enum mm_err
fill_row(const struct mm_fill *fill, const struct mm_device *dev,
    struct row *row, struct mm_why *why)
{
	MM_OWN(json_free) json_t *attributes = json_loads(dev->attributes, 0,
	    NULL);

	row->column[0] = "device";
	row->cell[0] = dev->id;
	row->n = 1;
	for (size_t i = 0; i < mm_fill_count(fill); i++) {
		const char *name = mm_fill_name(fill, i);

		if (!is_known(name))
			add(row, name, json_object_get(attributes, name));
	}
	MM_TRY(mm_buf_ok(&row->values, why));
	for (size_t i = 1; i < row->n; i++)
		row->cell[i] = (const char *)row->values.p + row->at[i];
	return MM_OK;
}

static enum mm_err
missing(const struct mm_fill *fill, const struct row *row, struct mm_why *why)
{
	for (size_t i = 0; i < mm_fill_count(fill); i++) {
		const char *name = mm_fill_name(fill, i);
		size_t k = 0;

		while (k < row->n && strcmp(row->column[k], name) != 0)
			k++;
		if (k == row->n && !is_known(name))
			return MM_FAIL(why, MM_EINPUT, "field %.32s: the "
			    "device has no such attribute", name);
	}
	return MM_OK;
}

static enum mm_err
by_attributes(const struct mm_devconf_text *t, const struct mm_devconf_for *f,
    struct mm_buf *out, struct mm_buf *shown, uint8_t sha256[32],
    struct mm_why *why)
{
	MM_OWN(mm_fill_free) struct mm_fill *fill = NULL;
	struct row row = { .values = MM_BUF_INIT(VALUES_MAX) };
	const struct mm_initial_row r = { 1, row.cell, f->device->product,
		f->batch };
	struct mm_initial map;
	enum mm_err rc;

	MM_TRY(mm_fill_parse(MM_FILL_JSON, t->template, &fill, why));
	rc = fill_row(fill, f->device, &row, why);
	if (rc == MM_OK)
		rc = missing(fill, &row, why);
	if (rc == MM_OK)
		rc = mm_initial_map(fill, row.column, row.n, &map, why);
	if (rc == MM_OK)
		rc = mm_initial_render(&map, &r, out, shown, sha256, why);
	mm_buf_wipe(&row.values);
	return rc;
}

static enum mm_err
by_table(const struct mm_devconf_text *t, const struct mm_devconf_for *f,
    struct mm_buf *out, struct mm_buf *shown, uint8_t sha256[32],
    struct mm_why *why)
{
	const struct mm_initial_of of = { .template = t->template,
		.fields = t->table, .device = f->device->id,
		.product = f->device->product, .batch = f->batch,
		.index = t->index, .shown = shown };
	struct mm_initial_made made;

	MM_TRY(mm_initial_make(&of, out, &made, why));
	memcpy(sha256, made.sha256, sizeof(made.sha256));
	return MM_OK;
}

static enum mm_err
check_schema(struct mm_bytes schema, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_schema_free) struct mm_schema *s = NULL;
	char column[MM_SCHEMA_COLUMN];
	const char *text = mm_buf_cstr(out);

	if (schema.n == 0)
		return MM_OK;
	MM_TRY(mm_schema_parse(schema, &s, why));
	if (text == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	/* its own words may have a value */
	return mm_schema_check(s, text, column, NULL) == MM_OK ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "it does not fit the schema: %.40s",
	    strncmp(column, "attributes.", 11) == 0 ? column + 11 : column);
}

/* see devconf.h */
enum mm_err
mm_devconf_render(const struct mm_devconf_text *t,
    const struct mm_devconf_for *f, struct mm_buf *out, struct mm_buf *shown,
    uint8_t sha256[32], struct mm_why *why)
{
	MM_TRY(t->table.n > 0 ? by_table(t, f, out, shown, sha256, why)
	    : by_attributes(t, f, out, shown, sha256, why));
	return check_schema(t->schema, out, why);
}
