#ifndef MM_SIGNER_DUTY_H
#define MM_SIGNER_DUTY_H

#include "signer/counter.h"
#include "signer/nonces.h"
#include "signer/priv.h"
#include "signer/quota.h"
#include "work/order.h"

/*
 * A station's signer: it works to one work order, which it verified itself by
 * the centre's key that was pinned when it was set up.  Its one issuer is the
 * order's line CA, its profiles are the order's.  What it signs is within the
 * order's window, serial numbers and share, whatever the station program
 * asks for.
 *
 * In signer_dir, besides what every signer has:
 *
 *	orders.pub            the centre's key for orders
 *	station               this station's name
 *	keys/station.key, station.crt    the key that line CAs come wrapped for
 *	orders/last           number and hash of the last order that was taken
 *	orders/<batch>.order, .profiles, .serials    the batch's newest order
 *	orders/<batch>.extension    the last that was taken of it
 *	orders/clock          the latest time that was seen, in milliseconds
 *	orders/<batch>.ended  number of the order whose end was seen
 *	orders/<batch>.issued the quota's counter (signer/quota.h)
 *	orders/counter        what binds that to a TPM (signer/counter.h)
 */
struct mm_duty {
	pthread_mutex_t lock; /* of quota, counter, before, arena, ended,
	                       * settled, nonces */
	struct mm_work_order *order; /* its share and end by the lock */
	struct mm_note_key key; /* orders.pub */
	struct mm_profile_set profiles;
	struct mm_serials run; /* or */
	struct mm_buf list;    /* "\nSN-1\nSN-2\n" */
	struct mm_quota *quota;
	int level; /* enum mm_work_level: what the counter withstands */
	struct mm_counter *counter; /* NULL: a file; or barred */
	/* enum mm_err: the TPM is away, or (MM_EPOLICY) all of this was put
	 * back; once and for all, and set when its words are there. */
	atomic_int barred;
	char barred_why[sizeof(((struct mm_why *)0)->text)];
	struct mm_buf arena;
	/* An earlier batch's, as it was asked for last; NULL: none yet. */
	struct mm_quota *before;
	char before_batch[MM_NAME_MAX + 1];
	/* The latest time that was seen; what of it is in orders/clock. */
	_Atomic int64_t seen_ms;
	int64_t kept_ms; /* the main thread's */
	bool ended; /* its end was seen, whatever the clock says since */
	struct mm_nonces nonces; /* for boards that are taken over */
	atomic_bool asks_nonces; /* the station program knows of them */
	bool settled; /* the last pair that was counted is in the journal */
	char authority[MM_NAME_MAX + 8]; /* "batch:b7" */
};

/* The file of an order: what is "order", "profiles", "serials", "issued". */
MM_MUST enum mm_err mm_duty_path(const struct mm_settings *set,
    const char *batch, const char *what, char out[MM_PATH_MAX + 1],
    struct mm_why *why);
/* Of an order that was replaced, and so a line CA's sealed key, nothing is
 * left, whenever that was cut off; the folder is locked. */
MM_MUST enum mm_err mm_duty_tidy(const struct mm_settings *set,
    struct mm_why *why);
/* A whole file of the folder without its last LF; out: at most max. */
MM_MUST enum mm_err mm_duty_text(const struct mm_settings *set,
    const char *name, struct mm_buf *out, struct mm_why *why);
/* The order in its note: of the pinned key and for this station; that this
 * signer can work to it: MM_EPOLICY. */
MM_MUST enum mm_err mm_duty_verify(const struct mm_config *conf,
    struct mm_bytes note, struct mm_work_order **out, struct mm_why *why);
/* Its line CA, with the key that this signer alone can open. */
MM_MUST enum mm_err mm_duty_open_ca(const struct mm_config *conf,
    const struct mm_work_order *o, struct mm_bytes pass, struct mm_ca *ca,
    struct mm_why *why);
/* The order's serial numbers: a run, or the paper with its hash. */
MM_MUST enum mm_err mm_duty_serials(const struct mm_work_order *o,
    struct mm_bytes paper, struct mm_duty *l, struct mm_why *why);

