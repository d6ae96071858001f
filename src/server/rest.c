#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/time.h"
#include "server/event.h"
#include "server/metrics.h"
#include "server/rest.h"
#include "work/sync.h"

/*
 * From a request to a call and back: login, roles, body, scope,
 * Idempotency-Key.
 */
#define SCHEME "Bearer "
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
	MEASURES = MM_ROLE_ADMIN | MM_ROLE_OPERATOR | MM_ROLE_SUPPORT |
	    MM_ROLE_AUDITOR | MM_ROLE_METRICS,
};

#define METRICS "/metrics"

/* ---- login ---- */

static bool
is_metrics(const struct mm_http_route *route)
{
	return strcmp(route->pattern, METRICS) == 0;
}

/* Whether the route is for everybody, by setting. */
static bool
is_open(const struct mm_server *s, const struct mm_http_route *route)
{
	return s->config->set.metrics == MM_METRICS_OPEN && is_metrics(route);
}

/* mm_rest_head has let pass one of the two, in its form.  That the store is
 * away is told by /metrics: it alone goes on for whom it knows. */
static enum mm_err
login(struct mm_rest *r, const struct mm_call *c, struct mm_why *why)
{
	struct mm_presented p = { .certificate = c->certificate,
		.peer = &c->req.peer };
	struct mm_why own = { 0 };
	enum mm_err rc;

	if (c->authorization[0] != '\0')
		p.key = mm_bytes_of(c->authorization + strlen(SCHEME));
	rc = mm_desk_login(r->desk, &p, &r->login, &own);
	if (is_metrics(r->req->route))
		r->store_away = mm_scrapers_login(r->s->scrapers, &p, rc,
		    &r->login);
	return rc == MM_OK || r->store_away ? MM_OK :
	    MM_FAIL(why, rc, "%s", own.text);
}

static enum mm_err
allow(const struct mm_rest *r, struct mm_why *why)
{
	if ((r->login.roles & r->req->route->flags) != 0)
		return MM_OK;
	return MM_FAIL(why, MM_EPOLICY, "your roles do not allow this");
}

static enum mm_err
may(struct mm_rest *r, const struct mm_call *c, struct mm_why *why)
{
	if (is_open(r->s, r->req->route))
		return MM_OK;
	/* its job is done: what is left to say is said, whatever became of
	 * the credential or the store since */
	if (c->job != NULL) {
		strcpy(r->login.id, c->job->authority.operator_);
		return MM_OK;
	}
	MM_TRY(login(r, c, why));
	return allow(r, why);
}

static enum mm_err
read_body(struct mm_rest *r, struct mm_why *why)
{
	const struct mm_rest_call *c = r->req->route->data;

	if (r->req->method != MM_HTTP_POST && r->req->method != MM_HTTP_PUT &&
	    r->req->method != MM_HTTP_PATCH)
		return MM_OK;
	if (r->req->body.n == 0) {
		r->in = json_object();
		return r->in != NULL ? MM_OK
		    : MM_FAIL(why, MM_ENOMEM, "out of memory");
	}
	return c->read != NULL ? c->read(r, why) :
	    mm_rest_parse(r->req->body, &r->in, why);
}

/* ---- Idempotency-Key ---- */

/* see rest.h */
void
mm_rest_request_hash(const struct mm_http_req *req, uint8_t out[32])
{
	uint8_t head[33];

	head[0] = (uint8_t)req->method;
	mm_sha256(req->path, head + 1);
	mm_sha256_2((struct mm_bytes){ head, sizeof(head) }, req->body, out);
}

/* Of one key, all that says what is wanted: the query too, where a call has
 * one.  (An approval is of all pages of what it is for.) */
static void
whole_hash(const struct mm_http_req *req, uint8_t out[32])
{
	uint8_t head[32];

	mm_rest_request_hash(req, out);
	if (req->query.n == 0)
		return;
	memcpy(head, out, sizeof(head));
	mm_sha256_2((struct mm_bytes){ head, sizeof(head) }, req->query, out);
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
	uint8_t now[32];

	whole_hash(r->req, now);
	*rc = mm_desk_answer_find(r->desk, key, now, &r->status, &r->out, why);
	return *rc != MM_ENOTFOUND;
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
	whole_hash(r->req, now);
	rc = mm_desk_answer_put(r->desk, key, now, r->status,
	    mm_buf_view(&r->stored), why);
	/* The work is done: a lost answer must not make it look undone. */
	if (rc != MM_OK)
		MM_LOG(MM_LOG_WARN, "idempotency", MM_S("id", r->req->id),
		    MM_S("why", why->text));
	return MM_OK;
}

