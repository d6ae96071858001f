#ifndef MM_SERVER_SCOPE_H
#define MM_SERVER_SCOPE_H

#include <string.h>

#include "core/core.h"
#include "ledger/entry.h"

/*
 * What a credential that is limited to products or batches may see.  For it,
 * what is outside does not exist.
 */

/* What an object is of; "" of none. */
struct mm_scoped {
	char device[MM_DEVICE_ID_MAX + 1]; /* which its batch goes by ... */
	char batch[MM_NAME_MAX + 1];       /* ... and without one this */
	char product[MM_NAME_MAX + 1];
};
/* The products of a scope's batches as they were found, for whoever has many
 * objects to ask about: a batch keeps its product.  One that is not there is
 * looked for again. */
struct mm_scope_memo {
	char product[MM_SCOPE_MOST][MM_NAME_MAX + 1]; /* "": not known */
	bool none[MM_SCOPE_MOST]; /* there was no such batch */
};
/* What was not there is looked for again. */
static inline void
mm_scope_memo_none(struct mm_scope_memo *memo)
{
	memset(memo->none, 0, sizeof(memo->none));
}
/* The one place that decides.  A device is of a batch that has it among what
 * it made, as long as it is of the batch's product.  memo: the scope's, empty
 * at first; NULL: none. */
MM_MUST enum mm_err mm_scope_owns(struct mm_store_reader *reader,
    const struct mm_scope *s, struct mm_scope_memo *memo,
    const struct mm_scoped *o, bool *yes, struct mm_why *why);
/* What a ledger entry is about: the device that it names, by itself or through
 * a token or a certificate, as the device is now; else the product or the
 * batch that it names.  MM_ENOTFOUND: none.  Not inside of mm_each_entry: it
 * asks the store. */
MM_MUST enum mm_err mm_scope_entry_owner(struct mm_store_reader *reader,
    const struct mm_entry_view *v, struct mm_scoped *out);
/* The product of a batch.  MM_ENOTFOUND: there is no such batch. */
MM_MUST enum mm_err mm_scope_batch_product(struct mm_store_reader *reader,
    const char *batch, char product[MM_NAME_MAX + 1]);

#endif
