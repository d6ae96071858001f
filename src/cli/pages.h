#ifndef MM_CLI_PAGES_H
#define MM_CLI_PAGES_H

#include "cli/client.h"

/* Every row of a list of the API, page by page, for who does not print it as it
 * comes.  path: with its query, "/certificates?state=confirmed". */
typedef enum mm_err mm_row_fn(void *ctx, json_t *row, struct mm_why *why);
MM_MUST enum mm_err mm_pages_each(struct mm_client *c, const char *path,
    mm_row_fn *fn, void *ctx, struct mm_why *why);

#endif