static enum mm_err
run_counted(struct mm_rest *r, struct mm_why *why)
{
	const struct mm_rest_call *c = r->req->route->data;
	uint64_t before = mm_desk_writes(r->desk);
	enum mm_err rc = c->run(r, why);

	if (r->counted > 0)
		mm_danger_minted(r, rc, before);
	return rc;
}

static enum mm_err
run_call(struct mm_rest *r, struct mm_why *why)
{
	const struct mm_rest_call *c = r->req->route->data;
	bool go_on;

	if (r->call->job != NULL) /* was looked at before */
		return c->run(r, why);
	if (c->query != NULL)
		MM_TRY(mm_rest_query_is(r, c->query, why));
	MM_TRY(read_body(r, why));
	MM_TRY(mm_scope_check(r, why));
	MM_TRY(mm_approval_gate(r, &go_on, why));
	if (go_on)
		MM_TRY(run_counted(r, why));
	return mm_buf_ok(&r->out, why);
}

static enum mm_err
start(struct mm_rest *r, const char *key, struct mm_why *why)
{
	uint8_t now[32];

	whole_hash(r->req, now);
	return mm_desk_answer_start(r->desk, key, now, &r->call->hold.begun,
	    why);
}

/* What did nothing is as if it had not been; of anything else the key does
 * not know whether it was done. */
static void
forget(struct mm_rest *r, const char *key)
{
	struct mm_why why = { 0 };

	if (mm_desk_answer_forget(r->desk, key, r->call->hold.begun, &why) !=
	    MM_OK)
		MM_LOG(MM_LOG_WARN, "idempotency", MM_S("id", r->req->id),
		    MM_S("why", why.text));
}

static enum mm_err
run_held(struct mm_rest *r, const char *key, struct mm_why *why)
{
	uint64_t before = mm_desk_writes(r->desk);
	enum mm_err rc;

	if (r->call->job == NULL) {
		if (replay(r, key, &rc, why))
			return rc;
		MM_TRY(start(r, key, why));
	}
	rc = run_call(r, why);
	if (rc == MM_OK && !r->parked && r->status != 202 &&
	    r->out.n <= OUT_MAX)
		return remember(r, key, why);
	/* What waits for its job is at work.  Other waiting is no answer; a
	 * longer one is an order's, which is made again as it was: a key's
	 * answers must not fill the store. */
	if (r->post == NULL && (rc == MM_OK ||
	    mm_desk_writes(r->desk) == before))
		forget(r, key);
	return rc;
}

/* Two at once with one key: the second is told so, not run.  A call whose job
 * is under way keeps its hold until it has run again. */
static enum mm_err
run_once(struct mm_rest *r, const char *given, struct mm_why *why)
{
	struct mm_answer_hold *hold = &r->call->hold;
	char key[129];
	enum mm_err rc;

	if (given[0] == '\0' || r->req->method != MM_HTTP_POST)
		return run_call(r, why);
	MM_TRY(idempotency_key(r, given, key, why));
	if (hold->core == NULL && !mm_desk_answer_begin(r->desk, key, hold))
		return MM_FAIL(why, MM_EBUSY, "Idempotency-Key: a request "
		    "with it is in flight");
	rc = run_held(r, key, why);
	if (r->post == NULL)
		mm_answer_end(hold);
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
		mm_http_problem(&resp, mm_err_http(rc), mm_err_slug(rc),
		    why->text, mm_reason_text(r->reason), r->req->id);
	}
	if (rc == MM_EAUTH)
		mm_http_resp_header(&resp, "WWW-Authenticate",
		    "Bearer realm=\"mintmark\"");
	if (resp.status == 503 || resp.status == 429)
		mm_answer_retry(&resp, r->retry_s > 0 ? r->retry_s : 5);
	else if (rc == MM_EBUSY)
		mm_answer_retry(&resp, 1);
	mm_http_answer(r->s->http, r->req->ref, &resp);
}

