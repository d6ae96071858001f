#ifndef MM_STATION_UNIT_H
#define MM_STATION_UNIT_H

#include "base/text.h"
#include "station/reason.h"

/*
 * One unit, from a scanned label to PASS, as a table: in which state what
 * happened leads where, and what is to be done then.  Nothing here reads,
 * writes or waits: station/line.h does what an effect says and tells what came
 * of it; station/rows.h keeps where each unit stands.
 *
 * A state says what is known for certain, and its effect is what is being
 * done.  An effect may be done again after any accident: the device answers
 * the same (docs/protocol/link.md), and so does the authority for the same
 * key.  So a unit that was interrupted begins anew with hello, and what was
 * learnt of it before (its hardware, its key) must be found again.
 */
#define MM_UNIT_STATES_X(X)                                            \
	/* state, name, what is being done there */                    \
	X(MM_UNIT_IDLE,        "idle",        MM_DO_NOTHING)           \
	X(MM_UNIT_SCANNED,     "scanned",     MM_DO_HELLO)             \
	X(MM_UNIT_IDENTIFIED,  "identified",  MM_DO_ADMIT)             \
	X(MM_UNIT_ADMITTED,    "admitted",    MM_DO_KEY)               \
	X(MM_UNIT_KEYED,       "keyed",       MM_DO_CSR)               \
	X(MM_UNIT_REQUESTED,   "requested",   MM_DO_ISSUE)             \
	X(MM_UNIT_ISSUED,      "issued",      MM_DO_PUT)               \
	X(MM_UNIT_STORED,      "stored",      MM_DO_COMMIT)            \
	X(MM_UNIT_WRITTEN,     "written",     MM_DO_READ_BACK)         \
	X(MM_UNIT_READ,        "read-back",   MM_DO_PROVE)             \
	X(MM_UNIT_PROVED,      "proved",      MM_DO_CONFIRM)           \
	X(MM_UNIT_CONFIRMED,   "confirmed",   MM_DO_LOCK)              \
	X(MM_UNIT_LOCKED,      "locked",      MM_DO_CHECK)             \
	X(MM_UNIT_CHECKED,     "checked",     MM_DO_RECORD)            \
	X(MM_UNIT_RECORDED,    "recorded",    MM_DO_LABEL)             \
	X(MM_UNIT_PASSED,      "passed",      MM_DO_NOTHING)           \
	X(MM_UNIT_FAILED,      "failed",      MM_DO_NOTHING)           \
	X(MM_UNIT_INTERRUPTED, "interrupted", MM_DO_NOTHING)           \
	X(MM_UNIT_QUARANTINED, "quarantined", MM_DO_NOTHING)           \
	X(MM_UNIT_SCRAPPED,    "scrapped",    MM_DO_NOTHING)           \
	/* A board is taken over that has a certificate, and no record. */ \
	X(MM_UNIT_CLAIMED,     "claimed",     MM_DO_HELLO)             \
	X(MM_UNIT_ANSWERED,    "answered",    MM_DO_GET)               \
	X(MM_UNIT_FETCHED,     "fetched",     MM_DO_PROVE)             \
	X(MM_UNIT_SHOWN,       "shown",       MM_DO_ADOPT)

enum mm_unit_state {
#define X(state, name, effect) state,
	MM_UNIT_STATES_X(X)
#undef X
	MM_UNIT_STATES
};

enum mm_unit_effect {
	MM_DO_NOTHING,
	MM_DO_HELLO,     /* device: who is there */
	MM_DO_ADMIT,     /* authority: may this serial be made */
	MM_DO_KEY,       /* device: a key, if there is none */
	MM_DO_CSR,       /* device: a request for it */
	MM_DO_ISSUE,     /* authority: a certificate for it */
	MM_DO_PUT,       /* device: the bundle into the idle half */
	MM_DO_COMMIT,    /* device: into use */
	MM_DO_READ_BACK, /* device: which one is in use */
	MM_DO_PROVE,     /* device: signs a nonce */
	MM_DO_CONFIRM,   /* authority: it has proved it */
	MM_DO_LOCK,      /* device: no way back */
	MM_DO_CHECK,     /* device: it says that it is locked */
	MM_DO_RECORD,    /* the birth record, with the authority's receipt */
	MM_DO_LABEL,     /* and the label */
	MM_DO_GET,       /* device: its certificate and chain */
	MM_DO_ADOPT,     /* authority: is it known, or of this batch */
	MM_EFFECTS
};

enum mm_unit_event {
	MM_EV_SCAN,    /* a label was scanned: begin */
	MM_EV_DONE,    /* the effect was done, and what came of it holds */
	MM_EV_SKIP,    /* nothing need be done: it was so already */
	MM_EV_AGAIN,   /* the device lost what it was told: tell it again */
	MM_EV_FAIL,    /* it cannot be done; the reason says why */
	MM_EV_HOLD,    /* nor tried again without a supervisor */
	MM_EV_STOP,    /* the operator took it off */
	MM_EV_RESTART, /* the station was switched on, and finds it so */
	MM_EV_RELEASE, /* a supervisor lets it be tried again */
	MM_EV_SCRAP,   /* a supervisor throws it away */
	MM_EV_ADOPT,   /* its board is to be taken over: begin */
	MM_EVENTS
};

/* What an event leads to; MM_UNIT_STATES: in this state it cannot happen. */
enum mm_unit_state mm_unit_next(enum mm_unit_state state,
    enum mm_unit_event event);
