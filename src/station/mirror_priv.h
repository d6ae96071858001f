#ifndef MM_STATION_MIRROR_PRIV_H
#define MM_STATION_MIRROR_PRIV_H

#include <pthread.h>

#include "base/file.h"
#include "station/mirror.h"

/* mirror.c: the thread, and who asks it. */
#define MM_MIRROR_HANG_MS 10000 /* that took nothing for so long */
enum { MM_MIRROR_JOURNAL_MAX = 256 << 20 };

struct mm_mirror_item {
	struct mm_mirror_item *next;
	uint64_t ticket;
	char name[MM_DEVICE_ID_MAX + 6]; /* of a record; "" none */
	uint64_t first;
	struct mm_buf lines, checkpoint;
};

struct mm_mirror {
	struct mm_mirror_files files; /* the thread's */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work;
	int event;
	/* Under the lock: */
	struct mm_mirror_item *head, **tail;
	uint64_t asked, done,
	    lost; /* tickets: given; the newest of both ends */
	enum mm_mirror_is is;
	/* waits_ms: the disk is worked on since then, or since it last got on,
	 * whoever asked; 0: it is not; monotonic */
	int64_t since_ms, waits_ms;
	uint64_t entries, want; /* want: that there are */
	uint64_t far, of;       /* records, when it COPIES them */
	uint64_t ended, heard;  /* passes; at the last wish */
	bool stop;
	char why[160];
};

/* mirror_files.c copies; mirror_find.c finds out what is there. */
struct mm_mirror_journal {
	uint64_t first, last;
	uint8_t last_crc[4], row_crc[4];
	bool has_row;      /* that was asked for, and has row_crc */
	size_t whole, all; /* bytes */
};
/* Rows from at on, of which those after the row-th go to out (or nowhere). */
MM_MUST enum mm_err mm_mirror_read_rows(struct mm_bytes text, off_t at,
    uint64_t row, struct mm_buf *out, struct mm_mirror_journal *j,
    struct mm_why *why);
MM_MUST enum mm_err mm_mirror_own_rows(const char *path, off_t at,
    uint64_t row, struct mm_buf *out, struct mm_mirror_journal *j,
    struct mm_why *why);
/* The station has begun its journal anew: so is the copy. */
MM_MUST enum mm_err mm_mirror_put_by(struct mm_mirror_files *f,
    struct mm_why *why);
MM_MUST enum mm_err mm_mirror_copy_records(struct mm_mirror_files *f,
    struct mm_why *why);
/* The copy is as it was left, from now on. */
void mm_mirror_note(struct mm_mirror_files *f);
/* Not another stick, nor one that somebody has emptied. */
bool mm_mirror_is_as_left(const struct mm_mirror_files *f);

/* mirror_place.c: the folder, and files in it that are files and nothing
 * else.  MM_EAGAIN: it cannot be done now; MM_EPOLICY: what is there is not
 * touched; MM_ENOTFOUND: no such file. */
enum mm_mirror_in { MM_MIRROR_DISK, MM_MIRROR_TOP, MM_MIRROR_RECORDS };
struct mm_mirror_dir {
	int fd;
	const char *path; /* for what is said of it; borrowed */
};
void mm_mirror_dir_done(struct mm_mirror_dir *d);
MM_MUST enum mm_err mm_mirror_enter(const struct mm_mirror_files *f,
    enum mm_mirror_in in, struct mm_mirror_dir *out, struct mm_why *why);
/* What is lacking of the folders. */
MM_MUST enum mm_err mm_mirror_make(const struct mm_mirror_files *f,
    struct mm_why *why);
MM_MUST enum mm_err mm_mirror_open_at(const struct mm_mirror_dir *d,
    const char *name, int flags, int *fd, struct mm_why *why);
MM_MUST enum mm_err mm_mirror_read_at(const struct mm_mirror_dir *d,
    const char *name, struct mm_buf *out, struct mm_why *why);
/* The same in the top folder. */
MM_MUST enum mm_err mm_mirror_open_file(const struct mm_mirror_files *f,
    const char *name, int flags, int *fd, struct mm_why *why);
MM_MUST enum mm_err mm_mirror_read(const struct mm_mirror_files *f,
    const char *name, struct mm_buf *out, struct mm_why *why);
/* Bytes behind what is there, and on that disk when it returns. */
MM_MUST enum mm_err mm_mirror_append(const struct mm_mirror_files *f,
    const char *name, struct mm_bytes data, struct mm_why *why);
MM_MUST enum mm_err mm_mirror_cut(const struct mm_mirror_files *f,
    const char *name, off_t at, struct mm_why *why);
/* Whole or not at all. */
MM_MUST enum mm_err mm_mirror_replace(const struct mm_mirror_files *f,
    enum mm_mirror_in in, const char *name, struct mm_bytes data,
    struct mm_why *why);
/* MM_OK if there is none. */
MM_MUST enum mm_err mm_mirror_rename(const struct mm_mirror_files *f,
    const char *from, const char *to, struct mm_why *why);

static inline void
mm_mirror_tick(const struct mm_mirror_files *f)
{
	if (f->ticked != NULL)
		f->ticked(f->ctx);
}
MM_MUST enum mm_err mm_mirror_failed(const char *path, struct mm_why *why);
static inline enum mm_err
mm_mirror_join(const char *dir, const char *name, char out[PATH_MAX],
    struct mm_why *why)
{
	return mm_path_join(out, PATH_MAX, dir, name, why);
}

#endif
