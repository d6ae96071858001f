#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "server/rest.h"

/*
 * From a request to a call and back: login, roles, body, Idempotency-Key.
 */
enum {
	OUT_MAX = 8 << 20,
	BODY_SMALL = 64 * 1024,
	BODY_BULK = 1 << 20, /* 1,000 tokens */
	BODY_IMPORT = 4 << 20, /* 1,000 devices with 2 KiB of attributes */
	IDEMPOTENCY_MAX = 64,
	ANY = MM_ROLE_ADMIN | MM_ROLE_OPERATOR | MM_ROLE_LINE |
	    MM_ROLE_SUPPORT | MM_ROLE_AUDITOR,
	ADMIN = MM_ROLE_ADMIN,
	MAKES = MM_ROLE_ADMIN | MM_ROLE_OPERATOR,
	LINES = MM_ROLE_ADMIN | MM_ROLE_OPERATOR | MM_ROLE_LINE,
	ENROLS = MM_ROLE_ADMIN | MM_ROLE_LINE,
	READS = MM_ROLE_ADMIN | MM_ROLE_OPERATOR | MM_ROLE_SUPPORT |
	    MM_ROLE_AUDITOR,
	TREATS = MM_ROLE_ADMIN | MM_ROLE_OPERATOR | MM_ROLE_SUPPORT,
	AUDITS = MM_ROLE_ADMIN | MM_ROLE_AUDITOR,
};

#define METRICS "/metrics"

struct rest_call {
	mm_rest_fn *run;
	const char *query; /* what it may have; NULL: a list, which asks */
};

/* ---- login ---- */

static enum mm_err
login(struct mm_desk *d, const char *header, struct mm_login *out,
    struct mm_why *why)
{
	if (strncasecmp(header, "Bearer ", 7) != 0)
		return MM_FAIL(why, MM_EAUTH,
		    "this wants Authorization: Bearer and an API key");
	return mm_desk_login(d, mm_bytes_of(header + 7), out, why);
}

/* Whether the route is for everybody, by setting. */
static bool
is_open(const struct mm_server *s, const struct mm_http_route *route)
{
	return s->config->set.metrics == MM_METRICS_OPEN &&
	    strcmp(route->pattern, METRICS) == 0;
}

static enum mm_err
allow(const struct mm_rest *r, struct mm_why *why)
{
	if ((r->login.roles & r->req->route->flags) != 0)
		return MM_OK;
	return MM_FAIL(why, MM_EPOLICY, "the key's roles do not allow this");
}

static enum mm_err
may(struct mm_rest *r, const char *authorization, struct mm_why *why)
{
	if (is_open(r->s, r->req->route))
		return MM_OK;
	MM_TRY(login(r->desk, authorization, &r->login, why));
	return allow(r, why);
}

static enum mm_err
read_body(struct mm_rest *r, struct mm_why *why)
{
	if (r->req->method != MM_HTTP_POST && r->req->method != MM_HTTP_PUT &&
	    r->req->method != MM_HTTP_PATCH)
		return MM_OK;
	if (r->req->body.n == 0) {
		r->in = json_object();
		return r->in != NULL ? MM_OK
		    : MM_FAIL(why, MM_ENOMEM, "out of memory");
	}
	return mm_rest_parse(r->req->body, &r->in, why);
}

/* ---- Idempotency-Key ---- */

/* What makes two requests the same: method, path and body. */
static void
request_hash(const struct mm_http_req *req, uint8_t out[32])
{
	uint8_t head[33];

	head[0] = (uint8_t)req->method;
	mm_sha256(req->path, head + 1);
	mm_sha256_2((struct mm_bytes){ head, sizeof(head) }, req->body, out);
}

static enum mm_err
idempotency_key(const struct mm_rest *r, const char *given, char key[129],
    struct mm_why *why)
{
	size_t n = strlen(given);

	if (n > IDEMPOTENCY_MAX)
		return MM_FAIL(why, MM_EINPUT,
		    "Idempotency-Key: at most %d characters",
		    IDEMPOTENCY_MAX);
	for (size_t i = 0; i < n; i++)
		if (given[i] < 0x21 || given[i] > 0x7e)
			return MM_FAIL(why, MM_EINPUT,
			    "Idempotency-Key: printable characters only");
	strcpy(key, r->login.id);
	strcat(key, ":");
	strcat(key, given);
	return MM_OK;
}

