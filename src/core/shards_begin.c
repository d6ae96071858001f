#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "core/priv.h"

/*
 * What a process finds of lists of shards when it begins.
 *
 * How many shards an issuer has, and where their lists are, stands in each
 * certificate that it ever signed, so the store keeps both: an issuer that the
 * configuration gives another count signs none of them, and its complete list
 * stands for all.
 *
 * A list that is still good and lacks nothing is not signed again.  What may
 * be lacking the newest entries say: those that change a list, and those of
 * lists, which name how many entries they cover (listed.c).  Where they do not
 * go back to before a list was signed, that one is signed.
 */
#define LOOK_BACK 65536         /* entries */
#define SLACK_MS  600000        /* a clock's, and a transaction's */

MM_FREE_FN(json_free, json_t, json_decref)

/* ---- what the store keeps ---- */

static void
put_body(unsigned n, const char *url, struct mm_buf *body)
{
	struct mm_json j = mm_json_over(body);

	mm_json_open(&j, '{');
	mm_json_int(&j, "shards", n);
	mm_json_str(&j, "url", url);
	mm_json_close(&j, '}');
}

static enum mm_err
keep(struct mm_desk *d, const char *issuer, unsigned n, const char *url,
    uint64_t version, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_op_doc doc = { .kind = MM_DOC_SHARDS, .expect = version };
	struct mm_why own = { 0 };
	enum mm_err rc;

	(void)!mm_text_copy(doc.id, sizeof(doc.id), mm_bytes_of(issuer));
	put_body(n, url, &body);
	MM_TRY(mm_buf_ok(&body, why));
	doc.body = mm_buf_view(&body);
	rc = mm_desk_doc_put(d, &doc, NULL, 0, &own);
	if (rc == MM_OK)
		return MM_OK;
	/* another node's word: it is read the next time */
	return MM_FAIL(why, rc == MM_ECONFLICT || rc == MM_ESTALE ? MM_EAGAIN
	    : rc, "issuer %s: the count of its shards cannot be kept: %s",
	    issuer, own.text);
}

/* *n 0: the store has none yet. */
static enum mm_err
kept(struct mm_desk *d, const char *issuer, unsigned *n,
    char url[MM_CRL_URL_MAX], uint64_t *version, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(json_free) json_t *o = NULL;
	enum mm_err rc = mm_get_doc(d->r, MM_DOC_SHARDS, issuer, version,
	    &body, NULL);
	const char *text;

	*n = 0;
	url[0] = '\0';
	if (rc == MM_ENOTFOUND) {
		*version = 0;
		return MM_OK;
	}
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	o = json_loadb((const char *)body.p, body.n, 0, NULL);
	*n = (unsigned)json_integer_value(json_object_get(o, "shards"));
	text = json_string_value(json_object_get(o, "url"));
	return *n > 0 && text != NULL &&
	    mm_text_copy(url, MM_CRL_URL_MAX, mm_bytes_of(text)) ? MM_OK
	    : MM_FAIL(why, MM_ESYS, "issuer %s: the count of its shards "
	    "cannot be read", issuer);
}

/* ---- what is fresh ---- */

struct walk {
	struct mm_core *c;
	const struct mm_list_of *of;
	uint64_t first; /* the entry it began at ... */
	int64_t at_ms;  /* ... and its time; INT64_MAX: not known */
};

static enum mm_err
look(void *ctx, uint64_t index, struct mm_bytes entry, struct mm_why *why)
{
	struct walk *w = ctx;
	struct mm_entry_view v;
	char at[MM_TIME_TEXT];

	(void)why;
	mm_entry_look(entry, &v);
	if (index == w->first && (!mm_text_copy(at, sizeof(at), v.at) ||
	    mm_time_parse(at, &w->at_ms, NULL) != MM_OK))
		w->at_ms = INT64_MAX;
	if (mm_bytes_eq(v.issuer, mm_bytes_of(w->of->name)))
		mm_listed_past(w->c, w->of, index, &v);
	return MM_OK;
}

/* From when on the newest entries tell all; INT64_MIN: ever. */
static enum mm_err
look_back(struct mm_desk *d, const struct mm_list_of *of, int64_t *from_ms,
    struct mm_why *why)
{
	struct walk w = { .c = d->c, .of = of, .at_ms = INT64_MAX };
	uint64_t size;

	MM_TRY(mm_get_ledger_size(d->r, &size, why));
	w.first = size > LOOK_BACK ? size - LOOK_BACK : 0;
	MM_TRY(mm_each_entry(d->r, w.first, size, look, &w, why));
	*from_ms = w.first == 0 ? INT64_MIN : w.at_ms;
	return MM_OK;
}

/* Signed by a certificate that is ours still, at a time that is told of, and
 * of no change since; what waits (since) has its time. */
static bool
is_fresh(const struct mm_shard *s, int64_t from_ms, int64_t issuer_s)
{
	const int64_t at = (int64_t)s->mark.number;

	return at != 0 && s->listed.since == 0 && s->listed.ours == 1 &&
	    at / 1000 >= issuer_s &&
	    (from_ms == INT64_MIN || (from_ms != INT64_MAX &&
	    at - SLACK_MS > from_ms));
}

static enum mm_err
keep_fresh(struct mm_desk *d, const struct mm_list_of *of, struct mm_why *why)
{
	struct mm_shards *s = of->shards;
	struct mm_bytes der;
	struct mm_cert cert;
	int64_t from_ms;

	MM_TRY(mm_core_issuer_der(d->c, of->name, &der, why));
	MM_TRY(mm_cert_walk(der, &cert, why));
	MM_TRY(look_back(d, of, &from_ms, why));
	pthread_mutex_lock(&d->c->lock);
	for (size_t i = 0; i < s->n; i++)
		if (is_fresh(&s->at[i], from_ms, cert.not_before_s))
			s->at[i].mark.revocations = s->at[i].listed.ours;
	pthread_mutex_unlock(&d->c->lock);
	return MM_OK;
}

/* ---- both ---- */

static void
make_url(struct mm_core *c, const char *issuer, char out[MM_CRL_URL_MAX])
{
	snprintf(out, MM_CRL_URL_MAX, "%s/crl/%s/",
	    c->config->set.public_url, issuer);
}

/* see priv.h */
enum mm_err
mm_shards_begin(struct mm_desk *d, const struct mm_list_of *of,
    bool more, struct mm_why *why)
{
	char url[MM_CRL_URL_MAX], now[MM_CRL_URL_MAX];
	struct mm_shards *s = of->shards;
	uint64_t version;
	unsigned n;

	make_url(d->c, of->name, now);
	MM_TRY(kept(d, of->name, &n, url, &version, why));
	if (n != 0 ? n != s->n : more) {
		s->odd = true;
		return MM_FAIL(why, MM_EPOLICY, "issuer %s: crl_shards is not "
		    "what it was: complete lists stand for its shards",
		    of->name);
	}
	/* a list names where it is */
	if (n != 0 && strcmp(url, now) == 0)
		return keep_fresh(d, of, why);
	return keep(d, of->name, (unsigned)s->n, now, version, why);
}
