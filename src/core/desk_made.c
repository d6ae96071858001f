#include <string.h>

#include "base/time.h"
#include "core/priv.h"
#include "core/production.h"

/*
 * Devices that a batch or a station made.  The units on record lead, by the
 * names of batch and device; of each the store is asked whether its device is
 * one that is looked for.
 */
enum { UNITS = 32 };

struct walk {
	struct mm_desk *d;
	const struct mm_recall *q;
	const char *station;
	mm_row_fn *fn;
	void *ctx;
	const char *key; /* of the unit that is looked at */
	unsigned given, looked;
};

static enum mm_err
hand(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct walk *w = ctx;

	(void)next;
	w->given++;
	return w->fn(w->ctx, row, w->key, why);
}

static enum mm_err
look_at(struct walk *w, const struct mm_made_key *u, struct mm_why *why)
{
	struct mm_recall one = *w->q;
	char next[MM_RECALL_AFTER];

	w->looked++;
	w->key = u->id;
	one.device = u->made.serial;
	one.after[0] = '\0';
	one.most = one.scan = 1;
	one.until_ms = 0;
	return mm_recall_devices(w->d->r, &one, hand, w, next, why);
}

static bool
is_full(const struct walk *w)
{
	return w->given == w->q->most || w->looked == w->q->scan ||
	    (w->q->until_ms != 0 && mm_mono_ms() >= w->q->until_ms);
}

/* after: where the page begins, then where it ended, "" with the last. */
static enum mm_err
walk(struct walk *w, const char *batch, char after[MM_RECALL_AFTER],
    struct mm_why *why)
{
	struct mm_made_key page[UNITS];
	unsigned n;

	do {
		n = UNITS;
		MM_TRY(mm_made_page(w->d->r, batch, w->station, after, page,
		    &n, why));
		for (unsigned i = 0; i < n; i++) {
			MM_TRY(look_at(w, &page[i], why));
			strcpy(after, page[i].id);
			if (is_full(w))
				return MM_OK;
		}
	} while (n == UNITS);
	after[0] = '\0';
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_desk_recall_made(struct mm_desk *d, const char *batch, const char *station,
    const struct mm_recall *q, mm_row_fn *fn, void *ctx,
    char next[MM_RECALL_AFTER], struct mm_why *why)
{
	struct walk w = { .d = d, .q = q, .station = station, .fn = fn,
		.ctx = ctx };
	char after[MM_RECALL_AFTER];
	size_t n = strlen(batch);

	strcpy(after, q->after);
	if (strchr(after, '/') == NULL ? after[0] != '\0' : n > 0 &&
	    (strncmp(after, batch, n) != 0 || after[n] != '/'))
		return MM_FAIL(why, MM_EINPUT, "recall: not a key of this");
	MM_TRY(walk(&w, batch, after, why));
	strcpy(next, after);
	return MM_OK;
}
