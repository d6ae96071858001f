#ifndef MM_WORK_SYNC_H
#define MM_WORK_SYNC_H

#include <jansson.h>

#include "ledger/note.h"

/*
 * A piece of what a station made offline, as it comes to the centre: some
 * entries of the station's ledger, in order, and what it takes to see that
 * they are in the tree that the station's signer signed.  A piece stands by
 * itself, so that what was taken once is not sent again.  One JSON object:
 *
 *	{"v":1,"checkpoint":"<note>","frontier":"<base64>","seen":"<base64>",
 *	 "rest":"<base64>","entries":[{"entry":"<JSON>","certificate","proof"}],
 *	 "since":{"size":N,"proof":"<base64>"}}
 *
 * frontier: of the tree before the first of them (ledger/tree.h).  seen, rest:
 * the hashes of the consistency proofs (RFC 6962 2.1.2) from the tree before
 * the first and from the tree after the last to the checkpoint's.  since: from
 * the largest tree whose checkpoint the centre has seen, where that is larger
 * than what it has taken and smaller than this one.  Entries are as in an
 * export (work/export.h).
 *
 * Holding what mm_sync_verify took proves that the key signed these entries,
 * at that place.  It does not prove that any of them is true.
 *
 * Pure: no file, no clock, no store.
 */
#define MM_SYNC_ENTRIES_MAX 512
#define MM_SYNC_ENTRY_MAX   8192 /* bytes; no station writes a longer one */
#define MM_SYNC_BATCHES_MAX 8    /* that the units of a piece are of */
#define MM_SYNC_PIECE_MAX   (1U << 20)

struct mm_sync_line {
	struct mm_bytes json;
	struct mm_bytes der;   /* an issuance's certificate; n 0: none */
	struct mm_bytes proof; /* a confirmation's text; n 0: none */
};
struct mm_sync_piece {
	struct mm_bytes note;
	struct mm_frontier before;
	struct mm_proof seen, rest;
	uint64_t since_size; /* 0: none */
	struct mm_proof since;
	struct mm_sync_line line[MM_SYNC_ENTRIES_MAX];
	size_t n;
	struct mm_buf ders;
};
/* Borrows the object's texts.  MM_EINPUT.  *out is owned: mm_sync_free. */
MM_MUST enum mm_err mm_sync_read(
    const json_t *o, struct mm_sync_piece **out, struct mm_why *why);
void mm_sync_free(struct mm_sync_piece **owner);

struct mm_sync_heads {
	struct mm_checkpoint signed_; /* the station's newest */
	struct mm_frontier after;     /* of the piece */
};
/* MM_EPOLICY: not signed by the key; older than the first entry; another
 * history than the one before it; other entries than were signed. */
MM_MUST enum mm_err mm_sync_verify(const struct mm_sync_piece *p,
    const struct mm_note_key *ledger, struct mm_sync_heads *out,
    struct mm_why *why);

#endif
