/*
 * The low-level functions, deprecated but stable in OpenSSL 3: fetching and
 * duplicating an EVP digest costs more than hashing a node does.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "ledger/tree.h"

#include <openssl/sha.h>

/* RFC 6962 2.1: domain separation of leaves and nodes. */
#define LEAF_PREFIX 0x00
#define NODE_PREFIX 0x01

/* see tree.h */
struct mm_hash
mm_tree_leaf(struct mm_bytes entry)
{
	static const uint8_t prefix = LEAF_PREFIX;
	struct mm_hash h;
	SHA256_CTX c;

	SHA256_Init(&c);
	SHA256_Update(&c, &prefix, 1);
	SHA256_Update(&c, entry.p, entry.n);
	SHA256_Final(h.b, &c);
	return h;
}

/* see tree.h */
struct mm_hash
mm_tree_node(const struct mm_hash *left, const struct mm_hash *right)
{
	static const uint8_t prefix = NODE_PREFIX;
	struct mm_hash h;
	SHA256_CTX c;

	SHA256_Init(&c);
	SHA256_Update(&c, &prefix, 1);
	SHA256_Update(&c, left->b, MM_HASH_N);
	SHA256_Update(&c, right->b, MM_HASH_N);
	SHA256_Final(h.b, &c);
	return h;
}

/* see tree.h */
struct mm_hash
mm_tree_empty(void)
{
	struct mm_hash h;
	SHA256_CTX c;

	SHA256_Init(&c);
	SHA256_Final(h.b, &c);
	return h;
}
