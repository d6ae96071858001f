#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "line/initial.h"
#include "server/batches.h"

/*
 * Initial configuration: a template, and a table with a row for each serial
 * number.  Each row is rendered here, so that none fails at a station.
 */

MM_FREE_FN(bits_free, uint8_t, free)
MM_FREE_FN(dump_free, char, free)

struct table {
	const struct mm_fill *fill;
	struct mm_initial map;
	const char *cell[MM_INITIAL_COLUMNS];
	struct mm_batch_wish *w;
	uint8_t *seen;     /* by index */
	struct mm_buf out; /* of one row */
};

static enum mm_err
read_columns(const json_t *columns, struct table *t, struct mm_why *why)
{
	size_t n = json_array_size(columns);
	const json_t *item;
	size_t i;

	if (n == 0 || n > MM_INITIAL_COLUMNS)
		return MM_FAIL(why, MM_EINPUT,
		    "configuration: columns: 1 to "
		    "%d",
		    MM_INITIAL_COLUMNS);
	json_array_foreach(columns, i, item)
	{
		t->cell[i] = json_string_value(item);
		if (t->cell[i] == NULL)
			return MM_FAIL(why, MM_EINPUT,
			    "configuration: columns: want texts");
	}
	return mm_initial_map(t->fill, t->cell, n, &t->map, why);
}

static enum mm_err
note_serial(struct table *t, size_t row, struct mm_why *why)
{
	const char *serial = t->cell[t->map.device];
	uint64_t index;

	if (!mm_device_id_valid(serial) ||
	    !mm_roll_find(&t->w->roll, serial, &index))
		return MM_FAIL(why, MM_EINPUT,
		    "configuration: row %zu: its "
		    "device is none of the batch",
		    row);
	if (t->seen[index]++ != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "configuration: row %zu: %s "
		    "had one before",
		    row, serial);
	return MM_OK;
}

static enum mm_err
check_row(const json_t *cells, struct table *t, const struct mm_work_order *o,
    size_t row, struct mm_why *why)
{
	struct mm_initial_row r = { row, t->cell, o->product, o->batch };
	const json_t *item;
	uint8_t hash[32];
	size_t i;

	if (json_array_size(cells) != t->map.ncolumns)
		return MM_FAIL(why, MM_EINPUT,
		    "configuration: row %zu: want "
		    "%zu cells",
		    row, t->map.ncolumns);
	json_array_foreach(cells, i, item)
	{
		t->cell[i] = json_string_value(item);
		if (t->cell[i] == NULL)
			return MM_FAIL(why, MM_EINPUT,
			    "configuration: row %zu: want texts", row);
	}
	MM_TRY(note_serial(t, row, why));
	mm_wipe(t->out.p, t->out.n);
	mm_buf_reset(&t->out);
	return mm_initial_render(&t->map, &r, &t->out, NULL, hash, why);
}

/* The first that no row names. */
static enum mm_err
check_all(const struct table *t, struct mm_why *why)
{
	char room[MM_DEVICE_ID_MAX + 1];
	uint64_t i = 0, n = mm_roll_count(&t->w->roll);

	while (i < n && t->seen[i] != 0)
		i++;
	return i == n ? MM_OK
		      : MM_FAIL(why, MM_EINPUT, "configuration: %s has no row",
			    mm_roll_at(&t->w->roll, i, room));
}

static enum mm_err
read_rows(const json_t *in, struct table *t, struct mm_production *b,
    struct mm_why *why)
{
	const json_t *rows = json_object_get(in, "rows"), *item;
	size_t i;

	MM_TRY(read_columns(json_object_get(in, "columns"), t, why));
	if (!json_is_array(rows))
		return MM_FAIL(
		    why, MM_EINPUT, "configuration: rows: want a list");
	json_array_foreach(rows, i, item)
	    MM_TRY(check_row(item, t, b->order, i + 1, why));
	MM_TRY(mm_batch_secrets(rows, &t->map, t->w, why));
	return check_all(t, why);
}

/* The rows as they came, for the station, and the salt that devices' are made
 * of: so nobody can try cells by the table's hash, or by a document's mark. */
static enum mm_err
keep_rows(const json_t *in, struct mm_batch_wish *w, struct mm_work_order *o,
    struct mm_why *why)
{
	MM_OWN(mm_rest_json_free) json_t *table = NULL;
	MM_OWN(dump_free) char *text = NULL;
	uint8_t salt[MM_SALT_N];
	char hex[2 * MM_SALT_N + 1];

	MM_TRY(mm_salt_make(salt, why));
	mm_hex_text(salt, sizeof(salt), hex);
	table = json_pack("{s:O,s:O,s:s}", "columns",
	    json_object_get(in, "columns"), "rows",
	    json_object_get(in, "rows"), "salt", hex);
	text = table == NULL ? NULL : json_dumps(table, JSON_COMPACT);
	if (text == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	mm_buf_text(&w->fields, text);
	mm_wipe(text, strlen(text));
	MM_TRY(mm_buf_ok(&w->fields, why));
	mm_sha256(mm_buf_view(&w->fields), o->fields_sha256);
	return MM_OK;
}

static enum mm_err
check_table(const json_t *in, struct mm_batch_wish *w, struct mm_production *b,
    struct mm_fill *fill, struct mm_why *why)
{
	MM_OWN(bits_free)
	uint8_t *seen = calloc(1, (size_t)mm_production_serials(b));
	struct table t = { .fill = fill,
		.w = w,
		.seen = seen,
		.out = MM_BUF_INIT(MM_FILL_MAX) };
	enum mm_err rc;

	if (seen == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = read_rows(in, &t, b, why);
	mm_buf_wipe(&t.out);
	return rc == MM_OK ? keep_rows(in, w, b->order, why) : rc;
}

static enum mm_err
check_members(const json_t *in, struct mm_why *why)
{
	static const char *const names[] = { "version", "template", "columns",
		"rows" };
	size_t known = 0;

	for (size_t i = 0; i < 4; i++)
		known += json_object_get(in, names[i]) != NULL;
	if (!json_is_object(in) || known != json_object_size(in) ||
	    !json_is_string(json_object_get(in, "template")))
		return MM_FAIL(why, MM_EINPUT,
		    "configuration: want version, "
		    "template, columns, rows");
	return MM_OK;
}

/* see batches.h */
enum mm_err
mm_batch_initial(const json_t *in, struct mm_batch_wish *w,
    struct mm_production *b, struct mm_why *why)
{
	MM_OWN(mm_fill_free) struct mm_fill *fill = NULL;
	const json_t *text = json_object_get(in, "template");
	json_int_t version = json_integer_value(json_object_get(in, "version"));

	if (in == NULL)
		return MM_OK;
	MM_TRY(check_members(in, why));
	if (version < 1 || version > INT32_MAX)
		return MM_FAIL(
		    why, MM_EINPUT, "configuration: version: a number from 1");
	mm_buf_put(
	    &w->config, json_string_value(text), json_string_length(text));
	MM_TRY(mm_buf_ok(&w->config, why));
	MM_TRY(
	    mm_fill_parse(MM_FILL_JSON, mm_buf_view(&w->config), &fill, why));
	b->order->config_version = version;
	mm_sha256(mm_buf_view(&w->config), b->order->config_sha256);
	return check_table(in, w, b, fill, why);
}
