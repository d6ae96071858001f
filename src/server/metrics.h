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
enum { MM_STATUSES = 24, MM_CLASSES = 14 };

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

/* ---- scraper.c: whose scrapes go on while the store is away ---- */

MM_MUST enum mm_err mm_scrapers_new(struct mm_scrapers **out,
    struct mm_why *why);
void mm_scrapers_free(struct mm_scrapers **owner);
/* What mm_desk_login said (rc) of a credential that asks for /metrics.  Good:
 * it is kept, for a quarter of an hour.  Refused: it is forgotten.  The store
 * is away: true if it is kept for this address, and *login is its. */
bool mm_scrapers_login(struct mm_scrapers *s, const struct mm_presented *p,
    enum mm_err rc, struct mm_login *login);
/* Forgets those that the store knows as revoked, ended or not at all. */
void mm_scrapers_tidy(struct mm_scrapers *s, struct mm_store_reader *r);

/* ---- the scrape ---- */

/* Every family, in the order of the table.  r NULL: the store is away.  open:
 * as OpenMetrics 1.0, else the Prometheus text format 0.0.4. */
void mm_metrics_put(struct mm_server *s, struct mm_store_reader *r, bool open,
    struct mm_buf *out);
/* The reference, in Markdown. */
void mm_metrics_reference(struct mm_buf *out);

#endif
