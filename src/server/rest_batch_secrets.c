#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "server/batches.h"

/*
 * Secrets that could be guessed are told before a batch is made with them: in
 * how many rows, never which, nor what stands there.
 */

MM_FREE_FN(list_free, const char *, free)

/* What a batch knows by itself, too: each row has the same. */
static const char *
value_of(const struct mm_initial *map, const json_t *row, size_t field)
{
	int column = map->column[field];

	return column < 0 ? ""
	    : json_string_value(json_array_get(row, (size_t)column));
}

static struct mm_weak
look(const json_t *rows, const struct mm_initial *map, size_t field,
    const char **value)
{
	struct mm_weak weak = { .shorts = 0 };
	const json_t *row;
	size_t i;

	strcpy(weak.name, mm_fill_name(map->fill, field));
	json_array_foreach(rows, i, row)
	{
		value[i] = value_of(map, row, field);
		weak.shorts += mm_weak_short(value[i],
		    json_string_value(json_array_get(row, map->device)));
	}
	weak.repeated = mm_weak_repeated(value, i);
	return weak;
}

/* see batches.h */
enum mm_err
mm_batch_secrets(const json_t *rows, const struct mm_initial *map,
    struct mm_batch_wish *w, struct mm_why *why)
{
	MM_OWN(list_free)
	const char **value = calloc(json_array_size(rows) + 1, sizeof(*value));

	if (value == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	for (size_t i = 0; i < mm_fill_count(map->fill); i++) {
		struct mm_weak weak;

		if (!mm_fill_secret(map->fill, i))
			continue;
		weak = look(rows, map, i, value);
		if (weak.shorts > 0 || weak.repeated > 0)
			w->weak[w->nweak++] = weak;
	}
	return MM_OK;
}

static void
put_one(struct mm_json *j, const char *name, size_t n, const char *what)
{
	char text[256];

	if (n == 0)
		return;
	snprintf(text, sizeof(text), "configuration: the secret %s %s in %zu "
	    "row%s: give each device 32 random characters", name, what, n,
	    n == 1 ? "" : "s");
	mm_json_str(j, NULL, text);
}

/* see batches.h */
void
mm_batch_secrets_put(struct mm_json *j, const struct mm_batch_wish *w)
{
	for (size_t i = 0; i < w->nweak; i++) {
		const struct mm_weak *f = &w->weak[i];

		put_one(j, f->name, f->shorts,
		    "has fewer than 16 characters beside the device's id");
		put_one(j, f->name, f->repeated, "is that of another device");
	}
}
