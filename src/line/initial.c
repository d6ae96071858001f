#include "line/initial.h"

#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "line/weak.h"
#include "pki/key.h"

/* Where no column is: what a batch knows by itself. */
static const struct {
	const char *name;
	int column;
} known[] = {
	{ "product", MM_INITIAL_PRODUCT }, { "batch", MM_INITIAL_BATCH },
};

static bool
find(const char *const *columns, size_t n, const char *name, size_t *at)
{
	for (*at = 0; *at < n; ++*at)
		if (strcmp(columns[*at], name) == 0)
			return true;
	return false;
}

static enum mm_err
map_field(const char *name, const char *const *columns, size_t n, int *out,
    struct mm_why *why)
{
	size_t at;

	if (find(columns, n, name, &at)) {
		*out = (int)at;
		return MM_OK;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, name) == 0) {
			*out = known[i].column;
			return MM_OK;
		}
	return MM_FAIL(why, MM_EINPUT,
	    "the template's field %.32s has no column", name);
}

static bool
is_field(const struct mm_fill *f, const char *name)
{
	for (size_t i = 0; i < mm_fill_count(f); i++)
		if (strcmp(mm_fill_name(f, i), name) == 0)
			return true;
	return false;
}

static enum mm_err
check_columns(const struct mm_fill *f, const char *const *columns, size_t n,
    struct mm_why *why)
{
	size_t at;

	if (n > MM_INITIAL_COLUMNS)
		return MM_FAIL(why, MM_ELIMIT, "%zu columns, at most %d", n,
		    MM_INITIAL_COLUMNS);
	for (size_t i = 0; i < n; i++) {
		if (find(columns, i, columns[i], &at))
			return MM_FAIL(why, MM_EINPUT, "column %.32s twice",
			    columns[i]);
		if (strcmp(columns[i], "device") != 0 &&
		    !is_field(f, columns[i]))
			return MM_FAIL(why, MM_EINPUT, "column %.32s is no "
			    "field of the template", columns[i]);
	}
	return MM_OK;
}

/* see initial.h */
enum mm_err
mm_initial_map(const struct mm_fill *fill, const char *const *columns,
    size_t n, struct mm_initial *out, struct mm_why *why)
{
	struct mm_initial m = { .fill = fill, .ncolumns = n };

	MM_TRY(check_columns(fill, columns, n, why));
	if (!find(columns, n, "device", &m.device))
		return MM_FAIL(why, MM_EINPUT, "no column \"device\"");
	for (size_t i = 0; i < mm_fill_count(fill); i++)
		MM_TRY(map_field(mm_fill_name(fill, i), columns, n,
		    &m.column[i], why));
	*out = m;
	return MM_OK;
}

/* see initial.h */
const char *
mm_initial_value(const struct mm_initial *m, const struct mm_initial_row *r,
    size_t field)
{
	int column = m->column[field];

	if (column == MM_INITIAL_PRODUCT)
		return r->product;
	return column == MM_INITIAL_BATCH ? r->batch : r->cell[column];
}

/* see initial.h */
bool
mm_initial_guessable(const struct mm_initial *m,
    const struct mm_initial_row *r)
{
	for (size_t i = 0; i < mm_fill_count(m->fill); i++)
		if (mm_fill_secret(m->fill, i) && mm_weak_short(
		    mm_initial_value(m, r, i), r->cell[m->device]))
			return true;
	return false;
}

/* see initial.h */
enum mm_err
mm_initial_render(const struct mm_initial *m, const struct mm_initial_row *r,
    struct mm_buf *out, struct mm_buf *shown, uint8_t sha256[32],
    struct mm_why *why)
{
	size_t n = mm_fill_count(m->fill), field = n, from = out->n;
	const char *value[MM_FILL_FIELDS];
	struct mm_why what = { 0 };
	enum mm_err rc;

	if (!mm_device_id_valid(r->cell[m->device]))
		return MM_FAIL(why, MM_EINPUT,
		    "row %llu, column device: not a device id", r->row);
	for (size_t i = 0; i < n; i++)
		value[i] = mm_initial_value(m, r, i);
	rc = mm_fill_render(m->fill, value, out, shown, &field, &what);
	if (rc != MM_OK && field < n)
		return MM_FAIL(why, rc, "row %llu, column %s: %s", r->row,
		    mm_fill_name(m->fill, field), what.text);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "row %llu: %s", r->row, what.text);
	mm_sha256((struct mm_bytes){ out->p + from, out->n - from }, sha256);
	return MM_OK;
}

/* see initial.h */
enum mm_err
mm_initial_check(const struct mm_initial_at *have,
    const struct mm_initial_at *next, bool *same, struct mm_why *why)
{
	if (next->version < 1)
		return MM_FAIL(why, MM_EINPUT,
		    "a configuration's version is 1 or more");
	*same = have != NULL && have->version == next->version &&
	    memcmp(have->sha256, next->sha256, 32) == 0;
	if (have == NULL || *same || next->version > have->version)
		return MM_OK;
	return MM_FAIL(why, MM_EPOLICY, next->version < have->version
	    ? "configuration version %lld after %lld"
	    : "another configuration with the same version, %lld (%lld)",
	    (long long)next->version, (long long)have->version);
}
