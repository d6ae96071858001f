#include "ledger/tree.h"

#include <string.h>

#include "base/buf.h"

/* A carry of binary counting: two peaks of one height become the next. */
void
mm_frontier_append(struct mm_frontier *f, const struct mm_hash *leaf)
{
	struct mm_hash h = *leaf;

	MM_INVARIANT(f->size < UINT64_MAX);
	for (uint64_t s = f->size; s & 1; s >>= 1)
		h = mm_tree_node(&f->peak[--f->n], &h);
	f->peak[f->n++] = h;
	f->size++;
}

/* see tree.h */
struct mm_hash
mm_frontier_root(const struct mm_frontier *f)
{
	struct mm_hash h;

	if (f->n == 0)
		return mm_tree_empty();
	h = f->peak[f->n - 1];
	for (unsigned i = f->n - 1; i > 0; i--)
		h = mm_tree_node(&f->peak[i - 1], &h);
	return h;
}

/* see tree.h */
enum mm_err
mm_frontier_at(mm_tree_read_fn *read, void *ctx, uint64_t size,
    struct mm_frontier *out, struct mm_why *why)
{
	struct mm_frontier f = { .size = size };
	uint64_t at = 0;

	for (unsigned i = 64; i-- > 0;) {
		if ((size >> i & 1) == 0)
			continue;
		MM_TRY(read(ctx, i, at >> i, &f.peak[f.n++], why));
		at += UINT64_C(1) << i;
	}
	*out = f;
	return MM_OK;
}

/* see tree.h */
void
mm_frontier_encode(const struct mm_frontier *f, struct mm_buf *out)
{
	mm_buf_u64(out, f->size);
	for (unsigned i = 0; i < f->n; i++)
		mm_buf_put(out, f->peak[i].b, MM_HASH_N);
}

/* see tree.h */
enum mm_err
mm_frontier_parse(struct mm_bytes b, struct mm_frontier *f,
    struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(b);
	struct mm_frontier got = { .size = mm_rd_u64(&r) };
	struct mm_bytes peaks;

	got.n = (unsigned)__builtin_popcountll(got.size);
	peaks = mm_rd_take(&r, (size_t)got.n * MM_HASH_N);
	if (!mm_rd_end(&r))
		return MM_FAIL(why, MM_EINPUT,
		    "frontier: %zu bytes do not fit its size", b.n);
	if (got.n > 0)
		memcpy(got.peak, peaks.p, peaks.n);
	*f = got;
	return MM_OK;
}