/* true: the stored answer is r's, or the refusal is *rc. */
static bool
replay(struct mm_rest *r, const char *key, enum mm_err *rc,
    struct mm_why *why)
{
	uint8_t stored[32], now[32];
	int status;

	*rc = mm_get_answer(r->reader, key, stored, &status, &r->out, NULL);
	if (*rc == MM_ENOTFOUND) {
		mm_buf_reset(&r->out);
		*rc = MM_OK;
		return false;
	}
	if (*rc != MM_OK)
		return true;
	request_hash(r->req, now);
	if (memcmp(stored, now, sizeof(now)) != 0)
		*rc = MM_FAIL(why, MM_ECONFLICT, "Idempotency-Key: it was "
		    "used for another request");
	else
		r->status = status;
	return true;
}

/* What the key will answer from now on: without what is shown once. */
static enum mm_err
remember(struct mm_rest *r, const char *key, struct mm_why *why)
{
	uint8_t now[32];
	enum mm_err rc;

	mm_buf_put(&r->stored, r->out.p + r->stored_n,
	    r->out.n - r->stored_n);
	MM_TRY(mm_buf_ok(&r->stored, why));
	request_hash(r->req, now);
	rc = mm_desk_answer_put(r->desk, key, now, r->status,
	    mm_buf_view(&r->stored), why);
	/* The work is done: a lost answer must not make it look undone. */
	if (rc != MM_OK)
		MM_LOG(MM_LOG_WARN, "idempotency", MM_S("id", r->req->id),
		    MM_S("why", why->text));
	return MM_OK;
}

static enum mm_err
run_call(struct mm_rest *r, struct mm_why *why)
{
	const struct rest_call *c = r->req->route->data;

	if (c->query != NULL)
		MM_TRY(mm_rest_query_is(r, c->query, why));
	MM_TRY(read_body(r, why));
	MM_TRY(c->run(r, why));
	return mm_buf_ok(&r->out, why);
}

static enum mm_err
run_held(struct mm_rest *r, const char *key, struct mm_why *why)
{
	enum mm_err rc;

	if (replay(r, key, &rc, why))
		return rc;
	MM_TRY(run_call(r, why));
	return r->parked ? MM_OK : remember(r, key, why);
}

/* Two at once with one key: the second is told so, not run. */
static enum mm_err
run_once(struct mm_rest *r, const char *given, struct mm_why *why)
{
	struct mm_answer_hold hold;
	char key[129];
	enum mm_err rc;

	if (given[0] == '\0' || r->req->method != MM_HTTP_POST)
		return run_call(r, why);
	MM_TRY(idempotency_key(r, given, key, why));
	if (!mm_desk_answer_begin(r->desk, key, &hold))
		return MM_FAIL(why, MM_ECONFLICT, "Idempotency-Key: a request "
		    "with it is in flight");
	rc = run_held(r, key, why);
	mm_desk_answer_end(r->desk, &hold);
	return rc;
}

/* ---- a call ---- */

/* RFC 9110 8.8.3 */
static void
put_etag(const struct mm_rest *r, struct mm_http_resp *resp)
{
	char text[32];

	if (!r->has_etag)
		return;
	snprintf(text, sizeof(text), "\"%llu\"",
	    (unsigned long long)r->etag);
	mm_http_resp_header(resp, "ETag", text);
}

static void
answer(struct mm_rest *r, enum mm_err rc, const struct mm_why *why)
{
	struct mm_http_resp resp = { .status = r->status,
		.content_type = r->type };

	if (rc == MM_OK) {
		resp.body = r->out;
		r->out = (struct mm_buf){ 0 };
		if (resp.body.n == 0)
			resp.content_type = NULL;
		if (r->cache != NULL)
			mm_http_resp_header(&resp, "Cache-Control", r->cache);
		put_etag(r, &resp);
	} else {
		mm_answer_problem(&resp, mm_err_http(rc), mm_err_slug(rc),
		    why->text, NULL, r->req->id);
	}
	if (rc == MM_EAUTH)
		mm_http_resp_header(&resp, "WWW-Authenticate",
		    "Bearer realm=\"mintmark\"");
	if (resp.status == 503 || resp.status == 429)
		mm_answer_retry(&resp, 5);
	mm_http_answer(r->s->http, r->req->ref, &resp);
}

