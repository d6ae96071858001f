#include <string.h>

#include "core/devconf.h"
#include "core/ends.h"
#include "core/production_priv.h"

/* What ends, from the configuration's files, the core and the store. */
enum { PAGE = 1000, CONFIG_KEY_S = 14 * 86400 };

static const int64_t ca_days[] = { 1, 7, 30, 90, 365 };
static const int64_t root_crl_days[] = { 1, 7, 30, 180 };
static const int64_t month_days[] = { 1, 7, 30 };
static const int64_t credential_days[] = { 1, 14 };
static const int64_t begun[] = { 0 };
#define DAYS(a) a, sizeof(a) / sizeof(a[0])
#define NONE NULL, 0

/* see ends.h */
const char *const mm_end_by_words[] = { "by-hand", "by-itself", "meant" };

/* see ends.h */
const struct mm_end_rule mm_end_rules[MM_END_KINDS] = {
	[MM_END_ANCHOR] = { "anchor", "mintmark ca root makes the next one, "
	    "years before", MM_END_BY_HAND, "anchor-ends", MM_F_ORIGIN,
	    DAYS(ca_days) },
	[MM_END_LINK] = { "root-link", "mintmark ca root-end, once all "
	    "devices have the new root", MM_END_BY_HAND, NULL, MM_F_ORIGIN,
	    NONE },
	[MM_END_CHAIN] = { "chain", "the CA above this issuer renews it; then "
	    "replace its file and restart", MM_END_BY_HAND, "chain-ends",
	    MM_F_ISSUER, DAYS(ca_days) },
	[MM_END_ISSUER] = { "issuer", "mintmark ca rollover", MM_END_BY_HAND,
	    "issuer-ends", MM_F_ISSUER, DAYS(ca_days) },
	[MM_END_CUTS_SHORT] = { "issuer-cuts-short", "mintmark ca rollover: "
	    "from then on what it issues ends with it", MM_END_BY_HAND,
	    "issuer-cuts-short", MM_F_ISSUER, DAYS(begun) },
	[MM_END_FOLLOWED] = { "followed-issuer", "mintmark ca retire, once "
	    "what it has issued has ended", MM_END_MEANT, NULL, MM_F_ISSUER,
	    NONE },
	[MM_END_LINE_CA] = { "line-ca", "a new order for its station, with a "
	    "line CA that lives longer", MM_END_BY_HAND, "line-ca-ends",
	    MM_F_ISSUER, DAYS(month_days) },
	[MM_END_TLS] = { "tls", "mintmark ca renew-tls", MM_END_BY_HAND,
	    "tls-ends", MM_F_ORIGIN, DAYS(month_days) },
	[MM_END_EST] = { "est-certificate", "have the existing CA renew "
	    "est_certificate; it counts once it is in its file",
	    MM_END_BY_HAND, "est-certificate-ends", MM_F_ISSUER,
	    DAYS(month_days) },
	[MM_END_ROOT_CRL] = { "root-crl", "mintmark ca root-crl makes those "
	    "of the next years", MM_END_BY_HAND, "root-crl-ends",
	    MM_F_ORIGIN, DAYS(root_crl_days) },
	[MM_END_CRL] = { "crl", "mintmark ca crl says why it cannot be signed",
	    MM_END_BY_ITSELF, "crl-late", MM_F_ISSUER, NONE },
	[MM_END_SHARD_CRL] = { "shard-crl", "mintmark ca crl says why they "
	    "cannot be signed", MM_END_BY_ITSELF, "crl-late", MM_F_ISSUER,
	    NONE },
	[MM_END_LINE_CRL] = { "line-crl", "the log says why line CAs' lists "
	    "cannot be signed", MM_END_BY_ITSELF, "crl-late", MM_F_ISSUER,
	    NONE },
	[MM_END_CONFIG_KEY] = { "configuration-key", "mintmark doctor says "
	    "why no issuer certifies it", MM_END_BY_ITSELF, NULL, MM_F_ORIGIN,
	    NONE },
	[MM_END_KEY] = { "api-key", "mintmark key create, and give it to who "
	    "uses this one", MM_END_BY_HAND, "credential-ends", MM_F_KEY,
	    DAYS(credential_days) },
	[MM_END_CERTIFICATE] = { "operator-certificate", "mintmark key "
	    "create --certificate with the next one", MM_END_BY_HAND,
	    "credential-ends", MM_F_KEY, DAYS(credential_days) },
	[MM_END_GROUP] = { "group", "mintmark group extend, or close",
	    MM_END_MEANT, NULL, MM_F_GROUP, NONE },
	[MM_END_BATCH] = { "batch", "mintmark batch extend, or close",
	    MM_END_MEANT, NULL, MM_F_BATCH, NONE },
};

struct walk {
	struct mm_desk *d;
	mm_each_end_fn *fn;
	void *ctx;
	unsigned unread; /* documents that are damaged */
	unsigned rows; /* of a page, and its end */
	char last[MM_AUTHORITY_TEXT];
};

