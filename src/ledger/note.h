#ifndef MM_LEDGER_NOTE_H
#define MM_LEDGER_NOTE_H

#include "base/buf.h"
#include "ledger/tree.h"

/*
 * C2SP signed notes and tlog-checkpoints (Ed25519, algorithm byte 1).
 * Signing is the signer's; this module makes the text to be signed, joins a
 * signature to it, and parses and verifies.  Other texts than checkpoints are
 * their own modules': mm_note_verify.
 */
#define MM_ORIGIN_MAX 255
#define MM_NOTE_MAX 4096

#define MM_NOTE_KEY_TEXT (MM_ORIGIN_MAX + 64) /* a key's text and its NUL */
struct mm_note_key { /* a verifier key: "name+hash+base64(1||key)" */
	char name[MM_ORIGIN_MAX + 1];
	uint32_t id;       /* first 4 bytes of SHA-256(name LF 1 key) */
	uint8_t key[32];   /* Ed25519 public key */
};
void mm_note_key_make(struct mm_note_key *k, const char *name,
    const uint8_t key[32]);
void mm_note_key_text(const struct mm_note_key *k, struct mm_buf *out);
MM_MUST enum mm_err mm_note_key_parse(struct mm_bytes text,
    struct mm_note_key *k, struct mm_why *why);

struct mm_checkpoint {
	char origin[MM_ORIGIN_MAX + 1];
	uint64_t size;
	struct mm_hash root;
};
/* The note's text, ending in one LF: what is signed. */
void mm_checkpoint_text(const struct mm_checkpoint *c, struct mm_buf *out);
/* text LF "— name base64(id || sig)" LF */
void mm_note_join(struct mm_buf *out, struct mm_bytes text,
    const struct mm_note_key *key, const uint8_t sig[64]);
/* Finds the key's signature line and verifies it; MM_EPOLICY if it does not
 * hold, MM_EINPUT if the note is malformed.  Other signatures are ignored.
 * *text is the note's, with its last LF, borrowed. */
MM_MUST enum mm_err mm_note_verify(struct mm_bytes note,
    const struct mm_note_key *key, struct mm_bytes *text, struct mm_why *why);
/* The text alone, whoever signed it.  MM_EINPUT: no note. */
MM_MUST enum mm_err mm_note_text(struct mm_bytes note, struct mm_bytes *text,
    struct mm_why *why);
/* A bare signature of the key over text: for what is no note. */
bool mm_note_key_verify(const struct mm_note_key *key, struct mm_bytes text,
    const uint8_t sig[64]);
/* The same of a note that is a checkpoint of the key's name. */
MM_MUST enum mm_err mm_checkpoint_verify(struct mm_bytes note,
    const struct mm_note_key *key, struct mm_checkpoint *out,
    struct mm_why *why);

#endif
