#ifndef MM_LEDGER_TILE_H
#define MM_LEDGER_TILE_H

#include "base/buf.h"
#include "ledger/tree.h"

/*
 * C2SP tlog-tiles: 256 hashes a tile, level L holding subtree roots of
 * height 8L; entry bundles of 256 entries, each u16 length + bytes.
 */
#define MM_TILE_W 256
#define MM_TILE_LEVELS 8

struct mm_tile_id {
	bool entries;     /* an entry bundle; level 0 */
	unsigned level;   /* 0..7 */
	uint64_t index;
	unsigned width;   /* 1..256; below 256: a partial tile */
};

/* "tile/0/x001/234", "tile/entries/x001/234.p/17"; the part after
 * "/ledger/".  Parsing is exact: what it accepts prints back the same. */
#define MM_TILE_PATH_MAX 80
void mm_tile_path(const struct mm_tile_id *id, char out[MM_TILE_PATH_MAX]);
MM_MUST enum mm_err mm_tile_parse(struct mm_bytes path,
    struct mm_tile_id *out, struct mm_why *why);
/* Whether a tree of that size has it (partial width exactly or fewer). */
bool mm_tile_exists(const struct mm_tile_id *id, uint64_t size);

/*
 * The right edge of every level in memory, for a writer: append leaves, get
 * told which tiles became full.  8 * 256 * 32 bytes = 64 KiB.
 */
struct mm_tile_edge {
	uint64_t size;
	unsigned n[MM_TILE_LEVELS];
	struct mm_hash hash[MM_TILE_LEVELS][MM_TILE_W];
};
/* A full tile: width 256, hashes as 8,192 bytes. */
typedef enum mm_err mm_tile_full_fn(void *ctx, unsigned level,
    uint64_t index, const struct mm_hash hashes[MM_TILE_W],
    struct mm_why *why);
MM_MUST enum mm_err mm_tile_edge_append(struct mm_tile_edge *e,
    const struct mm_hash *leaf, mm_tile_full_fn *full, void *ctx,
    struct mm_why *why);
/* The root of the tree of that size: up to 255 nodes a level are hashed. */
struct mm_hash mm_tile_edge_root(const struct mm_tile_edge *e);

/*
 * A mm_tree_read_fn over tiles: computes any subtree hash from the tile that
 * contains it (fewer than 256 hashes).  get gives tile bytes (width * 32) for
 * id; borrowed until the next call.
 */
struct mm_tile_reader {
	enum mm_err (*get)(void *ctx, const struct mm_tile_id *id,
	    struct mm_bytes *out, struct mm_why *why);
	void *ctx;
	uint64_t size; /* of the tree that is read: decides partial widths */
};
enum mm_err mm_tile_read(void *reader, unsigned level, uint64_t index,
    struct mm_hash *out, struct mm_why *why);
/*
 * The edge of reader's tree from its partial tiles: what a writer starts
 * with.  The edge is not usable after a failure.
 */
MM_MUST enum mm_err mm_tile_edge_restore(struct mm_tile_edge *e,
    const struct mm_tile_reader *reader, struct mm_why *why);

/* Entry bundles. */
void mm_bundle_put(struct mm_buf *out, struct mm_bytes entry);
/* Next entry of a bundle; false at its end; r->bad if malformed. */
bool mm_bundle_next(struct mm_rd *r, struct mm_bytes *entry);

#endif
