#include <stdio.h>
#include <string.h>

#include "core/priv.h"

/*
 * The ends of what the CA itself lives by: its certificates, its operators'
 * credentials, and the day from which an issuer's end cuts short what it
 * issues.  Each is an alert once, at each of these distances, whoever of the
 * nodes sees it first; an alert is an event, which webhooks get.
 */
enum { DAY_S = 86400, EVERY_MS = 60 * 1000, PAGE = 1000 };

static const int64_t issuer_days[] = { 1, 7, 30, 90, 365 };
static const int64_t credential_days[] = { 1, 14 };
static const int64_t begun[] = { 0 };

struct end {
	const char *reason;
	enum mm_entry_field field; /* what it is called in the entry */
	const char *name;
	int64_t end_s;
	const int64_t *day; /* ascending */
	size_t nday;
};

/* The nearest distance that it is within, or -1. */
static int64_t
distance(const struct end *e, int64_t now_s)
{
	for (size_t i = 0; i < e->nday; i++)
		if (e->end_s - now_s < e->day[i] * DAY_S)
			return e->day[i];
	return -1;
}

/* What it is of: a name that is used again has another end. */
static void
name_of(const struct end *e, int64_t days, char id[MM_DOC_ID_MAX + 1],
    uint8_t sha256[32])
{
	char text[256], hex[33];

	snprintf(text, sizeof(text), "%s\n%s\n%lld\n%lld\n", e->reason,
	    e->name, (long long)e->end_s, (long long)days);
	mm_sha256(mm_bytes_of(text), sha256);
	mm_hex_text(sha256, 16, hex);
	snprintf(id, MM_DOC_ID_MAX + 1, "ends:%s", hex);
}

/* The note goes with the entry: one transaction, one entry. */
static enum mm_err
enter(struct mm_desk *d, const struct end *e, const char *id,
    const uint8_t sha256[32], struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_entry entry = { .type = MM_E_ALERT };
	char body[MM_NOTED_TEXT], at[MM_TIME_TEXT];
	struct mm_op op;

	mm_time_text_s(e->end_s, at);
	entry.field[MM_F_REASON] = e->reason;
	entry.field[e->field] = e->name;
	entry.field[MM_F_EXPIRES] = at;
	mm_noted_op(id, sha256, body, &op);
	mm_papers_add(&p, &entry);
	MM_TRY(mm_desk_run(d, &p, &op, why));
	mm_core_note(d->c, 2, e->reason, e->name);
	return MM_OK;
}

static enum mm_err
look_at(struct mm_desk *d, const struct end *e, struct mm_why *why)
{
	const int64_t days = distance(e, mm_now_s());
	char id[MM_DOC_ID_MAX + 1];
	uint8_t sha256[32], seen[32];
	struct mm_why none = { 0 };
	enum mm_err rc;

	if (days < 0)
		return MM_OK;
	name_of(e, days, id, sha256);
	rc = mm_noted_get(d->r, id, seen, why);
	if (rc != MM_ENOTFOUND)
		return rc;
	rc = enter(d, e, id, sha256, &none);
	/* another node was first */
	return rc == MM_OK || rc == MM_ECONFLICT ? MM_OK :
	    MM_FAIL(why, rc, "%s", none.text);
}

/* ---- issuers ---- */

/* Another one takes its place before: then nothing is cut short. */
static bool
is_followed(const struct mm_config *c, const struct mm_issuer_conf *i,
    int64_t by_s)
{
	const struct mm_issuer_conf *next = mm_config_follower(c, i->name);

	return next != NULL && mm_issuer_from(next) <= by_s;
}

static enum mm_err
look_at_issuer(struct mm_desk *d, const struct mm_issuer_conf *i,
    struct mm_why *why)
{
	const struct mm_config *config = d->c->config;
	const struct mm_profile *p = mm_config_longest(config, i);
	struct end e = { "issuer-ends", MM_F_ISSUER, i->name, 0, issuer_days,
		sizeof(issuer_days) / sizeof(issuer_days[0]) };
	struct mm_bytes der;
	struct mm_cert cert;

