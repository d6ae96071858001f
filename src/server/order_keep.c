#include "server/order.h"

#include <string.h>

#include "base/own.h"

/* What order.c has seen, in the store. */

#define DOC "times"

enum {
	LOOK_MS = 100, /* of two seconds: searches do not wait for long */
	STEP = 16384,  /* entries that the next start may look at again */
};

/* What cannot be read is looked at anew. */
static void
read_once(struct mm_order *o, struct mm_store_reader *r, uint64_t size)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	uint64_t version;

	if (o->read || atomic_load(&o->busy))
		return;
	o->read = true;
	if (mm_get_doc(r, MM_DOC_NODE, DOC, &version, &body, NULL) == MM_OK &&
	    mm_order_read(o, mm_buf_view(&body), size))
		o->kept = atomic_load(&o->seen);
}

static void
write_step(struct mm_order *o, struct mm_desk *d)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_op op = { .kind = MM_OP_DOC_PUT };
	uint64_t seen = atomic_load(&o->seen);

	if (seen < o->kept + STEP || !mm_order_write(o, &body) ||
	    mm_buf_ok(&body, NULL) != MM_OK)
		return;
	op.u.doc.kind = MM_DOC_NODE;
	op.u.doc.expect = MM_DOC_ANY;
	strcpy(op.u.doc.id, DOC);
	op.u.doc.body = mm_buf_view(&body);
	if (mm_desk_docs_put(d, &op, 1, NULL) == MM_OK)
		o->kept = seen;
}

/* see order.h */
void
mm_order_keep(struct mm_order *o, struct mm_desk *d)
{
	struct mm_store_reader *r = mm_desk_reader(d);
	uint64_t size;

	if (mm_get_ledger_size(r, &size, NULL) != MM_OK)
		return;
	read_once(o, r, size);
	mm_order_look(o, r, size, LOOK_MS);
	write_step(o, d);
}
