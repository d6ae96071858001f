#ifndef MM_STORE_DOCS_OF_H
#define MM_STORE_DOCS_OF_H

#include "store/store.h"

/* As mm_list_docs, of units (MM_DOC_UNIT) that are of a station: an index has
 * them by their names' order, however many other stations made. */
MM_MUST enum mm_err mm_list_units_of(struct mm_store_reader *r,
    const char *station, const char *prefix, const struct mm_list *l,
    mm_row_fn *fn, void *ctx, struct mm_why *why);
/* The same of batches (MM_DOC_BATCH) that are of a product. */
MM_MUST enum mm_err mm_list_batches_of(struct mm_store_reader *r,
    const char *product, const struct mm_list *l, mm_row_fn *fn, void *ctx,
    struct mm_why *why);

#endif
