#include <string.h>
#include <sys/random.h>

#include <jansson.h>

#include "base/json.h"
#include "base/own.h"
#include "base/time.h"
#include "core/priv.h"

/* see core.h */
bool
mm_desk_answer_begin(struct mm_desk *d, const char *key,
    struct mm_answer_hold *hold)
{
	struct mm_core *c = d->c;
	const struct mm_answer_hold *h;

	if (!mm_text_copy(hold->key, sizeof(hold->key), mm_bytes_of(key)))
		return false;
	pthread_mutex_lock(&c->lock);
	for (h = c->answering; h != NULL && strcmp(h->key, key) != 0;)
		h = h->next;
	if (h == NULL) {
		hold->core = c;
		hold->next = c->answering;
		c->answering = hold;
	}
	pthread_mutex_unlock(&c->lock);
	return h == NULL;
}

/* see core.h */
void
mm_answer_end(struct mm_answer_hold *hold)
{
	struct mm_core *c = MM_MOVE(hold->core);
	struct mm_answer_hold **at;

	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	for (at = &c->answering; *at != hold;)
		at = &(*at)->next;
	*at = hold->next;
	pthread_mutex_unlock(&c->lock);
}

/* see core.h */
void
mm_answer_void(struct mm_answer_hold *hold)
{
	if (hold->core != NULL && hold->begun != 0)
		mm_forget_later(hold->core, hold->key, hold->begun);
	hold->begun = 0;
}

/* ---- what was begun ---- */

MM_FREE_FN(json_free, json_t, json_decref)

enum { BEGUN_MAX = 512, TIDY_MS = 60000, TIDY_PAGE = 100, TIDY_PAGES = 100,
	ANSWER_MAX = 8 << 20 };

/* node, session: of the lease that it was begun under (nodes.c); "" where
 * there is one node only. */
struct begun {
	uint8_t sha256[32];
	char node[MM_NAME_MAX + 1], session[33];
	int64_t at;
	uint64_t version;
};

static bool
begun_parse(struct mm_bytes body, struct begun *out)
{
	MM_OWN(json_free) json_t *o = json_loadb((const char *)body.p, body.n,
	    0, NULL);
	const char *sha = json_string_value(json_object_get(o, "sha256"));
	const char *node = json_string_value(json_object_get(o, "node"));
	const char *session =
	    json_string_value(json_object_get(o, "session"));

	if (session == NULL) /* as the first ones were written */
		session = "";
	if (sha == NULL || node == NULL ||
	    mm_hex_parse(sha, strlen(sha), out->sha256, 32,
	    NULL) != MM_OK)
		return false;
	out->at = json_integer_value(json_object_get(o, "at"));
	return mm_text_copy(out->node, sizeof(out->node),
	    mm_bytes_of(node)) &&
	    mm_text_copy(out->session, sizeof(out->session),
	    mm_bytes_of(session));
}

static enum mm_err
begun_get(struct mm_desk *d, const char *key, struct begun *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	enum mm_err rc = mm_get_doc(d->r, MM_DOC_BEGUN, key, &out->version,
	    &body, NULL);

	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? rc :
		    MM_FAIL(why, rc, "the store cannot be read");
	if (!begun_parse(mm_buf_view(&body), out))
		return MM_FAIL(why, MM_EBUG, "a begun call cannot be read");
	return MM_OK;
}

static bool
is_over(int64_t at)
{
	return at < mm_now_ms() - MM_ANSWER_KEPT_MS;
}

static enum mm_err
used(struct mm_why *why)
{
	return MM_FAIL(why, MM_EUSED, "Idempotency-Key: it was used for "
	    "another request");
}

static enum mm_err
elsewhere(struct mm_why *why)
{
	return MM_FAIL(why, MM_EBUSY, "Idempotency-Key: a request with it is "
	    "in flight");
}

/* Nobody here works under the key. */
static enum mm_err
left(struct mm_desk *d, const char *key, const struct begun *b,
    struct mm_why *why)
{
	char at[MM_TIME_TEXT];
	bool works = false;

	if (strcmp(b->node, d->c->config->set.node) != 0)
		MM_TRY(mm_peer_works(d->c, d->r, b->node, b->session, &works,
		    why));
	if (works)
		return elsewhere(why);
	mm_time_text(b->at, at);
	return MM_FAIL(why, MM_EUNSURE, "an earlier call with this key may "
	    "have been carried out: see /audit?actor=%.*s&from=%s, then use "
	    "a new key", (int)strcspn(key, ":"), key, at);
}

