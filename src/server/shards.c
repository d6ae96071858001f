#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "server/public.h"

/*
 * The lists of shards (RFC 5280 5.2.5), by the address that certificates name.
 * As the complete ones they are in memory, and answers that are being written
 * hold the bytes, not a copy.  The store is asked when the core knows of
 * another one, and then for those alone whose number is another.
 */
enum { LIST_MAX = 256 * 1024 * 1024 };

/* see public.h */
void
mm_public_shards_done(struct mm_public_shards *s)
{
	for (size_t i = 0; i < s->cap; i++)
		mm_blob_let_go(s->at[i].blob);
	free(s->at);
	*s = (struct mm_public_shards){ 0 };
}

/* ---- on a worker ---- */

struct news {
	struct mm_public *p;
	const struct mm_public_shards *have;
	uint32_t *shard;
	size_t n, cap;
};

static bool
is_news(const struct news *w, const struct mm_shard_row *row)
{
	bool is;

	pthread_mutex_lock(&w->p->lock);
	is = row->shard < w->have->cap &&
	    row->number > w->have->at[row->shard].number;
	pthread_mutex_unlock(&w->p->lock);
	return is;
}

static enum mm_err
look(void *ctx, const void *row_, const char *next, struct mm_why *why)
{
	const struct mm_shard_row *row = row_;
	struct news *w = ctx;
	uint32_t *p;

	(void)next;
	if (!is_news(w, row))
		return MM_OK;
	p = mm_grown(w->shard, w->n, &w->cap, sizeof(*p));
	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	w->shard = p;
	w->shard[w->n++] = row->shard;
	return MM_OK;
}

static void
replace(struct mm_public *p, struct mm_public_list *to,
    struct mm_public_list *fresh)
{
	struct mm_public_list old = *fresh;

	pthread_mutex_lock(&p->lock);
	if (fresh->number > to->number) {
		old = *to;
		*to = *fresh;
	}
	pthread_mutex_unlock(&p->lock);
	mm_public_retire(p, old.blob);
}

static enum mm_err
take(struct mm_public *p, struct mm_public_crl *c, uint32_t shard,
    struct mm_store_reader *r, struct mm_why *why)
{
	struct mm_public_list fresh = { .blob = mm_blob_new(LIST_MAX) };
	enum mm_err rc;

	if (fresh.blob == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = mm_get_shard(r, c->issuer, shard, &fresh.number, &fresh.next_s,
	    &fresh.blob->bytes, why);
	if (rc == MM_OK)
		replace(p, &c->shards.at[shard], &fresh);
	else
		mm_blob_let_go(fresh.blob);
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

/* So many places, which stay; n says how many count. */
static enum mm_err
make_room(struct mm_public *p, struct mm_public_shards *s, size_t n,
    struct mm_why *why)
{
	struct mm_public_list *at;

	if (n <= s->cap)
		return MM_OK;
	at = calloc(n, sizeof(*at));
	if (at == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	pthread_mutex_lock(&p->lock);
	if (s->cap < n) {
		struct mm_public_list *old = s->at;

		if (s->cap > 0)
			memcpy(at, old, s->cap * sizeof(*at));
		s->at = at;
		s->cap = n;
		at = old;
	}
	pthread_mutex_unlock(&p->lock);
	free(at);
	return MM_OK;
}

static enum mm_err
take_news(struct mm_public *p, struct mm_public_crl *c, size_t n,
    struct mm_store_reader *r, struct mm_why *why)
{
	struct news w = { .p = p, .have = &c->shards };
	enum mm_err rc;

	MM_TRY(make_room(p, &c->shards, n, why));
	rc = mm_list_shards(r, c->issuer, look, &w, why);
	for (size_t i = 0; rc == MM_OK && i < w.n; i++)
		rc = take(p, c, w.shard[i], r, why);
	free(w.shard);
	return rc;
}

/* see public.h; what could not be read is read another time */
void
mm_public_shards_take(struct mm_public *p, struct mm_public_crl *c, bool line,
    struct mm_store_reader *r)
{
	struct mm_public_shards *s = &c->shards;
	struct mm_why why = { 0 };
	uint64_t turn = 0;
	size_t n = line ? 1 : mm_core_shards(p->s->core, c->issuer, &turn);
	enum mm_err rc = MM_OK;
	bool new_;

	pthread_mutex_lock(&p->lock);
	s->n = n < s->cap ? n : s->cap;
	new_ = n > 0 && (line || !s->read || s->turn != turn);
	pthread_mutex_unlock(&p->lock);
	if (!new_)
		return;
	rc = take_news(p, c, n, r, &why);
	if (rc != MM_OK)
		MM_LOG(MM_LOG_WARN, "crl", MM_S("why", why.text));
	pthread_mutex_lock(&p->lock);
	s->n = n < s->cap ? n : s->cap;
	s->read = rc == MM_OK;
	s->turn = turn;
	pthread_mutex_unlock(&p->lock);
}

/* see priv.h */
void
mm_public_shard_times(struct mm_public *p, const struct mm_issuer_conf *issuer,
    struct mm_shard_times *out)
{
	const struct mm_public_crl *c = mm_public_find(p, issuer->name);

	*out = (struct mm_shard_times){ .want = mm_issuer_shards(issuer,
	    p->s->config->set.public_url) };
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; c != NULL && i < c->shards.n; i++) {
		const struct mm_public_list *l = &c->shards.at[i];

		if (l->blob == NULL)
			continue;
		if (out->n == 0 || l->number < out->number)
			out->number = l->number;
		if (out->n == 0 || l->next_s < out->next_s)
			out->next_s = l->next_s;
		out->n++;
	}
	pthread_mutex_unlock(&p->lock);
}

/* ---- on a loop ---- */

/* see public.h; a shard and the complete list of one run have one number, and
 * not one tag */
bool
mm_public_shards_item(const struct mm_public_crl *c, unsigned shard,
    struct mm_public_item *out)
{
	const struct mm_public_list *l;

	if (shard >= c->shards.n || c->shards.at[shard].blob == NULL)
		return false;
	l = &c->shards.at[shard];
	/* what has ended says nothing, where the complete one still does */
	if (l->next_s <= mm_now_s() && c->next_s > mm_now_s())
		return false;
	*out = (struct mm_public_item){ .blob = l->blob,
		.changed_s = (int64_t)(l->number / 1000),
		.next_s = l->next_s };
	snprintf(out->etag, sizeof(out->etag), "\"%llu-%u\"",
	    (unsigned long long)l->number, shard);
	return true;
}
