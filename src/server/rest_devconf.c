#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/production.h"
#include "server/rest_devconf.h"

/*
 * Configuration in the field: sets of products, batches and devices.  No call
 * shows a secret field to anybody; of a document that is wrong, which field is
 * said and never what stands there.
 */
enum { NAMED = 100, PAGE_MOST = 1000 };

/* ---- whose ---- */

/* What the path names, which must be there. */
static enum mm_err
subject(struct mm_rest *r, enum mm_devconf_scope scope, char *id,
    char product[MM_NAME_MAX + 1], struct mm_why *why)
{
	MM_OWN(mm_production_free) struct mm_production *b = NULL;
	struct mm_product p;
	struct mm_device d;

	MM_TRY(mm_rest_segment(r, 0, id, MM_DEVICE_ID_MAX + 1, why));
	if (scope == MM_DEVCONF_DEVICE ? !mm_device_id_valid(id)
	    : !mm_name_valid(id))
		return MM_FAIL(why, MM_ENOTFOUND, "no such %s",
		    mm_devconf_scope_words[scope]);
	if (scope == MM_DEVCONF_PRODUCT) {
		MM_TRY(mm_get_product(r->reader, id, &p, why));
		strcpy(product, p.name);
	} else if (scope == MM_DEVCONF_BATCH) {
		MM_TRY(mm_production_get(r->reader, id, &b, why));
		strcpy(product, b->order->product);
	} else {
		MM_TRY(mm_get_device(r->reader, id, &d, why));
		strcpy(id, d.id);
		strcpy(product, d.product);
	}
	return MM_OK;
}

/* ---- output ---- */

static void
put_history(struct mm_json *j, const struct mm_devconf *c)
{
	mm_json_open_key(j, "history", '[');
	for (size_t i = 0; i < c->npast; i++) {
		const struct mm_devconf_change *p = &c->past[i];

		mm_json_open(j, '{');
		mm_json_int(j, "version", (int64_t)p->version);
		mm_json_time(j, "at", p->at);
		mm_json_str(j, "by", p->by);
		mm_json_str(j, "change", p->removed ? "removed" : "set");
		mm_rest_put_sha256(j, "template_sha256", p->template);
		mm_rest_put_sha256(j, "rows_sha256", p->table);
		mm_rest_put_sha256(j, "schema_sha256", p->schema);
		mm_rest_put_sha256(j, "detail_sha256", p->detail);
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
}

static void
put_head(struct mm_json *j, const struct mm_devconf *c)
{
	mm_json_str(j, "scope", mm_devconf_scope_words[c->scope]);
	mm_json_str(j, "id", c->id);
	mm_json_str(j, "product", c->product);
	mm_json_int(j, "version", (int64_t)c->version);
	mm_json_str(j, "state", mm_devconf_on(c) ? "set" : "removed");
	mm_json_time(j, "changed", c->past[0].at);
}

/* A set that was removed is shown for its history; there is none of what never
 * was. */
static enum mm_err
show(struct mm_rest *r, enum mm_devconf_scope scope, struct mm_why *why)
{
	MM_OWN(mm_devconf_papers_done) struct mm_devconf_papers p =
	    MM_DEVCONF_PAPERS_INIT;
	char id[MM_DEVICE_ID_MAX + 1], product[MM_NAME_MAX + 1];
	struct mm_devconf c;

	MM_TRY(subject(r, scope, id, product, why));
	MM_TRY(mm_devconf_get(r->reader, scope, id, &c, why));
	if (c.version == 0)
		return MM_FAIL(why, MM_ENOTFOUND, "there is no configuration");
	MM_TRY(mm_devconf_papers(r->reader, &c, &p, why));
	mm_json_open(&r->j, '{');
	put_head(&r->j, &c);
	if (p.template.n > 0)
		mm_json_strn(&r->j, "template", mm_buf_view(&p.template));
	MM_TRY(mm_devconf_put_table(&r->j, &p, why));
	if (p.schema.n > 0)
		mm_json_raw(&r->j, "schema", mm_buf_view(&p.schema));
	put_history(&r->j, &c);
	mm_json_close(&r->j, '}');
	if (mm_devconf_on(&c))
		mm_rest_etag(r, c.version);
	return MM_OK;
}

/* ---- looking at devices ---- */

struct unfit {
	struct mm_rest *r; /* NULL: only the first is wanted */
	unsigned told;
	char device[MM_DEVICE_ID_MAX + 1], text[100];
};

static enum mm_err
note_unfit(void *ctx, const char *device, const char *column,
    const char *why_not)
{
	struct unfit *u = ctx;

	(void)column;
	if (u->told++ == 0) {
		(void)!mm_text_copy(u->device, sizeof(u->device),
		    mm_bytes_of(device));
		snprintf(u->text, sizeof(u->text), "%.90s", why_not);
	}
	if (u->r == NULL || u->told > NAMED)
		return MM_OK;
	mm_json_open(&u->r->j, '{');
	mm_json_str(&u->r->j, "device", device);
	mm_json_str(&u->r->j, "detail", why_not);
	mm_json_close(&u->r->j, '}');
	return MM_OK;
}

static void
put_fit(struct mm_rest *r, const struct mm_fit *fit)
{
	mm_json_int(&r->j, "checked", (int64_t)fit->looked);
	mm_json_int(&r->j, "unfit", (int64_t)fit->unfit);
	if (fit->next[0] != '\0')
		mm_json_str(&r->j, "next", fit->next);
}

static enum mm_err
get_after(const struct mm_rest *r, char after[MM_DEVICE_ID_MAX + 1],
    struct mm_why *why)
{
	const json_t *v = json_object_get(r->in, "after");

	after[0] = '\0';
	if (v == NULL)
		return MM_OK;
	return json_is_string(v) && mm_text_copy(after, MM_DEVICE_ID_MAX + 1,
	    mm_bytes_of(json_string_value(v))) ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "after: want a device id");
}

