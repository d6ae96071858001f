#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "core/production_priv.h"
#include "line/initial.h"

/*
 * The rows of a station's serial numbers, cut out of the batch's table: what
 * is secret of other stations' devices is none of its business, and so is the
 * salt that all devices' are made of.  Where labels are scanned every station
 * may get any of them, and has all rows.
 */
MM_FREE_FN(text_free, char, free)

static bool
column_of(const json_t *columns, size_t *out)
{
	const json_t *name;
	size_t i;

	json_array_foreach(columns, i, name)
		if (json_is_string(name) &&
		    strcmp(json_string_value(name), "device") == 0) {
			*out = i;
			return true;
		}
	return false;
}

/* For each row the salt that is its device's, in place of the table's, of which
 * all devices' are made.  Older tables have none. */
static bool
salt_rows(json_t *table, size_t column)
{
	const char *hex = json_string_value(json_object_get(table, "salt"));
	uint8_t all[MM_SALT_N], own[MM_SALT_N];
	char text[2 * MM_SALT_N + 1];
	json_t *salts = json_array();
	const json_t *row;
	size_t i;
	bool good;

	if (hex == NULL || mm_hex_parse(hex, strlen(hex), all, sizeof(all),
	    NULL) != MM_OK) {
		json_decref(salts);
		return hex == NULL;
	}
	json_array_foreach(json_object_get(table, "rows"), i, row)
	{
		const char *id = json_string_value(json_array_get(row,
		    column));

		mm_initial_salt(all, id != NULL ? id : "", own);
		mm_hex_text(own, sizeof(own), text);
		if (json_array_append_new(salts, json_string(text)) != 0)
			break;
	}
	mm_wipe(all, sizeof(all));
	good = i == json_array_size(json_object_get(table, "rows")) &&
	    json_object_set(table, "salts", salts) == 0 &&
	    json_object_del(table, "salt") == 0;
	json_decref(salts);
	return good;
}

/* roll NULL: of every row. */
static enum mm_err
keep_rows(json_t *table, const struct mm_roll *roll, struct mm_why *why)
{
	const json_t *rows = json_object_get(table, "rows");
	json_t *kept = json_array(), *row;
	uint64_t index;
	size_t i, at = 0;
	bool all;

	if (!column_of(json_object_get(table, "columns"), &at) ||
	    !json_is_array(rows)) {
		json_decref(kept);
		return MM_FAIL(why, MM_ESYS,
		    "batch: its devices' fields cannot be read");
	}
	json_array_foreach(rows, i, row)
	{
		const char *serial = json_string_value(json_array_get(row, at));

		if (serial != NULL && (roll == NULL ||
		    mm_roll_find(roll, serial, &index)) &&
		    json_array_append(kept, row) != 0)
			break;
	}
	all = i == json_array_size(rows);
	/* it frees rows */
	return json_object_set_new(table, "rows", kept) == 0 && all &&
	    salt_rows(table, at) ? MM_OK
	    : MM_FAIL(why, MM_ENOMEM, "out of memory");
}

/* As the whole table was written. */
static enum mm_err
write_table(const json_t *table, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(text_free) char *text = json_dumps(table, JSON_COMPACT);

	if (text == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	mm_buf_text(out, text);
	mm_wipe(text, strlen(text));
	return mm_buf_ok(out, why);
}

static enum mm_err
cut(struct mm_buf *all, const struct mm_roll *roll, struct mm_buf *out,
    struct mm_why *why)
{
	MM_OWN(mm_json_free)
	json_t *table = json_loadb((const char *)all->p, all->n, 0, NULL);

	if (roll == NULL && table != NULL &&
	    json_object_get(table, "salt") == NULL) {
		mm_buf_bytes(out, mm_buf_view(all)); /* nothing changes */
		return mm_buf_ok(out, why);
	}
	MM_TRY(keep_rows(table, roll, why));
	return write_table(table, out, why);
}

/* see production_priv.h */
enum mm_err
mm_fields_cut(struct mm_store_reader *r, struct mm_work_order *o,
    struct mm_bytes list, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf all = MM_BUF_INIT(MM_PAPER_MAX);
	struct mm_roll roll;
	enum mm_err rc;

	if (mm_zero(o->fields_sha256, 32))
		return MM_OK;
	MM_TRY(mm_paper_get(r, o->fields_sha256, &all, why));
	if (o->take != MM_WORK_NEXT)
		rc = cut(&all, NULL, out, why);
	else {
		MM_TRY(mm_roll_over(o, list, &roll, why));
		rc = cut(&all, &roll, out, why);
		mm_roll_done(&roll);
	}
	mm_sha256(mm_buf_view(out), o->fields_sha256);
	return rc;
}
