#include "core/production.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "base/time.h"
#include "core/production_priv.h"

/* see production.h */
void
mm_production_free(struct mm_production **owner)
{
	if (*owner != NULL)
		mm_work_order_free(&(*owner)->order);
	free(*owner);
	*owner = NULL;
}

/* ---- as a document ---- */

static void
put_shares(const struct mm_production *b, struct mm_json *j)
{
	mm_json_open_key(j, "shares", '[');
	for (size_t i = 0; i < b->nshares; i++) {
		mm_json_open(j, '{');
		mm_json_str(j, "station", b->share[i].station);
		mm_json_int(j, "share", b->share[i].n);
		mm_json_int(j, "scrap", b->share[i].scrap);
		mm_json_int(j, "first", b->share[i].first);
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
}

/* see production_priv.h */
enum mm_err
mm_production_plan(
    const struct mm_production *b, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_WORK_TEXT_MAX);
	struct mm_json j = mm_json_over(out);

	MM_TRY(mm_work_order_encode(b->order, &text, why));
	mm_json_open(&j, '{');
	mm_json_int(&j, "quantity", b->quantity);
	mm_json_int(&j, "scrap", b->scrap);
	mm_json_str(&j, "mode", mm_work_mode_words[b->mode]);
	put_shares(b, &j);
	mm_json_str(&j, "note", b->note);
	mm_json_str(&j, "salt", b->salt);
	if (b->closed_at != 0)
		mm_json_time(&j, "closed", b->closed_at);
	if (b->low[0] != '\0') {
		mm_json_str(&j, "low", b->low);
		mm_json_str(&j, "high", b->high);
	}
	mm_json_strn(&j, "order", mm_buf_view(&text));
	mm_json_close(&j, '}');
	return mm_buf_ok(out, why);
}

static bool
text_of(const json_t *o, const char *name, char *out, size_t n)
{
	const json_t *v = json_object_get(o, name);

	return json_is_string(v) &&
	       mm_text_copy(out, n,
		   (struct mm_bytes){ (const uint8_t *)json_string_value(v),
		       json_string_length(v) });
}

static bool
read_shares(const json_t *list, struct mm_production *b)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(list) ||
	    json_array_size(list) > MM_PRODUCTION_SHARES_MAX)
		return false;
	json_array_foreach(list, i, item)
	{
		struct mm_share *s = &b->share[b->nshares++];

		s->n = json_integer_value(json_object_get(item, "share"));
		s->scrap = json_integer_value(json_object_get(item, "scrap"));
		s->first = json_integer_value(json_object_get(item, "first"));
		if (!text_of(item, "station", s->station, sizeof(s->station)))
			return false;
	}
	return true;
}

static bool
read_word(const json_t *o, const char *name, const char *const *words, size_t n,
    int *out)
{
	const char *text = json_string_value(json_object_get(o, name));

	*out = text == NULL ? -1 : mm_work_word(words, n, text);
	return *out >= 0;
}

/* Those of a run, or of a list that was made before they were noted, stay
 * empty. */
static void
read_bounds(const json_t *plan, struct mm_production *b)
{
	if (!text_of(plan, "low", b->low, sizeof(b->low)) ||
	    !text_of(plan, "high", b->high, sizeof(b->high)))
		b->low[0] = b->high[0] = '\0';
}

static bool
read_closed(const json_t *plan, struct mm_production *b)
{
	char at[MM_TIME_TEXT];

	if (json_object_get(plan, "closed") == NULL)
		return true;
	return text_of(plan, "closed", at, sizeof(at)) &&
	       mm_time_parse(at, &b->closed_at, NULL) == MM_OK;
}

static bool
read_plan(const json_t *plan, struct mm_production *b)
{
	const json_t *order = json_object_get(plan, "order");

	b->quantity = json_integer_value(json_object_get(plan, "quantity"));
	b->scrap = json_integer_value(json_object_get(plan, "scrap"));
	read_bounds(plan, b);
	return read_word(plan, "mode", mm_work_mode_words, MM_WORK_MODE_COUNT,
		   &b->mode) &&
	       read_shares(json_object_get(plan, "shares"), b) &&
	       read_closed(plan, b) &&
	       text_of(plan, "note", b->note, sizeof(b->note)) &&
	       text_of(plan, "salt", b->salt, sizeof(b->salt)) &&
	       json_is_string(order) &&
	       mm_work_order_parse(
		   (struct mm_bytes){ (const uint8_t *)json_string_value(order),
		       json_string_length(order) },
		   &b->order, NULL) == MM_OK;
}

