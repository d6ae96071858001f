#include "store/sqlite.h"

#include <stdlib.h>

/*
 * A device's history: the chains of its own entries, its tokens' and its
 * certificates', merged from their newest ends.  A device has few of each.
 */

struct heads {
	int64_t *index; /* of the newest entry not yet given, -1: none */
	size_t n, room;
};

static void
heads_done(struct heads *h)
{
	free(h->index);
}

static enum mm_err
heads_add(struct heads *h, int64_t index, struct mm_why *why)
{
	if (h->n == h->room) {
		size_t room = h->room != 0 ? 2 * h->room : 64;
		int64_t *more = realloc(h->index, room * sizeof(*more));

		if (more == NULL)
			return MM_FAIL(why, MM_ENOMEM, "history: no memory");
		h->index = more;
		h->room = room;
	}
	h->index[h->n++] = index;
	return MM_OK;
}

static enum mm_err
heads_find(struct db *db, int64_t device, struct heads *h, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	enum mm_err err = mm_sqlite_first(db, ASK(HISTORY, INT(device)), &st,
	    why);

	while (err == MM_OK) {
		MM_TRY(heads_add(h, sqlite3_column_int64(st, 0), why));
		err = mm_sqlite_next(db, st, why);
	}
	return err == MM_ENOTFOUND ? MM_OK : err;
}

static int64_t *
newest(const struct heads *h)
{
	int64_t *best = NULL;

	for (size_t i = 0; i < h->n; i++)
		if (h->index[i] >= 0 && (best == NULL || h->index[i] > *best))
			best = &h->index[i];
	return best;
}

/* Gives the entry, unless it is too new, and moves its chain on. */
static enum mm_err
step(struct db *db, int64_t *head, const struct mm_history *h,
    unsigned *given, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	int64_t index = *head;
	enum mm_err err = mm_sqlite_first(db, ASK(ENTRY_BACK, INT(index)),
	    &st, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, MM_ESYS, "ledger: no entry %lld",
		    (long long)index);
	MM_TRY(err);
	*head = sqlite3_column_type(st, 0) == SQLITE_NULL ? -1 :
	    sqlite3_column_int64(st, 0);
	if (*head >= index)
		return MM_FAIL(why, MM_ESYS, "ledger: chain of entry %lld",
		    (long long)index);
	if ((uint64_t)index >= h->before)
		return MM_OK;
	++*given;
	return h->fn(h->ctx, (uint64_t)index, mm_sqlite_blob(st, 1), why);
}

enum mm_err
mm_sqlite_list_history(struct mm_store_reader *r, const char *device,
    const struct mm_history *h, struct mm_why *why)
{
	MM_OWN(heads_done) struct heads heads = { NULL, 0, 0 };
	struct db *db = mm_sqlite_db(r);
	int64_t id, *head;
	unsigned given = 0;
	enum mm_err err = mm_sqlite_ints(db, ASK(DEVICE_FIND, TEXT(device)),
	    &id, 1, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "no such device");
	MM_TRY(err);
	MM_TRY(heads_find(db, id, &heads, why));
	while (given < h->most && (head = newest(&heads)) != NULL)
		MM_TRY(step(db, head, h, &given, why));
	return MM_OK;
}
