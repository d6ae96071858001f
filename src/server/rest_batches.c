#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "server/batches.h"

/* Batches: made, shown, opened, paused, closed, extended, shared out. */

MM_FREE_FN(wish_free, struct mm_batch_wish, free)

/* ---- output ---- */

static void
put_serials(struct mm_json *j, const struct mm_work_order *o)
{
	char serial[MM_DEVICE_ID_MAX + 1];
	struct mm_serials run;

	if (o->serials_count > 0) {
		mm_json_int(j, "serials_count", o->serials_count);
		mm_rest_put_sha256(j, "serials_sha256", o->serials_sha256);
	} else if (mm_serials_parse(o->serials, &run, NULL) == MM_OK) {
		mm_json_str(j, "serials", o->serials);
		mm_json_int(
		    j, "serials_count", (int64_t)mm_serials_count(&run));
		mm_serials_at(&run, 0, serial);
		mm_json_str(j, "first_serial", serial);
		mm_serials_at(&run, mm_serials_count(&run) - 1, serial);
		mm_json_str(j, "last_serial", serial);
	}
	mm_json_str(j, "take", mm_work_take_words[o->take]);
	if (o->scan[0] != '\0')
		mm_json_str(j, "scan", o->scan);
}

static void
put_config(struct mm_json *j, const struct mm_work_order *o)
{
	if (o->config_version == 0)
		return;
	mm_json_open_key(j, "configuration", '{');
	mm_json_int(j, "version", o->config_version);
	mm_rest_put_sha256(j, "template_sha256", o->config_sha256);
	mm_rest_put_sha256(j, "rows_sha256", o->fields_sha256);
	mm_json_close(j, '}');
}