static void
rest_run(struct mm_worker *w, struct mm_call *c)
{
	struct mm_rest r = { .s = w->s, .desk = w->desk,
		.reader = mm_desk_reader(w->desk), .req = &c->req, .call = c,
		.if_match = c->if_match,
		.approval = c->approval,
		.status = 200, .type = "application/json",
		.uncovered = UINT64_MAX,
		.out = MM_BUF_INIT(OUT_MAX), .stored = MM_BUF_INIT(OUT_MAX) };
	struct mm_why why = { 0 };
	enum mm_err rc;

	r.j = mm_json_over(&r.out);
	r.openmetrics = strstr(c->accept, "application/openmetrics-text") !=
	    NULL;
	rc = may(&r, c, &why);
	if (rc == MM_OK)
		rc = run_once(&r, c->idempotency, &why);
	if (rc == MM_EAGAIN && r.uncovered != UINT64_MAX &&
	    mm_cover_wait(w->s->cover, c, r.uncovered))
		c = NULL;
	else if (rc != MM_OK || !r.parked)
		answer(&r, rc, &why);
	mm_rest_json_free(&r.in);
	mm_buf_wipe(&r.out);
	mm_buf_wipe(&r.stored);
	/* last: the call may be another thread's at once */
	if (r.post != NULL)
		mm_core_post(w->s->core, r.post);
	else
		mm_call_free(&c);
}

/* RFC 9110 8.6: a body is announced by one of two. */
static bool
has_body(const struct mm_http_req *req)
{
	struct mm_bytes n = mm_http_header(req, "Content-Length", NULL);

	return mm_http_header(req, "Transfer-Encoding", NULL).n > 0 ||
	    (n.n > 0 && !(n.n == 1 && n.p[0] == '0'));
}

/* Its parameters do not matter (RFC 8259 11; RFC 7396 4). */
static bool
is_json(struct mm_bytes type)
{
	static const char *const names[] = { "application/json",
		"application/merge-patch+json" };

	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(names[i]);

		if (type.n >= n && strncasecmp((const char *)type.p, names[i],
		    n) == 0 && (type.n == n ||
		    strchr("; \t", type.p[n]) != NULL))
			return true;
	}
	return false;
}

static int
refuse(struct mm_http_resp *resp, enum mm_err code, const char *text,
    const char *id)
{
	mm_http_problem(resp, mm_err_http(code), mm_err_slug(code), text,
	    NULL, id);
	if (code == MM_EAUTH)
		mm_http_resp_header(resp, "WWW-Authenticate",
		    "Bearer realm=\"mintmark\"");
	return 1;
}

/* What the head of a request says about its body and its repetition. */
static int
head_refused(const struct mm_http_req *req, struct mm_http_resp *resp)
{
	bool more;

	(void)mm_http_header(req, "Idempotency-Key", &more);
	if (more)
		return refuse(resp, MM_EINPUT, "Idempotency-Key: want one",
		    req->id);
	if (!has_body(req) ||
	    (is_json(mm_http_header(req, "Content-Type", &more)) && !more))
		return 0;
	mm_http_problem(resp, 415, mm_err_slug(MM_EINPUT),
	    "Content-Type: want application/json", NULL, req->id);
	return 1;
}

/* see priv.h */
int
mm_rest_head(void *ctx, const struct mm_http_req *req,
    struct mm_http_resp *resp)
{
	const size_t n = strlen(SCHEME);
	bool more;
	struct mm_bytes v = mm_http_header(req, "Authorization", &more);

	if (req->route->flags == 0 || is_open(ctx, req->route))
		return 0;
	if (req->conn_data != NULL)
		return v.p == NULL ? head_refused(req, resp) : refuse(resp, MM_EINPUT, "a client "
		    "certificate and an Authorization header: want one of "
		    "them", req->id);
	if (!more && v.n > n &&
	    strncasecmp((const char *)v.p, SCHEME, n) == 0 &&
	    mm_key_is_formed((struct mm_bytes){ v.p + n, v.n - n }))
		return head_refused(req, resp);
	return refuse(resp, MM_EAUTH, "this wants Authorization: Bearer and "
	    "an API key, or a client certificate", req->id);
}

