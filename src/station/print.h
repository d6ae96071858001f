#ifndef MM_STATION_PRINT_H
#define MM_STATION_PRINT_H

#include <poll.h>

#include "base/buf.h"
#include "line/fill.h"
#include "line/printer.h"
#include "station/conf.h"
#include "station/unit.h"

/*
 * The station's labels.  It has one printer, which prints one label after the
 * other; a unit waits for its label and holds no other fixture up.  The
 * journal's row before a label is on the disk when its first byte is sent,
 * the row after says what came of it: so one that may be out is known as such
 * after any accident, and a second one is said to be one.
 */
struct mm_filing; /* a label's files, written by a thread of their own */
struct mm_print {
	const struct mm_station_conf *conf;
	struct mm_fill *template; /* NULL: our own */
	struct mm_printer printer;
	struct mm_buf zpl;
	const struct mm_unit *unit; /* whose is being sent; NULL: nobody's */
	int64_t retry_ms; /* the printer is left alone until then; monotonic */
	enum mm_err is;   /* what it said last */
	struct mm_why why;
	struct mm_filing *filing; /* NULL: no label_files */
	/* Asked for again by a person; NULL: none. */
	struct mm_unit *again;
	int64_t again_from_ms;
};

struct mm_line;
MM_MUST enum mm_err mm_print_open(
    struct mm_print *t, const struct mm_station_conf *conf, struct mm_why *why);
void mm_print_close(struct mm_print *t);
/* Goes on with what was asked for again. */
void mm_print_run(struct mm_line *l);
/* Nobody waits for this unit's label any more. */
void mm_print_drop(struct mm_print *t, const struct mm_unit *u);
struct pollfd mm_print_wish(const struct mm_print *t);
/*
 * Whether u's label may go to the printer now.  That others have theirs first
 * is no fault of the printer's: *from_ms, where the wait for it began, goes on
 * with now as long as it is.
 */
bool mm_print_turn(const struct mm_print *t, const struct mm_unit *u,
    int64_t now, int64_t *from_ms);

/* filing.c */
MM_MUST enum mm_err mm_filing_new(const struct mm_station_conf *conf,
    struct mm_filing **out, struct mm_why *why);
void mm_filing_free(struct mm_filing **owner);
/* Writes u's, as soon as no other's are written: true: it is over, *rc says
 * how.  zpl is copied. */
bool mm_filing_run(struct mm_filing *f, const struct mm_unit *u,
    struct mm_bytes zpl, enum mm_err *rc, struct mm_why *why);
/* Nobody waits for it any more. */
/* When it last began some, whoever's: as long as it goes on with others' the
 * folder answers.  Monotonic. */
int64_t mm_filing_begun_ms(const struct mm_filing *f);
void mm_filing_drop(struct mm_filing *f, const struct mm_unit *u);
struct pollfd mm_filing_wish(const struct mm_filing *f);

#endif
