#include "server/event.h"
#include "server/metrics.h"
#include "server/process.h"
#include "server/public.h"

/* The listeners: what each may have, and what it serves. */

/* WRITE_LEAST: in WRITE_MS, so 32 KiB a second of what is larger. */
enum { HANDSHAKES = 1024, WRITE_MS = 20000, WRITE_LEAST = 640 * 1024 };

static const char *const names[MM_LISTENERS] = {
	[MM_DEVICES] = "devices", [MM_OPERATORS] = "operators",
	[MM_PUBLIC] = "public", [MM_LEGACY] = "legacy",
};

/* see metrics.h */
const char *
mm_listener_name(unsigned which)
{
	return names[which];
}

/* The library counts sources per loop, the setting means all of them: the
 * kernel spreads an address's connections about evenly. */
static unsigned
per_loop(int64_t n, int64_t loops)
{
	return (unsigned)((n + loops - 1) / loops);
}

static struct mm_http_limits
limits_of(const struct mm_settings *set)
{
	unsigned most = mm_process_connections(set, mm_process_fds_max());

	return (struct mm_http_limits){
		.connections = most,
		.connections_per_source = per_loop(
		    set->connections_per_source, set->threads),
		.handshake_ms = set->handshake_s * 1000,
		.header_ms = set->header_s * 1000,
		.body_ms = set->body_s * 1000,
		.idle_ms = set->idle_s * 1000,
		.write_ms = WRITE_MS,
		.write_least = WRITE_LEAST,
		/* half-open ones never fill a listener */
		.handshakes = most / 2 < HANDSHAKES ? most / 2 : HANDSHAKES,
	};
}

/* Only a long poll can be answered before it is done. */
static void
left(void *ctx, struct mm_http_ref ref)
{
	const struct mm_server *s = ctx;

	mm_watch_left(s->watch, ref);
}

/* So can who waits for other lists. */
static void
left_public(void *ctx, struct mm_http_ref ref)
{
	const struct mm_server *s = ctx;

	mm_bundle_left(s->pub, ref);
}

static void
fill_listener(struct mm_server *s, enum mm_listener which,
    struct mm_http_listener_conf *l)
{
	const struct mm_settings *set = &s->config->set;

	*l = (struct mm_http_listener_conf){ .name = names[which],
		.limits = limits_of(set), .ctx = s,
		.on_error = mm_answer_library };
	switch (which) {
	case MM_DEVICES:
		l->address = set->devices_listen;
		l->make_ctx = mm_tls_devices_ctx;
		l->on_secured = mm_tls_secured;
		l->on_failed = mm_tls_failed;
		l->free_conn_data = mm_tls_conn_free;
		l->routes = mm_devices_routes;
		l->nroutes = mm_devices_nroutes;
		break;
	case MM_OPERATORS:
		l->address = set->operators_listen;
		l->make_ctx = mm_tls_operators_ctx;
		l->on_secured = mm_tls_operator_secured;
		l->free_conn_data = mm_tls_conn_free;
		l->on_head = mm_rest_head;
		l->on_left = left;
		/* a long poll, and the time to write its answer */
		l->limits.answer_ms = (MM_WATCH_WAIT_MAX_S + 10) * 1000;
		l->routes = mm_operators_routes;
		l->nroutes = mm_operators_nroutes;
		break;
	case MM_LEGACY:
		l->address = set->legacy_listen;
		l->make_ctx = mm_tls_legacy_ctx;
		l->on_secured = mm_tls_legacy_secured;
		l->on_failed = mm_tls_failed;
		l->free_conn_data = mm_tls_conn_free;
		l->routes = mm_legacy_routes;
		l->nroutes = mm_legacy_nroutes;
		break;
	default:
		l->address = set->public_listen;
		l->on_left = left_public;
		l->routes = mm_public_routes;
		l->nroutes = mm_public_nroutes;
		break;
	}
}

/* see priv.h */
enum mm_err
mm_listen(struct mm_server *s, struct mm_why *why)
{
	struct mm_http_listener_conf l[MM_LISTENERS];
	struct mm_http_conf conf = {
		.loops = (uint16_t)s->config->set.threads,
		.listeners = l, .on_round = mm_enrol_round,
		.on_access = mm_meter_access, .ctx = s };

	for (unsigned i = 0; i < MM_LISTENERS; i++) {
		fill_listener(s, (enum mm_listener)i, &l[conf.nlisteners]);
		s->listener[i] = -1;
		if (l[conf.nlisteners].address[0] != '\0')
			s->listener[i] = (int)conf.nlisteners++;
	}
	if (conf.nlisteners == 0)
		return MM_FAIL(why, MM_EINPUT, "every listener is switched "
		    "off: nothing to serve");
	return mm_http_open(&conf, &s->http, why);
}