	if (mm_config_state(config, i, mm_now_s()) != MM_ISSUER_ISSUING ||
	    mm_core_issuer_der(d->c, i->name, &der, NULL) != MM_OK ||
	    mm_cert_walk(der, &cert, NULL) != MM_OK)
		return MM_OK;
	e.end_s = cert.not_after_s;
	MM_TRY(look_at(d, &e, why));
	if (p == NULL ||
	    is_followed(config, i, cert.not_after_s - p->lifetime_s))
		return MM_OK;
	e = (struct end){ "issuer-cuts-short", MM_F_ISSUER, i->name,
		cert.not_after_s - p->lifetime_s, begun, 1 };
	return look_at(d, &e, why);
}

static enum mm_err
look_at_root(struct mm_desk *d, const char *name, struct mm_bytes der,
    struct mm_why *why)
{
	struct end e = { "anchor-ends", MM_F_ORIGIN, name, 0, issuer_days,
		sizeof(issuer_days) / sizeof(issuer_days[0]) };
	struct mm_cert cert;

	if (mm_cert_walk(der, &cert, NULL) != MM_OK)
		return MM_OK;
	e.end_s = cert.not_after_s;
	return look_at(d, &e, why);
}

/* The only one there has been. */
static enum mm_err
look_at_first(struct mm_desk *d, struct mm_why *why)
{
	const struct mm_config *config = d->c->config;
	const struct mm_chain *chain = config->nissuer == 0 ? NULL :
	    mm_chains_issuer(d->c->chains, config->issuer[0].name);

	return chain == NULL || chain->n == 0 ? MM_OK :
	    look_at_root(d, "root", chain->der[chain->n - 1], why);
}

/* The one in force; and the one before it while it is pinned still, whose end
 * is that of what joins them, too. */
static enum mm_err
look_at_anchor(struct mm_desk *d, struct mm_why *why)
{
	const struct mm_settings *set = &d->c->config->set;
	const struct mm_chain *anchor = mm_chains_anchor(d->c->chains);
	const struct mm_bytes *link;
	size_t n;

	if (set->root[0] == '\0')
		return look_at_first(d, why);
	if (anchor->n > 0)
		MM_TRY(look_at_root(d, set->root, anchor->der[0], why));
	mm_core_links(d->c, true, &link, &n);
	return n == 0 ? MM_OK :
	    look_at_root(d, "root-before", link[0], why);
}

/* ---- operators ---- */

struct operators {
	struct mm_desk *d;
	unsigned rows;
	char last[MM_AUTHORITY_TEXT];
};

/* Who broke the glass has an hour, and has an alert. */
static enum mm_err
look_at_operator(void *ctx, const void *row, const char *next,
    struct mm_why *why)
{
	const struct mm_operator *o = row;
	struct operators *k = ctx;
	struct end e = { "credential-ends", MM_F_KEY, o->id,
		o->expires_at / 1000, credential_days,
		sizeof(credential_days) / sizeof(credential_days[0]) };

	k->rows++;
	strcpy(k->last, next);
	if (o->expires_at == 0 || !mm_operator_alive(o) ||
	    o->kind == MM_OPERATOR_RECOVERY)
		return MM_OK;
	return look_at(k->d, &e, why);
}

static enum mm_err
look_at_operators(struct mm_desk *d, struct mm_why *why)
{
	struct mm_list l = { .most = PAGE, .state = -1 };
	struct operators k = { .d = d };

	do {
		k.rows = 0;
		strcpy(l.after, k.last);
		MM_TRY(mm_list_operators(d->r, &l, look_at_operator, &k, why));
	} while (k.rows == PAGE);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_desk_ends(struct mm_desk *d, struct mm_why *why)
{
	struct mm_core *c = d->c;
	bool due;

	pthread_mutex_lock(&c->lock);
	due = mm_mono_ms() >= c->ends_at;
	if (due)
		c->ends_at = mm_mono_ms() + EVERY_MS;
	pthread_mutex_unlock(&c->lock);
	if (!due)
		return MM_OK;
	for (size_t i = 0; i < c->config->nissuer; i++)
		MM_TRY(look_at_issuer(d, &c->config->issuer[i], why));
	MM_TRY(look_at_anchor(d, why));
	return look_at_operators(d, why);
}
