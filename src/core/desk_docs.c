#include <stdlib.h>
#include <string.h>

#include "core/priv.h"

/* see core.h */
enum mm_err
mm_desk_doc_put(struct mm_desk *d, struct mm_op_doc *doc,
    const struct mm_entry *e, unsigned n, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_op op = { .kind = MM_OP_DOC_PUT, .u.doc = *doc };

	for (unsigned i = 0; i < n; i++)
		mm_papers_add(&p, &e[i]);
	MM_TRY(mm_desk_run(d, &p, &op, why));
	doc->version = op.u.doc.version;
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_desk_run_all(struct mm_desk *d, struct mm_op **ops, size_t n,
    struct mm_why *why)
{
	return n == 0 ? MM_OK : mm_core_run(d->c, ops, n, why);
}

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
