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
mm_desk_enter(struct mm_desk *d, const struct mm_entry *e, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_op op = { .kind = MM_OP_ENTRY };

	mm_papers_add(&p, e);
	return mm_desk_run(d, &p, &op, why);
}

/* see core.h */
enum mm_err
mm_desk_docs_put(struct mm_desk *d, struct mm_op *ops, size_t n,
    struct mm_why *why)
{
	struct mm_op *list[MM_DESK_DOCS];

	MM_INVARIANT(n <= MM_DESK_DOCS);
	for (size_t i = 0; i < n; i++) {
		ops[i].kind = MM_OP_DOC_PUT;
		list[i] = &ops[i];
	}
	if (n > 0)
		MM_TRY(mm_desk_write(d, list, n, why));
	for (size_t i = 0; i < n; i++)
		if (ops[i].result != MM_OK &&
		    (ops[i].result != MM_ENOTFOUND || ops[i].u.doc.body.n > 0))
			return MM_FAIL(why, ops[i].result, "%s",
			    ops[i].why.text);
	return MM_OK;
}