/* see ends.h */
bool
mm_end_late(const struct mm_end *e, int64_t now_s)
{
	return mm_end_rules[e->kind].by == MM_END_BY_ITSELF &&
	    e->end_s - now_s < e->span_s * 2 / 5;
}

static enum mm_err
put(const struct walk *w, const struct mm_end *e, struct mm_why *why)
{
	if (e->end_s == 0 || e->end_s >= MM_TIME_FOREVER_S)
		return MM_OK;
	return w->fn(w->ctx, e, why);
}

static enum mm_err
put_named(const struct walk *w, enum mm_end_kind kind, const char *name,
    int64_t end_s, struct mm_why *why)
{
	struct mm_end e = { .kind = kind, .end_s = end_s };

	(void)!mm_text_copy(e.name, sizeof(e.name), mm_bytes_of(name));
	return put(w, &e, why);
}

/* ---- certificates of CAs ---- */

/* The first end among them; MM_TIME_FOREVER_S: none is read.  named: those of
 * one name, as roots are, count, too. */
static int64_t
first_end(const struct mm_bytes *der, size_t n, bool named)
{
	int64_t first = MM_TIME_FOREVER_S;

	for (size_t i = 0; i < n; i++) {
		struct mm_cert c;

		if (mm_cert_walk(der[i], &c, NULL) == MM_OK &&
		    (named || !mm_bytes_eq(c.subject, c.issuer)) &&
		    c.not_after_s < first)
			first = c.not_after_s;
	}
	return first;
}

/* Another one takes its place before: then nothing is cut short. */
static bool
is_followed(const struct mm_config *c, const struct mm_issuer_conf *i,
    int64_t by_s)
{
	const struct mm_issuer_conf *next = mm_config_follower(c, i->name);

	return next != NULL && mm_issuer_from(next) <= by_s;
}

static enum mm_err
cut_short(const struct walk *w, const struct mm_issuer_conf *i,
    int64_t end_s, struct mm_why *why)
{
	const struct mm_config *config = w->d->c->config;
	const struct mm_profile *p = mm_config_longest(config, i);

	if (p == NULL || end_s >= MM_TIME_FOREVER_S ||
	    is_followed(config, i, end_s - p->lifetime_s))
		return MM_OK;
	return put_named(w, MM_END_CUTS_SHORT, i->name, end_s - p->lifetime_s,
	    why);
}

/* Above it: our roots are anchors, another CA's root is its chain's. */
static enum mm_err
each_issuer(const struct walk *w, const struct mm_issuer_conf *i,
    struct mm_why *why)
{
	const struct mm_chain *chain = mm_chains_issuer(w->d->c->chains,
	    i->name);
	enum mm_issuer_state state = mm_config_state(w->d->c->config, i,
	    mm_now_s());
	int64_t end_s;

	if (i->retired || chain == NULL || chain->n == 0)
		return MM_OK;
	end_s = first_end(chain->der, 1, true);
	MM_TRY(put_named(w, state == MM_ISSUER_FOLLOWED ? MM_END_FOLLOWED :
	    MM_END_ISSUER, i->name, end_s, why));
	if (state == MM_ISSUER_ISSUING)
		MM_TRY(cut_short(w, i, end_s, why));
	return put_named(w, MM_END_CHAIN, i->name, first_end(chain->der + 1,
	    chain->n - 1, mm_issuer_upstream(i)), why);
}

/* The only one there has been. */
static enum mm_err
each_first(const struct walk *w, struct mm_why *why)
{
	const struct mm_config *config = w->d->c->config;
	const struct mm_chain *chain = config->nissuer == 0 ? NULL :
	    mm_chains_issuer(w->d->c->chains, config->issuer[0].name);

	return chain == NULL || chain->n == 0 ? MM_OK :
	    put_named(w, MM_END_ANCHOR, "root",
	        first_end(&chain->der[chain->n - 1], 1, true), why);
}

/* The one in force; the one before it while it is pinned still; and what joins
 * them. */
static enum mm_err
each_anchor(const struct walk *w, struct mm_why *why)
{
	const struct mm_settings *set = &w->d->c->config->set;
	const struct mm_chain *anchor = mm_chains_anchor(w->d->c->chains);
	const struct mm_bytes *link;
	size_t n;

	if (set->root[0] == '\0')
		return each_first(w, why);
	MM_TRY(put_named(w, MM_END_ANCHOR, set->root,
	    first_end(anchor->der, anchor->n > 0, true), why));
	mm_core_links(w->d->c, true, &link, &n);
	MM_TRY(put_named(w, MM_END_ANCHOR, "root-before",
	    first_end(link, n > 0, true), why));
	return n < 2 ? MM_OK : put_named(w, MM_END_LINK, set->root,
	    first_end(link + 1, n - 1, true), why);
}

/* ---- line CAs ---- */

