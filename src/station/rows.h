#ifndef MM_STATION_ROWS_H
#define MM_STATION_ROWS_H

#include "base/buf.h"
#include "station/unit.h"

/*
 * The station's journal: a row for each step of each unit, appended before
 * the step's effect, and on the disk before an effect that cannot be undone.
 * What it holds when the station is switched on is what the station knows.
 *
 * A row is a line of JSON whose last key is a CRC-32 of the line, taken with
 * eight zeros in its place; rows are numbered.  A last line that is not whole
 * was being written when power went, and is cut off: nothing was done on its
 * account yet.  Anything else that is damaged is not repaired by guessing: the
 * station does not start.
 */
#define MM_ROW_MAX 1024

struct mm_row {
	uint64_t n;
	int64_t at_ms;
	struct mm_unit unit;
	uint8_t crc[4];
};

void mm_row_encode(const struct mm_row *r, struct mm_buf *out);
/* line: without its LF.  MM_EINPUT: damaged. */
MM_MUST enum mm_err mm_row_parse(struct mm_bytes line, struct mm_row *out,
    struct mm_why *why);
/*
 * Takes the next row off *rest; n is the one before's number, and moves.
 * MM_ENOTFOUND: nothing is left; MM_EAGAIN: a torn end; MM_EPOLICY: damaged.
 */
MM_MUST enum mm_err mm_row_next(struct mm_bytes *rest, uint64_t *n,
    struct mm_row *out, struct mm_why *why);

struct mm_rows;
/*
 * Opens the file, makes it if it is not there, and locks it: MM_ECONFLICT if
 * another station has it.  Gives what it holds to each, in order.
 */
MM_MUST enum mm_err mm_rows_open(const char *path,
    enum mm_err (*each)(void *ctx, const struct mm_row *r), void *ctx,
    struct mm_rows **out, struct mm_why *why);
/* Whether a station program is at work with it, this one not. */
bool mm_rows_held(const char *path);
/* Reads it alone, also while a station writes it. */
MM_MUST enum mm_err mm_rows_read(const char *path,
    enum mm_err (*each)(void *ctx, const struct mm_row *r), void *ctx,
    struct mm_why *why);
void mm_rows_close(struct mm_rows **owner);
/*
 * Appends a row for the unit as it is; syncs: it is on the disk when this
 * returns.  A row that could not be written whole is taken back.  MM_ESYS.
 */
MM_MUST enum mm_err mm_rows_add(struct mm_rows *j, const struct mm_unit *u,
    bool syncs, struct mm_why *why);
/*
 * Before a unit begins: room on the disk for all of its rows, and of the other
 * fixtures', so that what has begun can end.  MM_ESYS.
 */
MM_MUST enum mm_err mm_rows_reserve(struct mm_rows *j, struct mm_why *why);
/*
 * Begins a new file with a row for each unit that next gives (false: no more),
 * numbered on; what was stays as path, a dot, and its last row's number.  A
 * power cut leaves one or the other.  Afterwards rows go to the new file.
 */
MM_MUST enum mm_err mm_rows_renew(struct mm_rows *j,
    bool (*next)(void *ctx, struct mm_unit *out), void *ctx,
    struct mm_why *why);
/* Bytes of rows. */
size_t mm_rows_size(const struct mm_rows *j);
/* The number of the last row; 0: there is none. */
uint64_t mm_rows_last(const struct mm_rows *j);
/* When the last row was written, by the clock then; 0: there is none. */
int64_t mm_rows_last_at(const struct mm_rows *j);
/* Bytes of a torn row that were cut off when it was opened. */
size_t mm_rows_torn(const struct mm_rows *j);

#endif
