#include <string.h>

#include "base/own.h"
#include "server/rest.h"
#include "server/rest_rows.h"

/* Many devices in one call, each on its own. */

enum { ROWS_MAX = MM_REST_ROWS_MAX, DIGEST_N = 16 };

static enum mm_err
read_flag(json_t *in, const char *name, bool *out, struct mm_why *why)
{
	const json_t *v = json_object_get(in, name);

	*out = json_is_true(v);
	return v == NULL || json_is_boolean(v) ? MM_OK :
	    MM_FAIL(why, MM_EINPUT, "%s: want true or false", name);
}

static enum mm_err
read_how(
    json_t *in, struct mm_import_how *how, bool *digests, struct mm_why *why)
{
	static const char *const names[] = { "rows", "dry_run",
		"all_or_nothing", "texts", "digests" };
	const size_t n = sizeof(names) / sizeof(names[0]);
	const char *key;
	json_t *v;

	json_object_foreach(in, key, v) {
		size_t i = 0;

		while (i < n && strcmp(names[i], key) != 0)
			i++;
		if (i == n)
			return MM_FAIL(why, MM_EINPUT,
			    "\"%.40s\": no such member", key);
	}
	MM_TRY(read_flag(in, "dry_run", &how->dry, why));
	MM_TRY(read_flag(in, "all_or_nothing", &how->all_or_nothing, why));
	MM_TRY(read_flag(in, "digests", digests, why));
	return read_flag(in, "texts", &how->texts, why);
}

static void
put_errors(struct mm_rest *r, const struct mm_import_row *row, size_t n)
{
	mm_json_open_key(&r->j, "errors", '[');
	for (size_t i = 0; i < n; i++) {
		if (row[i].result == MM_OK)
			continue;
		mm_json_open(&r->j, '{');
		mm_json_int(&r->j, "row", (int64_t)i + 1);
		mm_json_str(&r->j, "device", row[i].dev.id);
		mm_json_str(&r->j, "column", row[i].column);
		mm_json_str(&r->j, "problem", mm_err_slug(row[i].result));
		mm_json_str(&r->j, "detail", row[i].why.text);
		mm_json_close(&r->j, '}');
	}
	mm_json_close(&r->j, ']');
}

/* Of a row's content, as the store would compare it: product, attributes and
 * key in one form.  No text of it has a zero byte within. */
static void
digest(const struct mm_device *d, char hex[2 * DIGEST_N + 1])
{
	uint8_t all[sizeof(d->bound_spki) + sizeof(d->product) +
		    sizeof(d->attributes)];
	size_t n = sizeof(d->bound_spki), product = strlen(d->product) + 1,
	       attributes = strlen(d->attributes);
	uint8_t hash[32];

	memcpy(all, d->bound_spki, n);
	memcpy(all + n, d->product, product);
	memcpy(all + n + product, d->attributes, attributes);
	mm_sha256((struct mm_bytes){ all, n + product + attributes }, hash);
	mm_hex_text(hash, DIGEST_N, hex);
}

static void
put_digests(struct mm_rest *r, const struct mm_import_row *row, size_t n)
{
	mm_json_open_key(&r->j, "digests", '[');
	for (size_t i = 0; i < n; i++) {
		char hex[2 * DIGEST_N + 1] = "";

		if (row[i].result == MM_OK)
			digest(&row[i].dev, hex);
		mm_json_str(&r->j, NULL, hex);
	}
	mm_json_close(&r->j, ']');
}

static void
put_answer(struct mm_rest *r, const struct mm_import_row *row, size_t n,
    bool written, bool digests)
{
	int64_t made = 0, same = 0, bad = 0;

	for (size_t i = 0; i < n; i++) {
		bad += row[i].result != MM_OK;
		same += row[i].result == MM_OK && row[i].already;
		made += row[i].result == MM_OK && !row[i].already;
	}
	mm_json_open(&r->j, '{');
	mm_json_bool(&r->j, "written", written);
	mm_json_int(&r->j, "created", made);
	mm_json_int(&r->j, "unchanged", same);
	mm_json_int(&r->j, "failed", bad);
	put_errors(r, row, n);
	if (digests)
		put_digests(r, row, n);
	mm_json_close(&r->j, '}');
}

/* see rest.h */
enum mm_err
mm_rest_import_read(struct mm_rest *r, struct mm_why *why)
{
	if (mm_rest_rows_cut(r->req->body, &r->rows, &r->in))
		return MM_OK;
	return mm_rest_parse(r->req->body, &r->in, why);
}

/* see rest.h */
enum mm_err
mm_rest_import_whole(struct mm_rest *r, struct mm_why *why)
{
	mm_rest_json_free(&r->in);
	r->rows = (struct mm_rest_rows){ .n = 0 };
	return mm_rest_parse(r->req->body, &r->in, why);
}

static enum mm_err
read_rows(struct mm_rest *r, struct mm_import_row **row, size_t *n,
    json_t **kept, struct mm_why *why)
{
	const json_t *list = json_object_get(r->in, "rows");

	*n = r->rows.n > 0 ? r->rows.n : json_array_size(list);
	if (*n < 1 || *n > ROWS_MAX)
		return MM_FAIL(why, MM_EINPUT, "rows: want 1 to %d", ROWS_MAX);
	*row = mm_desk_import_rows(r->desk, *n);
	if (*row == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	if (r->rows.n == 0)
		mm_rest_rows_take(list, *row);
	else if (!mm_rest_rows_read(&r->rows, *row, kept))
		return MM_ENOTFOUND;
	return MM_OK;
}

/* "created" is what would be, where nothing is written. */
enum mm_err
mm_rest_device_import(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_rest_json_free) json_t *kept = NULL;
	struct mm_import_row *row;
	size_t n;
	struct mm_import_how how;
	bool written, digests = false;
	enum mm_err rc;

	/* rows first: what is no JSON is that, whatever else is wrong */
	rc = read_rows(r, &row, &n, &kept, why);
	if (rc == MM_ENOTFOUND) {
		MM_TRY(mm_rest_import_whole(r, why));
		rc = read_rows(r, &row, &n, &kept, why);
	}
	MM_TRY(rc);
	MM_TRY(read_how(r->in, &how, &digests, why));
	MM_TRY(mm_desk_devices_import(r->desk, &r->login, &how, row, n,
	    &written, why));
	put_answer(r, row, n, written, digests);
	return MM_OK;
}
