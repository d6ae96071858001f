#ifndef MM_STORE_RECALL_KEY_H
#define MM_STORE_RECALL_KEY_H

#include "store/backend.h"

/*
 * Which condition of a recall leads, and where its next page begins: what the
 * backends share.  A key is the lead's letter and the id of the last row
 * looked at, with a range also the value before it.
 *
 * Rows of devices and certificates stand in the order of time but for the
 * moment an operation waited for its transaction: a search by time begins
 * and ends MM_RECALL_SLACK_MS wider.  Who asks says if a clock was wrong, and
 * they do not (struct mm_recall).
 */

enum mm_recall_lead {
	MM_LEAD_ALL,     /* devices, in the order they were stored */
	MM_LEAD_PRODUCT, /* its devices by name */
	MM_LEAD_ISSUED,  /* certificates, in the order they were stored */
	MM_LEAD_EQUAL,   /* devices that have an attribute */
	MM_LEAD_RANGE,   /* the same by its value */
	MM_LEAD_NAMED,   /* the one of that name */
	MM_LEADS
};
struct mm_recall_at {
	int64_t id; /* -1: from the start */
	bool has_value, is_number;
	double number;
	char text[260];
};

/* Whether it asks for a certificate. */
bool mm_recall_asks_cert(const struct mm_recall *q);
/* equal: the rarest of the indexed equalities, or NULL; *where: the condition
 * that leads, if it is one of an attribute. */
enum mm_recall_lead mm_recall_choose(const struct mm_recall *q,
    const struct mm_where *equal, const struct mm_where **where);
/* All conditions of one member make one range of numbers; both ends belong to
 * it: what must not is left out as it is looked at. */
void mm_recall_numbers(const struct mm_recall *q, const char *name,
    double *low, double *high);
/* The end of the texts that w, a prefix, is for. */
#define MM_RECALL_END 140
void mm_recall_text_end(const struct mm_where *w, char out[MM_RECALL_END]);

/* MM_EINPUT: q->after is not a key of this. */
enum mm_err mm_recall_at_parse(const struct mm_recall *q,
    enum mm_recall_lead lead, const struct mm_where *where,
    struct mm_recall_at *out, struct mm_why *why);
void mm_recall_at_text(enum mm_recall_lead lead,
    const struct mm_recall_at *at, char out[MM_RECALL_AFTER]);

#endif
