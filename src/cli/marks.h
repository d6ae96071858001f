#ifndef MM_CLI_MARKS_H
#define MM_CLI_MARKS_H

#include <jansson.h>

#include "base/bytes.h"
#include "base/err.h"

/*
 * For "ledger reconcile": the certificates' signatures as journal, ledger and
 * database have them.  Each serial must be in all three, with the same key;
 * an OCSP responder's in journal and ledger.
 */
enum mm_record_of { MM_OF_JOURNAL, MM_OF_LEDGER, MM_OF_STORE, MM_OF_RECORDS };
extern const char *const mm_record_names[MM_OF_RECORDS];

/* Appends {"record", "difference"}: what cannot be shown as it is, is shown
 * otherwise. */
void mm_differ(json_t *differences, const char *record, const char *what);

/* What the database has and cannot be read is a difference like others;
 * another failure stays one. */
MM_MUST enum mm_err mm_differ_unread(json_t *differences, const char *record,
    enum mm_err rc, const struct mm_why *own, struct mm_why *why);

/*
 * A signature as one record has it.  who: hash of device, issuer and profile.
 * tbs, cert: 8 bytes of the hash of what was signed and of the certificate,
 * zero where a record does not have it; so is not_after_s.  young: it may
 * still be on its way.  partial: a journal line recovered from the ledger,
 * which knows the serial and the key only.  later: entered since the journals
 * were copied, which may not have it yet.  elsewhere: by a station's signer,
 * or an existing CA.
 */
struct mm_mark {
	uint8_t serial[16], spki[32], who[16], tbs[8], cert[8];
	int64_t not_after_s;
	bool young, partial, later, elsewhere;
	bool orphan; /* another CA's, which may become a certificate yet */
};
struct mm_marks {
	struct mm_mark *m;
	size_t n, cap;
};

/* What is no difference, and why not. */
struct mm_waiting {
	size_t in_flight; /* young ones that only the journal has */
	size_t later;     /* later ones that the journal does not have */
	size_t elsewhere; /* whose journal is a station's */
};

void mm_mark_who(struct mm_mark *m, const char *device, const char *issuer,
    const char *profile);
MM_MUST enum mm_err mm_marks_add(struct mm_marks *s, const struct mm_mark *m,
    struct mm_why *why);
void mm_marks_done(struct mm_marks *s);
/* Appends {"serial", "difference"} for each that is not the same in the first
 * n records, after "what"; adds to *waiting.  Sorts the marks. */
void mm_marks_compare(struct mm_marks *of, int n, const char *what,
    json_t *differences, struct mm_waiting *waiting);
/* Appends "what where" for each that the other list does not have, by serial
 * and key, and that is not later: for lists of few. */
void mm_marks_missing(const struct mm_marks *s, const struct mm_marks *other,
    const char *what, const char *where, json_t *differences);

#endif
