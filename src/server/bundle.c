#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "server/public.h"
#include "server/roots.h"

/*
 * The lists are the public ones as they are; of those above the issuers a file
 * has as many as somebody signed beforehand, and the clock says which.  Bytes
 * are made outside the lock, from blobs that are held meanwhile: requests wait
 * for a pointer at most.
 */
enum {
	BUNDLE_MAX = 1024 * 1024 * 1024,
	ISSUERS_MAX = 64 * 1024 * 1024,
	AGE_S = 60, /* as of any list: public.c */
};

struct part { /* a list that goes in */
	char issuer[MM_NAME_MAX + 1];
	struct mm_blob *blob; /* held */
	uint64_t number;
	int64_t next_s;
	bool last; /* a retired issuer's: no other one comes */
};
struct parts {
	struct part *at;
	size_t n, cap;
};
struct mm_bundle {
	struct mm_server *s;
	pthread_mutex_t lock; /* workers take turns at making it */
	uint8_t stamp[32];    /* what it was made of */
	struct mm_roots *roots;
	struct mm_public_item lists, issuers; /* behind the public lock */
	struct mm_news news;                  /* likewise */
};

static void
parts_done(struct parts *s)
{
	for (size_t i = 0; i < s->n; i++)
		mm_blob_let_go(s->at[i].blob);
	free(s->at);
}

static enum mm_err
add(struct parts *s, const struct mm_public_crl *c, bool last)
{
	struct part *at = mm_grown(s->at, s->n, &s->cap, sizeof(*at));

	if (at == NULL)
		return MM_ENOMEM;
	s->at = at;
	at += s->n++;
	*at = (struct part){ .blob = c->blob, .number = c->number,
		.next_s = c->next_s, .last = last };
	memcpy(at->issuer, c->issuer, sizeof(at->issuer));
	atomic_fetch_add(&c->blob->held, 1);
	return MM_OK;
}

/* In one order whichever node asks: the configuration's, then by name.  A
 * retired issuer's last list stays: whoever has a file of lists that is never
 * replaced by one with fewer has nothing to decide. */
static enum mm_err
gather(struct mm_public *p, struct parts *s)
{
	const struct mm_config *config = p->s->config;
	enum mm_err rc = MM_OK;

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; rc == MM_OK && i < p->n; i++)
		if (p->crl[i].blob != NULL)
			rc = add(s, &p->crl[i], config->issuer[i].retired);
	for (size_t i = 0; rc == MM_OK && i < p->nline; i++)
		if (p->line[i]->blob != NULL)
			rc = add(s, p->line[i], false);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* ---- the bytes ---- */

static void
stamp_of(const struct parts *s, const struct mm_buf *roots, uint8_t out[32])
{
	struct mm_buf text = MM_BUF_INIT(64 * 1024 * 1024);

	for (size_t i = 0; i < s->n; i++)
		mm_buf_printf(&text, "%s %llu\n", s->at[i].issuer,
		    (unsigned long long)s->at[i].number);
	mm_buf_bytes(&text, mm_buf_view(roots));
	mm_sha256(mm_buf_view(&text), out);
	mm_buf_done(&text);
}

/* The same bytes have the same tag at every node, and whoever has a file of
 * them can make it. */
static void
finish(struct mm_public_item *item, struct mm_blob *blob)
{
	uint8_t hash[32];
	char hex[33];

	mm_sha256(mm_buf_view(&blob->bytes), hash);
	mm_hex_text(hash, 16, hex);
	snprintf(item->etag, sizeof(item->etag), "\"%s\"", hex);
	item->blob = blob;
}

static struct mm_blob *
lists_of(const struct parts *s, const struct mm_buf *roots)
{
	struct mm_blob *b = mm_blob_new(BUNDLE_MAX);

	for (size_t i = 0; b != NULL && i < s->n; i++)
		mm_pem_put(&b->bytes, "X509 CRL",
		    mm_buf_view(&s->at[i].blob->bytes));
	if (b != NULL)
		mm_buf_bytes(&b->bytes, mm_buf_view(roots));
	return b;
}

/* Those of the configuration with what is above them, retired ones, whose last
 * lists are there, and line CAs'. */
