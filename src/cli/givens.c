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
add(struct mm_givens *s, const char *device, const struct mm_given_seen *seen,
    struct mm_why *why)
{
	struct mm_given_seen *p = mm_grown(s->at, s->n, &s->cap, sizeof(*p));

	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	s->at = p;
	p = &s->at[s->n++];
	*p = *seen;
	for (size_t i = 0; device[i] != '\0' && i < MM_DEVICE_ID_MAX; i++)
		p->device[i] = (char)tolower((unsigned char)device[i]);
	return MM_OK;
}

/* see givens.h */
enum mm_err
mm_givens_line(struct mm_givens *s, const struct mm_journal_line *l,
    int64_t began_ms, struct mm_why *why)
{
	struct mm_given_seen seen = { .version = l->number,
		.young = l->at_ms > began_ms - YOUNG_MS &&
		    l->at_ms < mm_now_ms() + YOUNG_MS };

	memcpy(seen.document, l->document_sha256, sizeof(seen.document));
	return l->kind != MM_J_CONFIGURATION ? MM_OK
	    : add(s, l->device, &seen, why);
}

/* see givens.h */
enum mm_err
mm_givens_entry(struct mm_givens *s, const struct mm_entry *e,
    struct mm_why *why)
{
	const char *hex = e->field[MM_F_CONFIG_SHA256];
	struct mm_given_seen seen = { .young = false };
	int64_t version;

	if (e->type != MM_E_CONFIG_GIVEN)
		return MM_OK;
	MM_TRY(mm_int_parse(e->field[MM_F_CONFIG_VERSION], &version, why));
	seen.version = (uint64_t)version;
	if (hex != NULL)
		MM_TRY(mm_hex_parse(hex, strlen(hex), seen.document,
		    sizeof(seen.document), why));
	return add(s, e->field[MM_F_DEVICE], &seen, why);
}

static int
order(const void *a_, const void *b_)
{
	const struct mm_given_seen *a = a_, *b = b_;
	int c = strcmp(a->device, b->device);

	return c != 0 ? c : (a->version > b->version) -
	    (a->version < b->version);
}

static int
order_all(const void *a_, const void *b_)
{
	const struct mm_given_seen *a = a_, *b = b_;
	int c = order(a, b);

	return c != 0 ? c : memcmp(a->document, b->document, 32);
}

static void
sort(struct mm_givens *s)
{
	if (s->n > 0)
		qsort(s->at, s->n, sizeof(s->at[0]), order_all);
}

/* The ledger's of that device and version, of which there is one. */
static const struct mm_given_seen *
find(const struct mm_givens *s, const struct mm_given_seen *key)
{
	return s->n == 0 ? NULL :
	    bsearch(key, s->at, s->n, sizeof(s->at[0]), order);
}

static bool
is_another(const struct mm_given_seen *line, const struct mm_given_seen *entry)
{
	static const uint8_t none[sizeof(line->document)];

	return memcmp(line->document, none, sizeof(none)) != 0 &&
	    memcmp(line->document, entry->document, sizeof(none)) != 0;
}

static void
differ(json_t *differences, const struct mm_given_seen *g, const char *what)
{
	char record[128];

	snprintf(record, sizeof(record), "configuration %llu of %s",
	    (unsigned long long)g->version, g->device);
	mm_differ(differences, record, what);
}

/* see givens.h; one that was signed several times is said once */
void
mm_givens_compare(struct mm_givens *journal, struct mm_givens *ledger,
    json_t *differences, struct mm_waiting *waiting)
{
	sort(journal);
	sort(ledger);
	for (size_t i = 0; i < journal->n; i++) {
		const struct mm_given_seen *g = &journal->at[i];
		const struct mm_given_seen *entry = find(ledger, g);

		if (i > 0 && order_all(g - 1, g) == 0)
			continue;
		if (entry == NULL && g->young)
			waiting->in_flight++;
		else if (entry == NULL)
			differ(differences, g, "signed, not in the ledger");
		else if (is_another(g, entry))
			differ(differences, g,
			    "another document was signed than the ledger says");
	}
}

/* see givens.h */
void
mm_givens_done(struct mm_givens *s)
{
	free(s->at);
	*s = (struct mm_givens){ 0 };
}
