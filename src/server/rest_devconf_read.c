#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/secret.h"
#include "server/rest_devconf.h"

/* A set of configuration as requests bring it, and as answers show it. */

MM_FREE_FN(dump_free, char, free)

/* see rest_devconf.h */
void
mm_devconf_wish_done(struct mm_devconf_wish *w)
{
	mm_devconf_papers_done(&w->text);
}

static enum mm_err
check_members(const json_t *in, const char *more, struct mm_why *why)
{
	const char *const names[] = { "template", "columns", "rows", "schema",
		more };
	size_t known = 0;

	for (size_t i = 0; i < 5; i++)
		known += names[i] != NULL &&
		    json_object_get(in, names[i]) != NULL;
	return known == json_object_size(in) ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "configuration: want template, columns, rows, schema");
}

/* ---- the table: each row as a device's document would need it ---- */

struct table {
	const char *cell[MM_INITIAL_COLUMNS];
	size_t n, device;
};

static enum mm_err
read_columns(const json_t *columns, const struct mm_fill *fill,
    struct table *t, struct mm_why *why)
{
	struct mm_initial map;
	const json_t *item;
	size_t i;

	t->n = json_array_size(columns);
	if (t->n == 0 || t->n > MM_INITIAL_COLUMNS)
		return MM_FAIL(why, MM_EINPUT, "columns: 1 to %d",
		    MM_INITIAL_COLUMNS);
	json_array_foreach(columns, i, item) {
		t->cell[i] = json_string_value(item);
		if (t->cell[i] == NULL)
			return MM_FAIL(why, MM_EINPUT, "columns: want texts");
	}
	MM_TRY(mm_initial_map(fill, t->cell, t->n, &map, why));
	t->device = map.device;
	return MM_OK;
}

static enum mm_err
check_row(const json_t *cells, const struct table *t, size_t row,
    json_t *seen, struct mm_why *why)
{
	const char *device = json_string_value(json_array_get(cells,
	    t->device));
	const json_t *item;
	size_t i;

	if (json_array_size(cells) != t->n)
		return MM_FAIL(why, MM_EINPUT, "row %zu: want %zu cells", row,
		    t->n);
	json_array_foreach(cells, i, item)
		if (!json_is_string(item))
			return MM_FAIL(why, MM_EINPUT, "row %zu: want texts",
			    row);
	if (device == NULL || !mm_device_id_valid(device))
		return MM_FAIL(why, MM_EINPUT, "row %zu, column device: not a "
		    "device id", row);
	if (json_object_get(seen, device) != NULL)
		return MM_FAIL(why, MM_EINPUT, "row %zu: %.64s had one "
		    "before", row, device);
	json_object_set_new(seen, device, json_true());
	return MM_OK;
}

static enum mm_err
check_rows(const json_t *rows, const struct table *t, struct mm_why *why)
{
	MM_OWN(mm_rest_json_free) json_t *seen = json_object();
	const json_t *item;
	size_t i;

	if (!json_is_array(rows))
		return MM_FAIL(why, MM_EINPUT, "rows: want a list");
	json_array_foreach(rows, i, item)
		MM_TRY(check_row(item, t, i + 1, seen, why));
	return MM_OK;
}

