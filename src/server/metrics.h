#ifndef MM_SERVER_METRICS_H
#define MM_SERVER_METRICS_H

#include "base/hist.h"
#include "server/priv.h"

/*
 * What is measured.  families.c holds the table of all families, from which
 * docs/reference/metrics.md is made; meter.c counts requests on the loops.
 *
 * Label values come from tables of constants and from the configuration's
 * names: none from a request, so their number is bounded.
 */
enum { MM_STATUSES = 24, MM_CLASSES = 13 };

/* One event loop's; written by its thread alone. */
struct mm_meter {
	_Alignas(
	    64) atomic_uint_fast64_t n[MM_LISTENERS][MM_CLASSES][MM_STATUSES];
	struct mm_hist took[MM_CLASSES];
};

/* on_access of the HTTP library: counts, then the access log. */
void mm_meter_access(void *ctx, const struct mm_http_access *a);
/* The route's class; 0: none was found. */
unsigned mm_meter_class(const struct mm_http_route *route);
const char *mm_meter_class_name(unsigned class);
unsigned mm_meter_status(int status);
const char *mm_meter_status_name(unsigned i);
const char *mm_listener_name(unsigned which);

/* Every family, in the order of the table.  open: as OpenMetrics 1.0, else
 * the Prometheus text format 0.0.4. */
void mm_metrics_put(struct mm_server *s, struct mm_store_reader *r, bool open,
    struct mm_buf *out);
/* The reference, in Markdown. */
void mm_metrics_reference(struct mm_buf *out);

#endif
