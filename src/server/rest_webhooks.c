#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "server/hook.h"
#include "server/rest.h"

/* Webhooks: documents with an ETag, and what one can do with their delivery. */

struct wish {
	char url[MM_HOOK_URL + 1], description[129];
	char types[MM_EVENT_TYPES_MAX + 1];
	char products[MM_EVENT_PRODUCTS_MAX + 1];
	bool batch;
	int64_t from;
};
#define M(name, type, must)                                                \
	{ #name, type, must, offsetof(struct wish, name),                  \
	    sizeof(((struct wish *)0)->name) }
static const struct mm_member members[] = {
	M(url, MM_M_TEXT, true),
	M(description, MM_M_TEXT, false),
	M(types, MM_M_NAMES, false),
	M(products, MM_M_NAMES, false),
	M(batch, MM_M_BOOL, false),
	M(from, MM_M_DURATION, false), /* a number; the last: see replace */
};
static const struct mm_member from_only[] = {
	M(from, MM_M_DURATION, false),
};
#define N(a) (sizeof(a) / sizeof((a)[0]))

/* ---- output ---- */

static void
put_list(struct mm_json *j, const char *key, const char *list)
{
	mm_json_open_key(j, key, '[');
	while (*list != '\0') {
		size_t n = strcspn(list, ",");

		mm_json_strn(j, NULL,
		    (struct mm_bytes){ (const uint8_t *)list, n });
		list += n + (list[n] == ',');
	}
	mm_json_close(j, ']');
}

static void
put_live(struct mm_json *j, const struct mm_hook_live *l)
{
	mm_json_open_key(j, "delivery", '{');
	mm_json_int(j, "next", l->at.next);
	mm_json_int(j, "delivered", (int64_t)l->delivered);
	mm_json_int(j, "attempts", l->at.attempts);
	mm_json_int(j, "dead_letters", l->dead);
	mm_rest_put_time(j, "failing_since", l->at.failing_since);
	mm_rest_put_time(j, "retry_at", l->retry_at);
	mm_rest_put_time(j, "last_at", l->last_at);
	if (l->last_status != 0)
		mm_json_int(j, "last_status", l->last_status);
	if (l->last_why[0] != '\0')
		mm_json_str(j, "last_why", l->last_why);
	mm_json_close(j, '}');
}

/* see hook.h */
void
mm_rest_put_hook_url(struct mm_rest *r, const char *url)
{
	MM_OWN(mm_buf_done) struct mm_buf short_ = MM_BUF_INIT(MM_HOOK_URL + 8);
	const char *host = strstr(url, "://");
	size_t n = host == NULL ? 0 : host + 3 - url;

	if ((r->login.roles & MM_ROLE_ADMIN) == 0 && url[0] != '\0') {
		n += strcspn(url + n, "/?#");
		mm_buf_put(&short_, url, n);
		mm_buf_text(&short_, "/...");
		url = mm_buf_cstr(&short_);
	}
	mm_json_str(&r->j, "url", url != NULL ? url : "");
}

static void
put_hook(struct mm_rest *r, const struct mm_hook *h)
{
	struct mm_json *j = &r->j;
	struct mm_hook_live live;
	int64_t both = h->rotated_at + MM_HOOK_BOTH_S * INT64_C(1000);

	mm_json_str(j, "id", h->id);
	mm_rest_put_hook_url(r, h->url);
	mm_json_str(j, "description", h->description);
	put_list(j, "types", h->filter.types);
	put_list(j, "products", h->filter.products);
	mm_json_bool(j, "batch", h->batch);
	mm_json_str(j, "state", mm_hook_state_name(h->state));
	if (h->reason[0] != '\0')
		mm_json_str(j, "reason", h->reason);
	mm_rest_put_time(j, "created", h->created_at);
	mm_json_int(j, "secret_version", h->secret);
	if (h->secret > 1 && mm_now_ms() < both)
		mm_rest_put_time(j, "previous_secret_until", both);
	mm_json_int(j, "version", (int64_t)h->version);
	if (!mm_deliver_show(r->s->deliver, h->id, &live))
		return;
	/* who delivers knows the number, another one looks */
	if (!mm_core_delivers(r->s->core))
		(void)!mm_deliver_letters(r->reader, h->id, &live.dead, NULL);
	put_live(j, &live);
}

static void
put_one(struct mm_rest *r, const struct mm_hook *h)
{
	mm_rest_etag(r, h->version);
	mm_json_open(&r->j, '{');
	put_hook(r, h);
	mm_json_close(&r->j, '}');
}

static enum mm_err
secret_of(struct mm_rest *r, const struct mm_hook *h, int64_t version,
    uint8_t out[MM_HOOK_SECRET_N], struct mm_why *why)
{
	struct mm_hook_keys *keys = mm_deliver_keys(r->s->deliver);

	MM_TRY(mm_hook_key_check(keys, r->desk, why));
	return mm_hook_secret(keys, h, version, out, why);
}

