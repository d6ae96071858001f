#ifndef MM_SIGNER_RECORD_PRIV_H
#define MM_SIGNER_RECORD_PRIV_H

#include <pthread.h>

#include "base/settings.h"
#include "signer/record.h"

/* Inside record.c, record_write.c and record_counts.c. */
#define MM_RECORD_DAY_S    86400
#define MM_RECORD_MINUTE_S 60
/* 64 lines and room to spare; one batch. */
#define MM_RECORD_BATCH_MAX (128 * MM_JOURNAL_LINE_MAX)

struct mm_minute {
	int64_t minute, n;
};

struct mm_record {
	pthread_mutex_t lock;
	char dir[MM_PATH_MAX];
	int fd;
	bool sync, dirty;
	bool torn;   /* a write failed half way: cut before the next */
	bool broken; /* the last write failed */
	uint64_t end;
	struct mm_journal_chain chain;
	struct mm_buf buf;
	struct mm_outset *out;
	struct mm_state *state;
	struct mm_minute minute[MM_STATE_ROWS]; /* as state->day */
	struct mm_minute token;
	struct mm_clocks clocks;
};

/* record.c: the lock is held, and so is the file's.  Reads what is in the
 * file from r->end on and cuts what is no whole line. */
MM_MUST enum mm_err mm_record_absorb(struct mm_record *r, uint64_t *cut,
    struct mm_why *why);
/* The counters of a line that is in the file. */
struct mm_state_row *mm_record_day(struct mm_state *s,
    const struct mm_journal_line *l);
void mm_record_note_crl(struct mm_state *s, const struct mm_journal_line *l);

#endif
