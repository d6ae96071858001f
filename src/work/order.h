#ifndef MM_WORK_ORDER_H
#define MM_WORK_ORDER_H

#include "base/settings.h"
#include "ledger/note.h"
#include "work/serials.h"

/*
 * Work orders: what a station may make, said and signed by the centre.
 *
 * An order is a C2SP signed note.  Its text is the line "mintmark-order/1"
 * and one line of canonical JSON (as ledger entries: fixed order of keys,
 * RFC 8785 escapes, no space); docs/protocol/order.md has it byte by byte.
 * The centre's signer signs with its key "<origin>/orders"; the station's
 * signer, which pinned that key, verifies.  Larger texts (serial numbers,
 * configuration) are papers: the order has their SHA-256, the file that
 * brings the order brings them too (work/file.h).
 *
 * Holding an order from mm_work_order_verify proves that the centre signed
 * these bytes and that every field is within its bounds.  Whether it is the
 * newest, of this station and within its window is the holder's to check:
 * mm_work_order_follows, mm_work_order_check_now.
 *
 * Pure: no file, no clock, no store, and no JSON library, which the signer
 * has none of.
 */
#define MM_WORK_CENTRE_MAX   200
#define MM_WORK_PEOPLE_MAX   256
#define MM_WORK_PROFILES_MAX 8
#define MM_WORK_SCAN_TEXT    256  /* a scan rule and its NUL */
#define MM_WORK_BLOB_MAX     8192 /* the CA's chain; its wrapped key */
#define MM_WORK_TEXT_MAX     (96U << 10) /* an order's text and note */
#define MM_WORK_SHARE_MAX    ((int64_t)MM_SERIALS_MAX)

/* What the batch may do now. */
#define MM_WORK_STATES(X) \
	X(MM_WORK_OPEN, "open") X(MM_WORK_PAUSED, "paused") \
	X(MM_WORK_CLOSED, "closed")
/* A test order signs with test CAs, a production order never does. */
#define MM_WORK_MARKERS(X) \
	X(MM_WORK_PRODUCTION, "production") X(MM_WORK_TEST, "test")
/* Who signs certificates: the centre over the network, or the line CA. */
#define MM_WORK_MODES(X) \
	X(MM_WORK_ONLINE, "online") X(MM_WORK_OFFLINE, "offline")
/* The least that the station's counter must withstand. */
#define MM_WORK_LEVELS(X) \
	X(MM_WORK_SOFTWARE, "software") \
	X(MM_WORK_ROLLBACK_PROOF, "rollback-proof") \
	X(MM_WORK_HARDWARE, "hardware")
/* Where a unit's serial number comes from: a label that is there, or the
 * station's next one, which it prints. */
#define MM_WORK_TAKES(X) \
	X(MM_WORK_SCAN, "scan") X(MM_WORK_NEXT, "next")
/* Another key under a serial number that was done: wait for a supervisor, or
 * replace (test orders alone). */
#define MM_WORK_CONFLICTS(X) \
	X(MM_WORK_STOP, "stop") X(MM_WORK_REPLACE, "replace")
#define MM_WORK_ORIGINS(X) \
	X(MM_WORK_DEVICE, "device") X(MM_WORK_STATION, "station")
#define MM_WORK_ROLES(X) \
	X(MM_WORK_OPERATOR, "operator") X(MM_WORK_SUPERVISOR, "supervisor")

#define X(e, name) e,
enum mm_work_state { MM_WORK_STATES(X) MM_WORK_STATE_COUNT };
enum mm_work_marker { MM_WORK_MARKERS(X) MM_WORK_MARKER_COUNT };
enum mm_work_mode { MM_WORK_MODES(X) MM_WORK_MODE_COUNT };
enum mm_work_level { MM_WORK_LEVELS(X) MM_WORK_LEVEL_COUNT };
enum mm_work_take { MM_WORK_TAKES(X) MM_WORK_TAKE_COUNT };
enum mm_work_conflict { MM_WORK_CONFLICTS(X) MM_WORK_CONFLICT_COUNT };
enum mm_work_origin { MM_WORK_ORIGINS(X) MM_WORK_ORIGIN_COUNT };
enum mm_work_role { MM_WORK_ROLES(X) MM_WORK_ROLE_COUNT };
#undef X