/* Where it has one. */
static bool
read_profiles(const json_t *v, struct mm_production *b)
{
	const char *hex = json_string_value(v);

	return v == NULL ||
	       (hex != NULL && mm_hex_parse(hex, strlen(hex),
				   b->profiles_sha256, 32, NULL) == MM_OK);
}

/* see production.h */
enum mm_err
mm_production_parse(
    const struct mm_doc *doc, struct mm_production **out, struct mm_why *why)
{
	MM_OWN(mm_json_free)
	json_t *o = json_loadb((const char *)doc->body.p, doc->body.n, 0, NULL);
	MM_OWN(mm_production_free)
	struct mm_production *b = calloc(1, sizeof(*b));
	char created[MM_TIME_TEXT];

	if (b == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	if (!mm_text_copy(b->id, sizeof(b->id), mm_bytes_of(doc->id)) ||
	    !read_word(o, "state", mm_work_state_words, MM_WORK_STATE_COUNT,
		&b->state) ||
	    !text_of(o, "created", created, sizeof(created)) ||
	    mm_time_parse(created, &b->created_at, NULL) != MM_OK ||
	    !read_plan(json_object_get(o, "plan"), b) ||
	    !read_profiles(json_object_get(o, "profiles"), b))
		return MM_FAIL(why, MM_ESYS,
		    "batch %.24s: its record cannot "
		    "be read",
		    doc->id);
	b->version = doc->version;
	*out = MM_MOVE(b);
	return MM_OK;
}

/* see production_priv.h */
enum mm_err
mm_production_doc(struct mm_store_reader *r, enum mm_doc_kind kind,
    const char *id, struct mm_doc *out, struct mm_buf *body, struct mm_why *why)
{
	const char *what = kind == MM_DOC_BATCH ? "batch" : "station";
	enum mm_err rc;

	*out = (struct mm_doc){ .version = 0 };
	if (!mm_name_valid(id))
		return MM_FAIL(why, MM_ENOTFOUND, "no such %s", what);
	strcpy(out->id, id);
	rc = mm_get_doc(r, kind, id, &out->version, body, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_FAIL(why, rc, "no such %s: %s", what, id);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	out->body = mm_buf_view(body);
	return MM_OK;
}

/* see production.h */
enum mm_err
mm_production_get(struct mm_store_reader *r, const char *id,
    struct mm_production **out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_doc doc;

	MM_TRY(mm_production_doc(r, MM_DOC_BATCH, id, &doc, &body, why));
	return mm_production_parse(&doc, out, why);
}

/* ---- rules ---- */

/* see production.h */
int64_t
mm_production_authorised(const struct mm_production *b)
{
	return b->quantity + b->scrap;
}

/* see production.h */
int64_t
mm_production_serials(const struct mm_production *b)
{
	struct mm_serials run;

	if (b->order->serials_count > 0)
		return b->order->serials_count;
	return mm_serials_parse(b->order->serials, &run, NULL) == MM_OK
		   ? (int64_t)mm_serials_count(&run)
		   : 0;
}

/* see production.h */
const struct mm_share *
mm_production_share_of(const struct mm_production *b, const char *station)
{
	for (size_t i = 0; i < b->nshares; i++)
		if (strcmp(b->share[i].station, station) == 0)
			return &b->share[i];
	return NULL;
}

/* The first index that no share has, and what the shares sum up to. */
static void
sum_shares(
    const struct mm_production *b, int64_t *sum, int64_t *scrap, int64_t *next)
{
	*sum = *scrap = *next = 0;
	for (size_t i = 0; i < b->nshares; i++) {
		const struct mm_share *s = &b->share[i];

		*sum += s->n;
		*scrap += s->scrap;
		if (s->first + s->n + s->scrap > *next)
			*next = s->first + s->n + s->scrap;
	}
}

/* Its part of the scrap allowance: what others do not have, and never less
 * than an order may have said already. */
static void
set_scrap(const struct mm_production *b, struct mm_share *s)
{
	int64_t part = b->scrap * s->n / b->quantity;
	int64_t sum, scrap, next;

	sum_shares(b, &sum, &scrap, &next);
	if (part > b->scrap - (scrap - s->scrap))
		part = b->scrap - (scrap - s->scrap);
	if (part > s->scrap)
		s->scrap = part;
}

/* see production.h */
void
mm_production_spread(struct mm_production *b)
{
	if (b->order->take == MM_WORK_NEXT)
		return; /* their serial numbers are cut */
	for (size_t i = 0; i < b->nshares; i++)
		set_scrap(b, &b->share[i]);
}

/* With take "next" what was given stays: its serials may be printed. */
static enum mm_err
change_share(
    struct mm_production *b, struct mm_share *s, int64_t n, struct mm_why *why)
{
	if (n == s->n && b->order->take == MM_WORK_NEXT)
		return MM_OK;
	if (n < s->n || (b->order->take == MM_WORK_NEXT && n != s->n))
		return MM_FAIL(why, MM_ECONFLICT,
		    "share of %s: it has %lld, "
		    "and %s",
		    s->station, (long long)s->n,
		    n < s->n ? "an order may be out already"
			     : "its serial numbers are cut");
	s->n = n;
	set_scrap(b, s);
	return MM_OK;
}

/* With take "next", two that have a serial number in common. */
static bool
share_serials(const struct mm_production *b)
{
	for (size_t i = 0; i < b->nshares; i++) {
		const struct mm_share *x = &b->share[i];

		for (size_t k = 0; k < i; k++) {
			const struct mm_share *y = &b->share[k];

			if (x->first < y->first + y->n + y->scrap &&
			    y->first < x->first + x->n + x->scrap)
				return true;
		}
	}
	return false;
}

static enum mm_err
check_cut(const struct mm_production *b, int64_t next, struct mm_why *why)
{
	if (next > mm_production_serials(b))
		return MM_FAIL(why, MM_EINPUT,
		    "shares: %lld serial numbers "
		    "are wanted, the batch has %lld",
		    (long long)next, (long long)mm_production_serials(b));
	if (share_serials(b))
		return MM_FAIL(why, MM_EINPUT,
		    "shares: two of them have a serial number in common");
	return MM_OK;
}

/* see production.h */
enum mm_err
mm_production_check(const struct mm_production *b, struct mm_why *why)
{
	int64_t sum, scrap, next;

	sum_shares(b, &sum, &scrap, &next);
	if (sum > b->quantity)
		return MM_FAIL(why, MM_EINPUT,
		    "shares: %lld in all, the "
		    "batch has %lld",
		    (long long)sum, (long long)b->quantity);
	if (scrap > b->scrap)
		return MM_FAIL(why, MM_EINPUT,
		    "shares: %lld may be scrapped in all, %lld of the batch",
		    (long long)scrap, (long long)b->scrap);
	return b->order->take == MM_WORK_NEXT ? check_cut(b, next, why) : MM_OK;
}

/* see production.h */
enum mm_err
mm_production_share(
    struct mm_production *b, const char *station, int64_t n, struct mm_why *why)
{
	struct mm_share *s = b->share;
	int64_t sum, scrap, next;

	if (!mm_name_valid(station) || n < 1 || n > MM_WORK_SHARE_MAX)
		return MM_FAIL(why, MM_EINPUT,
		    "share: want a station's name "
		    "and a number from 1");
	while (s < b->share + b->nshares && strcmp(s->station, station) != 0)
		s++;
	if (s < b->share + b->nshares) {
		MM_TRY(change_share(b, s, n, why));
		return mm_production_check(b, why);
	}
	if (b->nshares == MM_PRODUCTION_SHARES_MAX)
		return MM_FAIL(why, MM_EINPUT, "at most %d stations",
		    MM_PRODUCTION_SHARES_MAX);
	sum_shares(b, &sum, &scrap, &next);
	*s = (struct mm_share){ .n = n,
		.first = b->order->take == MM_WORK_NEXT ? next : 0 };
	strcpy(s->station, station);
	b->nshares++;
	set_scrap(b, s);
	return mm_production_check(b, why);
}

static const bool may_become[MM_WORK_STATE_COUNT][MM_WORK_STATE_COUNT] = {
	[MM_WORK_OPEN] = { [MM_WORK_PAUSED] = true, [MM_WORK_CLOSED] = true },
	[MM_WORK_PAUSED] = { [MM_WORK_OPEN] = true, [MM_WORK_CLOSED] = true },
};

/* see production.h */
enum mm_err
mm_production_become(struct mm_production *b, int state, struct mm_why *why)
{
	if (!may_become[b->state][state])
		return MM_FAIL(why, MM_ECONFLICT, "batch %s is %s", b->id,
		    mm_work_state_words[b->state]);
	b->state = state;
	if (state == MM_WORK_CLOSED)
		b->closed_at = mm_now_ms();
	return MM_OK;
}
