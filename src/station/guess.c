#include "station/guess.h"

/* see guess.h */
bool
mm_guess_may(const struct mm_guess *g, int64_t now_ms)
{
	return g->paid_ms - now_ms <= (MM_GUESS_FREE - 1) * MM_GUESS_MS;
}

/* see guess.h */
void
mm_guess_wrong(struct mm_guess *g, int64_t now_ms)
{
	if (g->paid_ms < now_ms)
		g->paid_ms = now_ms;
	g->paid_ms += MM_GUESS_MS;
}
