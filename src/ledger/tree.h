#ifndef MM_LEDGER_TREE_H
#define MM_LEDGER_TREE_H

#include "base/bytes.h"
#include "base/err.h"

/*
 * The Merkle tree of RFC 6962 2.1 / RFC 9162 2.1 (SHA-256, leaf prefix 0x00,
 * node prefix 0x01).  Pure: no I/O.
 */
#define MM_HASH_N 32
struct mm_hash {
	uint8_t b[MM_HASH_N];
};

struct mm_hash mm_tree_leaf(struct mm_bytes entry);
struct mm_hash mm_tree_node(const struct mm_hash *left,
    const struct mm_hash *right);
struct mm_hash mm_tree_empty(void); /* SHA-256 of nothing */

/*
 * The frontier: size and the roots of the perfect subtrees, largest first.
 * Enough to append and to know the root; nothing else of the past.
 */
struct mm_frontier {
	uint64_t size;
	unsigned n;               /* popcount(size) */
	struct mm_hash peak[64];
};

void mm_frontier_append(struct mm_frontier *f, const struct mm_hash *leaf);
struct mm_hash mm_frontier_root(const struct mm_frontier *f);
/*
 * Hash of the perfect subtree at level over leaves [index << level,
 * (index + 1) << level).  Fails if it does not exist yet.
 */
typedef enum mm_err mm_tree_read_fn(void *ctx, unsigned level,
    uint64_t index, struct mm_hash *out, struct mm_why *why);
/* Of a tree of that size from stored subtree hashes: one for each bit. */
MM_MUST enum mm_err mm_frontier_at(mm_tree_read_fn *read, void *ctx,
    uint64_t size, struct mm_frontier *out, struct mm_why *why);
/* A file or message form: u64 size, then the peaks. */
struct mm_buf;
void mm_frontier_encode(const struct mm_frontier *f, struct mm_buf *out);
MM_MUST enum mm_err mm_frontier_parse(struct mm_bytes b,
    struct mm_frontier *f, struct mm_why *why);

#define MM_PROOF_MAX 64
struct mm_proof {
	unsigned n;
	struct mm_hash hash[MM_PROOF_MAX];
};

/* RFC 6962 2.1.1 and 2.1.2; index < size; 0 < from <= to. */
MM_MUST enum mm_err mm_proof_inclusion(mm_tree_read_fn *read, void *ctx,
    uint64_t index, uint64_t size, struct mm_proof *out, struct mm_why *why);
MM_MUST enum mm_err mm_proof_consistency(mm_tree_read_fn *read, void *ctx,
    uint64_t from, uint64_t to, struct mm_proof *out, struct mm_why *why);
/* Root of the tree of that size from stored subtree hashes. */
MM_MUST enum mm_err mm_tree_root_at(mm_tree_read_fn *read, void *ctx,
    uint64_t size, struct mm_hash *out, struct mm_why *why);

/* RFC 9162 2.1.3.2 and 2.1.4.2.  MM_EPOLICY: the proof does not hold. */
MM_MUST enum mm_err mm_proof_verify_inclusion(const struct mm_proof *p,
    uint64_t index, uint64_t size, const struct mm_hash *leaf,
    const struct mm_hash *root, struct mm_why *why);
MM_MUST enum mm_err mm_proof_verify_consistency(const struct mm_proof *p,
    uint64_t from, const struct mm_hash *from_root, uint64_t to,
    const struct mm_hash *to_root, struct mm_why *why);

#endif
