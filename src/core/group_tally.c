#include <stdlib.h>
#include <string.h>

#include "core/production_priv.h"

/* How many groups there are, for who watches all of them. */

enum { PAGE = 200 };

struct tallying {
	struct mm_group group[PAGE];
	unsigned n;
	char last[MM_DOC_ID_MAX + 1];
};

static enum mm_err
take(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct tallying *t = ctx;

	(void)!mm_text_copy(t->last, sizeof(t->last), mm_bytes_of(next));
	return mm_group_parse(row, &t->group[t->n++], why);
}

static enum mm_err
add(struct mm_store_reader *r, const struct mm_group *g,
    struct mm_groups_tally *out, struct mm_why *why)
{
	struct mm_group_counts n;

	if (g->state == MM_WORK_CLOSED)
		return MM_OK;
	MM_TRY(mm_group_counts(r, g, &n, why));
	out->waiting += n.waiting;
	out->conflicts += (uint64_t)(n.conflicts - g->forgiven);
	if (g->until_ms <= mm_now_ms())
		out->ended++;
	else if (g->state == MM_WORK_PAUSED)
		out->paused++;
	else if (mm_group_halted(g, n.conflicts))
		out->halted++;
	else
		out->open++;
	return MM_OK;
}

static enum mm_err
tally(struct mm_store_reader *r, struct tallying *t,
    struct mm_groups_tally *out, struct mm_why *why)
{
	struct mm_list docs = { .most = PAGE, .state = -1 };

	do {
		t->n = 0;
		strcpy(docs.after, t->last);
		MM_TRY(mm_list_docs(r, MM_DOC_GROUP, "", &docs, take, t, why));
		for (unsigned i = 0; i < t->n; i++)
			MM_TRY(add(r, &t->group[i], out, why));
	} while (t->n == PAGE);
	return MM_OK;
}

/* see group.h */
enum mm_err
mm_groups_tally(struct mm_store_reader *r, struct mm_groups_tally *out,
    struct mm_why *why)
{
	struct tallying *t = calloc(1, sizeof(*t));
	struct mm_groups_tally made = { 0 };
	enum mm_err rc;

	if (t == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = tally(r, t, &made, why);
	free(t);
	if (rc == MM_OK)
		*out = made;
	return rc;
}
