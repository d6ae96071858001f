#ifndef MM_CORE_SYNC_PRIV_H
#define MM_CORE_SYNC_PRIV_H

#include "core/production_priv.h"
#include "core/sync.h"

/* Between desk_sync.c, which leads, sync_judge.c and sync_store.c. */

struct mm_sync_batch { /* as it stood when the piece came */
	const struct mm_production *b; /* the desk's, as is roll */
	const struct mm_roll *roll;
	const struct mm_share *share; /* the station's; NULL: of the whole */
	struct mm_work_order *order;  /* the station's newest; NULL: none */
	struct mm_profile_set profiles; /* none: they are not to be had */
	int64_t most, station_most;
	int64_t fits; /* units of this piece so far, not stored yet */
};

struct mm_sync_unit { /* an issuance */
	uint64_t index;
	const struct mm_sync_line *line;
	char *texts; /* arena of e */
	struct mm_entry e;
	struct mm_cert c;
	struct mm_cert_row row;
	struct mm_sync_batch *batch;
	char fault[161]; /* "": it fits */
	enum mm_sync_fault code;
	char mark[65];     /* of its configuration, as it is entered here */
	bool over;         /* a supervisor takes it in beyond its quota */
	bool known;        /* it is stored already */
	bool of_the_share; /* its serial number is the station's to make */
	bool new_device, stored;
	struct mm_op device, op;
	struct mm_op_share share;
	struct mm_buf papers[2], made;
};

struct mm_sync_news { /* of a unit, for its batch's report */
	char batch[MM_NAME_MAX + 1];
	struct mm_made made;
};

struct mm_sync_late { /* a proof of a certificate that was put aside */
	char serial[33];
	size_t line; /* of the piece */
};

struct mm_sync_release { /* by a supervisor, of one unit that was put aside */
	const char *reason;   /* why it was */
	const char *ledger;   /* whose entry it is ... */
	char number[24];      /* ... and which */
	char note_sha256[65]; /* why it is taken in, salted */
};

struct mm_sync {
	struct mm_desk *d;
	const struct mm_login *by;
	const struct mm_station *station;
	const struct mm_sync_piece *piece;
	struct mm_key_templates *templates;
	struct mm_sync_batch batch[MM_SYNC_BATCHES_MAX];
	size_t nbatches;
	struct mm_sync_unit *unit;
	size_t n;
	struct mm_sync_news *news; /* owned; at most one a line */
	size_t nnews;
	struct mm_sync_late *late; /* owned; at most one a line */
	size_t nlate;
	const struct mm_sync_release *release; /* NULL: a sync */
	bool ahead; /* a dry run: what comes before the piece is not stored */
	struct mm_sync_result *out;
};
void mm_sync_done(struct mm_sync *s);

static inline const char *
mm_sync_field(const struct mm_sync_unit *u, enum mm_entry_field f)
{
	return u->e.field[f] != NULL ? u->e.field[f] : "";
}

/* desk_sync.c: into texts and e.  false: not an entry in its form. */
bool mm_sync_parse(const struct mm_sync_line *l, struct mm_sync_unit *u);
/* What was parsed is an issuance: it stays, as the next of unit[]. */
void mm_sync_take_issuance(struct mm_sync *s, uint64_t index,
    const struct mm_sync_line *l, struct mm_sync_unit *u);

/* sync_judge.c: fault, known, row, batch.  An error is the store's.  Where it
 * is for a release, what a supervisor may take in is no fault. */
MM_MUST enum mm_err mm_sync_judge(
    struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why);
/* Its certificate is its entry's: row has what that says. */
MM_MUST enum mm_err mm_sync_walk(
    struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why);
/* The CA has signed it. */
bool mm_sync_is_signed(
    struct mm_sync *s, const struct mm_cert *c, struct mm_bytes issuer);
void mm_sync_batches_done(struct mm_sync *s);

/* sync_proofs.c: judged, counted and, but in a dry run, written; after the
 * units. */
MM_MUST enum mm_err mm_sync_proofs(
    struct mm_sync *s, bool dry_run, struct mm_why *why);

/* sync_line.c: line CAs whose key the station has destroyed. */
MM_MUST enum mm_err mm_sync_ends(
    struct mm_sync *s, bool dry_run, struct mm_why *why);

/* sync_units.c: what is noted goes to the store with mm_sync_units.  A unit
 * that was put aside counts where nothing else is known of its serial number;
 * one that has proved its certificate has passed, if it was made here. */