static void
rest_run(struct mm_worker *w, struct mm_call *c)
{
	struct mm_rest r = { .s = w->s, .desk = w->desk,
		.reader = mm_desk_reader(w->desk), .req = &c->req,
		.if_match = c->if_match,
		.status = 200, .type = "application/json",
		.out = MM_BUF_INIT(OUT_MAX), .stored = MM_BUF_INIT(OUT_MAX) };
	struct mm_why why = { 0 };
	enum mm_err rc;

	r.j = mm_json_over(&r.out);
	r.openmetrics = strstr(c->accept, "application/openmetrics-text") !=
	    NULL;
	rc = may(&r, c->authorization, &why);
	if (rc == MM_OK)
		rc = run_once(&r, c->idempotency, &why);
	if (rc != MM_OK || !r.parked)
		answer(&r, rc, &why);
	mm_rest_json_free(&r.in);
	mm_buf_wipe(&r.out);
	mm_buf_wipe(&r.stored);
	mm_call_free(&c);
}

/* see priv.h */
int
mm_rest_head(void *ctx, const struct mm_http_req *req,
    struct mm_http_resp *resp)
{
	static const char scheme[] = "Bearer ", key[] = "mmk_";
	const size_t n = sizeof(scheme) - 1, m = sizeof(key) - 1;
	bool more;
	struct mm_bytes v = mm_http_header(req, "Authorization", &more);

	if (req->route->flags == 0 || is_open(ctx, req->route) ||
	    (!more && v.n > n + m &&
	    strncasecmp((const char *)v.p, scheme, n) == 0 &&
	    memcmp(v.p + n, key, m) == 0))
		return 0;
	mm_answer_problem(resp, 401, mm_err_slug(MM_EAUTH),
	    "this wants Authorization: Bearer and an API key", NULL, req->id);
	mm_http_resp_header(resp, "WWW-Authenticate",
	    "Bearer realm=\"mintmark\"");
	return 1;
}

static void
enter(struct mm_http_req *req, void *ctx)
{
	mm_work_hand(ctx, req, rest_run, NULL);
}

/* ---- the table: docs/reference/rest.md ---- */

#define ASKS(name, query) &(const struct rest_call){ mm_rest_##name, query }
#define CALL(name) ASKS(name, " ")
/* A list looks at its query itself, one thing has none. */
#define GET(path, roles, name) \
	{ MM_HTTP_GET, path, 0, roles, enter, ASKS(name, NULL) }
#define ONE(path, roles, name) \
	{ MM_HTTP_GET, path, 0, roles, enter, CALL(name) }
#define POST(path, roles, body, name) \
	{ MM_HTTP_POST, path, body, roles, enter, CALL(name) }
#define API "/api/v1"