static void
enter(struct mm_http_req *req, void *ctx)
{
	mm_work_hand(ctx, req, rest_run, NULL);
}

/* ---- the table: docs/reference/rest.md ---- */

#define NO NULL
#define ASKS(name, query, scope) \
	&(const struct mm_rest_call){ mm_rest_##name, query, scope, NULL, NULL }
#define CALL(name, scope) ASKS(name, " ", scope)
/* A list looks at its query itself, one thing has none. */
#define GET(path, roles, scope, name) \
	{ MM_HTTP_GET, path, 0, roles, enter, ASKS(name, NULL, scope) }
#define ONE(path, roles, scope, name) \
	{ MM_HTTP_GET, path, 0, roles, enter, CALL(name, scope) }
#define POST(path, roles, body, scope, name) \
	{ MM_HTTP_POST, path, body, roles, enter, CALL(name, scope) }
/* What can be dangerous: see rest_danger.c. */
#define WATCHED(method, path, roles, body, scope, name, danger) \
	{ MM_HTTP_##method, path, body, roles, enter, \
	    &(const struct mm_rest_call){ mm_rest_##name, " ", scope, \
		&danger, NULL } }
#define API "/api/v1"

const struct mm_http_route mm_operators_routes[] = {
	{ MM_HTTP_GET, "/healthz", 0, 0, mm_health_live, NULL },
	{ MM_HTTP_GET, "/readyz", 0, 0, mm_health_ready, NULL },
	ONE(API "/status", ANY, mm_scope_open, status),
	{ MM_HTTP_GET, API "/doctor", 0, TREATS, enter,
	    ASKS(doctor, " deep ", NO) },
	ONE(API "/whoami", ANY, mm_scope_open, whoami),
	POST(API "/whoami/renew", ANY, BODY_SMALL, mm_scope_open, key_renew),
	ONE(API "/profiles", ANY, NO, profiles),
	ONE(API "/profiles/:", ANY, NO, profile),
	GET(API "/products", ANY, mm_scope_list, products),
	ONE(API "/products/:", ANY, mm_scope_product_itself, product),
	POST(API "/products", MAKES, BODY_SMALL, NO, product_create),
	WATCHED(PUT, API "/products/:", MAKES, BODY_SMALL, NO, product_replace,
	    mm_danger_profile),
	ONE(API "/products/:/schema", ANY, mm_scope_product_itself, schema),
	{ MM_HTTP_PUT, API "/products/:/schema", BODY_SMALL, MAKES, enter,
	    ASKS(schema_put, " force ", NO) },
	{ MM_HTTP_DELETE, API "/products/:/schema", 0, MAKES, enter,
	    CALL(schema_drop, NO) },
	POST(API "/products/:/schema/check", ANY, BODY_SMALL, mm_scope_product,
	    schema_check),
	POST(API "/products/:/schema/index", MAKES, BODY_SMALL, NO,
	    schema_index),
	POST(API "/profiles/check", ANY, BODY_SMALL, NO, profile_check),
	GET(API "/devices", ANY, mm_scope_list, devices),
	ONE(API "/devices/:", ANY, mm_scope_device_named, device),
	POST(API "/devices", LINES, BODY_SMALL, mm_scope_new_device,
	    device_create),
	{ MM_HTTP_POST, API "/devices/import", BODY_IMPORT, MAKES, enter,
	    &(const struct mm_rest_call){ mm_rest_device_import, " ",
		mm_scope_new_devices, NULL, mm_rest_import_read } },
	WATCHED(PUT, API "/devices/:", MAKES, BODY_SMALL, mm_scope_change,
	    device_replace, mm_danger_move),
	WATCHED(PATCH, API "/devices/:", MAKES, BODY_SMALL, mm_scope_change,
	    device_patch, mm_danger_move),
	GET(API "/devices/:/history", ANY, mm_scope_device, device_history),
	POST(API "/devices/:/retire", MAKES, BODY_SMALL, mm_scope_device,
	    device_retire),
	WATCHED(POST, API "/devices/:/transfer", MAKES, BODY_SMALL,
	    mm_scope_change, device_transfer, mm_danger_move),
	POST(API "/devices/:/repair", MAKES, BODY_SMALL,
	    mm_scope_device_counted, device_repair),
	POST(API "/devices/:/enrol", ENROLS, BODY_SMALL, mm_scope_enrol,
	    device_enrol),
	POST(API "/devices/:/proof", ENROLS, BODY_SMALL, mm_scope_device_named,
	    device_proof),
	ONE(API "/devices/:/receipt", ANY, mm_scope_device, device_receipt),
	ONE(API "/devices/:/attempts", READS, mm_scope_device, device_attempts),
	GET(API "/tokens", ANY, mm_scope_list, tokens),
	ONE(API "/tokens/:", ANY, mm_scope_token, token),
	WATCHED(POST, API "/tokens", LINES, BODY_BULK, mm_scope_new_tokens,
	    token_create, mm_danger_mint),
	{ MM_HTTP_POST, API "/tokens/cancel", BODY_SMALL, MAKES, enter,
	    &(const struct mm_rest_call){ mm_rest_tokens_cancel,
		" after limit ", NO, NULL } },
	{ MM_HTTP_POST, API "/tokens/thaw", BODY_SMALL, ADMIN, enter,
	    &(const struct mm_rest_call){ mm_rest_tokens_thaw,
		" after limit ", NO, &mm_danger_thaws } },
	POST(API "/tokens/:/cancel", MAKES, BODY_SMALL, mm_scope_token,
	    token_cancel),
	WATCHED(POST, API "/tokens/:/remint", MAKES, BODY_SMALL,
	    mm_scope_token_counted, token_remint, mm_danger_mint),
	WATCHED(POST, API "/tokens/:/thaw", ADMIN, BODY_SMALL,
	    mm_scope_token_counted, token_thaw, mm_danger_thaw),
	{ MM_HTTP_GET, API "/expiry", 0, ANY, enter,
	    ASKS(expiry, " days product issuer ", mm_scope_list) },
	{ MM_HTTP_GET, API "/expiry/ends", 0, READS, enter,
	    ASKS(ends, " days ", NO) },
	GET(API "/certificates", ANY, mm_scope_list, certs),
	ONE(API "/certificates/:", ANY, mm_scope_cert, cert),
	{ MM_HTTP_POST, API "/certificates/revoke", BODY_BULK, MAKES, enter,
	    &(const struct mm_rest_call){ mm_rest_certs_revoke,
		" after limit ", NO, &mm_danger_mass } },
	POST(API "/certificates/:/revoke", MAKES, BODY_SMALL, mm_scope_cert,
	    cert_revoke),
	POST(API "/certificates/:/hold", MAKES, BODY_SMALL, mm_scope_cert,
	    cert_hold),
	POST(API "/certificates/:/release", MAKES, BODY_SMALL, mm_scope_cert,
	    cert_release),
	ONE(API "/issuers", ANY, NO, issuers),
	ONE(API "/issuers/:", ANY, NO, issuer),
	POST(API "/issuers/:/crl", MAKES, BODY_SMALL, NO, issuer_crl),
	GET(API "/keys", ADMIN, NO, keys),
	WATCHED(POST, API "/keys", ADMIN, BODY_SMALL, NO, key_create,
	    mm_danger_keys),
	POST(API "/keys/:/revoke", ADMIN, BODY_SMALL, NO, key_revoke),
	POST(API "/keys/:/erase", ADMIN, BODY_SMALL, NO, key_erase),
	GET(API "/approvals", AUDITS, NO, approvals),
	ONE(API "/approvals/:", ANY, mm_scope_open, approval),
	POST(API "/approvals/:/approve", ADMIN, BODY_SMALL, NO,
	    approval_approve),
	POST(API "/approvals/:/refuse", ADMIN, BODY_SMALL, NO, approval_refuse),
	ONE(API "/ledger/checkpoint", AUDITS, NO, checkpoint),
	ONE(API "/ledger/tile/*", AUDITS, NO, tile),
	ONE(API "/ledger/key", ANY, mm_scope_open, ledger_key),
	GET(API "/ledger/entries", AUDITS, mm_scope_list, entries),
	ONE(API "/ledger/receipts/:", AUDITS, mm_scope_entry, receipt),
	GET(API "/audit", AUDITS, mm_scope_list, audit),
	ONE(API "/openapi.json", ANY, mm_scope_open, openapi),
	GET(API "/events", READS, mm_scope_list, events),
	GET(API "/webhooks", AUDITS, NO, webhooks),
	ONE(API "/webhooks/:", AUDITS, NO, webhook),
	POST(API "/webhooks", ADMIN, BODY_SMALL, NO, webhook_create),
	{ MM_HTTP_PUT, API "/webhooks/:", BODY_SMALL, ADMIN, enter,
	    CALL(webhook_replace, NO) },
	{ MM_HTTP_DELETE, API "/webhooks/:", 0, ADMIN, enter,
	    CALL(webhook_remove, NO) },
	POST(API "/webhooks/:/pause", ADMIN, BODY_SMALL, NO, webhook_pause),
	POST(API "/webhooks/:/resume", ADMIN, BODY_SMALL, NO, webhook_resume),
	POST(API "/webhooks/:/rotate", ADMIN, BODY_SMALL, NO, webhook_rotate),
	POST(API "/webhooks/:/replay", ADMIN, BODY_SMALL, NO, webhook_replay),
	POST(API "/webhooks/:/test", ADMIN, BODY_SMALL, NO, webhook_test),
	GET(API "/webhooks/:/dead-letters", AUDITS, NO, webhook_letters),
	POST(API "/webhooks/:/dead-letters/:/retry", ADMIN, BODY_SMALL, NO,
	    webhook_retry),
	ONE(API "/authorise", AUDITS, NO, authorise),
	POST(API "/authorise/rotate", ADMIN, BODY_SMALL, NO, authorise_rotate),
	GET(API "/batches", ANY, mm_scope_list, batches),
	ONE(API "/batches/:", ANY, mm_scope_batch, batch),
	POST(API "/batches", MAKES, BODY_IMPORT, NO, batch_create),
	POST(API "/batches/:/open", MAKES, BODY_SMALL, NO, batch_open),
	POST(API "/batches/:/pause", MAKES, BODY_SMALL, NO, batch_pause),
	POST(API "/batches/:/close", MAKES, BODY_SMALL, NO, batch_close),
	WATCHED(POST, API "/batches/:/extend", MAKES, BODY_SMALL, NO,
	    batch_extend, mm_danger_quota),
	POST(API "/batches/:/shares", MAKES, BODY_SMALL, NO, batch_shares),
	WATCHED(POST, API "/batches/:/order", LINES, BODY_SMALL,
	    mm_scope_batch, batch_order, mm_danger_line),
	POST(API "/batches/:/units", LINES, BODY_BULK, mm_scope_batch,
	    batch_units),
	GET(API "/batches/:/units", ANY, mm_scope_batch, batch_made),
	ONE(API "/batches/:/report", ANY, mm_scope_batch, batch_report),
	ONE(API "/batches/:/people", LINES, mm_scope_batch, batch_people),
	ONE(API "/batches/:/configurations/:", LINES, mm_scope_batch,
	    batch_configuration),
	GET(API "/groups", READS, NO, groups),
	ONE(API "/groups/:", READS, NO, group),
	POST(API "/groups", MAKES, BODY_BULK, NO, group_create),
	WATCHED(POST, API "/groups/:/open", MAKES, BODY_SMALL, NO, group_open,
	    mm_danger_group),
	POST(API "/groups/:/pause", MAKES, BODY_SMALL, NO, group_pause),
	POST(API "/groups/:/close", MAKES, BODY_SMALL, NO, group_close),
	WATCHED(POST, API "/groups/:/extend", MAKES, BODY_SMALL, NO,
	    group_extend, mm_danger_group),
	GET(API "/groups/:/devices", READS, NO, group_devices),
	WATCHED(POST, API "/groups/:/devices", MAKES, BODY_BULK, NO,
	    group_list, mm_danger_members),
	{ MM_HTTP_GET, API "/groups/:/report", 0, READS, enter,
	    ASKS(group_report, " after ", NO) },
	GET(API "/groups/:/waiting", READS, NO, group_waiting),
	WATCHED(POST, API "/groups/:/waiting/:/approve", MAKES, BODY_SMALL, NO,
	    group_approve, mm_danger_group),
	POST(API "/groups/:/waiting/:/refuse", MAKES, BODY_SMALL, NO,
	    group_refuse),
	WATCHED(POST, API "/groups/:/devices/:/release", MAKES, BODY_SMALL, NO,
	    group_release, mm_danger_group),
	POST(API "/groups/:/crl", MAKES, BODY_IMPORT, NO, group_crl),
	GET(API "/configurations", READS, mm_scope_list, devconfs),
	ONE(API "/products/:/configuration", READS, mm_scope_product,
	    product_devconf),
	{ MM_HTTP_PUT, API "/products/:/configuration", BODY_IMPORT, MAKES,
	    enter, &(const struct mm_rest_call){ mm_rest_product_devconf_put,
		" force ", NO, &mm_danger_configuration } },
	{ MM_HTTP_DELETE, API "/products/:/configuration", 0, MAKES, enter,
	    &(const struct mm_rest_call){ mm_rest_product_devconf_drop, " ",
		NO, &mm_danger_configuration } },
	POST(API "/products/:/configuration/check", MAKES, BODY_IMPORT,
	    mm_scope_product, product_devconf_check),
	GET(API "/products/:/configuration/devices", READS, mm_scope_product,
	    product_devconf_devices),
	ONE(API "/batches/:/configuration", READS, mm_scope_batch,
	    batch_devconf),
	{ MM_HTTP_PUT, API "/batches/:/configuration", BODY_IMPORT, MAKES,
	    enter, &(const struct mm_rest_call){ mm_rest_batch_devconf_put,
		" force ", NO, &mm_danger_configuration } },
	{ MM_HTTP_DELETE, API "/batches/:/configuration", 0, MAKES, enter,
	    &(const struct mm_rest_call){ mm_rest_batch_devconf_drop, " ",
		NO, &mm_danger_configuration } },
	POST(API "/batches/:/configuration/check", MAKES, BODY_IMPORT,
	    mm_scope_batch, batch_devconf_check),
	ONE(API "/devices/:/configuration", READS, mm_scope_device,
	    device_devconf),
	{ MM_HTTP_PUT, API "/devices/:/configuration", BODY_BULK, MAKES, enter,
	    ASKS(device_devconf_put, " force ", mm_scope_device) },
	{ MM_HTTP_DELETE, API "/devices/:/configuration", 0, MAKES, enter,
	    CALL(device_devconf_drop, mm_scope_device) },
	POST(API "/devices/:/configuration/check", MAKES, BODY_BULK,
	    mm_scope_device, device_devconf_check),
	ONE(API "/devices/:/configuration/preview", READS, mm_scope_device,
	    device_devconf_preview),
	ONE(API "/orders/key", ANY, mm_scope_open, orders_key),
	GET(API "/stations", ANY, NO, stations),
	ONE(API "/stations/:", ANY, mm_scope_open, station),
	POST(API "/stations", MAKES, BODY_SMALL, NO, station_create),
	POST(API "/stations/:/remove", MAKES, BODY_SMALL, NO, station_remove),
	POST(API "/stations/:/trust", MAKES, BODY_SMALL, NO, station_trust),
	ONE(API "/stations/:/sync", ANY, mm_scope_open, station_synced),
	POST(API "/stations/:/sync", LINES, MM_SYNC_PIECE_MAX, mm_scope_open,
	    station_sync),
	GET(API "/stations/:/quarantine", ANY, NO, station_quarantine),
	WATCHED(POST, API "/stations/:/quarantine/:/accept", MAKES, BODY_SMALL,
	    NO, quarantine_accept, mm_danger_quarantine),
	POST(API "/stations/:/quarantine/:/reject", MAKES, BODY_SMALL, NO,
	    quarantine_reject),
	ONE(API "/mail", READS, NO, mail),
	POST(API "/mail/test", MAKES, BODY_SMALL, NO, mail_test),
	ONE(METRICS, MEASURES, NO, metrics),
	ONE("/ledger/checkpoint", AUDITS, NO, checkpoint),
	ONE("/ledger/tile/*", AUDITS, NO, tile),
	ONE("/ledger/key", ANY, mm_scope_open, ledger_key),
};
const size_t mm_operators_nroutes =
    sizeof(mm_operators_routes) / sizeof(mm_operators_routes[0]);
