#ifndef MM_CLI_BATCH_H
#define MM_CLI_BATCH_H

#include "cli/commands.h"

/* What batch.c and batch_body.c share. */

/* The body of POST /batches, from the options. */
MM_MUST enum mm_err mm_batch_body(
    const struct mm_args *a, json_t *o, struct mm_why *why);
/* A time, or how long from now. */
MM_MUST enum mm_err mm_batch_time(
    json_t *o, const char *member, const char *text, struct mm_why *why);
/* "l3=2500,l4=2500" as "shares". */
MM_MUST enum mm_err mm_batch_shares(
    const char *text, json_t *o, struct mm_why *why);

/* A CSV file's as "columns" and "rows". */
MM_MUST enum mm_err mm_batch_rows(
    const char *path, json_t *o, struct mm_why *why);

#endif
