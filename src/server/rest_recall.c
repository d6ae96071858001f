#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "core/production.h"
#include "server/event.h"
#include "server/rest.h"

/* Devices found: lists under conditions, and what happened to one. */

enum {
	SCAN_MAX = 1500, /* devices looked at for one page */
};

#define FILTERS                                                         \
	" product state where created_from created_to issued_from "     \
	"issued_to issuer key_type batch station "

/* A recall, of what a batch or a station made where one is named. */
struct search {
	struct mm_recall q;
	char batch[MM_NAME_MAX + 1], station[MM_NAME_MAX + 1];
	char product[MM_NAME_MAX + 1]; /* of a batch of the scope */
	bool plain;   /* no condition but the product's */
	bool one;     /* by name, of the scope's products or batches */
	bool nothing; /* that the login may see */
};

static const char *
state_name(unsigned i)
{
	return i == MM_DEVICE_ACTIVE ? "active" : "retired";
}

static enum mm_err
read_key_type(const struct mm_rest *r, uint8_t *out, struct mm_why *why)
{
	enum mm_key_type type;
	char text[16];

	MM_TRY(mm_rest_query(r, "key_type", text, sizeof(text), why));
	if (text[0] == '\0')
		return MM_OK;
	MM_TRY(mm_key_type_parse(text, &type, why));
	*out = (uint8_t)(1 + type);
	return MM_OK;
}

static bool
is_plain(const struct mm_rest *r, const struct search *s, const char *where)
{
	const struct mm_recall *q = &s->q;

	return r->login.scope.nbatches == 0 && s->batch[0] == '\0' &&
	    s->station[0] == '\0' && q->state == -1 && where[0] == '\0' &&
	    q->issuer == NULL && q->key_type == 0 &&
	    q->created_from == 0 && q->created_to == 0 &&
	    q->issued_from == 0 && q->issued_to == 0;
}

static enum mm_err
after_is(struct search *s, const char *after, struct mm_why *why)
{
	return mm_text_copy(s->q.after, sizeof(s->q.after),
	    mm_bytes_of(after)) ? MM_OK : MM_FAIL(why, MM_EINPUT, "after: not "
	    "a key of this list");
}

/* Of one batch after the other, and of their product: a key is
 * "batch/device" for every login. */
static enum mm_err
limit_to_batches(const struct mm_rest *r, struct search *s, const char *after,
    struct mm_why *why)
{
	const struct mm_scope *of = &r->login.scope;
	char product[MM_NAME_MAX + 1] = "";
	unsigned i = 0;
	enum mm_err rc;

	MM_TRY(mm_scope_batch_after(of, after, &i, why));
	s->one = s->batch[0] != '\0';
	if (!s->one)
		strcpy(s->batch, of->batch[i]);
	rc = mm_scope_batch_product(r->reader, s->batch, product);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	s->nothing = rc != MM_OK || !mm_scope_sees(of, product, s->batch) ||
	    (s->q.product != NULL && strcmp(s->q.product, product) != 0);
	strcpy(s->product, product);
	s->q.product = s->product;
	return after_is(s, after, why);
}

static enum mm_err
sees_batch(const struct mm_rest *r, const char *batch, bool *yes,
    struct mm_why *why)
{
	char product[MM_NAME_MAX + 1];
	enum mm_err rc = mm_scope_batch_product(r->reader, batch, product);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	*yes = rc == MM_OK && mm_scope_sees(&r->login.scope, product, batch);
	return MM_OK;
}

/* Of a batch that the login does not see there is nothing. */
static enum mm_err
look_at_batch(const struct mm_rest *r, struct search *s, struct mm_why *why)
{
	bool yes = false;

	MM_TRY(sees_batch(r, s->batch, &yes, why));
	s->nothing = s->nothing || !yes;
	return MM_OK;
}

/*
 * A login that is limited to products asks for one of them after the other:
 * a key then is "product/key", and a page is of one product.
 */
static enum mm_err
limit(const struct mm_rest *r, struct search *s, const char *after,
    struct mm_why *why)
{
	const struct mm_scope *of = &r->login.scope;
	unsigned i = 0;

	if (of->nbatches > 0)
		return limit_to_batches(r, s, after, why);
	s->one = s->q.product != NULL;
	if (of->on && !s->one) {
		MM_TRY(mm_scope_after(of, &after, &i, why));
		s->q.product = of->product[i];
	}
	s->nothing = of->on && !mm_scope_sees(of, s->q.product, "");
	MM_TRY(after_is(s, after, why));
	return of->on && s->batch[0] != '\0' ? look_at_batch(r, s, why) :
	    MM_OK;
}

