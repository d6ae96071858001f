#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "server/rest.h"

/*
 * Four eyes: a dangerous request is kept as a document until another
 * administrator approves it; then who asked sends it again, the same, and
 * gets its answer.  So no secret is ever kept, and none goes to the approver.
 */
enum {
	LIFE_MS = 24 * 3600 * 1000,
	KEPT_BODY = 16 * 1024,    /* a longer one is shown by its count */
	WAITING_MOST = 20,        /* of one requester */
	DOCS_MOST = 1000,
	TIDY_EVERY_MS = 60 * 1000,
};
#define KEPT_MS ((int64_t)30 * 24 * 3600 * 1000) /* after it was closed */

MM_FREE_FN(json_free, json_t, json_decref)

static const char *const states[MM_APPROVAL_STATES] = {
	[MM_APPROVAL_WAITING] = "waiting",
	[MM_APPROVAL_APPROVED] = "approved",
	[MM_APPROVAL_REFUSED] = "refused",
	[MM_APPROVAL_EXPIRED] = "expired",
	[MM_APPROVAL_USED] = "used",
};

/* ---- as a document ---- */

static void
put_approval(struct mm_json *j, const struct mm_approval *a)
{
	mm_json_str(j, "id", a->id);
	mm_json_str(j, "action", a->action);
	mm_json_str(j, "state", states[a->state]);
	mm_json_str(j, "method", a->method);
	mm_json_str(j, "path", a->path);
	mm_json_hex(j, "request_sha256", (struct mm_bytes){
	    a->request_sha256, 32 });
	mm_json_str(j, "requester", a->requester);
	mm_rest_put_time(j, "requested", a->requested_at);
	mm_rest_put_time(j, "expires", a->expires_at);
	if (a->decider[0] != '\0')
		mm_json_str(j, "decider", a->decider);
	mm_rest_put_time(j, "decided", a->decided_at);
}

static bool
get_text(const json_t *o, const char *key, char *out, size_t n)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v == NULL || mm_text_copy(out, n, mm_bytes_of(v));
}

static bool
get_time(const json_t *o, const char *key, int64_t *out)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v == NULL || mm_time_parse(v, out, NULL) == MM_OK;
}

static bool
get_state(const json_t *o, enum mm_approval_state *out)
{
	const char *v = json_string_value(json_object_get(o, "state"));

	for (unsigned i = 0; v != NULL && i < MM_APPROVAL_STATES; i++)
		if (strcmp(states[i], v) == 0) {
			*out = (enum mm_approval_state)i;
			return true;
		}
	return false;
}

/* *request: what was asked for; NULL once that is over. */
static enum mm_err
read_doc(struct mm_bytes body, struct mm_approval *a, json_t **request,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = json_loadb((const char *)body.p, body.n,
	    0, NULL);
	const char *hash = json_string_value(
	    json_object_get(o, "request_sha256"));

	*a = (struct mm_approval){ .version = 0 };
	if (!json_is_object(o) || hash == NULL ||
	    mm_hex_parse(hash, strlen(hash), a->request_sha256, 32, NULL) !=
	    MM_OK || !get_state(o, &a->state) ||
	    !get_text(o, "id", a->id, sizeof(a->id)) ||
	    !get_text(o, "action", a->action, sizeof(a->action)) ||
	    !get_text(o, "method", a->method, sizeof(a->method)) ||
	    !get_text(o, "path", a->path, sizeof(a->path)) ||
	    !get_text(o, "requester", a->requester, sizeof(a->requester)) ||
	    !get_text(o, "decider", a->decider, sizeof(a->decider)) ||
	    !get_time(o, "requested", &a->requested_at) ||
	    !get_time(o, "expires", &a->expires_at) ||
	    !get_time(o, "decided", &a->decided_at))
		return MM_FAIL(why, MM_EBUG, "approval: not as it was stored");
	if (request != NULL)
		*request = json_incref(json_object_get(o, "request"));
	return MM_OK;
}

static enum mm_err
load(struct mm_rest *r, const char *id, struct mm_approval *a,
    json_t **request, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	uint64_t version;

	if (mm_get_doc(r->reader, MM_DOC_APPROVAL, id, &version, &body,
	    NULL) != MM_OK)
		return MM_FAIL(why, MM_ENOTFOUND, "no such approval");
	MM_TRY(read_doc(mm_buf_view(&body), a, request, why));
	a->version = version;
	return MM_OK;
}

