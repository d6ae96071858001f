#ifndef MM_CORE_SYNC_PRIV_H
#define MM_CORE_SYNC_PRIV_H

#include "core/production_priv.h"
#include "core/sync.h"

/* Between desk_sync.c, which leads, sync_judge.c and sync_store.c. */

struct mm_sync_batch { /* as it stood when the piece came */
	struct mm_production *b;
	struct mm_roll roll;
	const struct mm_share *share; /* the station's; NULL: of the whole */
	struct mm_work_order *order;  /* the station's newest; NULL: none */
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
	bool known;      /* it is stored already */
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
	struct mm_sync_result *out;
};

static inline const char *
mm_sync_field(const struct mm_sync_unit *u, enum mm_entry_field f)
{
	return u->e.field[f] != NULL ? u->e.field[f] : "";
}

/* desk_sync.c: into texts and e.  false: not an entry in its form. */
bool mm_sync_parse(const struct mm_sync_line *l, struct mm_sync_unit *u);

/* sync_judge.c: fault, known, row, batch.  An error is the store's. */
MM_MUST enum mm_err mm_sync_judge(
    struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why);
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
/* Another one that does not fit; serial may be "". */
void mm_sync_put_aside(struct mm_sync *s, uint64_t index, const char *device,
    const char *serial, const char *reason);
/* Whether a certificate of that serial was put aside, now or before. */
MM_MUST enum mm_err mm_sync_is_aside(
    struct mm_sync *s, const char *serial, bool *yes, struct mm_why *why);

#endif
