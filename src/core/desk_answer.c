#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/json.h"
#include "base/own.h"
#include "base/time.h"
#include "pki/key.h"
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


/* ---- what was begun ---- */

MM_FREE_FN(json_free, json_t, json_decref)

enum { ELSEWHERE_MS = 60000, NODE_N = 17, BEGUN_MAX = 512, TIDY_MOST = 100,
	ANSWER_MAX = 8 << 20 };

struct begun {
	uint8_t sha256[32];
	char node[NODE_N];
	int64_t at;
	uint64_t version;
};

/* The same after a restart, another on another machine or folder. */
static void
node_of(const struct mm_core *c, char out[NODE_N])
{
	char host[256] = "";
	uint8_t hash[32];

	(void)gethostname(host, sizeof(host) - 1);
	mm_sha256_2(mm_bytes_of(host),
	    mm_bytes_of(c->config->set.server_dir), hash);
	mm_hex_text(hash, 8, out);
}

static bool
begun_parse(struct mm_bytes body, struct begun *out)
{
	MM_OWN(json_free) json_t *o = json_loadb((const char *)body.p, body.n,
	    0, NULL);
	const char *sha = json_string_value(json_object_get(o, "sha256"));
	const char *node = json_string_value(json_object_get(o, "node"));

	if (sha == NULL || node == NULL ||
	    mm_hex_parse(sha, strlen(sha), out->sha256, 32,
	    NULL) != MM_OK)
		return false;
	out->at = json_integer_value(json_object_get(o, "at"));
	return mm_text_copy(out->node, sizeof(out->node), mm_bytes_of(node));
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
	char here[NODE_N], at[MM_TIME_TEXT];

	node_of(d->c, here);
	if (strcmp(b->node, here) != 0 && b->at > mm_now_ms() - ELSEWHERE_MS)
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
	enum mm_err rc = mm_get_answer(d->r, key, &row, body, NULL);

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

static enum mm_err
begun_put(struct mm_desk *d, const char *key, uint64_t expect,
    struct mm_bytes body, struct mm_why *why)
{
	struct mm_op op = { .kind = MM_OP_DOC_PUT };
	struct mm_op_doc *doc = &op.u.doc;

	if (!mm_text_copy(doc->id, sizeof(doc->id), mm_bytes_of(key)))
		return MM_FAIL(why, MM_EINPUT, "idempotency key: too long");
	doc->kind = MM_DOC_BEGUN;
	doc->expect = expect;
	doc->body = body;
	return mm_core_run1(d->c, &op, why);
}

/* By another node, between our look and our start: who comes again gets it. */
static enum mm_err
answered_meanwhile(struct mm_desk *d, const char *key, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(ANSWER_MAX);
	struct mm_answer_row row;
	enum mm_err rc = mm_get_answer(d->r, key, &row, &body, NULL);

	if (rc == MM_ENOTFOUND || (rc == MM_OK && is_over(row.at)))
		return MM_OK;
	MM_TRY(mm_desk_answer_forget(d, key, why));
	return rc == MM_OK ? elsewhere(why) :
	    MM_FAIL(why, rc, "the store cannot be read");
}

/* see core.h */
enum mm_err
mm_desk_answer_start(struct mm_desk *d, const char *key,
    const uint8_t request_sha256[32], struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(BEGUN_MAX);
	struct mm_json j = mm_json_over(&body);
	struct begun old = { .version = 0 };
	struct mm_why own = { 0 };
	char hex[65], node[NODE_N];
	enum mm_err rc = begun_get(d, key, &old, why);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return rc;
	mm_hex_text(request_sha256, 32, hex);
	node_of(d->c, node);
	mm_json_open(&j, '{');
	mm_json_str(&j, "sha256", hex);
	mm_json_str(&j, "node", node);
	mm_json_int(&j, "at", mm_now_ms());
	mm_json_close(&j, '}');
	MM_TRY(mm_buf_ok(&body, why));
	rc = begun_put(d, key, old.version, mm_buf_view(&body), &own);
	if (rc == MM_ECONFLICT || rc == MM_ESTALE || rc == MM_ENOTFOUND)
		return elsewhere(why);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", own.text);
	return answered_meanwhile(d, key, why);
}

/* see core.h */
enum mm_err
mm_desk_answer_forget(struct mm_desk *d, const char *key, struct mm_why *why)
{
	enum mm_err rc = begun_put(d, key, MM_DOC_ANY, (struct mm_bytes){ 0 },
	    why);

	return rc == MM_ENOTFOUND ? MM_OK : rc;
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
	size_t n;
	char key[TIDY_MOST][MM_DOC_ID_MAX + 1];
};

static enum mm_err
find_overdue(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct overdue *o = ctx;
	const struct mm_doc *doc = row;
	struct begun b;

	(void)next, (void)why;
	if (o->n < TIDY_MOST && begun_parse(doc->body, &b) && is_over(b.at))
		strcpy(o->key[o->n++], doc->id);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_desk_answers_tidy(struct mm_desk *d, struct mm_why *why)
{
	const struct mm_list l = { .most = TIDY_MOST, .state = -1 };
	struct overdue o;

	o.n = 0;
	MM_TRY(mm_list_docs(d->r, MM_DOC_BEGUN, "", &l, find_overdue, &o,
	    why));
	for (size_t i = 0; i < o.n; i++)
		MM_TRY(mm_desk_answer_forget(d, o.key[i], why));
	return MM_OK;
}
