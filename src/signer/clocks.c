#include "signer/clocks.h"

#define DAY_MS 86400000

/* see clocks.h */
enum mm_err
mm_clocks_note(struct mm_clocks *c, const struct mm_journal_line *l,
    struct mm_state *state, struct mm_why *why)
{
	int64_t day = l->at_ms / DAY_MS;

	if (c->n == MM_CLOCKS_MAX)
		return MM_FAIL(why, MM_ELIMIT, "journal: the clock was set "
		    "back more than %d times without a start", MM_CLOCKS_MAX);
	c->at[c->n].line = l->n;
	c->at[c->n].from_ms = (int64_t)l->number;
	c->at[c->n++].to_ms = l->at_ms;
	for (size_t i = 0; state != NULL && i < state->nday; i++)
		if (state->day[i].day > day)
			state->day[i].day = day;
	return MM_OK;
}

/* see clocks.h */
void
mm_clocks_put(const struct mm_clocks *c, struct mm_buf *out)
{
	for (size_t i = 0; i < c->n; i++) {
		mm_buf_u64(out, c->at[i].line);
		mm_buf_u64(out, (uint64_t)c->at[i].from_ms);
		mm_buf_u64(out, (uint64_t)c->at[i].to_ms);
	}
}