/* Without a template: what is set. */
static enum mm_err
check(struct mm_rest *r, enum mm_devconf_scope scope, struct mm_why *why)
{
	MM_OWN(mm_devconf_wish_done) struct mm_devconf_wish w =
	    MM_DEVCONF_WISH_INIT;
	char id[MM_DEVICE_ID_MAX + 1], product[MM_NAME_MAX + 1];
	char after[MM_DEVICE_ID_MAX + 1];
	struct mm_devconf_put p = { .scope = scope, .id = id,
		.product = product };
	struct unfit u = { .r = r };
	struct mm_fit fit;

	MM_TRY(mm_devconf_wish_read(r->in, "after", &w, why));
	MM_TRY(get_after(r, after, why));
	MM_TRY(subject(r, scope, id, product, why));
	p.text = w.given ? &w.view : NULL;
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "devices", '[');
	MM_TRY(mm_desk_devconf_check(r->desk, &p, after, &fit, note_unfit, &u,
	    why));
	mm_json_close(&r->j, ']');
	put_fit(r, &fit);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* ---- changing ---- */

/* The schema is a product's alone: its batches and devices go by it. */
static enum mm_err
read_wish(struct mm_rest *r, enum mm_devconf_scope scope,
    struct mm_devconf_wish *w, struct mm_why *why)
{
	MM_TRY(mm_devconf_wish_read(r->in, NULL, w, why));
	if (!w->given)
		return MM_FAIL(why, MM_EINPUT, "template: missing");
	return scope == MM_DEVCONF_PRODUCT || w->view.schema.n == 0 ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "schema: a product's alone");
}

static enum mm_err
refuse_unfit(const struct mm_fit *fit, const struct unfit *u,
    struct mm_why *why)
{
	return MM_FAIL(why, MM_ECONFLICT, "for %llu of %llu devices looked at "
	    "it cannot be made; the first is %.64s: %.60s",
	    (unsigned long long)fit->unfit, (unsigned long long)fit->looked,
	    u->device, u->text);
}

static enum mm_err
put(struct mm_rest *r, enum mm_devconf_scope scope, struct mm_why *why)
{
	MM_OWN(mm_devconf_wish_done) struct mm_devconf_wish w =
	    MM_DEVCONF_WISH_INIT;
	char id[MM_DEVICE_ID_MAX + 1], product[MM_NAME_MAX + 1];
	struct mm_devconf_put p = { .scope = scope, .id = id,
		.product = product, .text = &w.view };
	struct unfit u = { .r = NULL };
	uint64_t version, room;
	struct mm_fit fit;
	bool force;

	MM_TRY(mm_rest_query_bool(r, "force", &force, why));
	MM_TRY(mm_rest_if_match(r, &room, &p.if_version, why));
	MM_TRY(read_wish(r, scope, &w, why));
	MM_TRY(subject(r, scope, id, product, why));
	MM_TRY(mm_desk_devconf_check(r->desk, &p, "", &fit, note_unfit, &u,
	    why));
	if (fit.unfit > 0 && !force)
		return refuse_unfit(&fit, &u, why);
	MM_TRY(mm_desk_devconf_put(r->desk, &r->login, &p, &version, why));
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "scope", mm_devconf_scope_words[scope]);
	mm_json_str(&r->j, "id", id);
	mm_json_int(&r->j, "version", (int64_t)version);
	put_fit(r, &fit);
	mm_json_close(&r->j, '}');
	mm_rest_etag(r, version);
	return MM_OK;
}

