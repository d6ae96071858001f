#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/own.h"
#include "base/text.h"
#include "line/initial.h"
#include "pki/key.h"

/*
 * A device's row of a batch's table, found where it stands: of a table of
 * some thousand rows no other one is read.  Of a device id JSON escapes
 * nothing.
 */
MM_FREE_FN(json_free, json_t, json_decref)

struct table {
	struct mm_bytes columns, rows;
	struct mm_bytes salt, salts; /* salt: in its quotes; or none */
};
struct row {
	struct mm_bytes id, json;
	struct mm_bytes salt; /* its own, in its quotes; or none */
	unsigned long long number;
};
struct mm_initial_index {
	struct mm_bytes columns, salt, salts;
	struct row *row; /* by id, then by number */
	size_t n, cap;
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
	struct mm_bytes v = { NULL, 0 };

	skip(in, " \t\r\n,:");
	if (in->n == 0)
		return v;
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
		else if (mm_bytes_eq(key, mm_bytes_of("\"salt\"")))
			t->salt = v;
		else if (mm_bytes_eq(key, mm_bytes_of("\"salts\"")))
			t->salts = v;
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

/* ---- the index ---- */

static int
compare(struct mm_bytes a, struct mm_bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n == 0 ? 0 : memcmp(a.p, b.p, n);

	return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static int
by_id(const void *a_, const void *b_)
{
	const struct row *a = a_, *b = b_;
	int c = compare(a->id, b->id);

	return c != 0 ? c : (a->number > b->number) - (a->number < b->number);
}

static bool
device_column(struct mm_bytes columns, size_t *at)
{
	MM_OWN(json_free) json_t *list = NULL;
	const char *column[MM_INITIAL_COLUMNS];
	size_t n;

	if (!texts(columns, &list, column, &n))
		return false;
	for (*at = 0; *at < n; ++*at)
		if (strcmp(column[*at], "device") == 0)
			return true;
	return false;
}

/* The text between its quotes; n 0: there is none. */
static struct mm_bytes
cell_at(struct mm_bytes row, size_t column)
{
	struct mm_bytes in = { row.p + 1, row.n - 1 }, cell = next(&in);

	while (column-- > 0 && cell.n > 0)
		cell = next(&in);
	if (cell.n < 2 || cell.p[0] != '"')
		return (struct mm_bytes){ NULL, 0 };
	return (struct mm_bytes){ cell.p + 1, cell.n - 2 };
}

/* What is within a list; n 0: it is none. */
static struct mm_bytes
within(struct mm_bytes list)
{
	return list.n > 0 && list.p[0] == '['
	    ? (struct mm_bytes){ list.p + 1, list.n - 1 }
	    : (struct mm_bytes){ NULL, 0 };
}

/* The next row, with its salt where rows have them. */
static bool
next_row(struct mm_bytes *rows, struct mm_bytes *salts, struct row *out)
{
	out->json = next(rows);
	out->salt = next(salts);
	out->number++;
	return out->json.n > 0;
}

static enum mm_err
put_rows(struct mm_initial_index *x, struct mm_bytes rows, size_t column,
    struct mm_why *why)
{
	struct mm_bytes in = within(rows), salts = within(x->salts);
	struct row row = { .number = 0 };

	while (next_row(&in, &salts, &row)) {
		struct row *p = mm_grown(x->row, x->n, &x->cap, sizeof(*p));

		if (p == NULL)
			return MM_FAIL(why, MM_ENOMEM, "out of memory");
		x->row = p;
		row.id = cell_at(row.json, column);
		p[x->n++] = row;
	}
	if (x->n > 0)
		qsort(x->row, x->n, sizeof(x->row[0]), by_id);
	return MM_OK;
}

/* see initial.h */
enum mm_err
mm_initial_index_new(struct mm_bytes fields, struct mm_initial_index **out,
    struct mm_why *why)
{
	MM_OWN(mm_initial_index_free)
	struct mm_initial_index *x = calloc(1, sizeof(*x));
	struct table t = { .rows = { NULL, 0 } };
	size_t column;

	if (x == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(open_table(fields, &t, why));
	if (!device_column(t.columns, &column))
		return MM_FAIL(why, MM_EINPUT,
		    "the table of devices' fields has no devices");
	x->columns = t.columns;
	x->salt = t.salt;
	x->salts = t.salts;
	MM_TRY(put_rows(x, t.rows, column, why));
	*out = MM_MOVE(x);
	return MM_OK;
}

/* see initial.h */
void
mm_initial_index_free(struct mm_initial_index **owner)
{
	if (*owner != NULL)
		free((*owner)->row);
	free(*owner);
	*owner = NULL;
}

/* see initial.h */
bool
mm_initial_index_salted(const struct mm_initial_index *x)
{
	return x->salt.n > 0 || x->salts.n > 0;
}

/* ---- a row ---- */

struct search {
	const struct mm_initial_of *of;
	const struct mm_initial *map;
	struct table table;
	struct mm_buf *out;
	struct mm_initial_made *made;
};

static bool
parse_salt(struct mm_bytes quoted, uint8_t out[MM_SALT_N])
{
	return quoted.n == 2 * MM_SALT_N + 2 &&
	    mm_hex_parse((const char *)quoted.p + 1, 2 * MM_SALT_N, out,
	    MM_SALT_N, NULL) == MM_OK;
}

/* The row's own, or made of the table's; older tables have neither. */
static enum mm_err
take_salt(const struct search *s, const struct row *row, struct mm_why *why)
{
	const struct table *t = &s->table;
	struct mm_initial_made *made = s->made;
	uint8_t all[MM_SALT_N] = { 0 };
	bool good = true;

	made->by_table = t->salts.n == 0 && t->salt.n > 0;
	memset(made->salt, 0, MM_SALT_N);
	if (t->salts.n > 0)
		good = parse_salt(row->salt, made->salt);
	else if (made->by_table && (good = parse_salt(t->salt, all)))
		mm_initial_salt(all, s->of->device, made->salt);
	mm_wipe(all, sizeof(all));
	return good ? MM_OK : MM_FAIL(why, MM_EINPUT, "the table of devices' "
	    "fields: its salt is none");
}

/* What does not render has no value that could be looked at. */
static enum mm_err
render_row(const struct search *s, const struct mm_initial_row *r,
    struct mm_why *why)
{
	MM_TRY(mm_initial_render(s->map, r, s->out, s->of->shown,
	    s->made->sha256, why));
	s->made->guessable = mm_initial_guessable(s->map, r);
	return MM_OK;
}

/* MM_ENOTFOUND: it is another device's. */
static enum mm_err
render(const struct search *s, const struct row *row, struct mm_why *why)
{
	MM_OWN(json_free) json_t *list = NULL;
	const char *cell[MM_INITIAL_COLUMNS];
	const struct mm_initial_row r = { row->number, cell, s->of->product,
		s->of->batch };
	size_t n;

	if (!texts(row->json, &list, cell, &n) || n != s->map->ncolumns ||
	    strcmp(cell[s->map->device], s->of->device) != 0)
		return MM_ENOTFOUND;
	MM_TRY(take_salt(s, row, why));
	return render_row(s, &r, why);
}

static enum mm_err
find_indexed(const struct search *s, struct mm_why *why)
{
	const struct mm_initial_index *x = s->of->index;
	struct mm_bytes id = mm_bytes_of(s->of->device);
	enum mm_err rc = MM_ENOTFOUND;
	size_t low = 0, high = x->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(x->row[mid].id, id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; rc == MM_ENOTFOUND && low < x->n &&
	     mm_bytes_eq(x->row[low].id, id); low++)
		rc = render(s, &x->row[low], why);
	return rc;
}

static enum mm_err
find_row(const struct search *s, struct mm_why *why)
{
	struct mm_bytes in = within(s->table.rows);
	struct mm_bytes salts = within(s->table.salts);
	struct row row = { .number = 0 };
	enum mm_err rc = MM_ENOTFOUND;

	while (rc == MM_ENOTFOUND && next_row(&in, &salts, &row))
		if (memmem(row.json.p, row.json.n, s->of->device,
			strlen(s->of->device)) != NULL)
			rc = render(s, &row, why);
	return rc;
}

/* Its columns, and where it has rows that are looked through. */
static enum mm_err
open_for(const struct mm_initial_of *of, struct table *t, struct mm_why *why)
{
	if (of->index == NULL)
		return open_table(of->fields, t, why);
	t->columns = of->index->columns;
	t->salt = of->index->salt;
	t->salts = of->index->salts;
	return MM_OK;
}

/* see initial.h */
enum mm_err
mm_initial_make(const struct mm_initial_of *of, struct mm_buf *out,
    struct mm_initial_made *made, struct mm_why *why)
{
	MM_OWN(mm_fill_free) struct mm_fill *template = NULL;
	MM_OWN(json_free) json_t *list = NULL;
	const char *column[MM_INITIAL_COLUMNS] = { "device" };
	const struct mm_initial_row only = { 1, &of->device, of->product,
		of->batch };
	struct mm_initial map;
	struct search s = { .of = of, .map = &map, .out = out, .made = made };
	enum mm_err rc;
	size_t n = 1;

	*made = (struct mm_initial_made){ .by_table = false };
	MM_TRY(mm_fill_parse(MM_FILL_JSON, of->template, &template, why));
	if (of->fields.n > 0) {
		MM_TRY(open_for(of, &s.table, why));
		if (!texts(s.table.columns, &list, column, &n))
			return MM_FAIL(why, MM_EINPUT,
			    "the table of devices' fields has no columns");
	}
	MM_TRY(mm_initial_map(template, column, n, &map, why));
	if (of->fields.n == 0)
		return render_row(&s, &only, why);
	rc = of->index != NULL ? find_indexed(&s, why) : find_row(&s, why);
	return rc != MM_ENOTFOUND ? rc : MM_FAIL(why, MM_ENOTFOUND, "%.64s has "
	    "no row in the table of devices' fields", of->device);
}

/* ---- what is on record ---- */

/* see initial.h */
void
mm_initial_salt(const uint8_t table[MM_SALT_N], const char *device,
    uint8_t salt[MM_SALT_N])
{
	char text[32 + MM_DEVICE_ID_MAX];
	uint8_t mac[32];

	snprintf(text, sizeof(text), "mintmark-initial %s", device);
	mm_hmac_sha256((struct mm_bytes){ table, MM_SALT_N },
	    mm_bytes_of(text), mac);
	memcpy(salt, mac, MM_SALT_N);
	mm_wipe(mac, sizeof(mac));
}

static bool
is_none(const uint8_t salt[MM_SALT_N])
{
	static const uint8_t none[MM_SALT_N];

	return memcmp(salt, none, sizeof(none)) == 0;
}

/* see initial.h */
void
mm_initial_mark_before(const uint8_t salt[MM_SALT_N],
    const uint8_t sha256[32], uint8_t out[32])
{
	if (is_none(salt))
		memcpy(out, sha256, 32);
	else
		mm_salted_sha256(salt, (struct mm_bytes){ sha256, 32 }, out);
}

/* see initial.h */
void
mm_initial_mark(const uint8_t salt[MM_SALT_N], const uint8_t sha256[32],
    uint8_t out[32])
{
	static const char domain[] = "mintmark-configuration";
	uint8_t text[sizeof(domain) - 1 + MM_SALT_N + 32];
	uint8_t *at = text + sizeof(domain) - 1;

	memcpy(text, domain, sizeof(domain) - 1);
	memcpy(at, salt, MM_SALT_N);
	memcpy(at + MM_SALT_N, sha256, 32);
	if (is_none(salt))
		memcpy(out, sha256, 32);
	else
		mm_sha256((struct mm_bytes){ text, sizeof(text) }, out);
}

/* see initial.h */
bool
mm_initial_is_mark(const uint8_t said[32], const uint8_t salt[MM_SALT_N],
    const uint8_t sha256[32])
{
	uint8_t mark[32], before[32];

	mm_initial_mark(salt, sha256, mark);
	mm_initial_mark_before(salt, sha256, before);
	return memcmp(said, mark, 32) == 0 || memcmp(said, before, 32) == 0 ||
	    memcmp(said, sha256, 32) == 0;
}