/* see core.h */
enum mm_err
mm_desk_answer_find(struct mm_desk *d, const char *key,
    const uint8_t request_sha256[32], int *status, struct mm_buf *body,
    struct mm_why *why)
{
	struct mm_answer_row row;
	struct begun b;
	size_t had = body->n;
	enum mm_err rc;

	MM_TRY(mm_forget_pending(d->c, key, why));
	rc = mm_get_answer(d->r, key, &row, body, NULL);
	if (rc == MM_OK && !is_over(row.at)) {
		*status = row.status;
		return memcmp(row.request_sha256, request_sha256, 32) == 0 ?
		    MM_OK : used(why);
	}
	body->n = had;
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	rc = begun_get(d, key, &b, why);
	if (rc != MM_OK || is_over(b.at))
		return rc == MM_OK ? MM_ENOTFOUND : rc;
	return memcmp(b.sha256, request_sha256, 32) == 0 ?
	    left(d, key, &b, why) : used(why);
}

/* In place of version old (0: of nothing), as version; no body: nothing. */
static enum mm_err
begun_put(struct mm_desk *d, const char *key, uint64_t old, uint64_t version,
    struct mm_bytes body, struct mm_why *why)
{
	struct mm_op op = { .kind = MM_OP_DOC_PUT };
	struct mm_op_doc *doc = &op.u.doc;

	if (!mm_text_copy(doc->id, sizeof(doc->id), mm_bytes_of(key)))
		return MM_FAIL(why, MM_EINPUT, "idempotency key: too long");
	doc->kind = MM_DOC_BEGUN;
	doc->expect = old;
	doc->as = version;
	doc->body = body;
	return mm_core_run1(d->c, &op, why);
}

/* No two calls' are the same: a late forget takes away nobody else's, and who
 * does not hear whether it was written knows it when it stands there. */
static enum mm_err
version_make(uint64_t *version, struct mm_why *why)
{
	uint64_t dice;

	if (getrandom(&dice, sizeof(dice), 0) != sizeof(dice))
		return MM_FAIL(why, MM_ESYS, "no random bytes");
	*version = dice >> 2 | 1;
	return MM_OK;
}

/* The store refused our version, or did not say: it may have written it and
 * then refused it when it was tried once more. */
static enum mm_err
look_it_up(struct mm_desk *d, const char *key, uint64_t version,
    struct mm_why *why)
{
	struct begun b;
	enum mm_err rc = begun_get(d, key, &b, NULL);

	if (rc == MM_OK)
		return b.version == version ? MM_OK : elsewhere(why);
	mm_forget_later(d->c, key, version);
	return MM_FAIL(why, MM_EAGAIN, "the store did not say whether the "
	    "call was begun");
}

/* By another node, between our look and our start: who comes again gets it. */
static enum mm_err
answered_meanwhile(struct mm_desk *d, const char *key, uint64_t version,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(ANSWER_MAX);
	struct mm_answer_row row;
	enum mm_err rc = mm_get_answer(d->r, key, &row, &body, NULL);

	if (rc == MM_ENOTFOUND || (rc == MM_OK && is_over(row.at)))
		return MM_OK;
	MM_TRY(mm_desk_answer_forget(d, key, version, why));
	return rc == MM_OK ? elsewhere(why) :
	    MM_FAIL(why, rc, "the store cannot be read");
}

/* see core.h */
enum mm_err
mm_desk_answer_start(struct mm_desk *d, const char *key,
    const uint8_t request_sha256[32], uint64_t *version, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(BEGUN_MAX);
	struct mm_json j = mm_json_over(&body);
	struct begun old = { .version = 0 };
	struct mm_why own = { 0 };
	char hex[65];
	uint64_t mine = 0;
	enum mm_err rc = begun_get(d, key, &old, why);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return rc;
	MM_TRY(version_make(&mine, why));
	mm_hex_text(request_sha256, 32, hex);
	mm_json_open(&j, '{');
	mm_json_str(&j, "sha256", hex);
	mm_json_str(&j, "node", d->c->config->set.node);
	mm_json_str(&j, "session", d->c->nodes.session);
	mm_json_int(&j, "at", mm_now_ms());
	mm_json_close(&j, '}');
	MM_TRY(mm_buf_ok(&body, why));
	rc = begun_put(d, key, old.version, mine, mm_buf_view(&body), &own);
	if (rc == MM_ECONFLICT || rc == MM_ESTALE || rc == MM_ENOTFOUND ||
	    rc == MM_ESYS)
		MM_TRY(look_it_up(d, key, mine, why));
	else if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", own.text);
	*version = mine;
	return answered_meanwhile(d, key, mine, why);
}