/* Each enum's words, in its order. */
extern const char *const mm_work_state_words[MM_WORK_STATE_COUNT];
extern const char *const mm_work_marker_words[MM_WORK_MARKER_COUNT];
extern const char *const mm_work_mode_words[MM_WORK_MODE_COUNT];
extern const char *const mm_work_level_words[MM_WORK_LEVEL_COUNT];
extern const char *const mm_work_take_words[MM_WORK_TAKE_COUNT];
extern const char *const mm_work_conflict_words[MM_WORK_CONFLICT_COUNT];
extern const char *const mm_work_origin_words[MM_WORK_ORIGIN_COUNT];
extern const char *const mm_work_role_words[MM_WORK_ROLE_COUNT];
/* The word's place among n, or -1. */
int mm_work_word(const char *const *words, size_t n, const char *word);

/* A person at the line, by an opaque id; the badge's text by its hash. */
struct mm_work_person {
	char id[MM_DEVICE_ID_MAX + 1];
	int role; /* enum mm_work_role */
	uint8_t badge[32];
};

struct mm_work_profile {
	char name[MM_NAME_MAX + 1];
	int64_t version;
	uint8_t sha256[32];
};

#define MM_WORK_LOCK_NEVER "never"
struct mm_work_order {
	char centre[MM_WORK_CENTRE_MAX + 1]; /* its ledger's origin */
	char station[MM_NAME_MAX + 1];
	int64_t number;       /* rising with every order for this station */
	uint8_t previous[32]; /* SHA-256 of the text before; zero: the first */
	int64_t made_ms;
	char batch[MM_NAME_MAX + 1], product[MM_NAME_MAX + 1];
	int state, marker, mode;
	int64_t share;        /* distinct (device, public key) in force */
	int64_t scrap;        /* scrapped ones that give theirs back, at most:
	                       * so never more than share + scrap in all */
	int64_t not_before_ms, until_ms; /* the right to sign: from, before */
	int64_t unsynced_s;   /* without a sync at most so long; 0: no limit */
	int level, take, on_conflict, key_origin;
	char serials[MM_SERIALS_TEXT]; /* a run, or "": */
	uint8_t serials_sha256[32];    /* a paper, one a line, */
	int64_t serials_count;         /* of so many */
	char scan[MM_WORK_SCAN_TEXT];  /* line/scan.h; with MM_WORK_SCAN */
	char recipe[MM_NAME_MAX + 1];  /* one that the station has installed */
	char lock[MM_NAME_MAX + 1];    /* "never": boards stay open; or "" */
	int64_t config_version;        /* 0: no initial configuration; else */
	uint8_t config_sha256[32];     /* the paper with the template and */
	uint8_t fields_sha256[32];     /* that with fields, or zero */
	/* The line CA, with MM_WORK_OFFLINE: certificates in DER, the CA's
	 * first, each signed by the next; its key, encrypted for the
	 * station's signer (CMS, RFC 5083, 5753: a PKCS#8 key within).  An
	 * order that closes its batch brings none. */
	struct mm_bytes ca_chain, ca_key;
	/* The line CA's name at the centre and the URL that the world knows
	 * this by: where its certificates say that their CRLs are; or "". */
	char ca_name[MM_NAME_MAX + 1], ca_url[MM_URL_MAX + 1];
	/* Of the badges' hashes: mm_work_badge. */
	uint8_t badge_salt[16];
	const struct mm_work_profile *profiles; /* 1 to MM_WORK_PROFILES_MAX */
	size_t profiles_n;
	const struct mm_work_person *people; /* up to MM_WORK_PEOPLE_MAX */
	size_t people_n;
};

/* Whether its boards are locked at the end: a test order's never are. */
bool mm_work_order_locks(const struct mm_work_order *o);
/* The text to sign.  MM_EINPUT: a field is out of bounds, or two contradict
 * each other; why names it. */
