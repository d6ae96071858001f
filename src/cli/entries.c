#include "cli/entries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cli/marks.h"

/* Where so many are missing in a row, no later one is looked for. */
enum { GAP_MOST = 100000 };

struct reading {
	mm_entry_fn *fn;
	void *ctx;
	json_t *differences;
	uint64_t next;
	char arena[MM_ENTRY_MAX + 64];
};

MM_FREE_FN(reading_free, struct reading, free)

static void
differ(json_t *to, uint64_t from, uint64_t last, const char *what)
{
	char record[64];

	if (from == last)
		snprintf(record, sizeof(record), "entry %llu",
		    (unsigned long long)from);
	else
		snprintf(record, sizeof(record), "entries %llu to %llu",
		    (unsigned long long)from, (unsigned long long)last);
	mm_differ(to, record, what);
}

static enum mm_err
one_entry(void *ctx, uint64_t index, struct mm_bytes json, struct mm_why *why)
{
	struct reading *r = ctx;
	struct mm_entry_read e;
	char what[96] = "not an entry";
	enum mm_err rc =
	    mm_entry_read(json, r->arena, sizeof(r->arena), &e, NULL);

	r->next = index + 1;
	if (rc == MM_OK && !e.later)
		return r->fn(r->ctx, index, &e.e, why);
	if (rc == MM_OK)
		snprintf(what, sizeof(what), "of a %s that is not known: %s",
		    e.e.type == MM_ENTRY_TYPE_COUNT ? "type" : "form", e.type);
	differ(r->differences, index, index, what);
	return MM_OK;
}

/* All that is missing in a row is named at once. */
static enum mm_err
read_all(struct reading *r, struct mm_store_reader *db, uint64_t size,
    struct mm_why *why)
{
	uint64_t gap = UINT64_MAX;

	while (
	    r->next < size && (gap == UINT64_MAX || r->next - gap < GAP_MOST)) {
		struct mm_why own = { 0 };
		uint64_t from = r->next;
		enum mm_err rc =
		    mm_each_entry(db, from, size, one_entry, r, &own);

		if (rc != MM_OK && rc != MM_ENOTFOUND)
			return MM_FAIL(why, rc, "%s", own.text);
		if (gap != UINT64_MAX && r->next != from) {
			differ(r->differences, gap, from - 1,
			    "not in the database");
			gap = UINT64_MAX;
		}
		if (rc == MM_OK)
			return MM_OK;
		if (gap == UINT64_MAX)
			gap = r->next;
		r->next++;
	}
	if (gap != UINT64_MAX)
		differ(r->differences, gap, size - 1, "not in the database");
	return MM_OK;
}

static enum mm_err
one_behind(void *ctx, uint64_t index, struct mm_bytes json, struct mm_why *why)
{
	struct reading *r = ctx;

	(void)json, (void)why;
	differ(r->differences, index, index, "behind the ledger's end");
	return MM_ENOTFOUND;
}

/* see entries.h */
enum mm_err
mm_entries_each(struct mm_store_reader *db, uint64_t size, mm_entry_fn *fn,
    void *ctx, json_t *differences, struct mm_why *why)
{
	MM_OWN(reading_free) struct reading *r = calloc(1, sizeof(*r));
	struct mm_why own = { 0 };
	enum mm_err rc;

	if (r == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	r->fn = fn;
	r->ctx = ctx;
	r->differences = differences;
	MM_TRY(read_all(r, db, size, why));
	rc = mm_each_entry(db, size, size + 1, one_behind, r, &own);
	return rc == MM_OK || rc == MM_ENOTFOUND
		   ? MM_OK
		   : MM_FAIL(why, rc, "%s", own.text);
}
