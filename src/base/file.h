#ifndef MM_BASE_FILE_H
#define MM_BASE_FILE_H

#include <limits.h>
#include <sys/types.h>

#include "base/buf.h"

/* Whole files, safely. */

/* Appends the whole file; MM_ENOTFOUND, MM_ELIMIT (past out->max), MM_ESYS. */
MM_MUST enum mm_err mm_file_read(const char *path, struct mm_buf *out,
    struct mm_why *why);
/*
 * Replaces path whole or not at all: temporary file in the same folder,
 * fsync, rename, fsync of the folder.
 */
MM_MUST enum mm_err mm_file_replace(const char *path, struct mm_bytes data,
    mode_t mode, struct mm_why *why);
/*
 * The same for what is too long to be in memory: written to fd, from begin to
 * end.  drop: nothing came of it; after end it does nothing.
 */
struct mm_file_new {
	int fd;                 /* -1: not begun, or over */
	char path[PATH_MAX], tmp[PATH_MAX];
};
MM_MUST enum mm_err mm_file_new_begin(const char *path,
    struct mm_file_new *out, struct mm_why *why);
MM_MUST enum mm_err mm_file_new_end(struct mm_file_new *f, mode_t mode,
    struct mm_why *why);
void mm_file_new_drop(struct mm_file_new *f);
/* A file as it stands in memory, read where it is looked at; nobody may
 * shorten it meanwhile.  An empty one is no bytes.  Unmapped by the second. */
MM_MUST enum mm_err mm_file_map(const char *path, struct mm_bytes *out,
    struct mm_why *why);
void mm_file_unmap(struct mm_bytes *map);
/*
 * The same for a folder that the caller has locked, and so with no name made
 * up: a kill leaves nothing but path MM_FILE_NEXT, which mm_file_wipe removes
 * once the lock is held again.  The data has no name at all until it is whole
 * where the file system can do that (O_TMPFILE), and never one but path's if
 * path did not exist.
 */
#define MM_FILE_NEXT ".new"
MM_MUST enum mm_err mm_file_replace_locked(const char *path,
    struct mm_bytes data, mode_t mode, struct mm_why *why);
/*
 * Removes a file that held a secret, its bytes overwritten first: which
 * reaches the old blocks on few file systems.  A link is removed, not
 * followed.  MM_OK if there is none.
 */
MM_MUST enum mm_err mm_file_wipe(const char *path, struct mm_why *why);
/*
 * mm_file_replace_locked of a file with a secret: what it held before is
 * overwritten, not only replaced.  The two exchange their names in one step,
 * so that a kill leaves either under path and the other under MM_FILE_NEXT,
 * which the next one wipes first, or mm_file_wipe_left: all of dir's files
 * whose name ends so, without MM_FILE_NEXT.
 */
MM_MUST enum mm_err mm_file_replace_wiping(const char *path,
    struct mm_bytes data, mode_t mode, struct mm_why *why);
MM_MUST enum mm_err mm_file_wipe_left(const char *dir, const char *ending,
    struct mm_why *why);
/* mm_file_replace, but it fails with MM_ECONFLICT if path exists. */
MM_MUST enum mm_err mm_file_create(const char *path, struct mm_bytes data,
    mode_t mode, struct mm_why *why);
/*
 * The same two with an owner, set on the temporary file's descriptor: in a
 * folder that is another user's, a name may be a link by the next call.
 */
struct mm_file_own {
	mode_t mode;
	uid_t uid; /* (uid_t)-1: as it is; so gid */
	gid_t gid;
};
MM_MUST enum mm_err mm_file_replace_as(const char *path, struct mm_bytes data,
    const struct mm_file_own *own, struct mm_why *why);
MM_MUST enum mm_err mm_file_create_as(const char *path, struct mm_bytes data,
    const struct mm_file_own *own, struct mm_why *why);
/* Owner and mode (0: as it is) of a folder that is there and no link. */
MM_MUST enum mm_err mm_dir_own(const char *path,
    const struct mm_file_own *own, struct mm_why *why);
/* mkdir -p with mode for those made. */
MM_MUST enum mm_err mm_dir_make(const char *path, mode_t mode,
    struct mm_why *why);
/*
 * Takes an exclusive lock held until the descriptor is closed; MM_ECONFLICT
 * if another process holds it.  A link is not followed (MM_ESYS): in a folder
 * of another user's it would make a file wherever he likes.
 */
MM_MUST enum mm_err mm_file_lock(const char *path, int *fd,
    struct mm_why *why);
/* mm_file_read of one that is open; name: for what is said of it. */
MM_MUST enum mm_err mm_fd_read(int fd, const char *name, struct mm_buf *out,
    struct mm_why *why);
/* All of it, EINTR and short writes included. */
MM_MUST enum mm_err mm_fd_write(int fd, struct mm_bytes data,
    struct mm_why *why);
/* Joins dir and name into out; MM_ELIMIT if it does not fit. */
MM_MUST enum mm_err mm_path_join(char *out, size_t outn, const char *dir,
    const char *name, struct mm_why *why);

#endif
