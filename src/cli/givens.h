#ifndef MM_CLI_GIVENS_H
#define MM_CLI_GIVENS_H

#include "cli/marks.h"
#include "ledger/entry.h"
#include "ledger/journal.h"

/*
 * For "ledger reconcile": configurations of devices in the field.  What the
 * signer's journal has, for a device, a version and a document, was entered
 * before it was signed.  An entry without a line is no difference: nothing was
 * signed.  A document is known by its mark (pki/confdoc.h), which lines of
 * before there were any do not have.
 */
struct mm_given_seen {
	char device[MM_DEVICE_ID_MAX + 1]; /* without case */
	uint64_t version;
	uint8_t document[32]; /* zero: not known */
	bool young; /* the journal's: its entry may be after the snapshot */
};
struct mm_givens {
	struct mm_given_seen *at;
	size_t n, cap;
};

/* A journal line of any kind; the database was read from began_ms on. */
MM_MUST enum mm_err mm_givens_line(struct mm_givens *s,
    const struct mm_journal_line *l, int64_t began_ms, struct mm_why *why);
/* An entry of any type. */
MM_MUST enum mm_err mm_givens_entry(struct mm_givens *s,
    const struct mm_entry *e, struct mm_why *why);
/* Appends {"record", "difference"} for each; adds to *waiting.  Sorts. */
void mm_givens_compare(struct mm_givens *journal, struct mm_givens *ledger,
    json_t *differences, struct mm_waiting *waiting);
void mm_givens_done(struct mm_givens *s);

#endif
