#ifndef MM_CORE_PRODUCTION_H
#define MM_CORE_PRODUCTION_H

#include "core/core.h"
#include "work/file.h"
#include "store/docs_of.h"

/*
 * Batches: production orders.
 *
 * A batch is a document.  Most of it is fixed when it is made and kept as the
 * work order that its stations' orders are made from; the quota, the shares
 * and the end can grow.  Each change is an entry with the SHA-256 of all that
 * was decided ("plan"), so reconcile finds a document that was changed
 * without one.
 */
#define MM_PRODUCTION_ID_MAX     24 /* unit documents are named after it */
#define MM_PRODUCTION_SHARES_MAX 64
#define MM_PRODUCTION_NOTE       129

struct mm_share {
	char station[MM_NAME_MAX + 1];
	int64_t n;     /* distinct (device, key) pairs in force */
	int64_t scrap; /* that may be given back besides */
	int64_t first; /* with take "next": the index of its first serial */
};
struct mm_production {
	char id[MM_NAME_MAX + 1];
	int state; /* enum mm_work_state */
	int mode;  /* enum mm_work_mode */
	int64_t quantity, scrap;
	int64_t created_at;
	int64_t closed_at; /* 0: it is not, or was before this was noted */
	char note[MM_PRODUCTION_NOTE]; /* of the last change: why */
	char salt[33];                 /* so that the note cannot be guessed */
	struct mm_share share[MM_PRODUCTION_SHARES_MAX];
	size_t nshares;
	/* A list's first and last without case, so that it is not read to see
	 * that another batch is elsewhere; "": a run, or not known. */
	char low[MM_DEVICE_ID_MAX + 1], high[MM_DEVICE_ID_MAX + 1];
	/* Of the text of its profiles, a paper; zero: it has none, and goes by
	 * the configuration's. */
	uint8_t profiles_sha256[32];
	struct mm_work_order *order; /* owned; station "-", number 1 */
	uint64_t version;            /* the document's; 0: new */
	uint64_t others; /* of a new one: how many there had been when
	                           * it was compared with them */
};
void mm_production_free(struct mm_production **owner);
MM_MUST enum mm_err mm_production_parse(
    const struct mm_doc *doc, struct mm_production **out, struct mm_why *why);
MM_MUST enum mm_err mm_production_get(struct mm_store_reader *r, const char *id,
    struct mm_production **out, struct mm_why *why);
/* The same with its serial numbers, kept while its document is at that
 * version: a long list is not read and sorted each time.  Both are the desk's,
 * until it is asked for MM_DESK_BATCHES other ones, or for this one after
 * that was changed. */
#define MM_DESK_BATCHES 8
struct mm_roll;
MM_MUST enum mm_err mm_desk_batch(struct mm_desk *d, const char *id,
    const struct mm_production **b, const struct mm_roll **roll,
    struct mm_why *why);
/* Until it is let go, a batch that was asked for is not looked at again: a
 * request of many rows asks for the same few with each. */
void mm_desk_batches_hold(struct mm_desk *d, bool on);
/* The papers that its devices' configurations are made of, into of, with the
 * table's index; fields n 0: it has no table.  They are the desk's, until it
 * was asked for those of several others. */
struct mm_initial_of;
MM_MUST enum mm_err mm_desk_papers(struct mm_desk *d,
    const struct mm_work_order *o, struct mm_initial_of *of,
    struct mm_why *why);
/* What may be signed in all: quantity and scrap allowance. */
int64_t mm_production_authorised(const struct mm_production *b);
/* How many serial numbers it has. */
int64_t mm_production_serials(const struct mm_production *b);
/* Shares within the quantity and the serial numbers, each station once, with
 * its part of the scrap allowance; a new one with take "next" gets the serials
 * after the last.  MM_EINPUT. */
MM_MUST enum mm_err mm_production_share(struct mm_production *b,
    const char *station, int64_t n, struct mm_why *why);
/* After the batch has grown: its shares have their part of what may be
 * scrapped; none becomes less. */
void mm_production_spread(struct mm_production *b);
/* MM_EINPUT: shares that are more than the batch, or have a serial number in
 * common. */
MM_MUST enum mm_err mm_production_check(
    const struct mm_production *b, struct mm_why *why);
