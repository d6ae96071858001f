#include "store/recall_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char letters[MM_LEADS] = {
	[MM_LEAD_ALL] = 'd',
	[MM_LEAD_PRODUCT] = 'p',
	[MM_LEAD_ISSUED] = 'c',
	[MM_LEAD_EQUAL] = 'e',
	[MM_LEAD_RANGE] = 'r',
	[MM_LEAD_NAMED] = 'n',
};

/* see recall_key.h */
bool
mm_recall_asks_cert(const struct mm_recall *q)
{
	return q->issuer != NULL || q->issued_from != 0 ||
	    q->issued_to != 0 || q->key_type != 0;
}

static const struct mm_where *
indexed_range(const struct mm_recall *q)
{
	for (unsigned i = 0; i < q->nwhere; i++)
		if (q->where[i].indexed && q->where[i].op != MM_WHERE_EQ)
			return &q->where[i];
	return NULL;
}

/* see recall_key.h */
enum mm_recall_lead
mm_recall_choose(const struct mm_recall *q, const struct mm_where *equal,
    const struct mm_where **where)
{
	*where = NULL;
	if (q->device != NULL)
		return MM_LEAD_NAMED;
	*where = equal;
	if (equal != NULL)
		return MM_LEAD_EQUAL;
	if ((*where = indexed_range(q)) != NULL)
		return MM_LEAD_RANGE;
	if (q->issued_from != 0 || q->issued_to != 0)
		return MM_LEAD_ISSUED;
	if (q->created_from != 0 || q->created_to != 0)
		return MM_LEAD_ALL;
	if (q->product != NULL)
		return MM_LEAD_PRODUCT;
	return mm_recall_asks_cert(q) ? MM_LEAD_ISSUED : MM_LEAD_ALL;
}

/* see recall_key.h */
void
mm_recall_numbers(const struct mm_recall *q, const char *name, double *low,
    double *high)
{
	const double huge = 1e308 * 10;

	*low = -huge;
	*high = huge;
	for (unsigned i = 0; i < q->nwhere; i++) {
		const struct mm_where *w = &q->where[i];

		if (!w->is_number || strcmp(w->name, name) != 0)
			continue;
		if (w->op != MM_WHERE_LT && w->op != MM_WHERE_LE &&
		    w->number > *low)
			*low = w->number;
		if (w->op != MM_WHERE_GT && w->op != MM_WHERE_GE &&
		    w->number < *high)
			*high = w->number;
	}
}

/* see recall_key.h */
void
mm_recall_text_end(const struct mm_where *w, char out[MM_RECALL_END])
{
	snprintf(out, MM_RECALL_END, "%s\xf4\x8f\xbf\xbf", w->text);
}

static enum mm_err
not_a_key(struct mm_why *why)
{
	return MM_FAIL(why, MM_EINPUT, "recall: not a key of this");
}

/* ":n" and a number, or ":t" and a text, of the kind that w compares. */
static enum mm_err
parse_value(const char *text, const struct mm_where *w,
    struct mm_recall_at *at, struct mm_why *why)
{
	at->has_value = true;
	at->is_number = w->is_number;
	if (text[0] != (w->is_number ? 'n' : 't') ||
	    !mm_text_copy(at->text, sizeof(at->text), mm_bytes_of(text + 1)))
		return not_a_key(why);
	at->number = at->is_number ? strtod(at->text, NULL) : 0;
	return MM_OK;
}

/* see recall_key.h */
enum mm_err
mm_recall_at_parse(const struct mm_recall *q, enum mm_recall_lead lead,
    const struct mm_where *where, struct mm_recall_at *at,
    struct mm_why *why)
{
	const char *text = q->after, *colon = strchr(text, ':');
	bool ranged = lead == MM_LEAD_RANGE;
	char id[24] = "";

	*at = (struct mm_recall_at){ .id = -1 };
	if (text[0] == '\0')
		return MM_OK;
	if (text[0] != letters[lead] || (colon != NULL) != ranged ||
	    !mm_text_copy(id, sizeof(id), (struct mm_bytes){
	    (const uint8_t *)text + 1, colon != NULL ?
	    (size_t)(colon - text) - 1 : strlen(text) - 1 }) ||
	    mm_int_parse(id, &at->id, NULL) != MM_OK)
		return not_a_key(why);
	return ranged ? parse_value(colon + 1, where, at, why) : MM_OK;
}

/* see recall_key.h */
void
mm_recall_at_text(enum mm_recall_lead lead, const struct mm_recall_at *at,
    char out[MM_RECALL_AFTER])
{
	int n = snprintf(out, MM_RECALL_AFTER, "%c%lld", letters[lead],
	    (long long)at->id);

	if (lead != MM_LEAD_RANGE)
		return;
	if (at->is_number)
		snprintf(out + n, MM_RECALL_AFTER - (size_t)n, ":n%.17g",
		    at->number);
	else
		snprintf(out + n, MM_RECALL_AFTER - (size_t)n, ":t%.256s",
		    at->text);
}
