#ifndef MM_LINE_BIRTH_H
#define MM_LINE_BIRTH_H

#include "base/buf.h"
#include "ledger/note.h"

/*
 * A device's birth record: what is known of how its identity came to be, each
 * fact with how well it is known.  Pure.
 *
 *	proved    follows from the certificate, the receipts and the pinned
 *	          keys alone: whoever has those can check it, offline
 *	observed  the CA or a station saw it itself, and says so
 *	claimed   the word of the device, its firmware or a person
 *
 * As JSON in canonical form (RFC 8785): facts, the certificate and its chain
 * (PEM), the ledger's receipt of the issuance and, if there is one, of the
 * confirmation; of one that its station made offline and a sync brought, the
 * station's own entry, whose hash the receipt has.  What the receipts and the
 * certificate say is derived from them, never taken from anybody: a record
 * whose facts say something else does not verify.
 */
enum mm_birth_grade { MM_CLAIMED, MM_OBSERVED, MM_PROVED };
const char *mm_birth_grade_name(enum mm_birth_grade g);

/*
 * By name, as RFC 8785 3.2.3 sorts.  Best: the grade that nobody may exceed.
 * D: derived; S: said by who makes the record.
 *   name, D or S, best, what it says, clauses that ask for it
 */
#define MM_BIRTH_FACTS(X)                                                  \
	X(adopted, D, MM_OBSERVED, "by whom it was taken over, when the "   \
	    "record of its making was lost", "IEC 62443-4-2 CR 2.8")        \
	X(attempts, S, MM_OBSERVED, "how often the station began",         \
	    "IEC 62443-4-2 CR 2.8")                                        \
	X(batch, D, MM_OBSERVED, "the batch it was made in",               \
	    "IEC 62443-4-2 CR 2.8")                                        \
	X(certificate_sha256, D, MM_PROVED, "SHA-256 of its certificate",  \
	    "IEC 62443-4-2 CR 1.8")                                        \
	X(configuration_salt, S, MM_OBSERVED, "the salt of that hash; "    \
	    "only in a record for who may see the configuration", "")      \
	X(configuration_sha256, D, MM_OBSERVED, "salted SHA-256 of the "   \
	    "initial configuration that it was given", "")                 \
	X(configuration_version, D, MM_OBSERVED, "and its version", "")    \
	X(confirmed_at, D, MM_OBSERVED, "when the CA saw it use its key",  \
	    "IEC 62443-4-2 CR 1.9")                                        \
	X(device, D, MM_PROVED, "its name", "IEC 62443-4-2 CR 1.2")        \
	X(durations_ms, S, MM_OBSERVED, "how long each step took",         \
	    "IEC 62443-4-2 CR 2.8")                                        \
	X(firmware, S, MM_CLAIMED, "the version that its firmware says",   \
	    "")                                                            \
	X(firmware_sha256, S, MM_OBSERVED, "SHA-256 of its firmware",      \
	    "EN 303 645 5.7")                                              \
	X(fixture, S, MM_OBSERVED, "the station's fixture it stood in",    \
	    "IEC 62443-4-2 CR 2.8")                                        \
	X(hardware_id, S, MM_OBSERVED, "what its chip says it is",         \
	    "IEC 62443-4-2 CR 1.2")                                        \
	X(issued_at, D, MM_OBSERVED, "when its certificate was issued",    \
	    "IEC 62443-4-2 CR 2.11")                                       \
	X(issuer, D, MM_PROVED, "who signed its certificate",              \
	    "IEC 62443-4-2 CR 1.8")                                        \
	X(key_origin, D, MM_OBSERVED, "where its key was made",            \
	    "EN 18031-1 CCK-2; EN 303 645 5.4-4")                          \
	X(key_sha256, D, MM_PROVED, "SHA-256 of its public key",           \
	    "EN 18031-1 CCK-3; EN 303 645 5.4-4")                          \
	X(key_strength_bits, D, MM_PROVED, "security strength of its key", \
	    "EN 18031-1 CCK-1; IEC 62443-4-2 CR 1.9")                      \
	X(key_type, D, MM_PROVED, "the kind of its key",                   \
	    "EN 18031-1 CCK-1; IEC 62443-4-2 CR 1.9")                      \
	X(lock_state, S, MM_OBSERVED, "whether its identity can be changed " \
	    "over the link", "EN 303 645 5.4-2")                           \
	X(made_at, D, MM_OBSERVED, "when its station made it, which then "   \
	    "was offline, by that one's clock", "IEC 62443-4-2 CR 2.11")   \
	X(made_by, D, MM_OBSERVED, "the work order that its station made " \
	    "it by, offline", "IEC 62443-4-2 CR 2.8")                      \
	X(not_after, D, MM_PROVED, "the end of its certificate",           \
	    "IEC 62443-4-2 CR 1.5")                                        \
	X(not_before, D, MM_PROVED, "the beginning of its certificate",    \
	    "IEC 62443-4-2 CR 1.5")                                        \
	X(operator, S, MM_OBSERVED, "who stood at the station, as an "     \
	    "opaque id", "IEC 62443-4-2 CR 2.12")                          \
	X(order, S, MM_OBSERVED, "the work order", "IEC 62443-4-2 CR 2.8") \
	X(product, D, MM_OBSERVED, "its product", "")                      \
	X(profile, D, MM_OBSERVED, "the profile and version of its "       \
	    "certificate", "IEC 62443-4-2 CR 1.8")                         \
	X(quota_level, S, MM_OBSERVED, "what counted the batch's quota",   \
	    "")                                                            \
	X(randomness, S, MM_CLAIMED, "what its key was made from",         \
	    "EN 18031-1 CCK-2")                                            \
	X(serial, D, MM_PROVED, "its certificate's serial number",         \
	    "IEC 62443-4-2 CR 1.8")                                        \
	X(station, D, MM_OBSERVED, "the station it was made at",           \
	    "IEC 62443-4-2 CR 2.8")                                        \
	X(storage_class, S, MM_CLAIMED, "how its key is stored",           \
	    "EN 303 645 5.4-1; IEC 62443-4-2 CR 1.9")                      \
	X(time_source, D, MM_OBSERVED, "whose clock the times are by",     \
	    "IEC 62443-4-2 CR 2.11")

