#ifndef MM_STORE_TILES_H
#define MM_STORE_TILES_H

#include "store/store.h"

/*
 * The tree over a backend's rows: entries by index, and full tiles by a key
 * with their root beside their hashes.  Partial tiles are not stored: a level
 * 0 one is made of entries, one above of the roots below it.
 */

int64_t mm_tile_key(unsigned level, uint64_t index);

/* A full tile to be stored. */
struct mm_tile_row {
	int64_t key;
	const struct mm_hash *root;
	const struct mm_hash *hashes; /* MM_TILE_W */
};
typedef enum mm_err mm_tile_put_fn(void *ctx, const struct mm_tile_row *t,
    struct mm_why *why);
/* Appends a leaf to the edge; put gets what became full. */
enum mm_err mm_tiles_append(struct mm_tile_edge *e,
    const struct mm_hash *leaf, mm_tile_put_fn *put, void *ctx,
    struct mm_why *why);

/* How rows are read. */
struct mm_tile_source {
	enum mm_err (*each_entry)(void *db, uint64_t from, uint64_t to,
	    mm_each_entry_fn *fn, void *ctx, struct mm_why *why);
	/* Appends the hashes of a full tile; MM_ENOTFOUND. */
	enum mm_err (*tile)(void *db, int64_t key, struct mm_buf *out,
	    struct mm_why *why);
	/* Appends the roots of n tiles from key first; MM_ENOTFOUND. */
	enum mm_err (*roots)(void *db, int64_t first, unsigned n,
	    struct mm_buf *out, struct mm_why *why);
};
/* A level-0 edge computed before; entries never change, so it stays true. */
struct mm_leaf_cache {
	uint64_t tile;
	unsigned n;
	struct mm_hash hash[MM_TILE_W];
};
/* A source with the connection it reads, and what it remembers. */
struct mm_tiles {
	const struct mm_tile_source *source;
	void *db;
	struct mm_leaf_cache leaves;
};

/* A tile of a tree of that size, as mm_get_tile. */
enum mm_err mm_tiles_get(struct mm_tiles *t, const struct mm_tile_id *id,
    uint64_t size, struct mm_buf *out, struct mm_why *why);
/* The edge of a tree of that size. */
enum mm_err mm_tiles_edge(struct mm_tiles *t, uint64_t size,
    struct mm_tile_edge *edge, struct mm_why *why);

#endif