static enum mm_err
drop(struct mm_rest *r, enum mm_devconf_scope scope, struct mm_why *why)
{
	char id[MM_DEVICE_ID_MAX + 1], product[MM_NAME_MAX + 1];
	struct mm_devconf_put p = { .scope = scope, .id = id,
		.product = product };
	uint64_t version, room;

	MM_TRY(subject(r, scope, id, product, why));
	MM_TRY(mm_rest_if_match(r, &room, &p.if_version, why));
	MM_TRY(mm_desk_devconf_put(r->desk, &r->login, &p, &version, why));
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "scope", mm_devconf_scope_words[scope]);
	mm_json_str(&r->j, "id", id);
	mm_json_int(&r->j, "version", (int64_t)version);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

#define CALLS(of, scope)                                                  \
	enum mm_err mm_rest_##of##_devconf(struct mm_rest *r,             \
	    struct mm_why *why)                                           \
	{                                                                 \
		return show(r, scope, why);                               \
	}                                                                 \
	enum mm_err mm_rest_##of##_devconf_put(struct mm_rest *r,         \
	    struct mm_why *why)                                           \
	{                                                                 \
		return put(r, scope, why);                                \
	}                                                                 \
	enum mm_err mm_rest_##of##_devconf_drop(struct mm_rest *r,        \
	    struct mm_why *why)                                           \
	{                                                                 \
		return drop(r, scope, why);                               \
	}                                                                 \
	enum mm_err mm_rest_##of##_devconf_check(struct mm_rest *r,       \
	    struct mm_why *why)                                           \
	{                                                                 \
		return check(r, scope, why);                              \
	}

CALLS(product, MM_DEVCONF_PRODUCT)
CALLS(batch, MM_DEVCONF_BATCH)
CALLS(device, MM_DEVCONF_DEVICE)

/* ---- what a device would get ---- */

/* As the ledger has it: who sees no secrets cannot try some by it.  What was
 * not given yet has no salt, and none of this. */
static void
put_mark(struct mm_json *j, const struct mm_devconf_given *g)
{
	uint8_t mark[32];

	if (g->changed)
		return;
	mm_salted_sha256(g->salt, (struct mm_bytes){ g->sha256, 32 }, mark);
	mm_rest_put_sha256(j, "sha256", mark);
}

static void
put_given(struct mm_json *j, const struct mm_devconf_given *g)
{
	if (g->given == 0)
		return;
	mm_json_open_key(j, "last", '{');
	mm_json_int(j, "version", g->given);
	mm_json_time(j, "at", g->given_at);
	mm_json_bool(j, "held", g->held == g->given);
	mm_json_close(j, '}');
}

enum mm_err
mm_rest_device_devconf_preview(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_devconf_given_done) struct mm_devconf_given g =
	    MM_DEVCONF_GIVEN_INIT;
	char id[MM_DEVICE_ID_MAX + 1], product[MM_NAME_MAX + 1];
	enum mm_err rc;

	MM_TRY(subject(r, MM_DEVCONF_DEVICE, id, product, why));
	rc = mm_desk_devconf_find(r->desk, id, &g, why);
	if (g.device[0] != '\0' && (rc == MM_EINPUT || rc == MM_ENOTFOUND))
		return MM_ECONFLICT;
	MM_TRY(rc);
	if (!g.has)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "nothing is configured for this device");
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "device", g.device);
	mm_json_str(&r->j, "product", g.product);
	if (g.batch[0] != '\0')
		mm_json_str(&r->j, "batch", g.batch);
	mm_json_str(&r->j, "scope", mm_devconf_scope_words[g.scope]);
	mm_json_int(&r->j, "set_version", (int64_t)g.set_version);
	mm_json_int(&r->j, "version", g.version);
	put_mark(&r->j, &g);
	mm_json_strn(&r->j, "document", mm_buf_view(&g.shown));
	put_given(&r->j, &g);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* ---- which devices have what ---- */

struct devices {
	struct mm_rest *r;
	int state; /* -1: any */
	size_t n;
	char id[PAGE_MOST][MM_DEVICE_ID_MAX + 1];
};
MM_FREE_FN(devices_free, struct devices, free)

static const char *
state_name(unsigned i)
{
	return mm_devconf_state_words[i];
}

static enum mm_err
take_id(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_device *dev = row;
	struct devices *d = ctx;

	(void)next, (void)why;
	strcpy(d->id[d->n++], dev->id);
	return MM_OK;
}