const struct mm_http_route mm_operators_routes[] = {
	{ MM_HTTP_GET, "/healthz", 0, 0, mm_health_live, NULL },
	{ MM_HTTP_GET, "/readyz", 0, 0, mm_health_ready, NULL },
	ONE(API "/status", ANY, status),
	{ MM_HTTP_GET, API "/doctor", 0, TREATS, enter,
	    ASKS(doctor, " deep ") },
	ONE(API "/whoami", ANY, whoami),
	ONE(API "/profiles", ANY, profiles),
	ONE(API "/profiles/:", ANY, profile),
	GET(API "/products", ANY, products),
	ONE(API "/products/:", ANY, product),
	POST(API "/products", MAKES, BODY_SMALL, product_create),
	{ MM_HTTP_PUT, API "/products/:", BODY_SMALL, MAKES, enter,
	    CALL(product_replace) },
	ONE(API "/products/:/schema", ANY, schema),
	{ MM_HTTP_PUT, API "/products/:/schema", BODY_SMALL, MAKES, enter,
	    ASKS(schema_put, " force ") },
	{ MM_HTTP_DELETE, API "/products/:/schema", 0, MAKES, enter,
	    CALL(schema_drop) },
	POST(API "/products/:/schema/check", ANY, BODY_SMALL, schema_check),
	POST(API "/products/:/schema/index", MAKES, BODY_SMALL, schema_index),
	POST(API "/profiles/check", ANY, BODY_SMALL, profile_check),
	GET(API "/devices", ANY, devices),
	ONE(API "/devices/:", ANY, device),
	POST(API "/devices", LINES, BODY_SMALL, device_create),
	POST(API "/devices/import", MAKES, BODY_IMPORT, device_import),
	{ MM_HTTP_PUT, API "/devices/:", BODY_SMALL, MAKES, enter,
	    CALL(device_replace) },
	{ MM_HTTP_PATCH, API "/devices/:", BODY_SMALL, MAKES, enter,
	    CALL(device_patch) },
	GET(API "/devices/:/history", ANY, device_history),
	POST(API "/devices/:/retire", MAKES, BODY_SMALL, device_retire),
	POST(API "/devices/:/enrol", ENROLS, BODY_SMALL, device_enrol),
	ONE(API "/devices/:/receipt", ANY, device_receipt),
	ONE(API "/devices/:/attempts", READS, device_attempts),
	GET(API "/tokens", ANY, tokens),
	ONE(API "/tokens/:", ANY, token),
	POST(API "/tokens", LINES, BODY_BULK, token_create),
	POST(API "/tokens/:/cancel", MAKES, BODY_SMALL, token_cancel),
	POST(API "/tokens/:/thaw", ADMIN, BODY_SMALL, token_thaw),
	GET(API "/certificates", ANY, certs),
	ONE(API "/certificates/:", ANY, cert),
	POST(API "/certificates/:/revoke", MAKES, BODY_SMALL, cert_revoke),
	POST(API "/certificates/:/hold", MAKES, BODY_SMALL, cert_hold),
	POST(API "/certificates/:/release", MAKES, BODY_SMALL, cert_release),
	ONE(API "/issuers", ANY, issuers),
	POST(API "/issuers/:/crl", MAKES, BODY_SMALL, issuer_crl),
	GET(API "/keys", ADMIN, keys),
	POST(API "/keys", ADMIN, BODY_SMALL, key_create),
	POST(API "/keys/:/revoke", ADMIN, BODY_SMALL, key_revoke),
	ONE(API "/ledger/checkpoint", AUDITS, checkpoint),
	ONE(API "/ledger/tile/*", AUDITS, tile),
	ONE(API "/ledger/key", ANY, ledger_key),
	GET(API "/ledger/entries", AUDITS, entries),
	ONE(API "/ledger/receipts/:", AUDITS, receipt),
	GET(API "/audit", AUDITS, audit),
	ONE(API "/openapi.json", ANY, openapi),
	GET(API "/events", READS, events),
	GET(API "/webhooks", AUDITS, webhooks),
	ONE(API "/webhooks/:", AUDITS, webhook),
	POST(API "/webhooks", ADMIN, BODY_SMALL, webhook_create),
	{ MM_HTTP_PUT, API "/webhooks/:", BODY_SMALL, ADMIN, enter,
	    CALL(webhook_replace) },
	{ MM_HTTP_DELETE, API "/webhooks/:", 0, ADMIN, enter,
	    CALL(webhook_remove) },
	POST(API "/webhooks/:/pause", ADMIN, BODY_SMALL, webhook_pause),
	POST(API "/webhooks/:/resume", ADMIN, BODY_SMALL, webhook_resume),
	POST(API "/webhooks/:/rotate", ADMIN, BODY_SMALL, webhook_rotate),
	POST(API "/webhooks/:/replay", ADMIN, BODY_SMALL, webhook_replay),
	POST(API "/webhooks/:/test", ADMIN, BODY_SMALL, webhook_test),
	GET(API "/webhooks/:/dead-letters", AUDITS, webhook_letters),
	POST(API "/webhooks/:/dead-letters/:/retry", ADMIN, BODY_SMALL,
	    webhook_retry),
	ONE(METRICS, READS, metrics),
	ONE("/ledger/checkpoint", AUDITS, checkpoint),
	ONE("/ledger/tile/*", AUDITS, tile),
	ONE("/ledger/key", ANY, ledger_key),
};
const size_t mm_operators_nroutes =
    sizeof(mm_operators_routes) / sizeof(mm_operators_routes[0]);