/* Badges' hashes are the stations' business. */
static void
put_lists(struct mm_json *j, const struct mm_production *b)
{
	const struct mm_work_order *o = b->order;
	char label[MM_PROFILE_TEXT];

	mm_json_open_key(j, "profiles", '[');
	for (size_t i = 0; i < o->profiles_n; i++) {
		snprintf(label, sizeof(label), "%s@%lld", o->profiles[i].name,
		    (long long)o->profiles[i].version);
		mm_json_str(j, NULL, label);
	}
	mm_json_close(j, ']');
	mm_json_open_key(j, "people", '[');
	for (size_t i = 0; i < o->people_n; i++) {
		mm_json_open(j, '{');
		mm_json_str(j, "id", o->people[i].id);
		mm_json_str(j, "role", mm_work_role_words[o->people[i].role]);
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
	mm_json_open_key(j, "shares", '[');
	for (size_t i = 0; i < b->nshares; i++) {
		mm_json_open(j, '{');
		mm_json_str(j, "station", b->share[i].station);
		mm_json_int(j, "share", b->share[i].n);
		mm_json_int(j, "scrap", b->share[i].scrap);
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
}

static void
put_batch(struct mm_json *j, const struct mm_production *b)
{
	const struct mm_work_order *o = b->order;

	mm_json_str(j, "id", b->id);
	mm_json_str(j, "product", o->product);
	mm_json_str(j, "state", mm_work_state_words[b->state]);
	mm_json_str(j, "marker", mm_work_marker_words[o->marker]);
	mm_json_str(j, "mode", mm_work_mode_words[b->mode]);
	mm_json_int(j, "quantity", b->quantity);
	mm_json_int(j, "scrap", b->scrap);
	put_serials(j, o);
	mm_rest_put_time(j, "not_before", o->not_before_ms);
	mm_rest_put_time(j, "until", o->until_ms);
	if (o->unsynced_s > 0)
		mm_json_int(j, "unsynced_s", o->unsynced_s);
	mm_json_str(j, "level", mm_work_level_words[o->level]);
	mm_json_str(j, "on_conflict", mm_work_conflict_words[o->on_conflict]);
	mm_json_bool(j, "locks", mm_work_order_locks(o));
	mm_json_str(j, "key_origin", mm_work_origin_words[o->key_origin]);
	if (o->recipe[0] != '\0')
		mm_json_str(j, "recipe", o->recipe);
	if (b->note[0] != '\0')
		mm_json_str(j, "note", b->note);
	mm_rest_put_time(j, "created", b->created_at);
	mm_json_int(j, "version", (int64_t)b->version);
	put_config(j, o);
	put_lists(j, b);
}

static void
put_one(struct mm_rest *r, const struct mm_production *b)
{
	mm_rest_etag(r, b->version);
	mm_json_open(&r->j, '{');
	put_batch(&r->j, b);
	mm_json_close(&r->j, '}');
}

/* ---- reading ---- */

static enum mm_err
this_batch(struct mm_rest *r, struct mm_production **out, struct mm_why *why)
{
	char id[MM_NAME_MAX + 1];

	if (!mm_text_copy(id, sizeof(id), mm_http_segment(r->req, 0)))
		return MM_FAIL(why, MM_ENOTFOUND, "no such batch");
	return mm_production_get(r->reader, id, out, why);
}

/* A page ends too when so many were looked at. */
enum { LOOK_MOST = 1000 };

struct listing {
	struct mm_rest *r;
	const struct mm_page *page;
	int state;
	const char *of; /* a product, whose batches alone are read; NULL: all */
	unsigned left, looked, read; /* read: of the store's page */
	char last[MM_PAGE_AFTER];    /* that was looked at, and may be named */
	char on[MM_DOC_ID_MAX + 1];  /* where the store goes on */
	bool more, ended; /* ended: before a product's first */
};

static bool
is_wanted(const struct listing *l, const struct mm_production *b)
{
	const char *product = l->page->list.product;

	return (l->state < 0 || b->state == l->state) &&
	       (product == NULL || strcmp(product, b->order->product) == 0) &&
	       (!l->r->login.scope.on ||
		   mm_scope_sees(&l->r->login.scope, b->order->product,
		       b->id));
}

/* A login that is limited to products goes from one to the next. */
static void
pass(struct listing *l)
{
	snprintf(l->last, sizeof(l->last), "%s%s%s",
	    l->of != NULL && l->r->login.scope.on ? l->of : "",
	    l->of != NULL && l->r->login.scope.on ? "/" : "", l->on);
}

/* What is of a product that is seen may be named, wanted or not. */
static enum mm_err
put_wanted(struct listing *l, const struct mm_production *b,
    struct mm_why *why)
{
	bool wanted = is_wanted(l, b);

	l->more = wanted && l->left == 0;
	if (l->more || (!wanted && l->of == NULL && l->r->login.scope.on))
		return MM_OK;
	pass(l);
	if (!wanted)
		return MM_OK;
	l->left--;
	mm_json_open(&l->r->j, '{');
	put_batch(&l->r->j, b);
	mm_json_close(&l->r->j, '}');
	return mm_buf_ok(&l->r->out, why);
}

static enum mm_err
put_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	MM_OWN(mm_production_free) struct mm_production *b = NULL;
	struct listing *l = ctx;

	l->read++;
	l->looked++;
	snprintf(l->on, sizeof(l->on), "%s", next);
	if (l->more)
		return MM_OK;
	MM_TRY(mm_production_parse(row, &b, why));
	return put_wanted(l, b, why);
}

/* Those of a login that is limited to some, which stand in their order: each
 * by its name. */
static enum mm_err
put_named(struct listing *l, const char *after, struct mm_why *why)
{
	const struct mm_scope *s = &l->r->login.scope;

	for (unsigned i = 0; i < s->nbatches && !l->more; i++) {
		MM_OWN(mm_production_free) struct mm_production *b = NULL;
		enum mm_err rc = strcmp(s->batch[i], after) <= 0 ?
		    MM_ENOTFOUND :
		    mm_production_get(l->r->reader, s->batch[i], &b, NULL);

		if (rc == MM_ENOTFOUND)
			continue;
		if (rc != MM_OK)
			return MM_FAIL(why, rc, "the store cannot be read");
		strcpy(l->on, s->batch[i]);
		MM_TRY(put_wanted(l, b, why));
	}
	return MM_OK;
}

static bool
is_full(const struct listing *l, const struct mm_list *docs)
{
	return l->more || l->ended ||
	       (l->looked >= LOOK_MOST && l->read == docs->most);
}

/* From docs->after on, of all products or of one. */
static enum mm_err
put_all(struct listing *l, struct mm_list *docs, struct mm_why *why)
{
	struct mm_store_reader *r = l->r->reader;

	do {
		l->read = 0;
		docs->most = l->state >= 0 ? LOOK_MOST : l->left + 1;
		MM_TRY(l->of != NULL ?
		    mm_list_batches_of(r, l->of, docs, put_row, l, why) :
		    mm_list_docs(r, MM_DOC_BATCH, "", docs, put_row, l, why));
		strcpy(docs->after, l->on);
	} while (l->read == docs->most && !is_full(l, docs));
	return MM_OK;
}

/* The next page begins with that product. */
static void
end_before(struct listing *l, const char *product)
{
	l->ended = true;
	snprintf(l->last, sizeof(l->last), "%s/", product);
}

/* Each product's own, however many batches others have. */
static enum mm_err
put_products(struct listing *l, struct mm_list *docs, struct mm_why *why)
{
	const struct mm_scope *s = &l->r->login.scope;
	const char *product = l->page->list.product;
	const char *after = l->page->after;
	unsigned i;

	MM_TRY(mm_scope_after(s, &after, &i, why));
	if (!mm_text_copy(docs->after, sizeof(docs->after),
	    mm_bytes_of(after)))
		return MM_FAIL(why, MM_EINPUT, "after: not a key of this list");
	for (; i < s->nproducts; i++) {
		l->of = s->product[i];
		l->on[0] = '\0';
		if (product == NULL || strcmp(product, l->of) == 0)
			MM_TRY(put_all(l, docs, why));
		if (l->looked >= LOOK_MOST && !is_full(l, docs) &&
		    product == NULL && i + 1 < s->nproducts)
			end_before(l, s->product[i + 1]);
		if (is_full(l, docs))
			return MM_OK;
		docs->after[0] = '\0';
	}
	return MM_OK;
}

static const char *
state_name(unsigned i)
{
	return mm_work_state_words[i];
}

static enum mm_err
put_page(struct listing *l, struct mm_list *docs, struct mm_why *why)
{
	const struct mm_scope *s = &l->r->login.scope;

	if (s->nbatches > 0)
		return put_named(l, l->page->list.after, why);
	if (s->on)
		return put_products(l, docs, why);
	l->of = l->page->list.product;
	memcpy(docs->after, l->page->list.after, sizeof(docs->after));
	return put_all(l, docs, why);
}

enum mm_err
mm_rest_batches(struct mm_rest *r, struct mm_why *why)
{
	struct mm_page page;
	struct listing l = { .r = r, .page = &page, .state = -1 };
	struct mm_list docs = { .most = LOOK_MOST, .state = -1 };

	MM_TRY(mm_page_read(r, " product state ", &page, why));
	MM_TRY(
	    mm_page_state(r, &l.state, state_name, MM_WORK_STATE_COUNT, why));
	l.left = page.list.most;
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	MM_TRY(put_page(&l, &docs, why));
	mm_json_close(&r->j, ']');
	if (is_full(&l, &docs))
		mm_json_str(&r->j, "next", l.last);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_batch(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_production_free) struct mm_production *b = NULL;

	MM_TRY(this_batch(r, &b, why));
	put_one(r, b);
	return MM_OK;
}

/* ---- making one ---- */

static void
put_warnings(struct mm_rest *r, const struct mm_batch_wish *w,
    const struct mm_production *b)
{
	int64_t serials = mm_production_serials(b);
	char text[128];

	mm_json_open_key(&r->j, "warnings", '[');
	for (unsigned bit = 1; bit <= MM_MISFIT_MQTT; bit <<= 1)
		if ((w->misfits & bit) != 0)
			mm_json_str(&r->j, NULL, mm_serial_misfit_text(bit));
	mm_batch_secrets_put(&r->j, w);
	if (serials < mm_production_authorised(b)) {
		snprintf(text, sizeof(text),
		    "%lld serial numbers: none is "
		    "left for all that may be scrapped",
		    (long long)serials);
		mm_json_str(&r->j, NULL, text);
	}
	if (b->nshares == 0)
		mm_json_str(&r->j, NULL, "no station has a share yet");
	if (b->order->until_ms - mm_now_ms() < INT64_C(3600000))
		mm_json_str(&r->j, NULL, "it ends within the hour");
	mm_json_close(&r->j, ']');
}

static enum mm_err
keep(struct mm_rest *r, const struct mm_batch_wish *w, struct mm_production *b,
    struct mm_why *why)
{
	const struct {
		struct mm_bytes text;
		const uint8_t *sha256;
	} paper[] = {
		{ mm_buf_view(&w->serials), b->order->serials_sha256 },
		{ mm_buf_view(&w->config), b->order->config_sha256 },
		{ mm_buf_view(&w->fields), b->order->fields_sha256 },
	};
	enum mm_err rc;

	for (size_t i = 0; i < 3; i++)
		if (paper[i].text.n > 0)
			MM_TRY(mm_desk_paper_put(
			    r->desk, paper[i].text, paper[i].sha256, why));
	if (b->mode == MM_WORK_OFFLINE)
		MM_TRY(mm_desk_profiles_keep(r->desk, b, why));
	rc = mm_desk_batch_put(r->desk, &r->login, b, NULL, why);
	return rc == MM_ESTALE ? MM_ECONFLICT : rc;
}

static enum mm_err
create(struct mm_rest *r, struct mm_batch_wish *w, struct mm_production *b,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_WORK_TEXT_MAX);

	MM_TRY(mm_batch_read(r, w, b, why));
	/* what a station's order would say */
	MM_TRY(mm_work_order_encode(b->order, &text, why));
	if (!w->dry_run) {
		MM_TRY(keep(r, w, b, why));
		mm_rest_etag(r, b->version);
		r->status = 201;
	}
	mm_json_open(&r->j, '{');
	put_batch(&r->j, b);
	put_warnings(r, w, b);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_batch_create(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(wish_free) struct mm_batch_wish *w = calloc(1, sizeof(*w));
	struct mm_work_order order = { .number = 1 };
	struct mm_production b = { .order = &order };
	enum mm_err rc;

	if (w == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = create(r, w, &b, why);
	mm_batch_wish_done(w);
	return rc;
}

/* ---- changing one ---- */

static enum mm_err
store(struct mm_rest *r, struct mm_production *b, const char *reason,
    struct mm_why *why)
{
	const uint64_t *if_version;
	uint64_t version;
	enum mm_err rc;

	MM_TRY(mm_rest_if_match(r, &version, &if_version, why));
	if (if_version != NULL && *if_version != b->version)
		return MM_FAIL(why, MM_ESTALE, "batch %s: has changed", b->id);
	rc = mm_desk_batch_put(r->desk, &r->login, b, reason, why);
	if (rc == MM_ESTALE && if_version == NULL)
		return MM_ECONFLICT; /* a race with another request */
	MM_TRY(rc);
	put_one(r, b);
	return MM_OK;
}

struct change {
	char reason[MM_PRODUCTION_NOTE];
	int64_t quantity, scrap, until;
};
static const struct mm_member change_members[] = {
	{ "reason", MM_M_TEXT, false, offsetof(struct change, reason),
	    MM_PRODUCTION_NOTE },
	{ "quantity", MM_M_INT, false, offsetof(struct change, quantity), 0 },
	{ "scrap", MM_M_INT, false, offsetof(struct change, scrap), 0 },
	{ "until", MM_M_TIME, false, offsetof(struct change, until), 0 },
};

static enum mm_err
keep_note(struct mm_production *b, const char *note, struct mm_why *why)
{
	for (const char *p = note; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return MM_FAIL(why, MM_EINPUT,
			    "reason: one line, "
			    "without control characters");
	strcpy(b->note, note);
	return MM_OK;
}

static enum mm_err
become(struct mm_rest *r, int state, const char *word, struct mm_why *why)
{
	MM_OWN(mm_production_free) struct mm_production *b = NULL;
	struct change c = { .reason = "" };

	MM_TRY(mm_rest_members(r->in, change_members, 1, &c, why));
	MM_TRY(this_batch(r, &b, why));
	MM_TRY(mm_production_become(b, state, why));
	MM_TRY(keep_note(b, c.reason, why));
	return store(r, b, word, why);
}

enum mm_err
mm_rest_batch_open(struct mm_rest *r, struct mm_why *why)
{
	return become(r, MM_WORK_OPEN, "opened", why);
}

enum mm_err
mm_rest_batch_pause(struct mm_rest *r, struct mm_why *why)
{
	return become(r, MM_WORK_PAUSED, "paused", why);
}

enum mm_err
mm_rest_batch_close(struct mm_rest *r, struct mm_why *why)
{
	return become(r, MM_WORK_CLOSED, "closed", why);
}

/* Nothing becomes less: an order may be out already. */
static enum mm_err
extend(struct mm_production *b, const struct change *c, struct mm_why *why)
{
	int64_t want;

	if ((c->quantity != 0 && c->quantity < b->quantity) ||
	    (c->scrap != 0 && c->scrap < b->scrap) ||
	    (c->until != 0 && c->until < b->order->until_ms))
		return MM_FAIL(why, MM_ECONFLICT,
		    "extend: quantity, scrap "
		    "and until only grow");
	if (c->quantity != 0)
		b->quantity = c->quantity;
	if (c->scrap != 0)
		b->scrap = c->scrap;
	if (c->until != 0)
		b->order->until_ms = c->until;
	want = b->order->take == MM_WORK_NEXT ? mm_production_authorised(b)
					      : b->quantity;
	if (b->scrap > b->quantity || want > mm_production_serials(b))
		return MM_FAIL(why, MM_ECONFLICT,
		    "extend: the batch has %lld "
		    "serial numbers",
		    (long long)mm_production_serials(b));
	b->order->share = b->quantity;
	b->order->scrap = b->scrap;
	mm_production_spread(b);
	return mm_production_check(b, why);
}

enum mm_err
mm_rest_batch_extend(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_production_free) struct mm_production *b = NULL;
	struct change c = { .reason = "" };

	MM_TRY(mm_rest_members(r->in, change_members, 4, &c, why));
	if (c.reason[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "reason: missing");
	if (c.quantity == 0 && c.scrap == 0 && c.until == 0)
		return MM_FAIL(
		    why, MM_EINPUT, "extend: want quantity, scrap or until");
	MM_TRY(this_batch(r, &b, why));
	if (b->state == MM_WORK_CLOSED)
		return MM_FAIL(why, MM_ECONFLICT, "batch %s is closed", b->id);
	MM_TRY(extend(b, &c, why));
	MM_TRY(keep_note(b, c.reason, why));
	return store(r, b, "extended", why);
}

enum mm_err
mm_rest_batch_shares(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_production_free) struct mm_production *b = NULL;
	const json_t *list = json_object_get(r->in, "shares");

	if (json_object_size(r->in) != 1 || !json_is_array(list))
		return MM_FAIL(why, MM_EINPUT, "shares: want a list");
	MM_TRY(this_batch(r, &b, why));
	if (b->state == MM_WORK_CLOSED)
		return MM_FAIL(why, MM_ECONFLICT, "batch %s is closed", b->id);
	MM_TRY(mm_batch_shares(r, list, b, why));
	return store(r, b, "shares", why);
}
