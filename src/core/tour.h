#ifndef MM_CORE_TOUR_H
#define MM_CORE_TOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

/*
 * How much one call of a selection does: it ends after so many changes, rows
 * looked at, or milliseconds.  A walk asks when it has done something, so that
 * each call comes further.
 */
struct mm_tour {
	bool dry_run;        /* changes nothing */
	uint64_t most, rows; /* changes; rows of any kind */
	int64_t until;       /* monotonic milliseconds */
	uint64_t looked;     /* rows so far */
};

static inline bool
mm_tour_full(const struct mm_tour *t, uint64_t found)
{
	return (!t->dry_run && found >= t->most) || t->looked >= t->rows ||
	    mm_mono_ms() >= t->until;
}

/* Rows of the next page, of which room has place; at least one. */
static inline unsigned
mm_tour_page(const struct mm_tour *t, unsigned room, uint64_t found)
{
	uint64_t n = room;

	if (t->looked + n > t->rows)
		n = t->looked < t->rows ? t->rows - t->looked : 1;
	if (!t->dry_run && found + n > t->most)
		n = found < t->most ? t->most - found : 1;
	return (unsigned)n;
}

#endif
