#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "server/approval.h"

/* An approval as the document that the store keeps: the JSON that is shown. */

MM_FREE_FN(json_free, json_t, json_decref)

static const char *const states[MM_APPROVAL_STATES] = {
	[MM_APPROVAL_WAITING] = "waiting",
	[MM_APPROVAL_APPROVED] = "approved",
	[MM_APPROVAL_REFUSED] = "refused",
	[MM_APPROVAL_EXPIRED] = "expired",
	[MM_APPROVAL_USED] = "used",
};

/* see approval.h */
const char *
mm_approval_state_name(enum mm_approval_state s)
{
	return states[s];
}

static void
put_hash(struct mm_json *j, const struct mm_approval *a)
{
	mm_json_hex(j, "request_sha256", (struct mm_bytes){
	    a->request_sha256, 32 });
}

/* see approval.h */
void
mm_approval_put(struct mm_json *j, const struct mm_approval *a,
    const struct mm_approval_more *n)
{
	mm_json_str(j, "id", a->id);
	mm_json_str(j, "action", a->action);
	mm_json_str(j, "state", states[a->state]);
	mm_json_str(j, "method", a->method);
	mm_json_str(j, "path", a->path);
	if (n->query[0] != '\0')
		mm_json_str(j, "query", n->query);
	if (n->salted)
		put_hash(j, a);
	mm_json_str(j, "requester", a->requester);
	mm_rest_put_time(j, "requested", a->requested_at);
	mm_rest_put_time(j, "expires", a->expires_at);
	if (a->decider[0] != '\0')
		mm_json_str(j, "decider", a->decider);
	mm_rest_put_time(j, "decided", a->decided_at);
	mm_rest_put_time(j, "good_until", a->good_until);
	if (n->at >= 0)
		mm_json_int(j, "object_version", n->at);
	if (n->found >= 0) {
		mm_json_int(j, "found", n->found);
		mm_json_int(j, "done", n->done);
	}
}

static bool
get_text(const json_t *o, const char *key, char *out, size_t n)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v == NULL || mm_text_copy(out, n, mm_bytes_of(v));
}

static bool
get_hex(const json_t *o, const char *key, uint8_t *out, size_t n)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v != NULL && mm_hex_parse(v, strlen(v), out, n, NULL) == MM_OK;
}

static bool
get_time(const json_t *o, const char *key, int64_t *out)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v == NULL || mm_time_parse(v, out, NULL) == MM_OK;
}

/* Of what is not counted, or is of before there was a count: none. */
static bool
get_more(const json_t *o, struct mm_approval_more *n)
{
	const json_t *found = json_object_get(o, "found");
	const json_t *at = json_object_get(o, "object_version");

	*n = (struct mm_approval_more){ .query = "" };
	n->found = json_is_integer(found) ? json_integer_value(found) : -1;
	n->at = json_is_integer(at) ? json_integer_value(at) : -1;
	n->done = json_integer_value(json_object_get(o, "done"));
	n->salted = json_is_true(json_object_get(o, "salted"));
	return get_text(o, "query", n->query, sizeof(n->query));
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

/* see approval.h */
enum mm_err
mm_approval_read(struct mm_bytes body, struct mm_approval *a,
    struct mm_approval_more *n, json_t **request, struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = json_loadb((const char *)body.p, body.n,
	    0, NULL);

	*a = (struct mm_approval){ .version = 0 };
	if (!json_is_object(o) ||
	    !get_hex(o, "request_sha256", a->request_sha256, 32) ||
	    /* older ones have none */
	    (json_object_get(o, "salt") != NULL &&
		!get_hex(o, "salt", a->salt, MM_SALT_N)) ||
	    !get_state(o, &a->state) ||
	    !get_text(o, "id", a->id, sizeof(a->id)) ||
	    !get_text(o, "action", a->action, sizeof(a->action)) ||
	    !get_text(o, "method", a->method, sizeof(a->method)) ||
	    !get_text(o, "path", a->path, sizeof(a->path)) ||
	    !get_text(o, "requester", a->requester, sizeof(a->requester)) ||
	    !get_text(o, "decider", a->decider, sizeof(a->decider)) ||
	    !get_time(o, "requested", &a->requested_at) ||
	    !get_time(o, "expires", &a->expires_at) ||
	    !get_time(o, "decided", &a->decided_at) ||
	    !get_time(o, "good_until", &a->good_until) || !get_more(o, n))
		return MM_FAIL(why, MM_EBUG, "approval: not as it was stored");
	if (request != NULL)
		*request = json_incref(json_object_get(o, "request"));
	return MM_OK;
}

/* see approval.h */
enum mm_err
mm_approval_load(struct mm_rest *r, const char *id, struct mm_approval *a,
    struct mm_approval_more *n, json_t **request, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	uint64_t version;

	if (mm_get_doc(r->reader, MM_DOC_APPROVAL, id, &version, &body,
	    NULL) != MM_OK)
		return MM_FAIL(why, MM_ENOTFOUND, "no such approval");
	MM_TRY(mm_approval_read(mm_buf_view(&body), a, n, request, why));
	if (request != NULL && *request != NULL) /* of before, too */
		mm_approval_hide(a->action, *request);
	a->version = version;
	a->was = mm_tree_leaf(mm_buf_view(&body));
	return MM_OK;
}

static enum mm_err
put_doc(struct mm_buf *body, const struct mm_approval *a,
    const struct mm_approval_more *n, json_t *request, struct mm_why *why)
{
	struct mm_json j = mm_json_over(body);
	char *text = request != NULL ? json_dumps(request, JSON_COMPACT)
				     : NULL;

	mm_json_open(&j, '{');
	mm_approval_put(&j, a, n);
	if (n->salted)
		mm_json_bool(&j, "salted", true);
	else
		put_hash(&j, a);
	mm_json_hex(&j, "salt", (struct mm_bytes){ a->salt, MM_SALT_N });
	if (text != NULL)
		mm_json_raw(&j, "request", mm_bytes_of(text));
	mm_json_close(&j, '}');
	free(text);
	return mm_buf_ok(body, why);
}

/* see approval.h */
enum mm_err
mm_approval_store(struct mm_desk *d, const struct mm_approval *a,
    const struct mm_approval_more *n, const char *actor, json_t *request,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);

	MM_TRY(put_doc(&body, a, n, request, why));
	return mm_desk_approval_put(d, a, mm_buf_view(&body), actor, why);
}

/* see approval.h */
enum mm_err
mm_approval_close(struct mm_desk *d, const struct mm_approval *a,
    const struct mm_approval_more *n, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);

	MM_TRY(put_doc(&body, a, n, NULL, why));
	return mm_desk_approval_close(d, a, mm_buf_view(&body), why);
}

/* ---- all of them ---- */

struct walk {
	mm_approval_fn *fn;
	void *ctx;
};

static enum mm_err
walk_one(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_doc *doc = row;
	struct mm_approval_more n;
	struct walk *w = ctx;
	struct mm_approval a;

	(void)next;
	MM_TRY(mm_approval_read(doc->body, &a, &n, NULL, why));
	w->fn(w->ctx, &a);
	return MM_OK;
}

/* see approval.h */
enum mm_err
mm_approval_each(struct mm_store_reader *r, mm_approval_fn *fn,
    void *ctx, struct mm_why *why)
{
	struct walk w = { .fn = fn, .ctx = ctx };

	return mm_each_doc(r, MM_DOC_APPROVAL, "", walk_one, &w, why);
}