/* open and paused become each other, both become closed; MM_ECONFLICT. */
MM_MUST enum mm_err mm_production_become(
    struct mm_production *b, int state, struct mm_why *why);
const struct mm_share *mm_production_share_of(
    const struct mm_production *b, const char *station);

/* Stores it: created where its version is 0, else changed, for that reason (a
 * word).  MM_ESTALE, MM_ECONFLICT as a document; MM_ECONFLICT: another one was
 * made meanwhile. */
MM_MUST enum mm_err mm_desk_batch_put(struct mm_desk *d,
    const struct mm_login *by, struct mm_production *b, const char *reason,
    struct mm_why *why);

/* ---- its serial numbers ---- */

/* A run, or a list in order without case.  Holds what it was opened with. */
struct mm_roll {
	bool listed;
	struct mm_serials run;
	struct mm_buf text;
	char **line;
	size_t n;
};
/* MM_ESYS: the list is not as many as the order says. */
MM_MUST enum mm_err mm_roll_open(struct mm_store_reader *r,
    const struct mm_work_order *o, struct mm_roll *out, struct mm_why *why);
/* Of the list's text, one a line, instead of the paper; "" with a run. */
MM_MUST enum mm_err mm_roll_over(const struct mm_work_order *o,
    struct mm_bytes text, struct mm_roll *out, struct mm_why *why);
void mm_roll_done(struct mm_roll *r);
uint64_t mm_roll_count(const struct mm_roll *r);
/* Exactly so written, and which. */
bool mm_roll_find(const struct mm_roll *r, const char *serial, uint64_t *index);
/* The one at index; room holds MM_DEVICE_ID_MAX + 1. */
const char *mm_roll_at(const struct mm_roll *r, uint64_t index, char *room);
/* Notes a list's first and last in b. */
void mm_roll_bounds(const struct mm_roll *r, struct mm_production *b);
/* One that stands twice without case, or NULL. */
const char *mm_roll_twice(const struct mm_roll *r);
/* Whether it is one of them, but for case: devices' names have none. */
bool mm_roll_has(const struct mm_roll *r, const char *device);
/*
 * The devices that there are of its serial numbers, whatever was made of them,
 * in pages; of a list all of its names.  fn gets each with the place behind it.
 * place: where the page begins, "" at the first; then where the next one does,
 * "" after the last.  A page may be empty, and not be the last one.  MM_EINPUT:
 * not such a place.
 */
#define MM_ROLL_PLACE (MM_DEVICE_ID_MAX + 24)
struct mm_roll_page {
	char place[MM_ROLL_PLACE];
	unsigned most;   /* rows to look at, 1 to 10,000 */
	unsigned looked; /* out */
};
typedef enum mm_err mm_roll_device_fn(void *ctx, const char *device,
    const char *place, struct mm_why *why);
MM_MUST enum mm_err mm_roll_devices(struct mm_store_reader *r,
    const struct mm_roll *roll, struct mm_roll_page *p,
    mm_roll_device_fn *fn, void *ctx, struct mm_why *why);
/* ---- its units and counts ---- */

/* What became of one, as a document batch "/" device. */
#define MM_UNIT_RESULTS(X)                                      \
	X(MM_UNIT_ISSUED, "issued")                             \
	X(MM_UNIT_PASSED, "passed") X(MM_UNIT_FAILED, "failed") \
	    X(MM_UNIT_SCRAPPED, "scrapped")                     \
		X(MM_UNIT_QUARANTINED, "quarantined")
#define X(e, name) e,
enum mm_unit_result { MM_UNIT_RESULTS(X) MM_UNIT_COUNT };
#undef X
extern const char *const mm_unit_result_words[MM_UNIT_COUNT];
struct mm_made {
	char serial[MM_DEVICE_ID_MAX + 1];
	char station[MM_NAME_MAX + 1]; /* "" none */
	char other[MM_NAME_MAX + 1];   /* station that has it too, or "" */
	char reason[65];
	int result;
	uint8_t spki[32]; /* zero: no certificate was made */
	int64_t at;
	uint64_t version; /* the document's; 0: new */
};
void mm_made_id(
    const char *batch, const char *serial, char id[MM_DOC_ID_MAX + 1]);
void mm_made_put(const struct mm_made *u, struct mm_buf *body);
MM_MUST enum mm_err mm_made_parse(
    const struct mm_doc *doc, struct mm_made *out, struct mm_why *why);