MM_MUST enum mm_err mm_work_order_encode(const struct mm_work_order *o,
    struct mm_buf *out, struct mm_why *why);
/* Reads the text strictly: encoding gives the same bytes again.  MM_EINPUT
 * otherwise.  *out is owned: mm_work_order_free. */
MM_MUST enum mm_err mm_work_order_parse(struct mm_bytes text,
    struct mm_work_order **out, struct mm_why *why);
/* The note; key is the one that was pinned.  MM_EPOLICY: not signed by it,
 * or signed by it for another centre; MM_EINPUT: malformed. */
MM_MUST enum mm_err mm_work_order_verify(struct mm_bytes note,
    const struct mm_note_key *key, struct mm_work_order **out,
    struct mm_why *why);
void mm_work_order_free(struct mm_work_order **owner);
/* SHA-256 of a note's text: what the next order's previous is.  MM_EINPUT. */
MM_MUST enum mm_err mm_work_order_hash(struct mm_bytes note, uint8_t out[32],
    struct mm_why *why);
/* The name of the key that signs a centre's orders; out holds
 * MM_ORIGIN_MAX + 1.  MM_EINPUT: the origin is too long. */
MM_MUST enum mm_err mm_work_key_name(const char *origin, char *out,
    struct mm_why *why);

/*
 * What a station last took: {0} before the first.  An order follows if its
 * number is higher and, where it is the very next, its previous is the hash
 * of the last one: a gap is allowed, an order may be lost on its way.  The
 * same order again is MM_OK with *again.  MM_EPOLICY: older, of another
 * station, or forked.
 */
struct mm_work_last {
	int64_t number;
	uint8_t hash[32];
};
MM_MUST enum mm_err mm_work_order_follows(const struct mm_work_order *o,
    const uint8_t hash[32], const struct mm_work_last *last,
    const char *station, bool *again, struct mm_why *why);
/* Whether it lets anything be made at that time.  MM_EPOLICY: paused, closed,
 * too early, too late. */
MM_MUST enum mm_err mm_work_order_check_now(const struct mm_work_order *o,
    int64_t now_ms, struct mm_why *why);
/* A badge's text as an order has it: one computation of about 50 ms, to be
 * compared with all of them.  MM_EINPUT: not 4 to 128 bytes. */
MM_MUST enum mm_err mm_work_badge(struct mm_bytes text,
    const uint8_t salt[16], uint8_t out[32], struct mm_why *why);

/*
 * An extension: one line of text with a signature of the same key, that a
 * person can scan from a phone.  It sets the share and the window of one
 * order, so it may come twice; neither can become less.
 */
#define MM_WORK_EXTENSION_MAX 512
struct mm_work_extension {
	char batch[MM_NAME_MAX + 1], station[MM_NAME_MAX + 1];
	int64_t number; /* of the order that it extends */
	int64_t share;
	int64_t until_ms; /* whole seconds */
};
/* "MMX1 batch station number share until" without the signature. */
MM_MUST enum mm_err mm_work_extension_encode(
    const struct mm_work_extension *e, struct mm_buf *out,
    struct mm_why *why);
/* Reads it back strictly.  MM_EINPUT. */
MM_MUST enum mm_err mm_work_extension_parse(struct mm_bytes line,
    struct mm_work_extension *out, struct mm_why *why);
/* The bytes to sign: a line that names the centre before it. */
void mm_work_extension_tbs(struct mm_bytes line, const char *key_name,
    struct mm_buf *out);
/* line, space, base64url of the 64 bytes. */
void mm_work_extension_join(struct mm_buf *out, struct mm_bytes line,
    const uint8_t sig[64]);
MM_MUST enum mm_err mm_work_extension_verify(struct mm_bytes text,
    const struct mm_note_key *key, struct mm_work_extension *out,
    struct mm_why *why);
/* Applies it to the order that it names.  MM_EPOLICY: another order's, or
 * less than there is. */
MM_MUST enum mm_err mm_work_extension_apply(
    const struct mm_work_extension *e, struct mm_work_order *o,
    struct mm_why *why);

#endif