static struct mm_blob *
issuers_of(struct mm_core *c, const struct mm_config *config)
{
	struct mm_blob *b = mm_blob_new(ISSUERS_MAX);
	const struct mm_bytes *der = NULL;
	size_t n = 0;

	if (b == NULL || mm_core_cacerts(c, "", &der, &n, NULL) != MM_OK)
		return b;
	for (size_t i = 0; i < n; i++)
		mm_pem_put(&b->bytes, "CERTIFICATE", der[i]);
	for (size_t i = 0; i < config->nissuer; i++) {
		struct mm_bytes one;

		if (config->issuer[i].retired && mm_core_issuer_der(c,
		    config->issuer[i].name, &one, NULL) == MM_OK)
			mm_pem_put(&b->bytes, "CERTIFICATE", one);
	}
	mm_core_links(c, false, &der, &n);
	for (size_t i = 0; config->set.root_ended && i < n; i++)
		mm_pem_put(&b->bytes, "CERTIFICATE", der[i]);
	n = mm_core_lines(c);
	for (size_t i = 0; i < n; i++) {
		char name[MM_NAME_MAX + 1];
		struct mm_bytes line;
		uint64_t number;

		if (mm_core_line_at(c, i, name, &number) &&
		    mm_core_issuer_der(c, name, &line, NULL) == MM_OK)
			mm_pem_put(&b->bytes, "CERTIFICATE", line);
	}
	return b;
}

static void
place(struct mm_public *p, struct mm_public_item *to,
    struct mm_public_item *fresh)
{
	struct mm_blob *old;

	pthread_mutex_lock(&p->lock);
	old = to->blob;
	*to = *fresh;
	pthread_mutex_unlock(&p->lock);
	mm_public_retire(p, old);
}

/* ---- who waits ---- */

#define LISTS_TYPE "application/x-pem-file"

/* What there is now, or that it is what he has; the lock is held. */
static void
fill(const struct mm_public_item *item, bool news, struct mm_http_resp *resp)
{
	int64_t left = item->next_s - mm_now_s();

	mm_http_resp_header(resp, "Preference-Applied", "wait");
	mm_public_caches(resp, item->etag, item->changed_s,
	    left < AGE_S ? left : AGE_S);
	resp->status = news ? 200 : 304;
	if (!news)
		return;
	resp->content_type = LISTS_TYPE;
	mm_blob_lend(item->blob, resp);
}

/* All of them, or those whose time is over. */
static void
tell(struct mm_public *p, int64_t until_ms, bool news)
{
	struct mm_http_ref ref;
	bool more = true;

	while (more) {
		struct mm_http_resp resp = { 0 };

		pthread_mutex_lock(&p->lock);
		more = mm_news_take(&p->bundle->news, until_ms, &ref);
		if (more)
			fill(&p->bundle->lists, news, &resp);
		pthread_mutex_unlock(&p->lock);
		if (more)
			mm_http_answer(p->s->http, ref, &resp);
	}
}

/* see public.h */
void
mm_bundle_left(struct mm_public *p, struct mm_http_ref ref)
{
	struct mm_http_resp resp = { 0 };
	bool waited;

	pthread_mutex_lock(&p->lock);
	waited = mm_news_left(&p->bundle->news, ref);
	if (waited)
		fill(&p->bundle->lists, false, &resp);
	pthread_mutex_unlock(&p->lock);
	if (waited)
		mm_http_answer(p->s->http, ref, &resp);
}

