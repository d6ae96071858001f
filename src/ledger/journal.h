#ifndef MM_LEDGER_JOURNAL_H
#define MM_LEDGER_JOURNAL_H

#include "base/buf.h"
#include "base/text.h"

/*
 * The signer's journal: one JSON line for everything it ever signed, each
 * naming the hash of the one before.  This is the line's form, for the signer
 * that writes it and for "ledger reconcile" that reads it; no files here.
 *
 *   {"n":7,"at":"2026-11-23T05:00:00.123Z","kind":"certificate",
 *    "issuer":"issuing","serial":"...","device":"SN-1","authority":"...",
 *    "profile":"thermo@3","not_after":"2027-11-23T05:00:00Z",
 *    "spki_sha256":"...","tbs_sha256":"...","prev":"..."} LF
 *
 * Keys stand in this order; one that has no value is left out; texts are
 * printable ASCII without quote and backslash, so that nothing is escaped.
 * A parsed line is exactly what encode would write.
 *
 * Times never go back but at a "clock" line, which says from when: only a
 * person makes one, while no signer runs.
 */
#define MM_JOURNAL_LINE_MAX 1024
#define MM_J_ADOPTED "adopted:"

enum mm_journal_kind {
	MM_J_CERTIFICATE, /* a device's; or a line CA's that the signer made:
			   * profile "line+ca@1", device: its name, authority:
			   * "line:" and the station; or (authority begins
			   * with MM_J_ADOPTED) one that a station's signer
			   * did not make: it took the board over, which had
			   * proved it over a nonce of the signer's */
	MM_J_CA,          /* a CA's own */
	MM_J_SERVER,      /* a TLS server's */
	MM_J_REQUEST,     /* a request for a CA certificate, by its own key */
	MM_J_CRL,         /* number: the CRL's; of such a line CA,
			   * authority: the issuer above it, whose line CAs
			   * have one run of numbers */
	MM_J_CHECKPOINT,  /* number: the tree's size */
	MM_J_TOKEN,       /* token: its id */
	MM_J_RECOVERED,   /* number: index of an entry whose certificate this
			   * journal does not have */
	MM_J_CLOCK,       /* the clock was set back, and an operator said
			   * so; number: the line before's time in ms */
	MM_J_RECOVERY,    /* an administrator's, for breaking the glass */
	MM_J_ORDER,       /* a station's work order; number: the order's,
			   * authority: "batch:" and the batch, device: the
			   * station */
	MM_J_EXTENSION,   /* of an order; as there */
	MM_J_EXPORT,      /* a line CA's key was sealed for a station; issuer:
			   * the CA, device: the station, spki: the key that
			   * opens it, tbs: what left */
	MM_J_DESTROYED,   /* a station's copy of a line CA's key, at the end
			   * of its batch; number: the order's, authority as
			   * there */
	MM_J_ROOT_CRL,    /* a root's, for a year to come; number: the CRL's */
	MM_J_RESPONDER,   /* an OCSP responder's, or a signer's of
			   * configurations; its key is in the signer's
			   * memory alone */
	MM_J_SHARD,       /* a CRL of one shard; as a CRL, and whose number
			   * may be another's of the same run */
	MM_J_CONFIGURATION, /* a fielded device's; number: its version, issuer
			   * and serial: the certificate of who signed,
			   * document: its mark (pki/confdoc.h) */
	MM_J_SCRAPPED,    /* a station's unit gives its place in the share
			   * back; device, spki: the unit, number: the
			   * order's, authority as there */
	MM_J_KINDS
};
const char *mm_journal_kind_name(enum mm_journal_kind k);

/* What is zero or "" is absent; a line has no number 0 and no such hash. */
struct mm_journal_line {
	uint64_t n;
	int64_t at_ms;
	enum mm_journal_kind kind;
	char issuer[MM_NAME_MAX + 1];
	uint8_t serial[16];
	char token[26];
	uint64_t number;
	uint64_t shard; /* of that kind; 0 is absent here, too */
	char device[MM_DEVICE_ID_MAX + 1];
	char authority[97];
	char profile[MM_NAME_MAX + 12]; /* name@version */
	int64_t not_after_s;
	uint8_t spki_sha256[32];
	uint8_t tbs_sha256[32];
	uint8_t document_sha256[32];
	uint8_t prev[32]; /* SHA-256 of the line before with its LF */
};

/* Whether a text can stand in a line as it is. */
bool mm_journal_text_valid(const char *s);

/* Appends the line with its LF. */
void mm_journal_encode(const struct mm_journal_line *l, struct mm_buf *out);
/* line: without its LF.  MM_EINPUT: not the canonical form. */
MM_MUST enum mm_err mm_journal_parse(struct mm_bytes line,
    struct mm_journal_line *out, struct mm_why *why);

/* Where a chain stands: after line n, written at at_ms, with that hash.  All
 * zero before the first line. */
struct mm_journal_chain {
	uint64_t n;
	int64_t at_ms;
	uint8_t hash[32];
};
/* Numbers l, dates it (never before the last line, but a clock's by now_ms,
 * and with that line's time as its number) and appends it. */
void mm_journal_link(struct mm_journal_chain *c, struct mm_journal_line *l,
    int64_t now_ms, struct mm_buf *out);
/*
 * Takes the next line off *rest and checks that it continues the chain.
 * MM_ENOTFOUND: nothing left; MM_EAGAIN: what is left has no LF (torn);
 * MM_EPOLICY: the line is malformed or does not follow the one before.
 * *rest and *c move only on MM_OK.
 */
MM_MUST enum mm_err mm_journal_next(struct mm_bytes *rest,
    struct mm_journal_chain *c, struct mm_journal_line *out,
    struct mm_why *why);

#endif
