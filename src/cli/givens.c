#include "cli/givens.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/text.h"
#include "base/time.h"

#define YOUNG_MS 15000

static enum mm_err
add(struct mm_givens *s, const char *device, uint64_t version, bool young,
    struct mm_why *why)
{
	struct mm_given_seen *p = mm_grown(s->at, s->n, &s->cap, sizeof(*p));

	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	s->at = p;
	p = &s->at[s->n++];
	*p = (struct mm_given_seen){ .version = version, .young = young };
	for (size_t i = 0; device[i] != '\0' && i < MM_DEVICE_ID_MAX; i++)
		p->device[i] = (char)tolower((unsigned char)device[i]);
	return MM_OK;
}

/* see givens.h */
enum mm_err
mm_givens_line(struct mm_givens *s, const struct mm_journal_line *l,
    int64_t began_ms, struct mm_why *why)
{
	return l->kind != MM_J_CONFIGURATION ? MM_OK : add(s, l->device,
	    l->number, l->at_ms > began_ms - YOUNG_MS &&
	    l->at_ms < mm_now_ms() + YOUNG_MS, why);
}

/* see givens.h */
enum mm_err
mm_givens_entry(struct mm_givens *s, const struct mm_entry *e,
    struct mm_why *why)
{
	int64_t version;

	if (e->type != MM_E_CONFIG_GIVEN)
		return MM_OK;
	MM_TRY(mm_int_parse(e->field[MM_F_CONFIG_VERSION], &version, why));
	return add(s, e->field[MM_F_DEVICE], (uint64_t)version, false, why);
}

static int
order(const void *a_, const void *b_)
{
	const struct mm_given_seen *a = a_, *b = b_;
	int c = strcmp(a->device, b->device);

	return c != 0 ? c : (a->version > b->version) -
	    (a->version < b->version);
}

static bool
has(const struct mm_givens *s, const struct mm_given_seen *key)
{
	return s->n > 0 &&
	    bsearch(key, s->at, s->n, sizeof(s->at[0]), order) != NULL;
}

/* see givens.h; one that was signed several times is said once */
void
mm_givens_compare(struct mm_givens *journal, struct mm_givens *ledger,
    json_t *differences, struct mm_waiting *waiting)
{
	if (journal->n > 0)
		qsort(journal->at, journal->n, sizeof(journal->at[0]), order);
	if (ledger->n > 0)
		qsort(ledger->at, ledger->n, sizeof(ledger->at[0]), order);
	for (size_t i = 0; i < journal->n; i++) {
		const struct mm_given_seen *g = &journal->at[i];
		char record[128];

		if ((i > 0 && order(g - 1, g) == 0) || has(ledger, g))
			continue;
		if (g->young) {
			waiting->in_flight++;
			continue;
		}
		snprintf(record, sizeof(record), "configuration %llu of %s",
		    (unsigned long long)g->version, g->device);
		mm_differ(differences, record, "signed, not in the ledger");
	}
}

/* see givens.h */
void
mm_givens_done(struct mm_givens *s)
{
	free(s->at);
	*s = (struct mm_givens){ 0 };
}
