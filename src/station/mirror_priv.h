#ifndef MM_STATION_MIRROR_PRIV_H
#define MM_STATION_MIRROR_PRIV_H

#include "base/file.h"
#include "station/mirror.h"

/* mirror_files.c copies; mirror_find.c finds out what is there. */
struct mm_mirror_journal {
	uint64_t first, last;
	uint8_t last_crc[4], row_crc[4];
	bool has_row;      /* that was asked for, and has row_crc */
	size_t whole, all; /* bytes */
};
/* Rows from at on, of which those after the row-th go to out (or nowhere). */
MM_MUST enum mm_err mm_mirror_read_rows(const char *path, off_t at,
    uint64_t row, struct mm_buf *out, struct mm_mirror_journal *j,
    struct mm_why *why);
/* The station has begun its journal anew: so is the copy. */
MM_MUST enum mm_err mm_mirror_put_by(struct mm_mirror_files *f,
    const char *path, struct mm_why *why);
MM_MUST enum mm_err mm_mirror_copy_records(struct mm_mirror_files *f,
    struct mm_why *why);
/* The copy is as it was left, from now on. */
void mm_mirror_note(struct mm_mirror_files *f);
/* Not another stick, nor one that somebody has emptied. */
bool mm_mirror_is_as_left(const struct mm_mirror_files *f);

MM_MUST enum mm_err mm_mirror_failed(const char *path, struct mm_why *why);
MM_MUST enum mm_err mm_mirror_sync_dir(const char *path, struct mm_why *why);
static inline enum mm_err
mm_mirror_join(const char *dir, const char *name, char out[PATH_MAX],
    struct mm_why *why)
{
	return mm_path_join(out, PATH_MAX, dir, name, why);
}

#endif