static enum mm_err
put_device(struct devices *d, const char *id, struct mm_why *why)
{
	MM_OWN(mm_devconf_given_done) struct mm_devconf_given g =
	    MM_DEVCONF_GIVEN_INIT;
	struct mm_json *j = &d->r->j;
	enum mm_devconf_state state;
	struct mm_device dev;
	enum mm_err rc = mm_get_device(d->r->reader, id, &dev, why);

	if (rc == MM_ENOTFOUND || (rc == MM_OK &&
	    dev.state != MM_DEVICE_ACTIVE))
		return MM_OK;
	MM_TRY(rc);
	MM_TRY(mm_desk_devconf_state(d->r->desk, &dev, &g, &state, why));
	if (d->state >= 0 && (int)state != d->state)
		return MM_OK;
	mm_json_open(j, '{');
	mm_json_str(j, "device", dev.id);
	mm_json_str(j, "state", mm_devconf_state_words[state]);
	if (g.given > 0) {
		mm_json_int(j, "version", g.given);
		mm_json_time(j, "at", g.given_at);
		mm_json_int(j, "held", g.held);
	}
	mm_json_close(j, '}');
	return mm_buf_ok(&d->r->out, why);
}

/* A page is of so many devices looked at, whatever their state. */
enum mm_err
mm_rest_product_devconf_devices(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(devices_free) struct devices *d = calloc(1, sizeof(*d));
	char id[MM_DEVICE_ID_MAX + 1], product[MM_NAME_MAX + 1];
	struct mm_page page;

	if (d == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	d->r = r;
	d->state = -1;
	MM_TRY(subject(r, MM_DEVCONF_PRODUCT, id, product, why));
	MM_TRY(mm_page_read(r, " state ", &page, why));
	MM_TRY(mm_page_state(r, &d->state, state_name, MM_DEVCONF_STATES,
	    why));
	page.list.product = product;
	if (page.list.most > PAGE_MOST)
		page.list.most = PAGE_MOST;
	MM_TRY(mm_list_devices(r->reader, &page.list, take_id, d, why));
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	for (size_t i = 0; i < d->n; i++)
		MM_TRY(put_device(d, d->id[i], why));
	mm_json_close(&r->j, ']');
	if (d->n == page.list.most)
		mm_json_str(&r->j, "next", d->id[d->n - 1]);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* ---- all sets ---- */

struct listing {
	struct mm_rest *r;
	const struct mm_page *page;
	unsigned left, looked;
	char last[MM_DOC_ID_MAX + 1]; /* that was looked at, and may be named */
	char on[MM_DOC_ID_MAX + 1];   /* where the store goes on */
	bool more;
};

static bool
is_wanted(const struct listing *l, const struct mm_devconf *c)
{
	const char *product = l->page->list.product;

	return (product == NULL || strcmp(product, c->product) == 0) &&
	    (!l->r->login.scope.on || mm_scope_sees(&l->r->login.scope,
	    c->product, c->scope == MM_DEVCONF_BATCH ? c->id : ""));
}

static enum mm_err
put_set(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct listing *l = ctx;
	struct mm_devconf c;
	bool wanted;

	l->looked++;
	snprintf(l->on, sizeof(l->on), "%s", next);
	if (l->more)
		return MM_OK;
	MM_TRY(mm_devconf_parse(row, &c, why));
	wanted = is_wanted(l, &c);
	l->more = wanted && l->left == 0;
	if (l->more || (!wanted && l->r->login.scope.on))
		return MM_OK;
	strcpy(l->last, l->on);
	if (!wanted)
		return MM_OK;
	l->left--;
	mm_json_open(&l->r->j, '{');
	put_head(&l->r->j, &c);
	mm_json_close(&l->r->j, '}');
	return mm_buf_ok(&l->r->out, why);
}

enum mm_err
mm_rest_devconfs(struct mm_rest *r, struct mm_why *why)
{
	struct mm_list docs = { .most = PAGE_MOST, .state = -1 };
	struct listing l = { .r = r };
	struct mm_page page;

	MM_TRY(mm_page_read(r, " product ", &page, why));
	l.page = &page;
	l.left = page.list.most;
	memcpy(docs.after, page.list.after, sizeof(docs.after));
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	do { /* no page ends at what the login does not see */
		l.looked = 0;
		MM_TRY(mm_list_docs(r->reader, MM_DOC_DEVCONF, "", &docs,
		    put_set, &l, why));
		strcpy(docs.after, l.on);
	} while (r->login.scope.on && !l.more && l.looked == docs.most);
	mm_json_close(&r->j, ']');
	if (l.more || l.looked == docs.most)
		mm_json_str(&r->j, "next", l.last);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