/* Stores what a has become, with its entry; request: JSON or NULL. */
static enum mm_err
store(struct mm_desk *d, const struct mm_approval *a, const char *actor,
    json_t *request, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_json j = mm_json_over(&body);
	char *text = request != NULL ? json_dumps(request, JSON_COMPACT)
				     : NULL;

	mm_json_open(&j, '{');
	put_approval(&j, a);
	if (text != NULL)
		mm_json_raw(&j, "request", mm_bytes_of(text));
	mm_json_close(&j, '}');
	free(text);
	MM_TRY(mm_buf_ok(&body, why));
	return mm_desk_approval_put(d, a, mm_buf_view(&body), actor, why);
}

/* ---- what is dangerous: a table ---- */

static bool
makes_admin(const struct mm_rest *r)
{
	const json_t *roles = json_object_get(r->in, "roles"), *item;
	size_t i;

	json_array_foreach(roles, i, item)
		if (json_is_string(item) && strstr(json_string_value(item),
		    mm_role_name(MM_ROLE_ADMIN)) != NULL)
			return true;
	return false;
}

static bool
mints_many(const struct mm_rest *r)
{
	return json_array_size(json_object_get(r->in, "tokens")) >
	    (size_t)r->s->config->set.bulk_mint_above;
}

static bool
always(const struct mm_rest *r)
{
	(void)r;
	return true;
}

/* see rest.h; a recovery makes administrators where there are none to ask */
const struct mm_danger mm_danger_keys = { "keys", makes_admin, true };
const struct mm_danger mm_danger_mint = { "bulk-mint", mints_many, false };
/* There is no call that thaws several: one by one is how it is done. */
const struct mm_danger mm_danger_thaw = { "bulk-thaw", always, false };

/* Whoever watches anything watches who is an administrator: else one of them
 * would make himself a second. */
static bool
watched(const struct mm_settings *set, const char *action)
{
	if (set->four_eyes.n > 0 && strcmp(action, "keys") == 0)
		return true;
	for (size_t i = 0; i < set->four_eyes.n; i++)
		if (strcmp(set->four_eyes.item[i], action) == 0)
			return true;
	return false;
}

/* see rest.h */
bool
mm_approval_needed(const struct mm_rest *r)
{
	const struct mm_rest_call *c = r->req->route->data;
	const struct mm_danger *d = c->danger;

	return d != NULL && watched(&r->s->config->set, d->action) &&
	    !(d->recovery_may &&
	    r->login.kind == MM_OPERATOR_RECOVERY) && d->applies(r);
}

/* ---- asking ---- */

struct tally {
	const struct mm_rest *r;
	unsigned all, mine;
};

static enum mm_err
tally_one(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_doc *doc = row;
	struct tally *t = ctx;
	struct mm_approval a;

	(void)next;
	MM_TRY(read_doc(doc->body, &a, NULL, why));
	t->all++;
	t->mine += a.state == MM_APPROVAL_WAITING &&
	    strcmp(a.requester, t->r->login.id) == 0;
	return MM_OK;
}

static enum mm_err
room_for_one(struct mm_rest *r, struct mm_why *why)
{
	const struct mm_list l = { .most = DOCS_MOST, .state = -1 };
	struct tally t = { .r = r };

	MM_TRY(mm_list_docs(r->reader, MM_DOC_APPROVAL, "", &l, tally_one, &t,
	    why));
	if (t.all >= DOCS_MOST || t.mine >= WAITING_MOST)
		return MM_FAIL(why, MM_ERATE, "%u of your requests wait for "
		    "approval already", t.mine);
	return MM_OK;
}

/* What the approver reads: the body, or how much is in it. */
static json_t *
shown(const struct mm_rest *r)
{
	json_t *out;
	const char *key;
	json_t *v;

	if (r->req->body.n <= KEPT_BODY)
		return json_incref(r->in);
	out = json_object();
	json_object_foreach(r->in, key, v)
		json_object_set_new(out, key,
		    json_integer((json_int_t)json_array_size(v)));
	return out;
}

static enum mm_err
new_id(char id[17], struct mm_why *why)
{
	char random[17];

	/* in the order of time, for lists */
	MM_TRY(mm_desk_random_id(random, why));
	snprintf(id, 17, "%012llx%.4s", (unsigned long long)mm_now_ms() &
	    0xffffffffffff, random);
	return MM_OK;
}