/* see priv.h */
void
mm_public_stop(struct mm_public *p)
{
	if (p == NULL || p->bundle == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->bundle->news.closed = true;
	pthread_mutex_unlock(&p->lock);
	tell(p, INT64_MAX, false);
}

static enum mm_err
build(struct mm_public *p, const struct parts *s, const struct mm_buf *roots,
    int64_t next_s)
{
	struct mm_blob *lists = lists_of(s, roots);
	struct mm_blob *issuers = issuers_of(p->s->core, p->s->config);
	struct mm_public_item item = { .changed_s = mm_now_s(),
		.next_s = next_s };

	if (lists == NULL || mm_buf_ok(&lists->bytes, NULL) != MM_OK ||
	    issuers == NULL || mm_buf_ok(&issuers->bytes, NULL) != MM_OK) {
		mm_blob_let_go(lists);
		mm_blob_let_go(issuers);
		return MM_ENOMEM;
	}
	/* who is told of a list can ask who signed it */
	finish(&item, issuers);
	place(p, &p->bundle->issuers, &item);
	finish(&item, lists);
	place(p, &p->bundle->lists, &item);
	tell(p, INT64_MAX, true);
	return MM_OK;
}

static void
refresh(struct mm_public *p)
{
	struct mm_bundle *b = p->bundle;
	struct mm_buf roots = MM_BUF_INIT(MM_ROOTS_PEM);
	struct parts s = { 0 };
	int64_t next_s = INT64_MAX;
	uint8_t stamp[32];
	enum mm_err rc = gather(p, &s);

	for (size_t i = 0; i < s.n; i++)
		if (s.at[i].next_s < next_s && !s.at[i].last)
			next_s = s.at[i].next_s;
	mm_roots_choose(b->roots, &roots, &next_s);
	stamp_of(&s, &roots, stamp);
	if (rc == MM_OK && s.n > 0 &&
	    memcmp(stamp, b->stamp, sizeof(stamp)) != 0) {
		rc = build(p, &s, &roots, next_s);
		if (rc == MM_OK)
			memcpy(b->stamp, stamp, sizeof(stamp));
	}
	if (rc != MM_OK)
		MM_LOG(MM_LOG_WARN, "crl-bundle", MM_S("why",
		    "there is no memory for all lists in one"));
	parts_done(&s);
	mm_buf_done(&roots);
}

/* see public.h */
void
mm_bundle_refresh(struct mm_public *p)
{
	pthread_mutex_lock(&p->bundle->lock);
	refresh(p);
	pthread_mutex_unlock(&p->bundle->lock);
	tell(p, mm_mono_ms(), false);
}

/* see public.h */
enum mm_err
mm_bundle_new(struct mm_server *s, struct mm_bundle **out, struct mm_why *why)
{
	struct mm_bundle *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	b->s = s;
	pthread_mutex_init(&b->lock, NULL);
	*out = b; /* whoever asked frees it, full or not */
	return mm_roots_new(s, &b->roots, why);
}

/* see public.h */
void
mm_bundle_free(struct mm_bundle **owner)
{
	struct mm_bundle *b = MM_MOVE(*owner);

	if (b == NULL)
		return;
	mm_blob_let_go(b->lists.blob);
	mm_blob_let_go(b->issuers.blob);
	mm_roots_free(&b->roots);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* see priv.h */
void
mm_public_root_times(struct mm_public *p, struct mm_root_times *out)
{
	pthread_mutex_lock(&p->bundle->lock);
	mm_roots_times(p->bundle->roots, out);
	pthread_mutex_unlock(&p->bundle->lock);
}

/* ---- on a loop ---- */

/* With the lock: he has what there is, and would rather wait. */
static bool
waits(struct mm_bundle *b, const struct mm_http_req *req)
{
	int64_t wait_s = mm_http_prefer_wait(mm_http_header(req, "Prefer",
	    NULL));

	if (wait_s == 0 || b->lists.blob == NULL || !mm_http_tag_listed(
	    mm_http_header(req, "If-None-Match", NULL), b->lists.etag))
		return false;
	if (wait_s > MM_NEWS_WAIT_S)
		wait_s = MM_NEWS_WAIT_S;
	return mm_news_wait(&b->news, req->ref, &req->peer, mm_mono_ms() +
	    1000 * wait_s);
}

/* see public.h */
void
mm_bundle_get(struct mm_http_req *req, void *ctx)
{
	struct mm_server *s = ctx;

	pthread_mutex_lock(&s->pub->lock);
	if (waits(s->pub->bundle, req))
		pthread_mutex_unlock(&s->pub->lock);
	else
		mm_public_send(s->pub, req, &s->pub->bundle->lists,
		    LISTS_TYPE, "no CRL has been signed yet");
}

/* see public.h */
void
mm_bundle_get_issuers(struct mm_http_req *req, void *ctx)
{
	struct mm_server *s = ctx;

	pthread_mutex_lock(&s->pub->lock);
	mm_public_send(s->pub, req, &s->pub->bundle->issuers,
	    LISTS_TYPE, "no CRL has been signed yet");
}