static int64_t
list_of(const struct walk *w, const struct mm_made_line *line)
{
	struct mm_core *c = w->d->c;
	int64_t next_s;

	pthread_mutex_lock(&c->lock);
	next_s = line->mark.next_s;
	pthread_mutex_unlock(&c->lock);
	return next_s;
}

/* One that ends with its issuer has no end of its own, and one that has ended
 * is over. */
static enum mm_err
each_line_ca(const struct walk *w, const struct mm_made_line *line,
    struct mm_why *why)
{
	const struct mm_chain *c = &line->chain;
	int64_t end_s = first_end(c->der, c->n > 0, true);

	if (c->n < 2 || end_s <= mm_now_s() ||
	    end_s >= first_end(c->der + 1, c->n - 1, true))
		return MM_OK;
	return put_named(w, MM_END_LINE_CA, line->name, end_s, why);
}

/* Of their lists the first that ends stands for all. */
static enum mm_err
each_line(const struct walk *w, struct mm_why *why)
{
	struct mm_end list = { .kind = MM_END_LINE_CRL, .name = "line-cas" };
	size_t n = mm_lines_n(w->d->c->lines);

	for (size_t i = 0; i < n; i++) {
		const struct mm_made_line *line =
		    mm_lines_at(w->d->c->lines, i);
		int64_t next_s = list_of(w, line);

		MM_TRY(each_line_ca(w, line, why));
		if (next_s == 0 || (list.end_s != 0 && next_s >= list.end_s))
			continue;
		list.end_s = next_s;
		list.span_s = mm_lines_hours(w->d->c->config, line) * 3600;
	}
	return put(w, &list, why);
}

static enum mm_err
each_config_key(const struct walk *w, struct mm_why *why)
{
	struct mm_end e = { .kind = MM_END_CONFIG_KEY,
		.name = "configuration", .span_s = CONFIG_KEY_S };
	int64_t missing_s;

	mm_core_devconf_key(w->d->c, &e.end_s, &missing_s);
	return put(w, &e, why);
}

/* ---- people's, from the store ---- */

/* Who broke the glass has an hour, and has an alert. */
static enum mm_err
take_operator(void *ctx, const void *row, const char *next,
    struct mm_why *why)
{
	const struct mm_operator *o = row;
	struct walk *w = ctx;
	struct mm_end e = { .kind = o->kind == MM_OPERATOR_KEY ? MM_END_KEY :
		MM_END_CERTIFICATE, .end_s = o->expires_at / 1000 };

	w->rows++;
	strcpy(w->last, next);
	if (!mm_operator_alive(o) || o->kind == MM_OPERATOR_RECOVERY)
		return MM_OK;
	strcpy(e.name, o->id);
	strcpy(e.of, o->name);
	return put(w, &e, why);
}

static enum mm_err
each_operator(struct walk *w, struct mm_why *why)
{
	struct mm_list l = { .most = PAGE, .state = -1 };

	w->last[0] = '\0';
	do {
		w->rows = 0;
		strcpy(l.after, w->last);
		MM_TRY(mm_list_operators(w->d->r, &l, take_operator, w, why));
	} while (w->rows == PAGE);
	return MM_OK;
}

static enum mm_err
take_group(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct walk *w = ctx;
	struct mm_group g;

	(void)next;
	if (mm_group_parse(row, &g, NULL) != MM_OK)
		return w->unread++, MM_OK;
	return g.state == MM_WORK_CLOSED ? MM_OK :
	    put_named(w, MM_END_GROUP, g.id, g.until_ms / 1000, why);
}

static enum mm_err
take_batch(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	MM_OWN(mm_production_free) struct mm_production *b = NULL;
	struct walk *w = ctx;

	(void)next;
	if (mm_production_parse(row, &b, NULL) != MM_OK)
		return w->unread++, MM_OK;
	return b->state == MM_WORK_CLOSED ? MM_OK :
	    put_named(w, MM_END_BATCH, b->id, b->order->until_ms / 1000, why);
}

/* see ends.h */
enum mm_err
mm_desk_each_end(struct mm_desk *d, mm_each_end_fn *fn, void *ctx,
    unsigned *unread, struct mm_why *why)
{
	struct walk w = { .d = d, .fn = fn, .ctx = ctx };
	const struct mm_config *config = d->c->config;

	for (size_t i = 0; i < config->nissuer; i++)
		MM_TRY(each_issuer(&w, &config->issuer[i], why));
	MM_TRY(each_anchor(&w, why));
	MM_TRY(each_line(&w, why));
	MM_TRY(each_config_key(&w, why));
	MM_TRY(each_operator(&w, why));
	MM_TRY(mm_each_doc(d->r, MM_DOC_GROUP, "", take_group, &w, why));
	MM_TRY(mm_each_doc(d->r, MM_DOC_BATCH, "", take_batch, &w, why));
	*unread = w.unread;
	return MM_OK;
}
