#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "signer/priv.h"

#define MOST 65536 /* leaves: a holder that is away a minute or so */

/* base: the tree up to where it was checked, or as far back as is kept. */
struct mm_trail {
	struct mm_frontier base;
	uint64_t end;
	struct mm_hash leaf[MOST]; /* by index, modulo */
};

/* see priv.h */
enum mm_err
mm_trail_new(
    const struct mm_frontier *at, struct mm_trail **out, struct mm_why *why)
{
	struct mm_trail *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	t->base = *at;
	t->end = at->size;
	*out = t;
	return MM_OK;
}

/* see priv.h */
void
mm_trail_free(struct mm_trail **owner)
{
	free(*owner);
	*owner = NULL;
}

static void
step(const struct mm_trail *t, struct mm_frontier *f)
{
	mm_frontier_append(f, &t->leaf[f->size % MOST]);
}

/* see priv.h */
void
mm_trail_append(struct mm_trail *t, const struct mm_hash *leaf)
{
	if (t->end - t->base.size == MOST)
		step(t, &t->base);
	t->leaf[t->end++ % MOST] = *leaf;
}

/* see priv.h */
enum mm_err
mm_trail_check(
    struct mm_trail *t, const struct mm_checkpoint *c, struct mm_why *why)
{
	struct mm_frontier f = t->base;
	struct mm_hash root;

	if (c->size > t->end)
		return MM_FAIL(why, MM_EAGAIN,
		    "ledger: checkpoint of %" PRIu64
		    " entries, the tree has %" PRIu64,
		    c->size, t->end);
	if (c->size < f.size)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "ledger: checkpoint of %" PRIu64
		    " entries is too old to be looked at",
		    c->size);
	while (f.size < c->size)
		step(t, &f);
	root = mm_frontier_root(&f);
	if (memcmp(root.b, c->root.b, MM_HASH_N) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "ledger: the checkpoint of %" PRIu64
		    " entries is of another tree",
		    c->size);
	t->base = f;
	return MM_OK;
}