MM_MUST enum mm_err mm_sync_unit_aside(
    struct mm_sync *s, const struct mm_sync_unit *u, struct mm_why *why);
MM_MUST enum mm_err mm_sync_unit_proved(struct mm_sync *s, const char *batch,
    const struct mm_cert_row *row, int64_t at, struct mm_why *why);
MM_MUST enum mm_err mm_sync_units(struct mm_sync *s, struct mm_why *why);

/* sync_store.c */
/* Devices and certificates of all units that fit; what is refused has a fault
 * then. */
MM_MUST enum mm_err mm_sync_store(struct mm_sync *s, struct mm_why *why);
/* The end of a piece: what is quarantined, the copy, how far it is. */
MM_MUST enum mm_err mm_sync_end(struct mm_sync *s,
    const struct mm_synced *before, const struct mm_sync_heads *heads,
    struct mm_why *why);

/*
 * sync_place.c: where a piece begins, and whose history it is.  place:
 * MM_EPOLICY, entered (but in a dry run), if the key has signed another one;
 * MM_ECONFLICT: ask again how far it is.  claim: what is signed is noted before
 * anything of it is stored, so that of two histories at once one is refused;
 * MM_ECONFLICT: somebody was first.
 */
MM_MUST enum mm_err mm_sync_state(struct mm_sync *s, struct mm_note_key *key,
    struct mm_synced *have, struct mm_why *why);
MM_MUST enum mm_err mm_sync_place(struct mm_sync *s,
    const struct mm_synced *have, const struct mm_sync_heads *heads,
    bool dry_run, struct mm_why *why);
MM_MUST enum mm_err mm_sync_claim(struct mm_sync *s, struct mm_synced *have,
    const struct mm_sync_heads *heads, struct mm_why *why);
/* sync_copy.c: whether the copy of the station's ledger begins so. */
MM_MUST enum mm_err mm_sync_begins(struct mm_sync *s,
    const struct mm_checkpoint *c, bool *begins, struct mm_why *why);
/* The piece is through, with its entry. */
MM_MUST enum mm_err mm_sync_through(struct mm_sync *s,
    const struct mm_synced *have, const struct mm_sync_heads *heads,
    struct mm_why *why);

/* sync_copy.c: the piece's entries, with what devices signed. */
MM_MUST enum mm_err mm_sync_copy(struct mm_sync *s, struct mm_why *why);

/* sync_aside.c */
struct mm_sync_aside { /* a new one; serial, device may be "" */
	uint64_t index;
	const char *device, *serial, *reason;
	enum mm_sync_fault code;
};
void mm_sync_put_aside(struct mm_sync *s, const struct mm_sync_aside *a);
/* Whether a certificate of that serial was put aside, now or before. */
MM_MUST enum mm_err mm_sync_is_aside(
    struct mm_sync *s, const char *serial, bool *yes, struct mm_why *why);
/* Those of the piece, with their entries; and proofs of earlier ones. */
MM_MUST enum mm_err mm_sync_asides(struct mm_sync *s, struct mm_why *why);

struct mm_aside { /* as it is stored */
	char id[MM_DOC_ID_MAX + 1];
	uint64_t version;
	json_t *o; /* owned */
};
void mm_aside_done(struct mm_aside *a);
MM_MUST enum mm_err mm_aside_parse(
    const struct mm_aside *a, struct mm_quarantined *out, struct mm_why *why);
/* The first of that serial.  MM_ENOTFOUND, without words: none. */
MM_MUST enum mm_err mm_aside_of_serial(struct mm_store_reader *r,
    const char *station, const char *serial, struct mm_aside *out,
    struct mm_why *why);
/* As struct mm_decision has it. */
MM_MUST enum mm_err mm_aside_find(struct mm_store_reader *r,
    const struct mm_station *s, const char *entry, struct mm_aside *out,
    struct mm_why *why);
/* Changed, with that entry or NULL.  MM_ECONFLICT: somebody was first. */
MM_MUST enum mm_err mm_aside_put(struct mm_desk *d, struct mm_aside *a,
    const struct mm_entry *e, struct mm_why *why);
/* What it has in base64, appended; nothing where it has no such member. */
MM_MUST enum mm_err mm_aside_bytes(const struct mm_aside *a, const char *member,
    struct mm_buf *out, struct mm_why *why);

#endif
