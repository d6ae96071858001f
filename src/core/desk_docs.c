#include <stdlib.h>

#include "core/priv.h"

static void
release(struct mm_op **owner)
{
	free(*owner);
}

/* see core.h */
enum mm_err
mm_desk_docs_put(
    struct mm_desk *d, struct mm_op_doc *docs, size_t n, struct mm_why *why)
{
	struct mm_op *at[MM_DESK_DOCS];
	MM_OWN(release) struct mm_op *ops = NULL;

	if (n > MM_DESK_DOCS)
		return MM_FAIL(why, MM_EINPUT, "documents: too many at once");
	ops = calloc(n + 1, sizeof(*ops));
	if (ops == NULL)
		return MM_FAIL(why, MM_ENOMEM, "documents: no memory");
	for (size_t i = 0; i < n; i++) {
		ops[i].kind = MM_OP_DOC_PUT;
		ops[i].u.doc = docs[i];
		at[i] = &ops[i];
	}
	MM_TRY(mm_core_run(d->c, at, n, why));
	for (size_t i = 0; i < n; i++)
		if (ops[i].result != MM_OK)
			return MM_FAIL(
			    why, ops[i].result, "%s", ops[i].why.text);
	return MM_OK;
}