/* Units of a batch, "" of all, and of a station, "" of any, by batch and
 * serial number: the next after a key, "" from the first; *n: room for how
 * many, then how many there are. */
struct mm_made_key {
	char id[MM_DOC_ID_MAX + 1]; /* batch "/" serial */
	struct mm_made made;
};
MM_MUST enum mm_err mm_made_page(struct mm_store_reader *r, const char *batch,
    const char *station, const char *after, struct mm_made_key *out,
    unsigned *n, struct mm_why *why);
/* MM_ENOTFOUND, without words: nothing became of it. */
MM_MUST enum mm_err mm_made_get(struct mm_store_reader *r, const char *batch,
    const char *serial, struct mm_made *out, struct mm_why *why);

/* Of the whole (station "") or a station's share: signed so far, given back
 * by scrapping, and what may be signed as it stands. */
struct mm_quota {
	int64_t made, back, most;
};
MM_MUST enum mm_err mm_quota_get(struct mm_store_reader *r,
    const struct mm_production *b, const char *station, struct mm_quota *out,
    struct mm_why *why);
/* The count of what was made there, and of what was given back. */
void mm_quota_names(const char *batch, const char *station,
    char made[MM_DOC_ID_MAX + 1], char back[MM_DOC_ID_MAX + 1]);

/* ---- papers: texts that orders name by their hash ---- */

#define MM_PAPER_MAX (4U << 20)
/* A station's table, which has 35 bytes more a row: a row has six at least
 * (["x"],), so every table that is a paper fits. */
#define MM_PAPER_CUT_MAX (32U << 20)
MM_MUST enum mm_err mm_desk_paper_put(struct mm_desk *d, struct mm_bytes text,
    const uint8_t sha256[32], struct mm_why *why);
/* Appends it.  MM_ENOTFOUND; MM_ESYS: it is not what its name says. */
MM_MUST enum mm_err mm_paper_get(struct mm_store_reader *r,
    const uint8_t sha256[32], struct mm_buf *out, struct mm_why *why);

/*
 * Profiles of a batch as they were when it was made.  read: mm_profiles_parse,
 * which is one at a time a process.  keep: of a new batch, from the
 * configuration, into a paper.  MM_ECONFLICT: the batch has no paper, and the
 * configuration has another version.
 */
MM_MUST enum mm_err mm_profiles_read(struct mm_bytes text, const char *path,
    struct mm_profile_set *out, struct mm_why *why);
MM_MUST enum mm_err mm_desk_profiles_keep(
    struct mm_desk *d, struct mm_production *b, struct mm_why *why);
MM_MUST enum mm_err mm_desk_profiles(struct mm_desk *d,
    const struct mm_production *b, struct mm_buf *out, struct mm_why *why);
/* "thermo@3", if the batch was made for it as it is here; NULL. */
const struct mm_profile *mm_production_profile(const struct mm_production *b,
    const struct mm_profile_set *set, const char *label);

/* ---- stations ---- */

struct mm_station {
	char id[MM_NAME_MAX + 1];
	char key[17]; /* its credential */
	char description[129];
	int64_t created_at;
	bool removed;
	int64_t removed_at; /* 0: it is not, or was before this was noted */
	struct mm_work_last last; /* its newest order */
	char ledger[MM_NOTE_KEY_TEXT]; /* its own ledger's key; "" : no sync */
	uint64_t version;
};
MM_MUST enum mm_err mm_station_parse(
    const struct mm_doc *doc, struct mm_station *out, struct mm_why *why);
MM_MUST enum mm_err mm_station_get(struct mm_store_reader *r, const char *id,
    struct mm_station *out, struct mm_why *why);
/* The station that has this credential.  MM_ENOTFOUND: none. */
MM_MUST enum mm_err mm_station_of_key(struct mm_store_reader *r,
    const char *key, struct mm_station *out, struct mm_why *why);
/* Created where its version is 0, else changed for that reason.
 * MM_ECONFLICT: it exists, or its credential is another station's. */
MM_MUST enum mm_err mm_desk_station_put(struct mm_desk *d,
    const struct mm_login *by, struct mm_station *s, const char *reason,
    struct mm_why *why);

/*
 * A line CA, as "mintmark-signer export-line" printed it: its key can be
 * opened by one station's signer alone.
 */
