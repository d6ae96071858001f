#ifndef MM_CORE_SYNC_H
#define MM_CORE_SYNC_H

#include "core/production.h"
#include "work/export.h"
#include "work/sync.h"

/*
 * What a station made offline comes to the centre: pieces of the station's
 * ledger (work/sync.h), each verified, judged unit by unit, and stored before
 * it is acknowledged.
 *
 * A unit that fits becomes a device with its certificate, counts in its batch
 * and is entered as certificate.synced.  One that does not is quarantined: a
 * document and an entry with the reason, no certificate in force here.  The
 * station's tree is entered as station.synced when the piece is through; a
 * piece that comes again adds nothing, and one that was cut off goes on where
 * its units ended.
 */
struct mm_synced { /* how far a station's ledger was taken, under one key */
	uint64_t size;
	struct mm_hash root;
	int64_t at;
	/* The largest tree that the key was seen to sign: nothing is taken of a
	 * ledger that is not its continuation. */
	uint64_t signed_size;
	struct mm_hash signed_root;
	uint64_t version; /* the document's; 0: never */
};
/* All zero where nothing was seen yet.  key "": of none. */
MM_MUST enum mm_err mm_synced_get(struct mm_store_reader *r,
    const char *station, const char *key, struct mm_synced *out,
    struct mm_why *why);

/*
 * Why a unit is put aside: a word, and whether a supervisor may take it in all
 * the same (mm_desk_quarantine_accept).  NO: it is another thing than its
 * entry says, or would be merged with what is there.  MENDED: not as it is,
 * but it is judged again, and what was missing may be there by then.  YES.
 */
#define MM_SYNC_FAULTS(X)                                                     \
	X(FORM, "form", NO)               /* no entry of a station's */       \
	X(CERTIFICATE, "certificate", NO) /* not the line CA's, not its */    \
	X(DOUBLE, "double", NO)           /* serial number, key, device */    \
	X(ORDER, "order", NO)             /* none that the centre signed */   \
	X(DEVICE, "device", NO)           /* retired, bound, revoked */       \
	X(PROOF, "proof", NO)             /* does not prove it */             \
	X(BATCH, "batch", MENDED)         /* unknown, or not of it */         \
	X(ISSUER, "issuer", MENDED)       /* not loaded, or another */        \
	X(PROFILE, "profile", MENDED)     /* not known, or not as it says */  \
	X(MEANWHILE, "meanwhile", MENDED) /* another was first */             \
	X(WINDOW, "window", YES)          /* made too early or too late */    \
	X(CLOCK, "clock", YES)            /* made after now */                \
	X(ENDED, "ended", YES)            /* batch closed, station removed */ \
	X(QUOTA, "quota", YES)            /* of batch or share gone */       \
	X(ADOPTED, "adopted", YES)        /* its making is in no record */
#define X(e, word, may) MM_SYNC_##e,
enum mm_sync_fault { MM_SYNC_FAULTS(X) MM_SYNC_FAULT_COUNT };
#undef X
enum mm_sync_may { MM_SYNC_NO, MM_SYNC_MENDED, MM_SYNC_YES };
extern const struct mm_sync_fault_of {
	const char *word;
	enum mm_sync_may may;
} mm_sync_faults[MM_SYNC_FAULT_COUNT];
extern const char *const mm_sync_may_words[MM_SYNC_YES + 1];

enum mm_aside_state { MM_ASIDE_WAITING, MM_ASIDE_ACCEPTED, MM_ASIDE_REJECTED };
extern const char *const mm_aside_words[MM_ASIDE_REJECTED + 1];

struct mm_quarantined {
	char device[MM_DEVICE_ID_MAX + 1], serial[41], reason[161];
	uint64_t entry; /* its place in the station's ledger */
	uint8_t fault;  /* enum mm_sync_fault */
	uint8_t state;  /* enum mm_aside_state */
	char note[129]; /* of who decided: why; "" */
};
struct mm_sync_result {
	uint64_t size; /* entries that were taken now */
	uint64_t of;   /* entries that the station has signed */
	uint64_t entries, issued, confirmed, unchanged;
	struct mm_quarantined put[MM_SYNC_ENTRIES_MAX];
	size_t nput;
};
/*
 * MM_EPOLICY: no ledger key is trusted for the station; not signed by it; a
 * station that was put back, or forked; a batch outside of the login's scope.
 * MM_ECONFLICT: the piece does not begin where the last one ended, or somebody
 * else was first: ask again how far it is.  dry_run: judges against what is
 * stored now, and writes nothing.
 */
MM_MUST enum mm_err mm_desk_sync(struct mm_desk *d, const struct mm_login *by,
    const struct mm_station *s, const struct mm_sync_piece *p, bool dry_run,
    struct mm_sync_result *out, struct mm_why *why);

/* Appends the station's own entry of a certificate that a sync brought, which
 * the ledger has the hash of: by which order it was made, and when.  Nothing
 * where it is no such certificate. */
MM_MUST enum mm_err mm_station_entry(struct mm_store_reader *r,
    const struct mm_cert_row *row, struct mm_buf *out, struct mm_why *why);

/* A quarantined unit's document, for a list of MM_DOC_QUARANTINE. */
MM_MUST enum mm_err mm_quarantined_parse(
    const struct mm_doc *doc, struct mm_quarantined *out, struct mm_why *why);
/* How many of a station's nobody has decided about, at most most. */
MM_MUST enum mm_err mm_quarantined_waiting(struct mm_store_reader *r,
    const char *station, unsigned most, unsigned *n, struct mm_why *why);

/*
 * What becomes of one that was put aside; entry: its place in the ledger that
 * is trusted for the station, or its certificate's serial number.  The same
 * again is MM_OK and changes nothing.
 *
 * accept: it is judged once more, as it was brought.  Where nothing is against
 * it but what a supervisor may say, it becomes what it would have been: device,
 * certificate (confirmed, if its proof has come), quota, unit; entered as
 * certificate.synced and unit.released in one step.  MM_EPOLICY: it cannot be
 * accepted, why says for what.
 *
 * reject: entered as unit.rejected.  If one of the line CAs here has signed its
 * certificate, and its serial number is no other's, that is on the CA's list
 * from then on (listed).
 *
 * MM_ENOTFOUND: nothing such was put aside; MM_ECONFLICT: the other was decided
 * already, or its certificate is in force.
 */
struct mm_decision {
	const char *entry;
	const char *note; /* one line, 1 to 128 bytes: why */
};
struct mm_decided {
	struct mm_quarantined unit;
	bool confirmed, listed, already;
};
MM_MUST enum mm_err mm_desk_quarantine_accept(struct mm_desk *d,
    const struct mm_login *by, const struct mm_station *s,
    const struct mm_decision *w, struct mm_decided *out, struct mm_why *why);
MM_MUST enum mm_err mm_desk_quarantine_reject(struct mm_desk *d,
    const struct mm_login *by, const struct mm_station *s,
    const struct mm_decision *w, struct mm_decided *out, struct mm_why *why);

#endif
