#ifndef MM_CLI_FACTS_H
#define MM_CLI_FACTS_H

#include <jansson.h>

#include "ledger/entry.h"
#include "ledger/journal.h"
#include "pki/profile.h"
#include "store/store.h"

/*
 * For "ledger reconcile": what the ledger's entries, one after the other, say
 * that the records are now: products and their schemas, devices, tokens,
 * certificates, operators, webhooks, approvals, and which profiles and issuers
 * are in use.  The database must have exactly those, saying the same.  Less
 * than a hundred bytes a record; which entry changes which record is a table,
 * and so is what an entry tells.  A time that the entry has from another look
 * at the clock than its record may differ by minutes.
 */
struct mm_facts;
/* All borrowed.  db: in one snapshot, that the entries are of, until the last
 * call; differences takes {"record", "difference"}. */
struct mm_facts_of {
	struct mm_store_reader *db;
	const struct mm_config *config;
	json_t *differences;
	int64_t now_ms;
};
MM_MUST enum mm_err mm_facts_new(
    const struct mm_facts_of *of, struct mm_facts **out, struct mm_why *why);
void mm_facts_free(struct mm_facts **owner);

/* The ledger's next entry.  One whose type is not in the table is named. */
MM_MUST enum mm_err mm_facts_entry(struct mm_facts *s, uint64_t index,
    const struct mm_entry *e, struct mm_why *why);
/* A row of the database, after the last entry.  der: of the certificate it
 * holds; NULL: it has none. */
struct mm_cert;
MM_MUST enum mm_err mm_facts_cert(struct mm_facts *s,
    const struct mm_cert_row *row, const struct mm_cert *der,
    struct mm_why *why);
/* All other rows, what the database lacks, and its counters. */
MM_MUST enum mm_err mm_facts_compare(struct mm_facts *s, struct mm_why *why);

/* Takes note of a token's line; others are none of its business. */
void mm_facts_line(struct mm_facts *s, const struct mm_journal_line *l);
/* After all lines of all journals: tokens that no signer made, of the ledger's
 * first `lined` entries. */
MM_MUST enum mm_err mm_facts_journal(struct mm_facts *s, uint64_t lined,
    struct mm_why *why);

#endif
