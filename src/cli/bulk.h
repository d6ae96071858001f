#ifndef MM_CLI_BULK_H
#define MM_CLI_BULK_H

#include <signal.h>

#include "cli/cmd.h"

/*
 * Bulk work on CSV files (RFC 4180), row by row: at most one batch of rows is
 * held, and when a run is resumed the devices that are done.
 */
#define MM_CSV_COLUMNS 32
#define MM_CSV_LINE    65536

struct mm_csv {
	FILE *f;
	const char *path;
	unsigned long long row;         /* of data, 1 is the first */
	unsigned long long read;        /* bytes so far */
	bool whole;                     /* the record's end was found */
	size_t n;                       /* columns of the last record */
	const char *cell[MM_CSV_COLUMNS];
	char *text;                     /* the record's storage */
	char *head;                     /* the header's */
	const char *name[MM_CSV_COLUMNS];
	size_t nnames;
};
/* "-" is standard input; reads the header. */
MM_MUST enum mm_err mm_csv_open(struct mm_csv *c, const char *path,
    struct mm_why *why);
/* The same of an open stream, path being what it is called. */
MM_MUST enum mm_err mm_csv_over(struct mm_csv *c, FILE *take_f,
    const char *path, struct mm_why *why);
void mm_csv_close(struct mm_csv *c);
/* MM_ENOTFOUND at the end; quoted cells, CRLF or LF; a record with another
 * number of cells than the header is MM_EINPUT with its row. */
MM_MUST enum mm_err mm_csv_next(struct mm_csv *c, struct mm_why *why);
/* MM_EINPUT: the header names a column twice, or not in UTF-8. */
MM_MUST enum mm_err mm_csv_names(const struct mm_csv *c, const char *shown,
    struct mm_why *why);
/* Whether the header names it. */
bool mm_csv_has(const struct mm_csv *c, const char *name);
/* The cell of a named column, or NULL. */
const char *mm_csv_get(const struct mm_csv *c, const char *name);
/* A cell that a spreadsheet would take for a formula gets a leading quote. */
void mm_csv_put(FILE *f, const char *cell, bool last);

/*
 * A run that a signal (SIGINT, SIGTERM, SIGHUP) may end only between two
 * requests: what a server has made and nobody has read would be lost.  end
 * lets the signal have its way.
 */
struct mm_stop {
	sigset_t set, before;
	int caught; /* 0: none */
};
void mm_stop_begin(struct mm_stop *s);
/* Whether one has come; waits for one so long. */
bool mm_stop_wanted(struct mm_stop *s, long wait_s);
void mm_stop_end(struct mm_stop *s);

/* token create of many: --csv, --serials or --batch */
bool mm_bulk_wanted(const struct mm_args *a);
/*
 * Opens their rows from the first on, as often as is wanted.  *made: NULL
 * before the first time; a file that then is the caller's to close, also after
 * a failure.  MM_ENOTFOUND: a batch nothing was made of.
 */
MM_MUST enum mm_err mm_bulk_rows(struct mm_cli *cli, const struct mm_args *a,
    FILE **made, struct mm_csv *csv, struct mm_why *why);
json_t *mm_token_defaults(const struct mm_args *a);
/* codes: rows have a printed code each, which is imported. */
MM_MUST enum mm_err mm_bulk_tokens(struct mm_cli *cli,
    const struct mm_args *a, bool codes, struct mm_why *why);
#define MM_BULK_HEAD 64 /* of what is written, the first line and its NUL */
/*
 * Opens the output of an interrupted run to go on there, cuts a last row that
 * was torn, and counts in done how many rows it has for each device.  *out is
 * the caller's, also after a failure, if it was opened.
 */
MM_MUST enum mm_err mm_bulk_resume(struct mm_cli *cli, const char *path,
    const char *head, json_t *done, FILE **out, struct mm_why *why);
/* --ttl, if it was given: more than nothing. */
MM_MUST enum mm_err mm_bulk_ttl(const char *text, struct mm_why *why);
/*
 * Reads all rows and complains of each bad one on standard error, by its
 * number; *good is how many are not.  online: also asks the server for each
 * product that is named.
 */
MM_MUST enum mm_err mm_bulk_check(struct mm_cli *cli, struct mm_csv *csv,
    const json_t *defaults, bool online, unsigned long long *good,
    struct mm_why *why);

/* A new file of mode 0600 that is made before there is something to write. */
MM_MUST enum mm_err mm_out_open(struct mm_cli *cli, const char *path,
    bool append, FILE **out, struct mm_why *why);
/* Writes v there and closes it; without v (NULL) it is removed again. */
MM_MUST enum mm_err mm_out_json(FILE **f, const char *path, json_t *v,
    struct mm_why *why);

#endif
