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
struct mm_synced {                  /* how far the station's ledger was taken */
	char key[MM_NOTE_KEY_TEXT]; /* of that ledger */
	uint64_t size;
	struct mm_hash root;
	int64_t at;
	uint64_t version; /* the document's; 0: never */
};
/* All zero where nothing was taken yet. */
MM_MUST enum mm_err mm_synced_get(struct mm_store_reader *r,
    const char *station, struct mm_synced *out, struct mm_why *why);

struct mm_quarantined {
	char device[MM_DEVICE_ID_MAX + 1], serial[41], reason[161];
	uint64_t entry; /* its place in the station's ledger */
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

/* A quarantined unit's document, for a list of MM_DOC_QUARANTINE. */
MM_MUST enum mm_err mm_quarantined_parse(
    const struct mm_doc *doc, struct mm_quarantined *out, struct mm_why *why);

#endif
