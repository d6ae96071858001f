#ifndef MM_SERVER_REST_ROWS_H
#define MM_SERVER_REST_ROWS_H

#include <jansson.h>

#include "core/import.h"

/*
 * An import's rows, from a request's body.  A body is up to 4 MiB, and its
 * document would be ten times that and most of the call's work: so the rows
 * are cut out of it and read where they stand.  A row that is not plain
 * (core/plain.h) gets a document of its own; where anything at all is odd,
 * the whole body does, and what is wrong is said of that.
 */
enum { MM_REST_ROWS_MAX = 1000 };

struct mm_rest_rows {
	struct mm_bytes text; /* of the body: after its bracket, and over the
	                       * closing one; n 0: they were not cut out */
	size_t n;
};
/* *rest: the body without them, with an empty list in their place; owned.
 * false: read it whole. */
bool mm_rest_rows_cut(struct mm_bytes body, struct mm_rest_rows *rows,
    json_t **rest);
/* Into as many empty rows.  *kept, owned also on failure: what the rows
 * borrow, beside the body.  false: this is no JSON, or no memory: read the
 * body whole. */
bool mm_rest_rows_read(const struct mm_rest_rows *rows,
    struct mm_import_row *row, json_t **kept);
/* What each row names before it is read for good, NULL where that is no text;
 * *rc: of the first that fn refuses.  false: as above, and whatever was refused
 * means nothing. */
typedef enum mm_err mm_rest_row_fn(void *ctx, const char *id,
    const char *product, struct mm_why *why);
bool mm_rest_rows_names(const struct mm_rest_rows *rows, mm_rest_row_fn *fn,
    void *ctx, enum mm_err *rc, struct mm_why *why);
/* From the document of the list; the rows borrow of it. */
void mm_rest_rows_take(const json_t *list, struct mm_import_row *row);

#endif
