/* Properties: what a JSON parser takes for an array has as many items, and
 * each is the same value; whatever is read was there; an end is an end. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/items.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 4096, FLAGS = JSON_DECODE_ANY };

static void
compare(const json_t *want, const char *item, size_t n)
{
	json_t *got = json_loadb(item, n, FLAGS, NULL);

	if (got == NULL || !json_equal(want, got))
		abort();
	json_decref(got);
}

/* The items as far as they are read; whole: to the end. */
static size_t
each(struct mm_items *it, const json_t *want, bool *whole)
{
	char room[MOST];
	enum mm_err rc;
	size_t n = 0;

	while ((rc = mm_items_next(it, room, &n, NULL)) == MM_OK ||
	    rc == MM_ELIMIT)
		if (rc == MM_OK && want != NULL)
			compare(json_array_get(want, it->number - 1), room, n);
	*whole = rc == MM_ENOTFOUND;
	return (size_t)it->number - (json_array_size(want) == 0 &&
	    it->number > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *want = json_loadb((const char *)data, size, FLAGS, NULL);
	FILE *f = fmemopen((void *)(uintptr_t)data, size, "r");
	struct mm_items it;
	bool whole = false;
	size_t n = 0;

	if (size > 0 && f == NULL)
		abort();
	if (f != NULL && mm_items_begin(f, MOST, &it)) {
		n = each(&it, json_is_array(want) ? want : NULL, &whole);
		if (it.read > size)
			abort();
	}
	if (json_is_array(want) && (!whole || n != json_array_size(want)))
		abort();
	if (f != NULL)
		fclose(f);
	json_decref(want);
	return 0;
}
