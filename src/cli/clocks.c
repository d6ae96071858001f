#include "cli/clocks.h"

#include <stdlib.h>

#include "base/grow.h"
#include "base/text.h"
#include "base/time.h"

static enum mm_err
add(struct mm_clock_list *l, const struct mm_clock *c, struct mm_why *why)
{
	struct mm_clock *p = mm_grown(l->at, l->n, &l->cap, sizeof(*p));

	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	l->at = p;
	l->at[l->n++] = *c;
	return MM_OK;
}

/* see clocks.h */
enum mm_err
mm_clocks_line(struct mm_clock_list *l, const struct mm_journal_line *line,
    struct mm_why *why)
{
	const struct mm_clock c = { .line = line->n,
		.from_ms = (int64_t)line->number, .to_ms = line->at_ms };

	if (line->n == 1)
		l->first = l->n;
	for (size_t i = l->first; line->kind == MM_J_CHECKPOINT && i < l->n;
	    i++)
		l->at[i].due = true;
	return line->kind == MM_J_CLOCK ? add(l, &c, why) : MM_OK;
}

/* see clocks.h */
enum mm_err
mm_clocks_entry(struct mm_clock_list *l, const struct mm_entry *e, bool later,
    struct mm_why *why)
{
	struct mm_clock c = { .later = later };
	int64_t line;

	if (e->type != MM_E_CLOCK_SET_BACK)
		return MM_OK;
	MM_TRY(mm_int_parse(e->field[MM_F_NUMBER], &line, why));
	MM_TRY(mm_time_parse(e->field[MM_F_FROM], &c.from_ms, why));
	MM_TRY(mm_time_parse(e->field[MM_F_TO], &c.to_ms, why));
	c.line = (uint64_t)line;
	return add(l, &c, why);
}

static bool
same(const struct mm_clock *a, const struct mm_clock *b)
{
	return a->line == b->line && a->from_ms == b->from_ms &&
	    a->to_ms == b->to_ms;
}

/* The same, or else one of that line: each node's journal counts its own. */
static const struct mm_clock *
find(const struct mm_clock_list *l, const struct mm_clock *c)
{
	const struct mm_clock *other = NULL;

	for (size_t i = 0; i < l->n; i++) {
		if (same(&l->at[i], c))
			return &l->at[i];
		if (l->at[i].line == c->line)
			other = &l->at[i];
	}
	return other;
}

static void
differ(json_t *differences, const struct mm_clock *c, const char *what)
{
	json_array_append_new(differences, json_pack("{s:I,s:s}", "line",
	    (json_int_t)c->line, "difference", what));
}

/* see clocks.h; a journal has few, for a person made each */
void
mm_clocks_compare(const struct mm_clock_list *journal,
    const struct mm_clock_list *ledger, json_t *differences)
{
	for (size_t i = 0; i < journal->n; i++)
		if (journal->at[i].due &&
		    find(ledger, &journal->at[i]) == NULL)
			differ(differences, &journal->at[i],
			    "the clock was set back, not in the ledger");
	for (size_t i = 0; i < ledger->n; i++) {
		const struct mm_clock *e = &ledger->at[i];
		const struct mm_clock *l = find(journal, e);

		if (l == NULL && !e->later)
			differ(differences, e,
			    "the clock was set back, not in the journal");
		else if (l != NULL && !same(l, e))
			differ(differences, e,
			    "the clock was set back otherwise in the ledger");
	}
}

/* see clocks.h */
void
mm_clocks_done(struct mm_clock_list *l)
{
	free(l->at);
	*l = (struct mm_clock_list){ 0 };
}
