#ifndef MM_STATION_MES_H
#define MM_STATION_MES_H

#include "station/shift.h"

/*
 * The maker's own system (MES), by programs of the maker's (child.h): whether
 * a unit may be made, and what became of it.
 *
 * May: asked once an attempt, when the board is known and nobody was asked for
 * a certificate yet.  No answer is a no.
 */
enum mm_mes_got { MM_MES_WAIT, MM_MES_YES, MM_MES_NO };
enum mm_mes_got mm_mes_may(
    struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason);

/*
 * Results: a file each in the station's folder mes/ until the program that is
 * told it has ended with 0, in their order; then the next.  So each is told at
 * least once, after a restart too.  With 65 it says that it never takes it:
 * the file goes into mes/refused/.
 */
struct mm_results;
/* *out is NULL if nobody wants to be told. */
MM_MUST enum mm_err mm_results_open(
    struct mm_shift *s, struct mm_results **out, struct mm_why *why);
void mm_results_close(struct mm_results **owner);
void mm_results_run(struct mm_results *r);
struct pollfd mm_results_wish(const struct mm_results *r);
/* Something is to be told, and the program did not fail yet. */
bool mm_results_busy(const struct mm_results *r);

#endif
