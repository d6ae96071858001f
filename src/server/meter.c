#include <string.h>

#include "server/metrics.h"

/* Requests, counted on the loop that answered them. */

/* The first prefix of a route's pattern that fits says its class. */
static const struct {
	const char *prefix, *name;
} classes[MM_CLASSES] = {
	{ NULL, "none" },
	{ "/.well-known/est", "est" },
	{ "/.well-known/mintmark", "device" },
	{ "/api/v1/enrol", "enrol" },
	{ "/api/v1/ledger", "ledger" },
	{ "/ledger", "ledger" },
	{ "/metrics", "metrics" },
	{ "/api/", "rest" },
	{ "/crl", "crl" },
	{ "/ocsp", "ocsp" },
	{ "/issuer", "issuer" },
	{ "/healthz", "health" },
	{ "/readyz", "health" },
	{ "/", "other" },
};

/* The last is for all others. */
static const struct {
	int status;
	const char *name;
} statuses[MM_STATUSES] = {
	{ 200, "200" },
	{ 201, "201" },
	{ 202, "202" },
	{ 204, "204" },
	{ 304, "304" },
	{ 400, "400" },
	{ 401, "401" },
	{ 403, "403" },
	{ 404, "404" },
	{ 405, "405" },
	{ 408, "408" },
	{ 409, "409" },
	{ 411, "411" },
	{ 412, "412" },
	{ 413, "413" },
	{ 414, "414" },
	{ 415, "415" },
	{ 428, "428" },
	{ 429, "429" },
	{ 431, "431" },
	{ 500, "500" },
	{ 501, "501" },
	{ 503, "503" },
	{ 0, "other" },
};

/* see metrics.h */
unsigned
mm_meter_class(const struct mm_http_route *route)
{
	unsigned i = 1;

	if (route == NULL)
		return 0;
	while (i < MM_CLASSES - 1 && strncmp(route->pattern, classes[i].prefix,
					 strlen(classes[i].prefix)) != 0)
		i++;
	/* two prefixes of one class count as its first */
	while (i > 1 && strcmp(classes[i - 1].name, classes[i].name) == 0)
		i--;
	return i;
}

/* see metrics.h */
const char *
mm_meter_class_name(unsigned class)
{
	return classes[class].name;
}

/* see metrics.h */
unsigned
mm_meter_status(int status)
{
	unsigned i = 0;

	while (i < MM_STATUSES - 1 && statuses[i].status != status)
		i++;
	return i;
}

/* see metrics.h */
const char *
mm_meter_status_name(unsigned i)
{
	return statuses[i].name;
}

static unsigned
listener_of(const char *name)
{
	unsigned i = 0;

	while (i < MM_LISTENERS - 1 && strcmp(mm_listener_name(i), name) != 0)
		i++;
	return i;
}

/* see metrics.h */
void
mm_meter_access(void *ctx, const struct mm_http_access *a)
{
	struct mm_server *s = ctx;
	struct mm_meter *m = &s->meter[a->loop];
	unsigned class = mm_meter_class(a->route);

	atomic_fetch_add_explicit(
	    &m->n[listener_of(a->listener)][class][mm_meter_status(a->status)],
	    1, memory_order_relaxed);
	mm_hist_add(&m->took[class], &mm_hist_time, (uint64_t)a->took_us);
	mm_answer_log(NULL, a);
}
