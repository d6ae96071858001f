#include "ledger/tree.h"

#include <string.h>

/* A tree as its owner reads it, for the length of one call. */
struct source {
	mm_tree_read_fn *read;
	void *ctx;
	struct mm_why *why;
};

/*
 * RFC 6962 2.1: MTH of n > 0 leaves from start, which is a multiple of the
 * smallest power of two not below n: its perfect subtrees joined from the
 * right.
 */
static enum mm_err
range_hash(const struct source *s, uint64_t start, uint64_t n,
    struct mm_hash *out)
{
	uint64_t end = start + n;
	bool first = true;
	struct mm_hash h, part;

	for (unsigned level = 0; level < 64 && n >> level != 0; level++) {
		if ((n >> level & 1) == 0)
			continue;
		end -= UINT64_C(1) << level;
		MM_TRY(s->read(s->ctx, level, end >> level, &part, s->why));
		h = first ? part : mm_tree_node(&part, &h);
		first = false;
	}
	*out = h;
	return MM_OK;
}

static enum mm_err
push_subtree(const struct source *s, unsigned level, uint64_t index,
    uint64_t size, struct mm_proof *p)
{
	uint64_t start = index << level, most = UINT64_C(1) << level;
	uint64_t n = size - start < most ? size - start : most;

	if (p->n == MM_PROOF_MAX)
		return MM_FAIL(s->why, MM_ELIMIT, "proof: tree is too large");
	MM_TRY(range_hash(s, start, n, &p->hash[p->n]));
	p->n++;
	return MM_OK;
}

/*
 * From a node upwards to the root of the tree of that size: every sibling
 * on the way.  The last node of a level has none if its index is even.
 */
static enum mm_err
climb(const struct source *s, unsigned level, uint64_t node, uint64_t size,
    struct mm_proof *p)
{
	uint64_t last = (size - 1) >> level;

	for (; last > 0; level++, node >>= 1, last >>= 1)
		if ((node & 1) != 0 || node < last)
			MM_TRY(push_subtree(s, level, node ^ 1, size, p));
	return MM_OK;
}

/* see tree.h */
enum mm_err
mm_proof_inclusion(mm_tree_read_fn *read, void *ctx, uint64_t index,
    uint64_t size, struct mm_proof *out, struct mm_why *why)
{
	const struct source s = { read, ctx, why };
	struct mm_proof p = { 0 };

	if (index >= size)
		return MM_FAIL(why, MM_EINPUT,
		    "proof: index %llu is not in a tree of %llu",
		    (unsigned long long)index, (unsigned long long)size);
	MM_TRY(climb(&s, 0, index, size, &p));
	*out = p;
	return MM_OK;
}

static enum mm_err
check_range(uint64_t from, uint64_t to, struct mm_why *why)
{
	if (from == 0 || from > to)
		return MM_FAIL(why, MM_EINPUT,
		    "proof: sizes %llu and %llu, want 0 < first <= second",
		    (unsigned long long)from, (unsigned long long)to);
	return MM_OK;
}

/*
 * RFC 6962 2.1.2: climbs from the old tree's last perfect subtree, which is
 * left out where it is the whole old tree: the verifier has its root.
 */
enum mm_err
mm_proof_consistency(mm_tree_read_fn *read, void *ctx, uint64_t from,
    uint64_t to, struct mm_proof *out, struct mm_why *why)
{
	const struct source s = { read, ctx, why };
	struct mm_proof p = { 0 };
	unsigned level;
	uint64_t node;

	MM_TRY(check_range(from, to, why));
	if (from == to) {
		*out = p;
		return MM_OK;
	}
	level = (unsigned)__builtin_ctzll(from);
	node = (from - 1) >> level;
	if (node > 0)
		MM_TRY(push_subtree(&s, level, node, to, &p));
	MM_TRY(climb(&s, level, node, to, &p));
	*out = p;
	return MM_OK;
}

/* see tree.h */
enum mm_err
mm_tree_root_at(mm_tree_read_fn *read, void *ctx, uint64_t size,
    struct mm_hash *out, struct mm_why *why)
{
	const struct source s = { read, ctx, why };

	if (size == 0) {
		*out = mm_tree_empty();
		return MM_OK;
	}
	return range_hash(&s, 0, size, out);
}

static bool
same(const struct mm_hash *a, const struct mm_hash *b)
{
	return memcmp(a->b, b->b, MM_HASH_N) == 0;
}

/* see tree.h */
enum mm_err
mm_proof_verify_inclusion(const struct mm_proof *p, uint64_t index,
    uint64_t size, const struct mm_hash *leaf, const struct mm_hash *root,
    struct mm_why *why)
{
	uint64_t fn = index, sn = size - 1;
	struct mm_hash r = *leaf;
	bool good = index < size && p->n <= MM_PROOF_MAX;

	/* RFC 9162 2.1.3.2, in its names. */
	for (unsigned i = 0; good && i < p->n; i++) {
		good = sn != 0;
		if ((fn & 1) != 0 || fn == sn) {
			r = mm_tree_node(&p->hash[i], &r);
			for (; (fn & 1) == 0 && fn != 0; fn >>= 1)
				sn >>= 1;
		} else {
			r = mm_tree_node(&r, &p->hash[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	if (!good || sn != 0 || !same(&r, root))
		return MM_FAIL(why, MM_EPOLICY,
		    "RFC 9162 2.1.3.2: the inclusion proof does not hold");
	return MM_OK;
}

/* RFC 9162 2.1.4.2, in its names, from its step 3; the proof is not empty. */
static bool
consistent(const struct mm_proof *p, uint64_t from,
    const struct mm_hash *from_root, uint64_t to,
    const struct mm_hash *to_root)
{
	bool power = (from & (from - 1)) == 0;
	unsigned shift = (unsigned)__builtin_ctzll(from);
	uint64_t fn = (from - 1) >> shift, sn = (to - 1) >> shift;
	struct mm_hash fr = power ? *from_root : p->hash[0], sr = fr;

	for (unsigned i = power ? 0 : 1; i < p->n; i++) {
		const struct mm_hash *c = &p->hash[i];
		if (sn == 0)
			return false;
		if ((fn & 1) != 0 || fn == sn) {
			fr = mm_tree_node(c, &fr);
			sr = mm_tree_node(c, &sr);
			for (; (fn & 1) == 0 && fn != 0; fn >>= 1)
				sn >>= 1;
		} else {
			sr = mm_tree_node(&sr, c);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && same(&fr, from_root) && same(&sr, to_root);
}

/* see tree.h */
enum mm_err
mm_proof_verify_consistency(const struct mm_proof *p, uint64_t from,
    const struct mm_hash *from_root, uint64_t to,
    const struct mm_hash *to_root, struct mm_why *why)
{
	bool good;

	MM_TRY(check_range(from, to, why));
	if (from == to)
		good = p->n == 0 && same(from_root, to_root);
	else
		good = p->n > 0 && p->n <= MM_PROOF_MAX &&
		    consistent(p, from, from_root, to, to_root);
	if (!good)
		return MM_FAIL(why, MM_EPOLICY,
		    "RFC 9162 2.1.4.2: the consistency proof does not hold");
	return MM_OK;
}