/* Rows stand in the order of their times as long as the clock was right. */
static enum mm_err
look_at_order(const struct mm_rest *r, struct mm_recall *q,
    struct mm_why *why)
{
	uint64_t size;

	MM_TRY(mm_get_ledger_size(r->reader, &size, why));
	mm_order_look(&r->s->order, r->reader, size, MM_REST_ORDER_MS);
	q->unordered = !mm_order_within(&r->s->order, MM_ORDER_ROWS, size,
	    MM_RECALL_SLACK_MS);
	return MM_OK;
}

static enum mm_err
read_conditions(const struct mm_rest *r, struct search *s, struct mm_why *why)
{
	struct mm_recall *q = &s->q;

	MM_TRY(mm_page_state(r, &q->state, state_name, 2, why));
	MM_TRY(mm_rest_query_time(r, "created_from", &q->created_from, why));
	MM_TRY(mm_rest_query_time(r, "created_to", &q->created_to, why));
	MM_TRY(mm_rest_query_time(r, "issued_from", &q->issued_from, why));
	MM_TRY(mm_rest_query_time(r, "issued_to", &q->issued_to, why));
	MM_TRY(mm_rest_query(r, "batch", s->batch, sizeof(s->batch), why));
	MM_TRY(mm_rest_query(r, "station", s->station, sizeof(s->station),
	    why));
	return read_key_type(r, &q->key_type, why);
}

static enum mm_err
read_recall(const struct mm_rest *r, const struct mm_page *p,
    struct search *s, struct mm_why *why)
{
	char where[1024];

	*s = (struct search){ .q = { .state = -1, .most = p->list.most,
		.scan = SCAN_MAX, .until_ms = mm_mono_ms() + MM_REST_LOOK_MS,
		.product = p->list.product, .issuer = p->list.issuer } };
	MM_TRY(read_conditions(r, s, why));
	MM_TRY(mm_rest_query(r, "where", where, sizeof(where), why));
	s->plain = is_plain(r, s, where);
	if (!s->plain) {
		MM_TRY(limit(r, s, p->after, why));
		MM_TRY(look_at_order(r, &s->q, why));
	}
	return s->nothing ? MM_OK :
	    mm_desk_where(r->desk, where, &s->q, why);
}

static enum mm_err
put_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct mm_rest *r = ctx;

	(void)next;
	mm_json_open(&r->j, '{');
	mm_rest_put_device(&r->j, row);
	mm_json_close(&r->j, '}');
	return mm_buf_ok(&r->out, why);
}

/* What of the scope follows when this one is through; NULL. */
static const char *
following(const struct mm_scope *of, const struct search *s)
{
	bool batches = of->nbatches > 0;
	unsigned n = batches ? of->nbatches : of->nproducts, i = 0;
	const char *now = batches ? s->batch : s->q.product;

	while (i < n && strcmp(batches ? of->batch[i] : of->product[i],
	    now) != 0)
		i++;
	return i + 1 >= n ? NULL :
	    batches ? of->batch[i + 1] : of->product[i + 1];
}

/* The page's key, and for a limited login what follows its product or
 * batch. */
static void
put_next(struct mm_rest *r, const struct search *s, const char *next)
{
	char key[MM_NAME_MAX + 2 + MM_RECALL_AFTER];
	const struct mm_scope *of = &r->login.scope;
	const char *first = of->nbatches > 0 ? NULL : s->q.product;

	if (of->on && !s->one && next[0] == '\0') {
		first = following(of, s);
		if (first == NULL)
			return;
	}
	if (of->on && !s->one && first != NULL)
		snprintf(key, sizeof(key), "%s/%s", first, next);
	else
		snprintf(key, sizeof(key), "%s", next);
	if (key[0] != '\0')
		mm_json_str(&r->j, "next", key);
}

/* ---- what a station made, for a login that is limited ---- */

/* It sees a station's units in the batches that it sees: from one of them to
 * the next, so that no key names another. */
struct station {
	struct mm_rest *r;
	struct mm_recall q; /* what is left of the page */
	char batch[MM_NAME_MAX + 1];
	char on[MM_NAME_MAX + 1]; /* the batch that was looked at last */
	const char *name;
	bool found;
};

/* Behind s->on: the next that the station made units of, and the login sees.
 * No device's name has a letter behind '~'. */
static enum mm_err
next_batch(struct station *s, struct mm_why *why)
{
	char after[sizeof(s->on) + 2];
	struct mm_made_key unit;
	unsigned n;

	for (s->found = false; !s->found;) {
		n = 1;
		snprintf(after, sizeof(after), "%s%s", s->on,
		    s->on[0] != '\0' ? "/~" : "");
		MM_TRY(mm_made_page(s->r->reader, "", s->name, after, &unit,
		    &n, why));
		if (n == 0)
			return MM_OK;
		if (!mm_text_copy(s->on, sizeof(s->on), (struct mm_bytes){
		    (const uint8_t *)unit.id, strcspn(unit.id, "/") }))
			return MM_FAIL(why, MM_EBUG, "a batch's name is too "
			    "long");
		MM_TRY(sees_batch(s->r, s->on, &s->found, why));
	}
	strcpy(s->batch, s->on);
	return MM_OK;
}

