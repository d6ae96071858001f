#ifndef MM_SERVER_FAMILIES_H
#define MM_SERVER_FAMILIES_H

#include "core/group.h"
#include "server/attempts.h"
#include "server/authorise.h"
#include "server/mail.h"
#include "server/metrics.h"

/*
 * A metric's families as a table (families.c), and how a scrape writes their
 * samples (metrics.c).
 */
enum mm_metric_type { COUNTER, GAUGE, HISTOGRAM };

/* One scrape: what was read once for all families. */
struct mm_scrape {
	struct mm_server *s;
	struct mm_buf *out;
	bool open;
	const struct mm_family *family;
	struct mm_core_stats core;
	struct mm_store_counts store;
	struct mm_groups_tally groups;
	bool store_up;
	struct mm_attempts_stats attempts;
	struct mm_authorise_stats authorise;
	struct mm_hook_stats hooks;
	struct mm_mail_stats mail;
	uint64_t refusals[MM_REASON_COUNT];
	struct mm_http_counters http[MM_LISTENERS];
};
typedef void mm_put_fn(struct mm_scrape *c);

/* name: without a counter's _total */
struct mm_family {
	const char *name;
	enum mm_metric_type type;
	const char *labels; /* for the reference; "" none */
	const char *help;
	mm_put_fn *put;
};
extern const struct mm_family mm_families[];
extern const size_t mm_nfamilies;

/* families_upstream.c */
mm_put_fn mm_put_upstream_asked, mm_put_upstream_answers,
    mm_put_upstream_took, mm_put_upstream_waiting, mm_put_upstream_up,
    mm_put_upstream_resting, mm_put_upstream_answered, mm_put_upstream_ends;

/* One sample of the family at hand; labels: "" or name="value" pairs. */
void mm_sample(struct mm_scrape *c, const char *labels, uint64_t v);
void mm_sample_real(struct mm_scrape *c, const char *labels, double v);
void mm_sample_label(struct mm_scrape *c, const char *name, const char *value,
    uint64_t v);
/* Buckets are cumulative; labels: "" or one pair. */
void mm_sample_hist(struct mm_scrape *c, const struct mm_hist *h,
    const struct mm_hist_shape *shape, const char *labels);

#endif
