#ifndef MM_CORE_ENDS_H
#define MM_CORE_ENDS_H

#include "core/core.h"
#include "ledger/entry.h"

/*
 * What has an end and is not a device's certificate: the CA's own certificates
 * and lists, what people and stations come in by, what was opened for a time.
 * One table of kinds says for each what it is called, who sees to it that it
 * goes on, what that takes, and at which distances the ledger has an alert.
 */
enum mm_end_kind {
	MM_END_ANCHOR, MM_END_LINK, MM_END_CHAIN, MM_END_ISSUER,
	MM_END_CUTS_SHORT, MM_END_FOLLOWED, MM_END_LINE_CA, MM_END_TLS,
	MM_END_EST,
	MM_END_ROOT_CRL, MM_END_CRL, MM_END_SHARD_CRL, MM_END_LINE_CRL,
	MM_END_CONFIG_KEY, MM_END_KEY, MM_END_CERTIFICATE, MM_END_GROUP,
	MM_END_BATCH, MM_END_KINDS
};

/* BY_HAND: a person must act before.  BY_ITSELF: the server makes another one
 * in time; late once it has not.  MEANT: it is to end. */
enum mm_end_by { MM_END_BY_HAND, MM_END_BY_ITSELF, MM_END_MEANT };
extern const char *const mm_end_by_words[];

struct mm_end_rule {
	const char *word, *todo;
	enum mm_end_by by;
	const char *reason;        /* of its alert; NULL: there is none */
	enum mm_entry_field field; /* what its name is called there */
	const int64_t *day;        /* ascending; of what ends BY_ITSELF none:
	                            * it is told when it is late, and ended */
	size_t nday;
};
extern const struct mm_end_rule mm_end_rules[MM_END_KINDS];

struct mm_end {
	enum mm_end_kind kind;
	char name[MM_DOC_ID_MAX + 1];
	char of[65];    /* whose, for people; "" */
	int64_t end_s;
	int64_t span_s; /* BY_ITSELF: its whole time */
};
/* BY_ITSELF, and less than two fifths of its time are left. */
bool mm_end_late(const struct mm_end *e, int64_t now_s);

typedef enum mm_err mm_each_end_fn(void *ctx, const struct mm_end *e,
    struct mm_why *why);
/* All but what the server alone knows (MM_END_TLS, MM_END_EST, published
 * lists), in no
 * order; what has no end is left out, and groups and batches that cannot be
 * read, which are *unread. */
MM_MUST enum mm_err mm_desk_each_end(struct mm_desk *d, mm_each_end_fn *fn,
    void *ctx, unsigned *unread, struct mm_why *why);
/* Its alert, if it is within a distance: once for each, whoever of the nodes
 * is first. */
MM_MUST enum mm_err mm_desk_end_tell(struct mm_desk *d,
    const struct mm_end *e, struct mm_why *why);
/* Of class i's product, whatever issuers it has; false: it was told with the
 * first of its classes. */
bool mm_forecast_product(const struct mm_forecast *f, size_t i,
    uint64_t *late, uint64_t *in_use);
/* Whether that many late certificates of those in use are more than one of a
 * hundred: then its product has devices that should have renewed. */
bool mm_devices_late(uint64_t late, uint64_t in_use);
/* An alert a day and product of which that holds, by the last count; *counted
 * false: there is none yet. */
MM_MUST enum mm_err mm_desk_devices_tell(struct mm_desk *d, bool *counted,
    struct mm_why *why);

#endif
