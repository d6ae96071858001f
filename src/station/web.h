#ifndef MM_STATION_WEB_H
#define MM_STATION_WEB_H

#include <poll.h>
#include <stdio.h>

#include "station/shift.h"

/*
 * The station's screen and API over HTTP.
 *
 * Two doors: the screen's, on this machine's loopback alone, without a key;
 * and the line's network, for test programs, where every call needs a key
 * (api_keys.h).  Both are served by one thread of src/http, which reads
 * requests whole, refuses what may not pass (web_guard.c) and hands the rest,
 * as asks, to the line's thread: nothing that a client does or does not do
 * holds a fixture up.  The line's thread answers them between two looks at its
 * fixtures; all it knows is its own, so that there is nothing to lock but the
 * list of asks.
 */
struct mm_web;
/* *out is NULL if the configuration has neither screen nor API. */
MM_MUST enum mm_err mm_web_open(
    struct mm_shift *s, struct mm_web **out, struct mm_why *why);
void mm_web_close(struct mm_web **owner);
/* What ends the line's waiting; *ms is made less if something is due. */
struct pollfd mm_web_wish(const struct mm_web *w, int *ms);
/* Answers what was asked and what has come due. */
void mm_web_run(struct mm_web *w);
/* Markdown, for docs/reference/station.md. */
void mm_web_reference(FILE *f);

#endif
