#ifndef MM_WORK_UPLOAD_H
#define MM_WORK_UPLOAD_H

#include "work/sync.h"

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
uint64_t mm_upload_size(const struct mm_upload *u);
struct mm_hash mm_upload_root(const struct mm_upload *u, uint64_t size);
/*
 * Appends the piece from one entry on, as many as fit; *to is behind its last.
 * dry_run: says so.  MM_EPOLICY: the entries are not those of the checkpoint,
 * as far as whoever has no key can see.
 */
MM_MUST enum mm_err mm_upload_piece(const struct mm_upload *u, uint64_t from,
    bool dry_run, uint64_t *to, struct mm_buf *out, struct mm_why *why);

#endif
