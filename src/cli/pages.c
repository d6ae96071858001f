#include "cli/pages.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "cli/commands.h"

static enum mm_err
next_path(const char *path, const char *next, char out[1024],
    struct mm_why *why)
{
	const char *join = strchr(path, '?') == NULL ? "?" : "&";
	char key[1024] = "";
	int n;

	if (next[0] != '\0')
		MM_TRY(mm_path(key, why, "&after=%s", next));
	n = snprintf(out, 1024, "%s%slimit=1000%s", path, join, key);
	return n > 0 && n < 1024 ? MM_OK : MM_FAIL(why, MM_ELIMIT,
	    "the key of the next page is too long");
}

/* see pages.h */
enum mm_err
mm_pages_each(struct mm_client *c, const char *path, mm_row_fn *fn, void *ctx,
    struct mm_why *why)
{
	char next[512] = "", page[1024];

	do {
		MM_OWN(json_free) json_t *o = NULL;
		const char *after;
		json_t *row;
		size_t i;

		MM_TRY(next_path(path, next, page, why));
		MM_TRY(mm_client_call(c, "GET", page, NULL, &o, why));
		json_array_foreach(json_object_get(o, "items"), i, row)
			MM_TRY(fn(ctx, row, why));
		after = mm_json_text(o, "next");
		if (after[0] != '\0' && strcmp(after, next) == 0)
			return MM_FAIL(why, MM_EINPUT, "the server gives the "
			    "same page again");
		snprintf(next, sizeof(next), "%s", after);
	} while (next[0] != '\0');
	return MM_OK;
}