/* Loads the batch's order into a signer that has its record. */
MM_MUST enum mm_err mm_duty_load(struct mm_signer *s, const char *batch,
    struct mm_bytes pass, struct mm_why *why);
void mm_duty_free(struct mm_duty **owner);

/* duty_extend.c: what was taken of the order before; with its clock. */
MM_MUST enum mm_err mm_duty_extend_load(struct mm_signer *s,
    struct mm_why *why);

/* duty_clock.c: the latest time that was seen; 0: none.  A clock that is so
 * much behind was set back. */
#define MM_DUTY_CLOCK "orders/clock"
#define MM_DUTY_BACK_MS 120000
MM_MUST enum mm_err mm_duty_clock(const struct mm_settings *set,
    int64_t *at_ms, struct mm_why *why);
/* With its order. */
MM_MUST enum mm_err mm_duty_clock_load(struct mm_signer *s,
    struct mm_why *why);
/* Once a second, by the main thread; of a centre's signer nothing. */
void mm_duty_tick(struct mm_signer *s);

/* duty_counter.c: the batch's counter and what it is bound to; a TPM that is
 * away, or files that are not its newest, bar the signer and do not end it,
 * so that it can say so. */
MM_MUST enum mm_err mm_duty_counter_load(
    struct mm_signer *s, struct mm_why *why);
/* The caller holds the lock, also below.  What may be counted of the share. */
uint64_t mm_duty_share(const struct mm_duty *l);
/* What the order's and those that were scrapped come to; what of it was lost
 * with leases. */
uint64_t mm_duty_whole(const struct mm_duty *l);
uint64_t mm_duty_lost(const struct mm_duty *l);
/* Before one more is counted.  MM_EAGAIN, MM_EPOLICY. */
MM_MUST enum mm_err mm_duty_counter_take(
    struct mm_duty *l, struct mm_why *why);
/* Whether one more could be. */
MM_MUST enum mm_err mm_duty_counter_look(
    struct mm_duty *l, struct mm_why *why);
/* The process ends in order: no lease is lost. */
void mm_duty_end(struct mm_signer *s);

/* issue.c's: the certificate that the pair has, as the answer; MM_ENOTFOUND:
 * it has none. */
MM_MUST enum mm_err mm_duty_again(struct mm_worker *w, struct mm_item *i,
    struct mm_why *why);
/* Whether a new one may be signed. */
MM_MUST enum mm_err mm_duty_admit(struct mm_signer *s,
    const struct mm_issue_req *q, struct mm_why *why);
/* duty_adopt.c's, under the lock: whether one more may be made now; counts the
 * pair and enters it: line has its number then. */
MM_MUST enum mm_err mm_duty_right(const struct mm_duty *l,
    struct mm_why *why);
MM_MUST enum mm_err mm_duty_count_pair(struct mm_worker *w,
    const struct mm_quota_pair *p, struct mm_journal_line *line,
    struct mm_why *why);
/* The pair that was counted last is in the journal. */
MM_MUST enum mm_err mm_duty_settle(struct mm_signer *s, struct mm_why *why);
/* Without the lock: whether the serial number is the order's; what the pair
 * has, as mm_duty_again finds it: der and chain are i's. */
bool mm_duty_orders(const struct mm_duty *l, const char *serial);
MM_MUST enum mm_err mm_duty_find(struct mm_worker *w,
    const struct mm_duty_find_req *q, struct mm_item *i,
    struct mm_quota_pair *out, struct mm_why *why);
/* MM_EPOLICY: a pair that was found is scrapped: nothing is given for it. */
MM_MUST enum mm_err mm_duty_kept(const struct mm_quota_pair *p,
    const char *device, struct mm_why *why);
/* The journal's line of a pair. */
MM_MUST enum mm_err mm_duty_line(const struct mm_duty *l,
    const struct mm_quota_pair *p, struct mm_journal_line *out,
    struct mm_why *why);

/* Counts what was signed and enters it into the journal: then it may leave. */
MM_MUST enum mm_err mm_duty_count(struct mm_worker *w, struct mm_item *i,
    struct mm_why *why);

#endif
