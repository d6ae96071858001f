#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "server/event.h"
#include "server/rest.h"

/* Status. */

/* Counted one by one, so no further: more is not another answer. */
#define UNCONFIRMED_MOST 10000

static void
put_counts(struct mm_json *j, const struct mm_store_counts *n,
    const uint64_t *unconfirmed)
{
	mm_json_open_key(j, "counts", '{');
	mm_json_int(j, "products", (int64_t)n->products);
	mm_json_int(j, "devices", (int64_t)n->devices);
	mm_json_int(j, "tokens", (int64_t)n->tokens);
	mm_json_int(j, "certificates", (int64_t)n->certs);
	mm_json_int(j, "revoked", (int64_t)n->revoked);
	if (unconfirmed != NULL)
		mm_json_int(j, "unconfirmed", (int64_t)*unconfirmed);
	mm_json_close(j, '}');
}

static void
put_core(struct mm_json *j, const struct mm_server *s,
    const struct mm_core_stats *st)
{
	mm_json_open_key(j, "ledger", '{');
	mm_json_int(j, "size", (int64_t)st->tree_size);
	mm_json_int(j, "checkpoint_size", (int64_t)st->checkpoint_size);
	mm_rest_put_time(j, "checkpoint_at", st->checkpoint_at);
	mm_json_close(j, '}');
	mm_json_open_key(j, "signer", '{');
	mm_json_bool(j, "up", st->signer_up);
	mm_json_int(j, "starts", atomic_load(&s->signer_starts));
	mm_json_close(j, '}');
	mm_json_open_key(j, "since_start", '{');
	mm_json_int(j, "issued", (int64_t)st->issued);
	mm_json_int(j, "replayed", (int64_t)st->replayed);
	mm_json_int(j, "renewed", (int64_t)st->renewed);
	mm_json_int(j, "confirmed", (int64_t)st->confirmed);
	mm_json_int(j, "refused", (int64_t)st->refused);
	mm_json_int(j, "busy", (int64_t)st->busy);
	mm_json_int(j, "orphans", (int64_t)st->orphans);
	mm_json_int(j, "in_flight", st->in_flight);
	mm_json_close(j, '}');
}

static void
put_listener(struct mm_json *j, const struct mm_server *s,
    enum mm_listener which, const char *name)
{
	struct mm_http_counters n;

	if (s->listener[which] < 0)
		return;
	mm_http_counters(s->http, (size_t)s->listener[which], &n);
	mm_json_open_key(j, name, '{');
	mm_json_int(j, "open", (int64_t)n.open);
	mm_json_int(j, "accepted", (int64_t)n.accepted);
	mm_json_int(j, "refused",
	    (int64_t)(n.refused_cap + n.refused_source));
	mm_json_int(j, "handshake_failed",
	    (int64_t)(n.handshake_failed + n.handshake_timeout));
	mm_json_int(j, "slowed", (int64_t)n.slowed);
	mm_json_int(j, "requests", (int64_t)n.requests);
	mm_json_int(j, "bad_requests", (int64_t)n.bad_requests);
	mm_json_close(j, '}');
}

enum mm_err
mm_rest_status(struct mm_rest *r, struct mm_why *why)
{
	const struct mm_server *s = r->s;
	struct mm_store_counts n;
	struct mm_core_stats st;
	int64_t old_ms = s->config->set.unconfirmed_alert_s * 1000;
	uint64_t unconfirmed;

	MM_TRY(mm_get_counts(r->reader, &n, why));
	MM_TRY(mm_get_unconfirmed(r->reader, mm_now_ms() - old_ms,
	    UNCONFIRMED_MOST, &unconfirmed, why));
	mm_core_stats(s->core, &st);
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "name", s->config->set.name);
	mm_json_str(&r->j, "version", MM_VERSION);
	mm_json_bool(&r->j, "production", s->config->set.production);
	mm_json_time(&r->j, "started", s->started_at);
	mm_json_int(&r->j, "uptime_s", (mm_now_ms() - s->started_at) / 1000);
	mm_json_bool(&r->j, "ready", st.ready);
	if (!st.ready)
		mm_json_str(&r->j, "why", st.why);
	if (r->login.scope.on) { /* what follows is about all products */
		mm_json_close(&r->j, '}');
		return MM_OK;
	}
	put_counts(&r->j, &n, old_ms > 0 ? &unconfirmed : NULL);
	put_core(&r->j, s, &st);
	mm_json_int(&r->j, "waiting", mm_watch_waiting(s->watch));
	mm_json_open_key(&r->j, "listeners", '{');
	put_listener(&r->j, s, MM_DEVICES, "devices");
	put_listener(&r->j, s, MM_OPERATORS, "operators");
	put_listener(&r->j, s, MM_PUBLIC, "public");
	mm_json_close(&r->j, '}');
	mm_health_warnings(s, &r->j);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