static enum mm_err
ask(struct mm_rest *r, struct mm_why *why)
{
	const struct mm_rest_call *c = r->req->route->data;
	struct mm_approval a = { .state = MM_APPROVAL_WAITING,
		.requested_at = mm_now_ms() };
	MM_OWN(json_free) json_t *request = NULL;

	MM_TRY(room_for_one(r, why));
	MM_TRY(new_id(a.id, why));
	strcpy(a.action, c->danger->action);
	strcpy(a.requester, r->login.id);
	snprintf(a.method, sizeof(a.method), "%s",
	    mm_http_method_name(r->req->method));
	if (!mm_text_copy(a.path, sizeof(a.path), r->req->path))
		return MM_FAIL(why, MM_EINPUT, "path: too long");
	a.expires_at = a.requested_at + LIFE_MS;
	mm_rest_request_hash(r->req, a.request_sha256);
	request = shown(r);
	MM_TRY(store(r->desk, &a, r->login.id, request, why));
	r->status = 202;
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "approval", a.id);
	mm_json_str(&r->j, "action", a.action);
	mm_json_str(&r->j, "state", states[a.state]);
	mm_rest_put_time(&r->j, "expires", a.expires_at);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* ---- carrying out ---- */

/* Spent before the call runs: at most once, whatever becomes of the call. */
static enum mm_err
spend(struct mm_rest *r, const char *id, struct mm_why *why)
{
	struct mm_operator decider;
	struct mm_approval a;
	uint8_t now[32];

	MM_TRY(load(r, id, &a, NULL, why));
	if (strcmp(a.requester, r->login.id) != 0)
		return MM_FAIL(why, MM_ENOTFOUND, "no such approval");
	mm_rest_request_hash(r->req, now);
	if (memcmp(now, a.request_sha256, sizeof(now)) != 0)
		return MM_FAIL(why, MM_ECONFLICT, "approval %s: this is not "
		    "the request that was approved", id);
	if (a.decider[0] == '\0' || mm_get_operator(r->reader, a.decider,
	    &decider, NULL) != MM_OK)
		decider = (struct mm_operator){ .id = "" };
	MM_TRY(mm_approval_may_use(&a, &decider, why));
	a.state = MM_APPROVAL_USED;
	return store(r->desk, &a, r->login.id, NULL, why);
}

/* see rest.h */
enum mm_err
mm_approval_gate(struct mm_rest *r, bool *go_on, struct mm_why *why)
{
	*go_on = true;
	if (!mm_approval_needed(r))
		return r->approval[0] == '\0' ? MM_OK
		    : MM_FAIL(why, MM_EINPUT, "Mintmark-Approval: this needs "
		    "none");
	if (r->approval[0] != '\0')
		return spend(r, r->approval, why);
	*go_on = false;
	return ask(r, why);
}

/* ---- the calls ---- */

/* What has run out is said to have, also before it is entered. */
static void
put_now(struct mm_json *j, struct mm_approval *a)
{
	if (mm_approval_open(a) && a->expires_at <= mm_now_ms())
		a->state = MM_APPROVAL_EXPIRED;
	put_approval(j, a);
}

static void
put_row(struct mm_json *j, const void *row)
{
	const struct mm_doc *doc = row;
	struct mm_approval a;

	if (read_doc(doc->body, &a, NULL, NULL) == MM_OK)
		put_now(j, &a);
}

static enum mm_err
list(struct mm_store_reader *r, const struct mm_list *l, mm_row_fn *fn,
    void *ctx, struct mm_why *why)
{
	return mm_list_docs(r, MM_DOC_APPROVAL, "", l, fn, ctx, why);
}

enum mm_err
mm_rest_approvals(struct mm_rest *r, struct mm_why *why)
{
	struct mm_page p;

	MM_TRY(mm_page_read(r, " ", &p, why));
	return mm_page_put(r, &p, list, put_row, why);
}

static void
put_name(struct mm_rest *r, const char *key, const char *id)
{
	struct mm_operator o;

	if (id[0] != '\0' && mm_get_operator(r->reader, id, &o, NULL) ==
	    MM_OK && o.name[0] != '\0')
		mm_json_str(&r->j, key, o.name);
}

