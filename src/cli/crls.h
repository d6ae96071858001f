#ifndef MM_CLI_CRLS_H
#define MM_CLI_CRLS_H

#include "cli/marks.h"
#include "ledger/entry.h"
#include "ledger/journal.h"
#include "ledger/shards.h"
#include "pki/profile.h"

/*
 * For "ledger reconcile": revocation lists, complete ones and shards'.  Each
 * that the signer's journal has is in the ledger once, signed or lost, and no
 * other; the database has each issuer's and shard's newest, byte for byte what
 * was signed, with the issuer's signature and the end that the ledger has.  An
 * entry is of a run, which may be of many lists; a lost one does not say of
 * which.
 */
struct mm_crl_seen {
	char issuer[MM_NAME_MAX + 1];
	uint32_t shard;  /* MM_SHARDS_WHOLE: it is complete */
	uint64_t number; /* 0: the database has none */
	int64_t next_s;  /* its end; 0: not known */
	uint8_t tbs[8];  /* of the hash of what was signed; the ledger: 0 */
	bool forged;     /* the database's: without the issuer's signature */
	bool young;      /* the journal's: may still be on its way */
	bool lost;       /* the ledger's: never stored ... */
	bool vague;      /* ... and of which lists is not said */
	bool later;      /* the ledger's: see struct mm_mark */
};
struct mm_crls {
	struct mm_crl_seen *at;
	size_t n, cap;
};

/* A journal line of any kind; the database was read from began_ms on. */
MM_MUST enum mm_err mm_crls_line(struct mm_crls *s,
    const struct mm_journal_line *l, int64_t began_ms, struct mm_why *why);
/* An entry of any type. */
MM_MUST enum mm_err mm_crls_entry(struct mm_crls *s, const struct mm_entry *e,
    bool later, struct mm_why *why);
/* What the database has of an issuer; number 0: nothing. */
struct mm_crl_row {
	uint32_t shard;
	uint64_t number;
	int64_t next_s;
	struct mm_bytes der;
};
/* cert: the issuer's, DER; empty: it cannot be read. */
MM_MUST enum mm_err mm_crls_stored(struct mm_crls *s, const char *issuer,
    struct mm_bytes cert, const struct mm_crl_row *row, struct mm_why *why);
/* Appends {"issuer", "crl", "shard", "difference"} for each, without "shard"
 * of a complete one; adds to *waiting.  Sorts. */
MM_MUST enum mm_err mm_crls_compare(struct mm_crls of[MM_OF_RECORDS],
    json_t *differences, struct mm_waiting *waiting, struct mm_why *why);
void mm_crls_done(struct mm_crls *s);

#endif