/* see rest.h */
enum mm_err
mm_rest_put_hook_secret(struct mm_rest *r, const struct mm_hook *h,
    struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf text = MM_BUF_INIT(64);
	uint8_t secret[MM_HOOK_SECRET_N];

	MM_TRY(secret_of(r, h, h->secret, secret, why));
	mm_buf_text(&text, "whsec_");
	mm_base64_put(&text, (struct mm_bytes){ secret, sizeof(secret) }, 0);
	mm_wipe(secret, sizeof(secret));
	mm_rest_put_secret(r, "secret", mm_buf_cstr(&text));
	return MM_OK;
}

static enum mm_err
put_secret(struct mm_rest *r, const struct mm_hook *h, struct mm_why *why)
{
	mm_rest_etag(r, h->version);
	mm_json_open(&r->j, '{');
	put_hook(r, h);
	MM_TRY(mm_rest_put_hook_secret(r, h, why));
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* ---- reading ---- */

static enum mm_err
this_hook(struct mm_rest *r, struct mm_hook *h, struct mm_why *why)
{
	char id[MM_HOOK_ID];

	if (!mm_text_copy(id, sizeof(id), mm_http_segment(r->req, 0)))
		return MM_FAIL(why, MM_ENOTFOUND, "no such webhook");
	return mm_hook_get(r->reader, id, h, why);
}

struct putting {
	struct mm_rest *r;
	unsigned n;
};

static enum mm_err
put_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct putting *p = ctx;
	struct mm_hook h;

	(void)next;
	MM_TRY(mm_hook_parse(row, &h, why));
	p->n++;
	if (p->r == NULL)
		return MM_OK;
	mm_json_open(&p->r->j, '{');
	put_hook(p->r, &h);
	mm_json_close(&p->r->j, '}');
	return mm_buf_ok(&p->r->out, why);
}

/* r NULL: only counts. */
static enum mm_err
each_hook(struct mm_store_reader *reader, struct putting *p,
    struct mm_why *why)
{
	const struct mm_list l = { .most = MM_HOOKS_MOST * 2, .state = -1 };

	return mm_list_docs(reader, MM_DOC_WEBHOOK, "", &l, put_row, p, why);
}