struct mm_line_ca {
	char name[MM_NAME_MAX + 1], url[MM_URL_MAX + 1];
	struct mm_bytes chain, key; /* as an order has them */
	/* Not empty: there is none yet, and the signer makes it for the one
	 * whose certificate (DER) this is. */
	struct mm_bytes recipient;
};
/*
 * The line CA of that station and batch: made now, entered, and kept, or the
 * one that was.  What out gets is in buf.  MM_ECONFLICT: it was made for
 * another signer; MM_EPOLICY: this centre makes none; MM_EINPUT: recipient is
 * somebody's to log in by, and no signer's.
 */
struct mm_line_buf { struct mm_buf chain, key; };
void mm_line_buf_done(struct mm_line_buf *buf);
MM_MUST enum mm_err mm_desk_line_make(struct mm_desk *d,
    const struct mm_login *by, const struct mm_work_order *o,
    struct mm_bytes recipient, struct mm_line_buf *buf,
    struct mm_line_ca *out, struct mm_why *why);
/* Whether the one that was made, if one was, is that recipient's. */
MM_MUST enum mm_err mm_desk_line_check(struct mm_desk *d,
    const struct mm_work_order *o, struct mm_bytes recipient,
    struct mm_why *why);
/*
 * The line CA of a station's order of an offline batch, into o: that of its
 * newest order (old, or NULL), or the given one (or NULL), which then is this
 * station's for this batch for good, and entered as that.  What o gets is
 * borrowed from either.  MM_EINPUT: an online batch has none; MM_ENOTFOUND: it
 * is no line CA that the ledger knows; MM_ECONFLICT: one is missing, it is
 * another station's or batch's, or the station has another.
 */
MM_MUST enum mm_err mm_desk_line(struct mm_desk *d, const struct mm_login *by,
    const struct mm_work_order *old, const struct mm_line_ca *given,
    struct mm_work_order *o, struct mm_why *why);
/* Whether a station has the key of its line CA of that batch still: by its
 * order, and by what its ledger has said at the centre (line.destroyed). */
enum mm_line_key { MM_LINE_KEY_NONE, MM_LINE_KEY_HELD, MM_LINE_KEY_DESTROYED };
MM_MUST enum mm_err mm_line_key_at(struct mm_desk *d, const char *station,
    const char *batch, enum mm_line_key *out, struct mm_why *why);
/*
 * The station's order of the batch: the newest, if that says what the batch
 * says now, else a new one, signed and entered.  line: as mm_desk_line.  file
 * gets the order with its papers (work/file.h).  MM_ENOTFOUND: the batch has
 * no share for it; MM_ECONFLICT: another order was made at the same time, once
 * more.
 */
MM_MUST enum mm_err mm_desk_order(struct mm_desk *d, const struct mm_login *by,
    const struct mm_production *b, struct mm_station *s,
    const struct mm_line_ca *line, struct mm_buf *file, struct mm_why *why);
/* From the next serial on, of so many, after what other batches of the
 * product have; for who prints what the station takes. */
MM_MUST enum mm_err mm_production_next_free(struct mm_store_reader *r,
    const char *product, int64_t n, char serials[MM_SERIALS_TEXT],
    struct mm_why *why);
/* How many batches were made: read before the others are looked at, so that
 * of two that are made at once one is stored. */
MM_MUST enum mm_err mm_production_others(
    struct mm_store_reader *r, uint64_t *n, struct mm_why *why);
/* MM_ECONFLICT: another batch has one of its serials, however each is written
 * and without case; why names the first one. */
MM_MUST enum mm_err mm_production_alone(struct mm_store_reader *r,
    const struct mm_production *b, const struct mm_roll *roll,
    struct mm_why *why);
/* The extension of that order, as a line of text, entered and signed.
 * MM_ENOTFOUND: there is no such order; MM_ECONFLICT: the batch is not open,
 * the station was removed, or an order was made at the same time. */
MM_MUST enum mm_err mm_desk_extension(struct mm_desk *d,
    const struct mm_login *by, const struct mm_production *b,
    struct mm_station *s, struct mm_buf *out, struct mm_why *why);
/* Appends the verifier key that stations pin.  MM_ENOTFOUND: the signer has
 * none. */
MM_MUST enum mm_err mm_core_orders_key(
    struct mm_core *c, struct mm_buf *out, struct mm_why *why);

#endif
