#include <string.h>

#include "server/metrics.h"
#include "server/rest.h"

/* GET /metrics */
enum mm_err
mm_rest_metrics(struct mm_rest *r, struct mm_why *why)
{
	if (r->s->config->set.metrics == MM_METRICS_OFF)
		return MM_FAIL(why, MM_ENOTFOUND, "metrics are switched off");
	r->type = r->openmetrics ? "application/openmetrics-text; "
				   "version=1.0.0; charset=utf-8"
				 : "text/plain; version=0.0.4; "
				   "charset=utf-8";
	mm_metrics_put(r->s, r->store_away ? NULL : r->reader, r->openmetrics,
	    &r->out);
	return MM_OK;
}
