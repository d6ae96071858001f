#ifndef MM_SIGNER_RECORD_H
#define MM_SIGNER_RECORD_H

#include "ledger/journal.h"
#include "signer/clocks.h"
#include "signer/outset.h"
#include "signer/state.h"

/*
 * The signer's memory: journal file, outstanding certificates and CRLs,
 * counters and the state file, behind one lock.  Thread-safe.
 *
 * A line that mm_record_write returned MM_OK for is in the file (a killed
 * process does not lose it) and reaches the disk within a second, or at once
 * with sync.  Other processes of the same folder (renew-tls) may append too:
 * the file is locked for each write and their lines are read first.
 */
struct mm_record;

/*
 * Reads the state and the journal from where it was settled, checks the
 * chain and cuts a torn last line (*cut: its bytes).  MM_EPOLICY: a line was
 * changed, or the journal is shorter than the state knows.
 */
MM_MUST enum mm_err mm_record_open(const char *dir, bool sync,
    struct mm_record **out, uint64_t *cut, struct mm_why *why);
void mm_record_close(struct mm_record **owner);

/* Numbers, dates and chains the lines and appends them by one write().
 * MM_EAGAIN: nothing was written; nothing may leave.  A certificate's, an
 * OCSP responder's or a CRL's line is outstanding from then on. */
MM_MUST enum mm_err mm_record_write(struct mm_record *r,
    struct mm_journal_line *lines, size_t n, struct mm_why *why);
/* What was written is on the disk.  MM_EAGAIN: it may not be. */
MM_MUST enum mm_err mm_record_flush(struct mm_record *r, struct mm_why *why);
/* Once a second. */
void mm_record_sync(struct mm_record *r);
/* Journal to the disk, then the state with this frontier. */
MM_MUST enum mm_err mm_record_save(struct mm_record *r,
    const struct mm_frontier *f, struct mm_why *why);
/* As the state had it when opened. */
const struct mm_frontier *mm_record_frontier(const struct mm_record *r);

/* Counts one certificate against ceilings (0: none); MM_EPOLICY. */
MM_MUST enum mm_err mm_record_spend(struct mm_record *r, const char *profile,
    int64_t per_minute, int64_t per_day, int64_t now_s, struct mm_why *why);

/* What was spent on a certificate that was not signed after all. */
void mm_record_give_back(struct mm_record *r, const char *profile,
    int64_t now_s);
/* How far the profile's ceilings are used, in percent of the fuller one. */
unsigned mm_record_used(struct mm_record *r, const char *profile,
    int64_t per_minute, int64_t per_day, int64_t now_s);
/* Counts one new token; MM_ERATE: that was this minute's last. */
MM_MUST enum mm_err mm_record_spend_token(struct mm_record *r, int64_t now_s,
    struct mm_why *why);

/* The entry of a certificate, of an OCSP responder (by its kind), or by
 * mm_outset_crl of a CRL, came by: MM_OK: it was outstanding and no longer is;
 * MM_ENOTFOUND: this journal is not waiting for it; MM_EPOLICY: the entry's
 * device, profile and key, or a responder's issuer and key, are not all the
 * line's, so it stays outstanding. */
MM_MUST enum mm_err mm_record_settle(struct mm_record *r,
    const struct mm_journal_line *claim, struct mm_why *why);

/* CRL numbers only grow: MM_ECONFLICT unless number is above the last. */
MM_MUST enum mm_err mm_record_crl_number(struct mm_record *r,
    const char *issuer, uint64_t number, struct mm_why *why);

/* The number after the last one's. */
uint64_t mm_record_crl_next(struct mm_record *r, const char *issuer);
/* As they were read at the start. */
const struct mm_clocks *mm_record_clocks(const struct mm_record *r);

struct mm_record_sum {
	uint64_t n;        /* last line's number */
	int64_t at_ms;     /* its time */
	size_t outstanding;
	int64_t oldest_ms; /* time of the oldest outstanding; 0 none */
	bool broken;       /* the last write failed */
};
void mm_record_sum(struct mm_record *r, struct mm_record_sum *out);
/* Appends up to most outstanding lines signed before before_ms, as
 * mm_ipc's outstanding_rep has them; gives their number. */
unsigned mm_record_outstanding(struct mm_record *r, int64_t before_ms,
    unsigned most, struct mm_buf *out);

#endif
