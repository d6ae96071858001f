#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "server/approval.h"
#include "server/groups.h"

/*
 * Four eyes: a dangerous request is kept as a document until another
 * administrator approves it; then who asked sends it again, the same, and
 * gets its answer.  So no secret is ever kept, and none goes to the approver:
 * what the request itself has of them is kept as its salted hash alone.
 */
enum {
	LIFE_MS = 24 * 3600 * 1000,
	GOES_ON_MS = 3600 * 1000, /* what takes several calls, from the first */
	SHOWN_MOST = 60 * 1024,   /* as the document has it, with the rest */
	WAITING_MOST = 20,        /* of one requester */
	A_DAY_MOST = 100,         /* ... whatever became of them */
	OVERDUE_MOST = 200,       /* ended in one go */
	TIDY_EVERY_MS = 60 * 1000,
	AGAIN_MOST = 10,          /* where another call was quicker */
};
#define KEPT_MS ((int64_t)30 * 24 * 3600 * 1000) /* after it was closed */

MM_FREE_FN(json_free, json_t, json_decref)

/* ---- asking ---- */

struct tally {
	const char *requester;
	int64_t since;
	unsigned waiting, today;
};

static void
tally_one(void *ctx, const struct mm_approval *a)
{
	struct tally *t = ctx;

	if (strcmp(a->requester, t->requester) != 0 ||
	    a->requested_at < t->since)
		return;
	t->today++;
	t->waiting += a->state == MM_APPROVAL_WAITING;
}

static enum mm_err
room_for_one(struct mm_rest *r, struct mm_why *why)
{
	struct tally t = { .requester = r->login.id,
		.since = mm_now_ms() - LIFE_MS };

	MM_TRY(mm_approval_each(r->reader, tally_one, &t, why));
	if (t.waiting >= WAITING_MOST || t.today >= A_DAY_MOST)
		return MM_FAIL(why, MM_ERATE, "%u requests of yours in a day, "
		    "%u of them wait", t.today, t.waiting);
	return MM_OK;
}

/* The approver reads what is asked for, all of it: what is in the body, however
 * that was written.  Whoever signs a count signs anything. */