enum mm_unit_effect mm_unit_effect(enum mm_unit_state state);
/*
 * Whether the row of this state must be on the disk before anything else is
 * done: its effect cannot be undone, or the unit is over.
 */
bool mm_unit_syncs(enum mm_unit_state state);
/* Something is being done to it. */
bool mm_unit_active(enum mm_unit_state state);
extern const char *const mm_unit_state_names[MM_UNIT_STATES];
extern const char *const mm_unit_effect_names[MM_EFFECTS];
extern const char *const mm_unit_event_names[MM_EVENTS];

/* Who was asked for its certificate, and nobody else is from then on. */
enum mm_unit_by { MM_UNIT_BY_NOBODY, MM_UNIT_BY_CENTRE, MM_UNIT_BY_STATION,
	MM_UNIT_BYS };
extern const char *const mm_unit_by_names[MM_UNIT_BYS];

/* Whether it had been made then: what only its label tells leaves it so. */
enum mm_unit_was { MM_UNIT_WAS_NOTHING, MM_UNIT_WAS_PASSED, MM_UNIT_WASES };
extern const char *const mm_unit_was_names[MM_UNIT_WASES];

/* Its printed label: BEGUN: one may be out, and nobody knows. */
enum mm_unit_label { MM_UNIT_LABEL_NONE, MM_UNIT_LABEL_BEGUN,
	MM_UNIT_LABEL_PRINTED, MM_UNIT_LABELS };
extern const char *const mm_unit_label_names[MM_UNIT_LABELS];

/* Whether the centre has heard what became of it; not in the journal. */
enum mm_unit_told { MM_UNIT_UNTOLD, MM_UNIT_TELLING, MM_UNIT_TOLD };

/* What is known of a unit, and kept in a row of the journal for each step. */
struct mm_unit {
	char serial[MM_DEVICE_ID_MAX + 1];
	char fixture[MM_NAME_MAX + 1];
	uint64_t attempt; /* from 1 */
	enum mm_unit_state state;
	enum mm_unit_reason reason; /* FAILED, INTERRUPTED, QUARANTINED */
	enum mm_unit_by by;
	enum mm_unit_was was; /* when its label was scanned */
	enum mm_unit_label label;
	uint64_t labels; /* that are out, or may be */
	char batch[MM_NAME_MAX + 1]; /* once it was admitted; "" none */
	enum mm_unit_told told;
	/* Entries that the centre must have before it is told; 0: not looked
	 * at yet; not in the journal. */
	uint64_t after;
	int64_t at_ms;    /* of its last row, by the clock */
	char hw[65];      /* the chip's id in hexadecimal; "" not known */
	uint8_t spki[32]; /* SHA-256 of its public key; 0: not known */
	uint8_t cert[32]; /* SHA-256 of its certificate; 0: none yet */
};

/*
 * What a row says of the label: before one is sent (prints: there is a
 * printer), and of what came of it.  from: the state before.  A label that was
 * sent, or may have been, is not sent again by itself: a person has seen the
 * unit fail, and scans it once more.
 */
void mm_unit_note_label(struct mm_unit *now, bool prints,
    enum mm_unit_state from, enum mm_unit_event event,
    enum mm_unit_reason reason);
/* Nothing was sent after all. */
void mm_unit_take_back_label(struct mm_unit *u);

/* What a device says of itself, however it was asked (station/driver.h). */
struct mm_unit_said {
	char hw[65];
	char firmware[33];
	bool has_key, has_cert, has_bundle, locked;
	bool bare; /* it takes no salt: who holds its console is told the hash
		    * of all that it was given (link version 1) */
	uint8_t spki[32], cert[32];
	uint8_t bundle[32]; /* SHA-256 of all that goes with the certificate */
	int64_t config;     /* version of its configuration; 0: none */
};

struct mm_unit_rules {
	bool lock;    /* a board is locked at the end */
	bool replace; /* a test authority: a label is good for another key */
};

/*
 * Where this unit stands after an event.  One that had passed still has if the
 * attempt said nothing of its own board: there was none, it was another one,
 * the centre was away, somebody stopped it.
 */
enum mm_unit_state mm_unit_after(const struct mm_unit *u,
    enum mm_unit_event event, enum mm_unit_reason reason);

/*
 * Judges and remembers what a device said to hello, once an attempt: DONE; or
 * HOLD, with *reason, if the label was used for another board or another key.
 */
enum mm_unit_event mm_unit_hear(struct mm_unit *u,
    const struct mm_unit_said *said, const struct mm_unit_rules *rules,
    enum mm_unit_reason *reason);
/* The key that it made, and the key of its request: it is one. */
enum mm_unit_event mm_unit_hear_key(struct mm_unit *u, const uint8_t spki[32],
    enum mm_unit_reason *reason);
/*
 * The certificate that came, by its hash: DONE: write it; SKIP: the device has
 * it in use; HOLD: the device is locked with another one.
 */
enum mm_unit_event mm_unit_take_cert(struct mm_unit *u,
    const struct mm_unit_said *said, const uint8_t cert[32],
    enum mm_unit_reason *reason);
/* After commit, and after lock (locked: it must be). */
enum mm_unit_event mm_unit_read_back(const struct mm_unit *u,
    const struct mm_unit_said *said, bool locked,
    enum mm_unit_reason *reason);

#endif