static enum mm_err
keep(const json_t *v, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(dump_free) char *text = json_dumps(v, JSON_COMPACT);

	if (text == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	mm_buf_text(out, text);
	mm_wipe(text, strlen(text));
	return mm_buf_ok(out, why);
}

static enum mm_err
read_table(const json_t *in, const struct mm_fill *fill,
    struct mm_devconf_wish *w, struct mm_why *why)
{
	MM_OWN(mm_rest_json_free) json_t *whole = NULL;
	uint8_t salt[MM_SALT_N];
	char hex[2 * MM_SALT_N + 1];
	json_t *columns = json_object_get(in, "columns");
	json_t *rows = json_object_get(in, "rows");
	struct table t;

	if (columns == NULL && rows == NULL)
		return MM_OK;
	MM_TRY(read_columns(columns, fill, &t, why));
	MM_TRY(check_rows(rows, &t, why));
	/* who sees the table's hash cannot try cells by it */
	MM_TRY(mm_salt_make(salt, why));
	mm_hex_text(salt, sizeof(salt), hex);
	whole = json_pack("{s:O,s:O,s:s}", "columns", columns, "rows", rows,
	    "salt", hex);
	if (whole == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	return keep(whole, &w->text.table, why);
}

/* see rest_devconf.h */
enum mm_err
mm_devconf_wish_read(const json_t *in, const char *more,
    struct mm_devconf_wish *w, struct mm_why *why)
{
	MM_OWN(mm_fill_free) struct mm_fill *fill = NULL;
	const json_t *template = json_object_get(in, "template");
	const json_t *schema = json_object_get(in, "schema");

	MM_TRY(check_members(in, more, why));
	w->given = template != NULL;
	if (!w->given)
		return json_object_size(in) == (size_t)(more != NULL &&
		    json_object_get(in, more) != NULL) ? MM_OK
		    : MM_FAIL(why, MM_EINPUT, "template: missing");
	if (!json_is_string(template))
		return MM_FAIL(why, MM_EINPUT, "template: want a text");
	if (schema != NULL && !json_is_object(schema))
		return MM_FAIL(why, MM_EINPUT, "schema: want an object");
	mm_buf_put(&w->text.template, json_string_value(template),
	    json_string_length(template));
	MM_TRY(mm_buf_ok(&w->text.template, why));
	MM_TRY(mm_fill_parse(MM_FILL_JSON, mm_buf_view(&w->text.template),
	    &fill, why));
	MM_TRY(read_table(in, fill, w, why));
	if (schema != NULL)
		MM_TRY(keep(schema, &w->text.schema, why));
	w->view = (struct mm_devconf_text){ mm_buf_view(&w->text.template),
		mm_buf_view(&w->text.table), mm_buf_view(&w->text.schema),
		NULL };
	return MM_OK;
}

/* ---- shown ---- */

static bool
is_secret(const struct mm_fill *fill, const char *column)
{
	for (size_t i = 0; i < mm_fill_count(fill); i++)
		if (mm_fill_secret(fill, i) &&
		    strcmp(mm_fill_name(fill, i), column) == 0)
			return true;
	return false;
}

/* see rest_devconf.h */
void
mm_devconf_hidden(const json_t *in, bool hidden[MM_INITIAL_COLUMNS])
{
	MM_OWN(mm_fill_free) struct mm_fill *fill = NULL;
	const char *template = json_string_value(json_object_get(in,
	    "template"));
	const json_t *columns = json_object_get(in, "columns");
	bool known = template != NULL && mm_fill_parse(MM_FILL_JSON,
	    mm_bytes_of(template), &fill, NULL) == MM_OK;

	for (size_t i = 0; i < MM_INITIAL_COLUMNS; i++) {
		const char *column = json_string_value(json_array_get(columns,
		    i));

		hidden[i] = !known || column == NULL || is_secret(fill, column);
	}
}

static void
put_row(struct mm_json *j, const json_t *row, const bool *hidden)
{
	const json_t *item;
	size_t i;

	mm_json_open(j, '[');
	json_array_foreach(row, i, item)
		mm_json_str(j, NULL, i >= MM_INITIAL_COLUMNS || hidden[i]
		    ? "(secret)" : json_string_value(item));
	mm_json_close(j, ']');
}

/* see rest_devconf.h */
enum mm_err
mm_devconf_put_table(struct mm_json *j, const struct mm_devconf_papers *p,
    struct mm_why *why)
{
	MM_OWN(mm_fill_free) struct mm_fill *fill = NULL;
	MM_OWN(mm_rest_json_free) json_t *o = NULL;
	bool hidden[MM_INITIAL_COLUMNS] = { false };
	const json_t *item;
	size_t i;

	if (p->table.n == 0)
		return MM_OK;
	MM_TRY(mm_fill_parse(MM_FILL_JSON, mm_buf_view(&p->template), &fill,
	    why));
	o = json_loadb((const char *)p->table.p, p->table.n, 0, NULL);
	mm_json_open_key(j, "columns", '[');
	json_array_foreach(json_object_get(o, "columns"), i, item) {
		if (i < MM_INITIAL_COLUMNS)
			hidden[i] = is_secret(fill, json_string_value(item));
		mm_json_str(j, NULL, json_string_value(item));
	}
	mm_json_close(j, ']');
	mm_json_open_key(j, "rows", '[');
	json_array_foreach(json_object_get(o, "rows"), i, item)
		put_row(j, item, hidden);
	mm_json_close(j, ']');
	return MM_OK;
}
