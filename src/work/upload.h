#ifndef MM_WORK_UPLOAD_H
#define MM_WORK_UPLOAD_H

#include "work/sync.h"

/*
 * Pieces (work/sync.h) of a station's ledger, wherever it is: read has its
 * tree, line appends an entry as an export has it, note is the checkpoint of
 * all size entries.
 */
struct mm_piece_of {
	mm_tree_read_fn *read;
	void *tree;
	uint64_t size;
	struct mm_bytes note;
	enum mm_err (*line)(
	    void *ctx, uint64_t index, struct mm_buf *out, struct mm_why *why);
	void *ctx;
	unsigned most; /* entries in a piece, up to MM_SYNC_ENTRIES_MAX */
	uint64_t since; /* the largest tree whose checkpoint the centre has
			 * seen: proved to be this one's beginning; 0: none */
};
/*
 * Appends the piece from one entry on, as many as fit; *to is behind its last.
 * dry_run: says so.  MM_EINPUT: it begins behind the end.
 */
MM_MUST enum mm_err mm_piece_put(const struct mm_piece_of *of, uint64_t from,
    bool dry_run, uint64_t *to, struct mm_buf *out, struct mm_why *why);

/*
 * A station's export (work/export.h) cut into pieces that the centre takes
 * (work/sync.h).  Nothing of it is believed or judged here, but that it is
 * whole: half a file is refused before a piece of it is sent.
 *
 * Borrows the file's bytes.
 */
struct mm_upload;
MM_MUST enum mm_err mm_upload_open(
    struct mm_bytes file, struct mm_upload **out, struct mm_why *why);
void mm_upload_close(struct mm_upload **owner);
const char *mm_upload_station(const struct mm_upload *u);
/* Of the ledger, to the file's end; and before its first entry. */
uint64_t mm_upload_size(const struct mm_upload *u);
uint64_t mm_upload_from(const struct mm_upload *u);
/* What the centre has seen signed: see struct mm_piece_of. */
void mm_upload_since(struct mm_upload *u, uint64_t size);
/* As mm_piece_put.  MM_EINPUT: the file begins behind that entry. */
MM_MUST enum mm_err mm_upload_piece(const struct mm_upload *u, uint64_t from,
    bool dry_run, uint64_t *to, struct mm_buf *out, struct mm_why *why);

#endif
