#ifndef MM_STATION_MIRROR_H
#define MM_STATION_MIRROR_H

#include <poll.h>
#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "station/conf.h"

/*
 * A copy of what the station knows on a second disk or a stick, so that its
 * own disk may die: DIR/STATION has journal and records as the station's
 * folder does, decisions and people-*, and of what is made offline
 * entries.jsonl (the lines of an export) and checkpoint (its first and its
 * last line).  A unit passes when
 * all of it is there and synced.
 *
 * The second disk is written by a thread of its own: one that is slow, or
 * hangs, holds no fixture up that does not wait for it.  While it is away
 * nothing is kept for it: when it is back, what it lacks is read again.
 */
enum mm_mirror_is {
	MM_MIRROR_UNKNOWN, /* it is being looked at, for the first time */
	MM_MIRROR_THERE,
	MM_MIRROR_COPIES, /* there, and brought up to date: mm_mirror_far */
	MM_MIRROR_AWAY
};
enum mm_mirror_got {
	MM_MIRROR_WAIT,
	MM_MIRROR_DONE,
	MM_MIRROR_GONE,
	MM_MIRROR_AGAIN
}; /* it was away meanwhile: ask once more */

struct mm_mirror;
/* *out is NULL if the configuration has none. */
MM_MUST enum mm_err mm_mirror_open(const struct mm_station_conf *conf,
    struct mm_mirror **out, struct mm_why *why);
/* What is there to copy is copied first, within a moment. */
void mm_mirror_close(struct mm_mirror **owner);

/* What goes with the journal's rows. */
struct mm_mirror_job {
	const char *serial; /* whose record; NULL: none */
	/* Lines of entries.jsonl from the first-th on, and the checkpoint
	 * file; n 0: none.  One that has lines only leaves the checkpoint as
	 * it is: good for what was there before. */
	uint64_t first;
	struct mm_bytes lines, checkpoint;
};
/* A number to ask by, from 1; 0: no memory.  All of the job is copied. */
uint64_t mm_mirror_ask(struct mm_mirror *m, const struct mm_mirror_job *job);
enum mm_mirror_got mm_mirror_look(struct mm_mirror *m, uint64_t ticket);
/* since: by the clock; why (at least 160 bytes): of AWAY. */
enum mm_mirror_is mm_mirror_is(
    struct mm_mirror *m, int64_t *since_ms, char *why);
/* How many lines of entries.jsonl it has, or will have by what was asked. */
uint64_t mm_mirror_entries(struct mm_mirror *m);
/* How many there are, of those that are brought beside the units: as long as
 * it has fewer, it COPIES. */
void mm_mirror_want(struct mm_mirror *m, uint64_t entries);
/* It would take more of them now: nothing waits for the disk. */
bool mm_mirror_takes(struct mm_mirror *m);
/* How far it has come, of how much (records, or entries). */
void mm_mirror_far(struct mm_mirror *m, uint64_t *done, uint64_t *of);
struct pollfd mm_mirror_wish(struct mm_mirror *m);

/* mirror_files.c, for that thread: the second disk's files. */
struct mm_mirror_left { /* as it was left */
	dev_t dev;
	ino_t ino;
	off_t rows, lines, ends; /* bytes */
	ino_t records;
	struct timespec changed;
};
struct mm_mirror_files {
	/* Told, while it is caught up, of each record that was copied, and of
	 * each hundredth that was looked at; ticked: of each piece beside
	 * them, that a disk got on with.  Both may be NULL. */
	void (*ticked)(void *ctx);
	void (*moved)(void *ctx, uint64_t done, uint64_t of);
	void *ctx;
	char from[PATH_MAX], disk[PATH_MAX], to[PATH_MAX];
	bool known;     /* the rest is as the disk has it */
	uint64_t row;   /* the last one that is there */
	uint64_t inode; /* of the journal that it is from, and where */
	off_t at;
	uint64_t entries; /* lines of entries.jsonl */
	struct mm_mirror_left left;
};
/* Whether the disk is there, and another one than the station's; makes the
 * folder.  Known no more if it is not as it was left.  MM_EAGAIN, with why. */
MM_MUST enum mm_err mm_mirror_find(
    struct mm_mirror_files *f, struct mm_why *why);
/* What it has; copies the records that it lacks.  MM_EPOLICY: it has more
 * than the journal or the ledger does, or what is not theirs. */
MM_MUST enum mm_err mm_mirror_catch_up(
    struct mm_mirror_files *f, struct mm_why *why);
MM_MUST enum mm_err mm_mirror_rows(
    struct mm_mirror_files *f, struct mm_why *why);
/* Whom batches name, where it is newer here, and the decisions that the disk
 * lacks.  MM_EPOLICY: it has others. */
MM_MUST enum mm_err mm_mirror_papers(
    struct mm_mirror_files *f, struct mm_why *why);
MM_MUST enum mm_err mm_mirror_record(
    struct mm_mirror_files *f, const char *name, struct mm_why *why);
/* MM_EAGAIN: there is a gap before the first. */
MM_MUST enum mm_err mm_mirror_put_entries(struct mm_mirror_files *f,
    const struct mm_mirror_job *job, struct mm_why *why);
/* An export made of a mirror's folder alone; n: its entries. */
MM_MUST enum mm_err mm_mirror_export(
    const char *folder, struct mm_buf *out, uint64_t *n, struct mm_why *why);

#endif
