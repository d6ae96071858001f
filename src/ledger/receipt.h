#ifndef MM_LEDGER_RECEIPT_H
#define MM_LEDGER_RECEIPT_H

#include "base/buf.h"
#include "ledger/entry.h"
#include "ledger/note.h"
#include "ledger/tree.h"

/*
 * A receipt: an entry, where it stands in the tree, the proof, the signed
 * checkpoint, and the issuing chain (PEM).  JSON:
 * {"v":1,"entry":"<the entry's JSON as a string>","index":N,
 *  "proof":["<hex>",...],"checkpoint":"<note>","chain":"<PEM>"}
 * Verifying needs the ledger's public key alone.
 */
struct mm_receipt {
	struct mm_bytes entry;
	uint64_t index;
	struct mm_proof proof;
	struct mm_bytes note;
	struct mm_bytes chain_pem; /* may be empty */
};

MM_MUST enum mm_err mm_receipt_encode(const struct mm_receipt *r,
    struct mm_buf *out, struct mm_why *why);
/* Slices live in *arena (owned by the caller, freed with mm_buf_done). */
MM_MUST enum mm_err mm_receipt_parse(struct mm_bytes json,
    struct mm_buf *arena, struct mm_receipt *out, struct mm_why *why);
/* Signature, inclusion, entry form.  Says what failed. */
MM_MUST enum mm_err mm_receipt_verify(const struct mm_receipt *r,
    const struct mm_note_key *key, struct mm_checkpoint *checkpoint,
    struct mm_why *why);

#endif