enum mm_err
mm_rest_webhooks(struct mm_rest *r, struct mm_why *why)
{
	struct putting p = { .r = r };
	struct mm_page page;

	MM_TRY(mm_page_read(r, " ", &page, why));
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	MM_TRY(each_hook(r->reader, &p, why));
	mm_json_close(&r->j, ']');
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_webhook(struct mm_rest *r, struct mm_why *why)
{
	struct mm_hook h;

	MM_TRY(this_hook(r, &h, why));
	put_one(r, &h);
	return MM_OK;
}

/* ---- writing ---- */

/* Where it goes to, for the entry: salted by what the server alone can derive,
 * for a URL may be guessed and may hold a secret. */
static enum mm_err
hash_url(struct mm_rest *r, const struct mm_hook *h, char out[65],
    struct mm_why *why)
{
	uint8_t salt[MM_HOOK_SECRET_N], hash[32];

	MM_TRY(secret_of(r, h, MM_HOOK_SALT, salt, why));
	mm_sha256_2((struct mm_bytes){ salt, sizeof(salt) },
	    mm_bytes_of(h->url), hash);
	mm_wipe(salt, sizeof(salt));
	mm_hex_text(hash, sizeof(hash), out);
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_rest_store_hook(struct mm_rest *r, struct mm_hook *h,
    struct mm_op_doc *doc, const struct mm_entry *e, bool asked,
    struct mm_why *why)
{
	enum mm_err rc = mm_desk_doc_put(r->desk, doc, e, 1, why);

	/* nobody asked for a version: it is a race with another request */
	if (rc == MM_ESTALE && !asked)
		return MM_ECONFLICT;
	MM_TRY(rc);
	h->version = doc->version;
	mm_deliver_changed(r->s->deliver);
	return MM_OK;
}

/* With its entry; what for is the entry's reason, or NULL. */
static enum mm_err
store(struct mm_rest *r, struct mm_hook *h, enum mm_entry_type type,
    const char *what, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	char url[65];
	const struct mm_entry e = { .type = type, .field = {
		[MM_F_ACTOR] = r->login.id, [MM_F_WEBHOOK] = h->id,
		[MM_F_REASON] = what, [MM_F_DETAIL_SHA256] = url } };
	struct mm_op_doc doc = { .kind = MM_DOC_WEBHOOK,
		.expect = h->version };
	const uint64_t *if_version;
	uint64_t version;

	MM_TRY(mm_rest_if_match(r, &version, &if_version, why));
	if (if_version != NULL && *if_version != h->version)
		return MM_FAIL(why, MM_ESTALE, "webhook %s: has changed",
		    h->id);
	MM_TRY(hash_url(r, h, url, why));
	strcpy(doc.id, h->id);
	if (type != MM_E_WEBHOOK_REMOVED)
		mm_hook_encode(h, &body);
	MM_TRY(mm_buf_ok(&body, why));
	doc.body = mm_buf_view(&body);
	return mm_rest_store_hook(r, h, &doc, &e, if_version != NULL, why);
}

static enum mm_err
read_wish(struct mm_rest *r, const struct mm_member *m, size_t n,
    struct mm_hook *h, struct wish *w, struct mm_why *why)
{
	memset(w, 0, sizeof(*w));
	w->from = -1;
	MM_TRY(mm_rest_members(r->in, m, n, w, why));
	MM_TRY(mm_hook_url_check(w->url, &r->s->config->set, why));
	strcpy(h->url, w->url);
	strcpy(h->description, w->description);
	strcpy(h->filter.types, w->types);
	strcpy(h->filter.products, w->products);
	h->batch = w->batch;
	return mm_entry_types_check(h->filter.types, why);
}

static enum mm_err
name(struct mm_hook *h, struct mm_why *why)
{
	uint8_t random[8];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return MM_FAIL(why, MM_ESYS, "no random bytes");
	strcpy(h->id, "wh_");
	mm_hex_text(random, sizeof(random), h->id + 3);
	return MM_OK;
}

static enum mm_err
room(struct mm_rest *r, struct mm_why *why)
{
	struct putting p = { 0 };

	if (!r->s->config->set.webhooks)
		return MM_FAIL(why, MM_ECONFLICT, "webhooks are switched off "
		    "in the configuration");
	MM_TRY(each_hook(r->reader, &p, why));
	if (p.n >= MM_HOOKS_MOST)
		return MM_FAIL(why, MM_ECONFLICT, "at most %d webhooks",
		    MM_HOOKS_MOST);
	return MM_OK;
}

/* From index on; -1: from what comes next. */
static enum mm_err
begin_at(struct mm_rest *r, int64_t from, struct mm_hook *h,
    struct mm_why *why)
{
	uint64_t size;

	MM_TRY(mm_get_ledger_size(r->reader, &size, why));
	if (from >= 0)
		MM_TRY(mm_event_from_check((uint64_t)from, size, why));
	h->from = from < 0 ? (int64_t)size : from;
	h->epoch++;
	return MM_OK;
}

enum mm_err
mm_rest_webhook_create(struct mm_rest *r, struct mm_why *why)
{
	struct mm_hook h = { .state = MM_HOOK_ACTIVE, .secret = 1,
		.created_at = mm_now_ms() };
	struct wish w;

	MM_TRY(read_wish(r, members, N(members), &h, &w, why));
	MM_TRY(room(r, why));
	MM_TRY(name(&h, why));
	MM_TRY(begin_at(r, w.from, &h, why));
	MM_TRY(store(r, &h, MM_E_WEBHOOK_CREATED, NULL, why));
	r->status = 201;
	return put_secret(r, &h, why);
}

enum mm_err
mm_rest_webhook_replace(struct mm_rest *r, struct mm_why *why)
{
	struct mm_hook h;
	struct wish w;

	MM_TRY(this_hook(r, &h, why));
	MM_TRY(read_wish(r, members, N(members) - 1, &h, &w, why));
	MM_TRY(store(r, &h, MM_E_WEBHOOK_CHANGED, "changed", why));
	put_one(r, &h);
	return MM_OK;
}

enum mm_err
mm_rest_webhook_remove(struct mm_rest *r, struct mm_why *why)
{
	struct mm_hook h;

	MM_TRY(this_hook(r, &h, why));
	MM_TRY(store(r, &h, MM_E_WEBHOOK_REMOVED, NULL, why));
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "id", h.id);
	mm_json_bool(&r->j, "removed", true);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_webhook_pause(struct mm_rest *r, struct mm_why *why)
{
	struct mm_hook h;

	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(this_hook(r, &h, why));
	if (h.state == MM_HOOK_ACTIVE) {
		h.state = MM_HOOK_PAUSED;
		MM_TRY(store(r, &h, MM_E_WEBHOOK_CHANGED, "paused", why));
	}
	put_one(r, &h);
	return MM_OK;
}

enum mm_err
mm_rest_webhook_resume(struct mm_rest *r, struct mm_why *why)
{
	struct mm_hook h;

	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(this_hook(r, &h, why));
	if (h.state != MM_HOOK_ACTIVE) {
		h.state = MM_HOOK_ACTIVE;
		h.reason[0] = '\0';
		h.resumed_at = mm_now_ms();
		MM_TRY(store(r, &h, MM_E_WEBHOOK_CHANGED, "resumed", why));
	}
	put_one(r, &h);
	return MM_OK;
}

/* The old secret signs for another day: one rotation a day, or a receiver
 * that still has the one before it would be cut off. */
enum mm_err
mm_rest_webhook_rotate(struct mm_rest *r, struct mm_why *why)
{
	struct mm_hook h;

	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(this_hook(r, &h, why));
	h.secret++;
	h.rotated_at = mm_now_ms();
	MM_TRY(store(r, &h, MM_E_WEBHOOK_CHANGED, "rotated", why));
	return put_secret(r, &h, why);
}

enum mm_err
mm_rest_webhook_replay(struct mm_rest *r, struct mm_why *why)
{
	struct wish w = { .from = -1 };
	struct mm_hook h;

	MM_TRY(this_hook(r, &h, why));
	MM_TRY(mm_rest_members(r->in, from_only, 1, &w, why));
	if (w.from < 0)
		return MM_FAIL(why, MM_EINPUT, "from: missing");
	MM_TRY(begin_at(r, w.from, &h, why));
	MM_TRY(store(r, &h, MM_E_WEBHOOK_CHANGED, "replayed", why));
	put_one(r, &h);
	return MM_OK;
}

/* ---- out of turn ---- */

static enum mm_err
ask(struct mm_rest *r, struct mm_hook_wish *w, struct mm_why *why)
{
	w->ref = r->req->ref;
	memcpy(w->request, r->req->id, sizeof(w->request));
	MM_TRY(mm_deliver_ask(r->s->deliver, w, why));
	r->parked = true;
	return MM_OK;
}

enum mm_err
mm_rest_webhook_test(struct mm_rest *r, struct mm_why *why)
{
	struct mm_hook_wish w = { .letter = false };

	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(this_hook(r, &w.hook, why));
	return ask(r, &w, why);
}

enum mm_err
mm_rest_webhook_retry(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_hook_wish w = { .letter = true };
	char text[24], id[MM_DOC_ID_MAX + 1];
	int64_t index;
	uint64_t version;

	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(this_hook(r, &w.hook, why));
	MM_TRY(mm_rest_segment(r, 1, text, sizeof(text), why));
	if (mm_int_parse(text, &index, NULL) != MM_OK || index < 0)
		return MM_FAIL(why, MM_ENOTFOUND, "no such dead letter");
	w.index = (uint64_t)index;
	mm_hook_letter_id(w.hook.id, w.index, id);
	if (mm_get_doc(r->reader, MM_DOC_DELIVERY, id, &version, &body,
	    NULL) != MM_OK)
		return MM_FAIL(why, MM_ENOTFOUND, "no such dead letter");
	return ask(r, &w, why);
}

/* ---- dead letters ---- */

struct letters {
	struct mm_rest *r;
	unsigned left;
	bool more;
	char next[24];
};

static enum mm_err
put_letter(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct letters *l = ctx;
	const struct mm_doc *doc = row;

	(void)next;
	if (l->left == 0) {
		l->more = true;
		return MM_OK;
	}
	l->left--;
	mm_json_raw(&l->r->j, NULL, doc->body);
	/* the index, as the caller knows it */
	snprintf(l->next, sizeof(l->next), "%.20s", doc->id + MM_HOOK_ID);
	return mm_buf_ok(&l->r->out, why);
}

enum mm_err
mm_rest_webhook_letters(struct mm_rest *r, struct mm_why *why)
{
	struct letters l = { .r = r };
	char prefix[MM_HOOK_ID + 1];
	struct mm_page p;
	struct mm_hook h;
	int64_t after = -1;

	MM_TRY(this_hook(r, &h, why));
	MM_TRY(mm_page_read(r, " ", &p, why));
	if (p.list.after[0] != '\0' &&
	    (mm_int_parse(p.list.after, &after, NULL) != MM_OK || after < 0))
		return MM_FAIL(why, MM_EINPUT, "after: want an index");
	if (after >= 0)
		mm_hook_letter_id(h.id, (uint64_t)after, p.list.after);
	snprintf(prefix, sizeof(prefix), "%s.", h.id);
	l.left = p.list.most++;
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	MM_TRY(mm_list_docs(r->reader, MM_DOC_DELIVERY, prefix, &p.list,
	    put_letter, &l, why));
	mm_json_close(&r->j, ']');
	if (l.more) {
		const char *digits = l.next + strspn(l.next, "0");

		mm_json_str(&r->j, "next", *digits != '\0' ? digits : "0");
	}
	mm_json_close(&r->j, '}');
	return MM_OK;
}
