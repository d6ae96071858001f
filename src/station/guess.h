#ifndef MM_STATION_GUESS_H
#define MM_STATION_GUESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How fast wrong badges may come in at a door: MM_GUESS_FREE at once, then one
 * a second.  Right ones cost nothing, and give nothing back: who has a badge
 * of his own guesses no faster.
 */
#define MM_GUESS_FREE 10
#define MM_GUESS_MS   1000 /* that one costs */

struct mm_guess {
	int64_t paid_ms; /* all that came are paid by then; 0: none came */
};
/* Whether one may be looked at. */
bool mm_guess_may(const struct mm_guess *g, int64_t now_ms);
/* It was wrong. */
void mm_guess_wrong(struct mm_guess *g, int64_t now_ms);

#endif
