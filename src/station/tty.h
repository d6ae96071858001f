#ifndef MM_STATION_TTY_H
#define MM_STATION_TTY_H

#include "station/shift.h"

/* The screen as text in a terminal: the same model, the same texts, redrawn as
 * things happen. */
struct mm_tty;
/* Takes the terminal on standard input, if it is one, until it is closed. */
MM_MUST enum mm_err mm_tty_open(
    struct mm_shift *s, struct mm_tty **out, struct mm_why *why);
void mm_tty_close(struct mm_tty **owner);
/* A character that was typed; true: it is a key of the screen's own. */
bool mm_tty_key(struct mm_tty *t, char c);
/* Draws, if something has changed; typed: what stands in the line so far. */
void mm_tty_draw(struct mm_tty *t, const char *typed);

#endif