static enum mm_err
is_shown_whole(const struct mm_rest *r, struct mm_why *why)
{
	size_t n = r->in == NULL ? 0 : json_dumpb(r->in, NULL, 0,
	    JSON_COMPACT);

	if (n > SHOWN_MOST)
		return MM_FAIL(why, MM_ELIMIT, "another administrator must "
		    "approve this, and is shown all of it: %d KiB are the "
		    "most, ask for less at once", SHOWN_MOST / 1024);
	return MM_OK;
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

/* Stands for the request in the document.  The query is of it, but where one
 * says which page of what was approved is wanted. */
static void
request_hash(const struct mm_rest *r, const struct mm_approval *a, bool salted,
    uint8_t out[32])
{
	const struct mm_rest_call *c = r->req->route->data;
	uint8_t head[32];

	mm_rest_request_hash(r->req, out);
	if (!c->danger->goes_on && r->req->query.n > 0) {
		memcpy(head, out, sizeof(head));
		mm_sha256_2((struct mm_bytes){ head, sizeof(head) },
		    r->req->query, out);
	}
	if (salted)
		mm_salted_sha256(a->salt, (struct mm_bytes){ out, 32 }, out);
}

/* What of the request is kept and shown. */
static enum mm_err
shown_of(const struct mm_rest *r, const char *action, json_t **out,
    struct mm_why *why)
{
	*out = NULL;
	if (r->in == NULL)
		return MM_OK;
	*out = json_deep_copy(r->in);
	if (*out == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	mm_approval_hide(action, *out);
	return MM_OK;
}

/* What is opened is what was looked at. */
static enum mm_err
look_at(struct mm_rest *r, struct mm_approval_more *n, struct mm_why *why)
{
	const struct mm_rest_call *c = r->req->route->data;
	struct mm_group g;

	if (c->danger->look != NULL)
		MM_TRY(c->danger->look(r, INT64_MAX, &n->found, why));
	if (c->run != mm_rest_group_open)
		return MM_OK;
	MM_TRY(mm_rest_group_of(r, &g, why));
	n->at = (int64_t)g.version;
	return MM_OK;
}

static enum mm_err
ask(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(json_free) json_t *shown = NULL;
	const struct mm_rest_call *c = r->req->route->data;
	struct mm_approval a = { .state = MM_APPROVAL_WAITING,
		.requested_at = mm_now_ms() };
	struct mm_approval_more n = { .found = -1, .at = -1,
		.salted = true };

	MM_TRY(is_shown_whole(r, why));
	MM_TRY(room_for_one(r, why));
	MM_TRY(look_at(r, &n, why));
	MM_TRY(new_id(a.id, why));
	strcpy(a.action, c->danger->action);
	strcpy(a.requester, r->login.id);
	snprintf(a.method, sizeof(a.method), "%s",
	    mm_http_method_name(r->req->method));
	if (!mm_text_copy(a.path, sizeof(a.path), r->req->path))
		return MM_FAIL(why, MM_EINPUT, "path: too long");
	if (!c->danger->goes_on &&
	    !mm_text_copy(n.query, sizeof(n.query), r->req->query))
		return MM_FAIL(why, MM_EINPUT, "query: too long");
	a.expires_at = a.requested_at + LIFE_MS;
	MM_TRY(mm_salt_make(a.salt, why));
	request_hash(r, &a, n.salted, a.request_sha256);
	MM_TRY(shown_of(r, a.action, &shown, why));
	MM_TRY(mm_approval_store(r->desk, &a, &n, r->login.id, shown, why));
	r->status = 202;
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "approval", a.id);
	mm_json_str(&r->j, "action", a.action);
	mm_json_str(&r->j, "state", mm_approval_state_name(a.state));
	if (n.found >= 0)
		mm_json_int(&r->j, "found", n.found);
	mm_rest_put_time(&r->j, "expires", a.expires_at);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* ---- carrying out ---- */

/* Before anything of it is done, all of it is counted again: what it was
 * approved for may be selected by what others have changed since. */
static enum mm_err
has_not_grown(struct mm_rest *r, const struct mm_approval *a,
    const struct mm_approval_more *n, struct mm_why *why)
{
	const struct mm_rest_call *c = r->req->route->data;
	int64_t now;

	if (n->found < 0 || a->state != MM_APPROVAL_APPROVED)
		return MM_OK;
	MM_TRY(c->danger->look(r, a->requested_at, &now, why));
	if (now >= 0 && now <= n->found)
		return MM_OK;
	return MM_FAIL(why, MM_ECONFLICT, "approval %s: %lld were approved, "
	    "and more are selected by now: look again, and ask again", a->id,
	    (long long)n->found);
}

static enum mm_err
is_of(const struct mm_approval *a, const struct mm_approval_more *n,
    const struct mm_group *g, struct mm_why *why)
{
	return n->at == (int64_t)g->version ? MM_OK
	    : MM_FAIL(why, MM_ECONFLICT, "approval %s: group %s or its list "
		"has changed since it was asked for: look again, and ask "
		"again", a->id, g->id);
}

static enum mm_err
has_not_changed(struct mm_rest *r, const struct mm_approval *a,
    const struct mm_approval_more *n, struct mm_why *why)
{
	const struct mm_rest_call *c = r->req->route->data;
	struct mm_group g;

	if (c->run != mm_rest_group_open)
		return MM_OK;
	MM_TRY(mm_rest_group_of(r, &g, why));
	return is_of(a, n, &g, why);
}

/* see approval.h; again where it is opened, for a list may come between */
enum mm_err
mm_approval_is_of(struct mm_rest *r, const struct mm_group *g,
    struct mm_why *why)
{
	struct mm_approval_more n;
	struct mm_approval a;

	if (!r->approved)
		return MM_OK;
	MM_TRY(mm_approval_load(r, r->approval, &a, &n, NULL, why));
	return is_of(&a, &n, g, why);
}

/* As it is now; MM_ECONFLICT also where somebody was quicker. */
static enum mm_err
spend_now(struct mm_rest *r, const char *id, bool *stale, struct mm_why *why)
{
	const struct mm_rest_call *c = r->req->route->data;
	struct mm_operator decider;
	struct mm_approval_more n;
	struct mm_approval a;
	uint8_t now[32];

	*stale = false;
	MM_TRY(mm_approval_load(r, id, &a, &n, NULL, why));
	if (strcmp(a.requester, r->login.id) != 0)
		return MM_FAIL(why, MM_ENOTFOUND, "no such approval");
	request_hash(r, &a, n.salted, now);
	if (memcmp(now, a.request_sha256, sizeof(now)) != 0)
		return MM_FAIL(why, MM_ECONFLICT, "approval %s: this is not "
		    "the request that was approved", id);
	if (a.decider[0] == '\0' || mm_get_operator(r->reader, a.decider,
	    &decider, NULL) != MM_OK)
		decider = (struct mm_operator){ .id = "" };
	MM_TRY(mm_approval_may_use(&a, &decider, why));
	MM_TRY(has_not_grown(r, &a, &n, why));
	MM_TRY(has_not_changed(r, &a, &n, why));
	if (c->danger->goes_on && a.state == MM_APPROVAL_APPROVED)
		a.good_until = mm_now_ms() + GOES_ON_MS;
	a.state = MM_APPROVAL_USED;
	*stale = true;
	return mm_approval_store(r->desk, &a, &n, r->login.id, NULL, why);
}

/* Spent before the call runs: at most once, whatever becomes of the call; or
 * until what goes on in further calls is complete, each use with an entry. */
static enum mm_err
spend(struct mm_rest *r, const char *id, struct mm_why *why)
{
	enum mm_err rc = MM_ECONFLICT;
	bool stale = true;

	for (int i = 0; rc == MM_ECONFLICT && stale && i < AGAIN_MOST; i++) {
		struct mm_why own = { 0 };

		rc = spend_now(r, id, &stale, &own);
		if (rc != MM_OK && (!stale || rc != MM_ECONFLICT))
			return MM_FAIL(why, rc, "%s", own.text);
	}
	r->approved = rc == MM_OK;
	return rc == MM_OK ? rc : MM_FAIL(why, rc, "approval %s: other calls "
	    "use it at this moment", id);
}

/* Counts n more as done, or fewer, whoever else does so: at another node,
 * too.  over: it is good for nothing more. */
static enum mm_err
count_done(struct mm_rest *r, int64_t (*more)(void *ctx,
    const struct mm_approval *a, const struct mm_approval_more *n),
    void *ctx, bool over, struct mm_why *why)
{
	enum mm_err rc = MM_ECONFLICT;

	for (int i = 0; rc == MM_ECONFLICT && i < AGAIN_MOST; i++) {
		struct mm_approval_more n;
		struct mm_approval a;

		MM_TRY(mm_approval_load(r, r->approval, &a, &n, NULL, why));
		n.done += more(ctx, &a, &n);
		a.good_until = over ? 0 : a.good_until;
		rc = mm_approval_close(r->desk, &a, &n, NULL);
	}
	return rc == MM_OK ? rc : MM_FAIL(why, rc, "approval %s: what is done "
	    "of it cannot be stored", r->approval);
}

/* The room is taken before it is used: calls at two nodes do not have the same
 * one twice.  What a call that dies had taken is done, as far as anybody knows.
 */
struct room {
	uint64_t most, taken;
	int64_t asked_at;
};

static int64_t
take_room(void *ctx, const struct mm_approval *a,
    const struct mm_approval_more *n)
{
	struct room *t = ctx;
	uint64_t left = n->found > n->done ? (uint64_t)(n->found - n->done)
	    : 0;

	t->asked_at = n->found >= 0 ? a->requested_at : 0;
	t->taken = left < t->most ? left : t->most;
	return (int64_t)t->taken;
}

/* see rest.h */
enum mm_err
mm_approval_room(struct mm_rest *r, uint64_t most, uint64_t *room,
    int64_t *asked_at, struct mm_why *why)
{
	struct room t = { .most = most };

	*room = 0;
	*asked_at = 0;
	if (!r->approved)
		return MM_OK;
	MM_TRY(count_done(r, take_room, &t, false, why));
	*room = r->taken = t.taken;
	*asked_at = t.asked_at;
	return MM_OK;
}

static int64_t
give_back(void *ctx, const struct mm_approval *a,
    const struct mm_approval_more *n)
{
	(void)a;
	(void)n;
	return *(const int64_t *)ctx;
}

/* see rest.h; it ends by itself if it cannot be stored */
void
mm_approval_end(struct mm_rest *r, bool whole, uint64_t done)
{
	int64_t more = (int64_t)done - (int64_t)r->taken;
	struct mm_why why = { 0 };

	if (!r->approved || (!whole && more == 0))
		return;
	r->taken = 0;
	if (count_done(r, give_back, &more, whole, &why) != MM_OK)
		MM_LOG(MM_LOG_WARN, "approvals", MM_S("why", why.text));
}

/* see rest.h */
enum mm_err
mm_approval_gate(struct mm_rest *r, bool *go_on, struct mm_why *why)
{
	bool needed;

	*go_on = true;
	MM_TRY(mm_approval_needed(r, &needed, why));
	if (!needed)
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
put_now(struct mm_json *j, struct mm_approval *a,
    const struct mm_approval_more *n)
{
	if (mm_approval_open(a) && a->expires_at <= mm_now_ms())
		a->state = MM_APPROVAL_EXPIRED;
	mm_approval_put(j, a, n);
}

static void
put_row(struct mm_json *j, const void *row)
{
	const struct mm_doc *doc = row;
	struct mm_approval_more n;
	struct mm_approval a;

	if (mm_approval_read(doc->body, &a, &n, NULL, NULL) == MM_OK)
		put_now(j, &a, &n);
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
	struct mm_approval_more n;
	struct mm_approval a;
	char *text;

	MM_TRY(mm_approval_load(r, id, &a, &n, &request, why));
	mm_json_open(&r->j, '{');
	put_now(&r->j, &a, &n);
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
	struct mm_approval_more n;
	struct mm_approval a;
	char id[17];

	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_approval_load(r, id, &a, &n, NULL, why));
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
	struct mm_approval_more n;
	struct mm_approval a;
	char id[17];

	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(mm_approval_load(r, id, &a, &n, &request, why));
	MM_TRY(mm_get_operator(r->reader, r->login.id, &decider, why));
	(void)!mm_get_operator(r->reader, a.requester, &asked, NULL);
	MM_TRY(mm_approval_may_decide(&a, to, &asked, &decider, why));
	a.state = to;
	a.decided_at = mm_now_ms();
	strcpy(a.decider, r->login.id);
	MM_TRY(mm_approval_store(r->desk, &a, &n, r->login.id,
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
	char id[OVERDUE_MOST][17];
	unsigned n;
};

static bool
is_overdue(const struct mm_approval *a)
{
	int64_t now = mm_now_ms();

	return mm_approval_open(a) ? a->expires_at <= now
				   : a->expires_at + KEPT_MS <= now;
}

static void
find_overdue(void *ctx, const struct mm_approval *a)
{
	struct overdue *o = ctx;

	if (is_overdue(a) && o->n < OVERDUE_MOST)
		strcpy(o->id[o->n++], a->id);
}

static enum mm_err
tidy_one(struct mm_rest *r, const char *id, struct mm_why *why)
{
	struct mm_approval_more n;
	struct mm_approval a;

	MM_TRY(mm_approval_load(r, id, &a, &n, NULL, why));
	if (!mm_approval_open(&a))
		return mm_desk_approval_drop(r->desk, &a, why);
	a.state = MM_APPROVAL_EXPIRED;
	return mm_approval_store(r->desk, &a, &n, NULL, NULL, why);
}

/* see rest.h */
void
mm_approvals_tidy(struct mm_worker *w)
{
	struct mm_rest r = { .s = w->s, .desk = w->desk,
		.reader = mm_desk_reader(w->desk) };
	struct overdue o = { .n = 0 };
	struct mm_why why = { 0 };
	enum mm_err rc;

	if (mm_mono_ms() < atomic_load(&w->s->approvals_at))
		return;
	atomic_store(&w->s->approvals_at, mm_mono_ms() + TIDY_EVERY_MS);
	rc = mm_approval_each(r.reader, find_overdue, &o, &why);
	for (unsigned i = 0; rc == MM_OK && i < o.n; i++)
		rc = tidy_one(&r, o.id[i], &why);
	if (rc != MM_OK)
		MM_LOG(MM_LOG_WARN, "approvals", MM_S("why", why.text));
}