/* see core.h */
enum mm_err
mm_desk_answer_forget(struct mm_desk *d, const char *key, uint64_t version,
    struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc = begun_put(d, key, version, 0,
	    (struct mm_bytes){ 0 }, &own);

	/* somebody's later one is not ours to take away */
	if (rc == MM_OK || rc == MM_ENOTFOUND || rc == MM_ESTALE)
		return MM_OK;
	mm_forget_later(d->c, key, version);
	return MM_FAIL(why, rc, "%s", own.text);
}

/* ---- the answer ---- */

/* see core.h; in one commit, so that at no time neither stands */
enum mm_err
mm_desk_answer_put(struct mm_desk *d, const char *key,
    const uint8_t request_sha256[32], int status, struct mm_bytes body,
    struct mm_why *why)
{
	struct mm_op op = { .kind = MM_OP_ANSWER_PUT };
	struct mm_op gone = { .kind = MM_OP_DOC_PUT,
		.u.doc = { .kind = MM_DOC_BEGUN, .expect = MM_DOC_ANY } };
	struct mm_op *both[] = { &op, &gone };
	struct mm_op_answer *a = &op.u.answer;

	if (!mm_text_copy(gone.u.doc.id, sizeof(gone.u.doc.id),
	    mm_bytes_of(key)))
		return MM_FAIL(why, MM_EINPUT, "idempotency key: too long");
	strcpy(a->key, gone.u.doc.id);
	memcpy(a->request_sha256, request_sha256, 32);
	a->status = status;
	a->body = body;
	a->at = mm_now_ms();
	MM_TRY(mm_core_run(d->c, both, 2, why));
	return op.result == MM_OK ? MM_OK :
	    MM_FAIL(why, op.result, "%s", op.why.text);
}

/* ---- housekeeping ---- */

struct overdue {
	size_t n, seen;
	char last[MM_DOC_ID_MAX + 1];
	struct {
		char key[MM_DOC_ID_MAX + 1];
		uint64_t version;
	} at[TIDY_PAGE];
};

static enum mm_err
find_overdue(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct overdue *o = ctx;
	const struct mm_doc *doc = row;
	struct begun b;

	(void)why;
	o->seen++;
	(void)!mm_text_copy(o->last, sizeof(o->last), mm_bytes_of(next));
	if (o->n == TIDY_PAGE ||
	    (begun_parse(doc->body, &b) && !is_over(b.at)))
		return MM_OK;
	strcpy(o->at[o->n].key, doc->id);
	o->at[o->n++].version = doc->version;
	return MM_OK;
}

static enum mm_err
tidy_page(struct mm_desk *d, struct mm_list *l, bool *more,
    struct mm_why *why)
{
	struct overdue o;

	o.n = o.seen = 0;
	MM_TRY(mm_list_docs(d->r, MM_DOC_BEGUN, "", l, find_overdue, &o,
	    why));
	for (size_t i = 0; i < o.n; i++)
		MM_TRY(mm_desk_answer_forget(d, o.at[i].key, o.at[i].version,
		    why));
	*more = o.seen == TIDY_PAGE;
	if (*more)
		strcpy(l->after, o.last);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_desk_answers_tidy(struct mm_desk *d, struct mm_why *why)
{
	struct mm_core *c = d->c;
	struct mm_list l = { .most = TIDY_PAGE, .state = -1 };
	bool more = true;

	MM_TRY(mm_forget_all(c, why));
	if (mm_mono_ms() < c->tidy_at)
		return MM_OK;
	for (unsigned i = 0; i < TIDY_PAGES && more; i++)
		MM_TRY(tidy_page(d, &l, &more, why));
	c->tidy_at = mm_mono_ms() + TIDY_MS;
	return MM_OK;
}