enum mm_birth_fact {
#define X(name, how, best, says, clauses) MM_B_##name,
	MM_BIRTH_FACTS(X)
#undef X
	MM_BIRTH_COUNT
};
const char *mm_birth_fact_name(enum mm_birth_fact f);

#define MM_BIRTH_VALUE 512
#define MM_BIRTH_MAX   (1U << 19) /* bytes of a record */

struct mm_birth {
	char value[MM_BIRTH_COUNT][MM_BIRTH_VALUE + 1]; /* "": not known */
	enum mm_birth_grade grade[MM_BIRTH_COUNT];
	struct mm_buf certificate, chain; /* PEM; the chain may be empty */
	struct mm_buf receipt, confirmation; /* JSON; the second may be "" */
	struct mm_buf station; /* the station's entry, JSON; may be "" */
};

/*
 * A record of these, with what they say.  MM_EINPUT: not of one another, or
 * malformed.  Nothing is verified yet.
 */
struct mm_birth_from {
	struct mm_bytes certificate, chain; /* PEM; chain n 0: none */
	struct mm_bytes receipt, confirmation; /* JSON; n 0: none */
	struct mm_bytes station; /* its entry, JSON; n 0: none */
};
MM_MUST enum mm_err mm_birth_new(const struct mm_birth_from *from,
    struct mm_birth **out, struct mm_why *why);
void mm_birth_free(struct mm_birth **owner);

/* Adds what only its maker knows.  MM_EPOLICY: it is derived, or nobody can
 * know it so well; MM_EINPUT: not a text of 1 to 512 bytes without control
 * characters. */
MM_MUST enum mm_err mm_birth_say(struct mm_birth *b, enum mm_birth_fact f,
    enum mm_birth_grade grade, const char *value, struct mm_why *why);

MM_MUST enum mm_err mm_birth_encode(const struct mm_birth *b,
    struct mm_buf *out, struct mm_why *why);
/* Canonical form only, derived facts as they must be.  MM_EINPUT,
 * MM_EPOLICY: a fact that says something else than what it is from. */
MM_MUST enum mm_err mm_birth_parse(struct mm_bytes json,
    struct mm_birth **out, struct mm_why *why);

/*
 * Everything that is proved: the receipts by the ledger's key, the
 * certificate up to a root of roots (PEM, one or more; n 0: up to the chain's
 * own last, which proves less).  Times are not looked at: a birth stays true
 * when a certificate ends.  MM_EPOLICY with what does not hold.
 */
MM_MUST enum mm_err mm_birth_verify(const struct mm_birth *b,
    const struct mm_note_key *ledger, struct mm_bytes roots,
    struct mm_why *why);

/*
 * Whether that document is the initial configuration of the device, by what
 * its receipt says (verify it first) and the record's salt; one of before there
 * were salts needs none.  A line end behind the document may be its file's.
 * MM_EPOLICY: it is another one, or no JSON, or there is none; MM_EINPUT: no
 * such salt; MM_ENOTFOUND: the record has no salt, so it cannot be told.
 */
MM_MUST enum mm_err mm_birth_verify_configuration(const struct mm_birth *b,
    struct mm_bytes document, struct mm_why *why);

/* One page for people, with a QR code of the record's hash; self-contained. */
MM_MUST enum mm_err mm_birth_html(const struct mm_birth *b,
    struct mm_buf *out, struct mm_why *why);
void mm_birth_print_reference(struct mm_buf *out); /* Markdown */

/* Text as HTML has it, between tags and in quotes. */
void mm_birth_put_text(struct mm_buf *out, const char *s);

#endif