static enum mm_err
answer_approval(struct mm_rest *r, const char *id, struct mm_why *why)
{
	MM_OWN(json_free) json_t *request = NULL;
	struct mm_approval a;
	char *text;

	MM_TRY(load(r, id, &a, &request, why));
	mm_json_open(&r->j, '{');
	put_now(&r->j, &a);
	put_name(r, "requester_name", a.requester);
	put_name(r, "decider_name", a.decider);
	text = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
	if (text != NULL)
		mm_json_raw(&r->j, "request", mm_bytes_of(text));
	free(text);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* Others' requests are for administrators and auditors. */
enum mm_err
mm_rest_approval(struct mm_rest *r, struct mm_why *why)
{
	struct mm_approval a;
	char id[17];

	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(load(r, id, &a, NULL, why));
	if (strcmp(a.requester, r->login.id) != 0 && (r->login.scope.on ||
	    (r->login.roles & (MM_ROLE_ADMIN | MM_ROLE_AUDITOR)) == 0))
		return MM_FAIL(why, MM_ENOTFOUND, "no such approval");
	return answer_approval(r, id, why);
}

static enum mm_err
decide(struct mm_rest *r, enum mm_approval_state to, struct mm_why *why)
{
	struct mm_operator asked = { .id = "" }, decider;
	MM_OWN(json_free) json_t *request = NULL;
	struct mm_approval a;
	char id[17];

	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(load(r, id, &a, &request, why));
	MM_TRY(mm_get_operator(r->reader, r->login.id, &decider, why));
	(void)!mm_get_operator(r->reader, a.requester, &asked, NULL);
	MM_TRY(mm_approval_may_decide(&a, to, &asked, &decider, why));
	a.state = to;
	a.decided_at = mm_now_ms();
	strcpy(a.decider, r->login.id);
	MM_TRY(store(r->desk, &a, r->login.id,
	    to == MM_APPROVAL_APPROVED ? request : NULL, why));
	return answer_approval(r, id, why);
}

enum mm_err
mm_rest_approval_approve(struct mm_rest *r, struct mm_why *why)
{
	return decide(r, MM_APPROVAL_APPROVED, why);
}

enum mm_err
mm_rest_approval_refuse(struct mm_rest *r, struct mm_why *why)
{
	return decide(r, MM_APPROVAL_REFUSED, why);
}

/* ---- housekeeping ---- */

struct overdue {
	char id[DOCS_MOST][17];
	unsigned n;
};

static bool
is_overdue(const struct mm_approval *a)
{
	int64_t now = mm_now_ms();

	return mm_approval_open(a) ? a->expires_at <= now
				   : a->expires_at + KEPT_MS <= now;
}

static enum mm_err
find_overdue(void *ctx, const void *row, const char *next,
    struct mm_why *why)
{
	const struct mm_doc *doc = row;
	struct overdue *o = ctx;
	struct mm_approval a;

	(void)next;
	MM_TRY(read_doc(doc->body, &a, NULL, why));
	if (is_overdue(&a))
		strcpy(o->id[o->n++], a.id);
	return MM_OK;
}

static enum mm_err
tidy_one(struct mm_rest *r, const char *id, struct mm_why *why)
{
	struct mm_approval a;

	MM_TRY(load(r, id, &a, NULL, why));
	if (!mm_approval_open(&a))
		return mm_desk_approval_drop(r->desk, &a, why);
	a.state = MM_APPROVAL_EXPIRED;
	return store(r->desk, &a, NULL, NULL, why);
}

/* see rest.h */
void
mm_approvals_tidy(struct mm_worker *w)
{
	const struct mm_list l = { .most = DOCS_MOST, .state = -1 };
	struct mm_rest r = { .s = w->s, .desk = w->desk,
		.reader = mm_desk_reader(w->desk) };
	struct overdue o = { .n = 0 };
	struct mm_why why = { 0 };
	enum mm_err rc = MM_OK;

	if (mm_mono_ms() < atomic_load(&w->s->approvals_at))
		return;
	atomic_store(&w->s->approvals_at, mm_mono_ms() + TIDY_EVERY_MS);
	rc = mm_list_docs(r.reader, MM_DOC_APPROVAL, "", &l, find_overdue, &o,
	    &why);
	for (unsigned i = 0; rc == MM_OK && i < o.n; i++)
		rc = tidy_one(&r, o.id[i], &why);
	if (rc != MM_OK)
		MM_LOG(MM_LOG_WARN, "approvals", MM_S("why", why.text));
}