static enum mm_err
first_batch(struct station *s, struct mm_why *why)
{
	size_t n = strcspn(s->q.after, "/");

	if (n == 0)
		return next_batch(s, why);
	if (!mm_text_copy(s->batch, sizeof(s->batch), (struct mm_bytes){
	    (const uint8_t *)s->q.after, n }))
		return MM_FAIL(why, MM_EINPUT, "after: not a key of this list");
	MM_TRY(sees_batch(s->r, s->batch, &s->found, why));
	strcpy(s->on, s->batch);
	return s->found ? MM_OK :
	    MM_FAIL(why, MM_EINPUT, "after: not a key of this list");
}

static enum mm_err
count_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct station *s = ctx;

	s->q.most--;
	return put_row(s->r, row, next, why);
}

static enum mm_err
recall_station(struct mm_rest *r, const struct search *of,
    char next[MM_RECALL_AFTER], struct mm_why *why)
{
	struct station s = { .r = r, .q = of->q, .name = of->station };
	struct mm_recall q;

	MM_TRY(first_batch(&s, why));
	while (s.found) {
		q = s.q;
		MM_TRY(mm_desk_recall_made(r->desk, s.batch, of->station, &q,
		    count_row, &s, next, why));
		if (next[0] != '\0')
			return MM_OK;
		s.q.after[0] = '\0';
		MM_TRY(next_batch(&s, why));
		if (s.q.most == 0 || mm_mono_ms() >= s.q.until_ms)
			break;
	}
	if (s.found)
		snprintf(next, MM_RECALL_AFTER, "%s/", s.batch);
	return MM_OK;
}

/* ---- one page ---- */

static enum mm_err
recall(struct mm_rest *r, const struct search *s, struct mm_why *why)
{
	char next[MM_RECALL_AFTER] = "";

	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	if (!s->nothing && r->login.scope.on && s->batch[0] == '\0' &&
	    s->station[0] != '\0')
		MM_TRY(recall_station(r, s, next, why));
	else if (!s->nothing && (s->batch[0] != '\0' || s->station[0] != '\0'))
		MM_TRY(mm_desk_recall_made(r->desk, s->batch, s->station,
		    &s->q, put_row, r, next, why));
	else if (!s->nothing)
		MM_TRY(mm_recall_devices(r->reader, &s->q, put_row, r, next,
		    why));
	mm_json_close(&r->j, ']');
	put_next(r, s, next);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* By name, of a product or of all; under conditions it is a recall. */
enum mm_err
mm_rest_devices(struct mm_rest *r, struct mm_why *why)
{
	struct search s;
	struct mm_page p;

	MM_TRY(mm_page_read(r, FILTERS, &p, why));
	MM_TRY(read_recall(r, &p, &s, why));
	if (!s.plain)
		return recall(r, &s, why);
	return mm_page_put(r, &p, mm_list_devices, mm_rest_put_device, why);
}

/* ---- history ---- */

struct told {
	struct mm_rest *r;
	unsigned left;
	uint64_t last;
	bool more;
};

static enum mm_err
tell(void *ctx, uint64_t index, struct mm_bytes entry, struct mm_why *why)
{
	struct told *t = ctx;

	if (t->left == 0) {
		t->more = true;
		return MM_OK;
	}
	t->left--;
	t->last = index;
	mm_event_put(&t->r->j, index, entry, "");
	return mm_buf_ok(&t->r->out, why);
}

enum mm_err
mm_rest_device_history(struct mm_rest *r, struct mm_why *why)
{
	struct told t = { .r = r };
	char id[MM_DEVICE_ID_MAX + 1], next[24];
	int64_t before = INT64_MAX;
	struct mm_page p;

	MM_TRY(mm_page_read(r, " ", &p, why));
	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	if (p.list.after[0] != '\0' &&
	    (mm_int_parse(p.list.after, &before, NULL) != MM_OK || before < 0))
		return MM_FAIL(why, MM_EINPUT, "after: want an index");
	t.left = p.list.most;
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	MM_TRY(mm_list_history(r->reader, id, (uint64_t)before,
	    p.list.most + 1, tell, &t, why));
	mm_json_close(&r->j, ']');
	snprintf(next, sizeof(next), "%llu", (unsigned long long)t.last);
	if (t.more)
		mm_json_str(&r->j, "next", next);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
