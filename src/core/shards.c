#include <stdlib.h>
#include <string.h>

#include "core/priv.h"
#include "ledger/shards.h"

/*
 * Lists of shards.  Each has its time and its changes; those that are wanted
 * are signed in runs, one number and one ledger entry a run, so that a
 * revocation signs what it touches, and a start or half of the lists' life all
 * of them at once.
 */
#define RUN_MOST    1024   /* MM_CRL_RUN_MOST is the signer's */
#define RUN_ENTRIES 250000 /* of a run; what is larger is halved */
#define RUNS_MOST   256    /* at one go */
#define TRIES       5      /* of nodes that sign at once */

struct batch { /* what a run is of */
	uint16_t shard[RUN_MOST];
	uint64_t after[RUN_MOST], ours[RUN_MOST];
	size_t n;
	uint64_t number; /* the last one of theirs */
	bool slow;       /* the signer gave no answer in time */
};

/* see priv.h; a restart signs fresh lists */
enum mm_err
mm_shards_new(const struct mm_config *config, struct mm_shards **out,
    struct mm_why *why)
{
	struct mm_shards *s = calloc(config->nissuer + 1, sizeof(*s));

	if (s == NULL)
		return MM_FAIL(why, MM_ENOMEM, "shards: out of memory");
	*out = s; /* the core frees it, full or not */
	for (size_t i = 0; i < config->nissuer; i++) {
		s[i].n = mm_issuer_shards(&config->issuer[i],
		    config->set.public_url);
		s[i].most = s[i].limit = RUN_MOST;
		s[i].at = calloc(s[i].n + 1, sizeof(*s[i].at));
		if (s[i].at == NULL)
			return MM_FAIL(why, MM_ENOMEM,
			    "shards: out of memory");
		for (size_t k = 0; k < s[i].n; k++)
			s[i].at[k].listed.ours = 1;
	}
	return MM_OK;
}

/* see priv.h */
void
mm_shards_free(const struct mm_config *config, struct mm_shards **owner)
{
	for (size_t i = 0; *owner != NULL && i < config->nissuer; i++)
		free((*owner)[i].at);
	free(*owner);
	*owner = NULL;
}

/* ---- what is wanted ---- */

struct stored {
	struct mm_core *c;
	struct mm_shards *s;
	bool more; /* of shards that there are not */
};

static enum mm_err
take_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_shard_row *r = row;
	struct stored *to = ctx;

	(void)next, (void)why;
	pthread_mutex_lock(&to->c->lock);
	if (r->shard < to->s->n) {
		to->s->at[r->shard].mark.number = r->number;
		to->s->at[r->shard].mark.next_s = r->next_s;
	} else {
		to->more = true;
	}
	pthread_mutex_unlock(&to->c->lock);
	return MM_OK;
}

/* Numbers and ends of those that stand. */
static enum mm_err
load(struct mm_desk *d, const struct mm_list_of *of, bool *more,
    struct mm_why *why)
{
	struct stored to = { d->c, of->shards, false };

	MM_TRY(mm_list_shards(d->r, of->name, take_row, &to, why));
	*more = to.more;
	return MM_OK;
}

static enum mm_err
begin(struct mm_desk *d, const struct mm_list_of *of, struct mm_why *why)
{
	bool more;

	MM_TRY(load(d, of, &more, why));
	MM_TRY(mm_shards_begin(d, of, more, why));
	of->shards->loaded = true;
	return MM_OK;
}

static bool
is_wanted(struct mm_core *c, const struct mm_list_of *of,
    const struct mm_shard *s)
{
	const struct mm_listed *l = &s->listed;

	return s->mark.number == 0 || l->ours != s->mark.revocations ||
	    mm_crl_due(of->crl_hours, s->mark.next_s) ||
	    (l->since != 0 && mm_mono_ms() - l->since >=
	    c->nodes.patience_ms);
}

/* Where a round is. */
struct round {
	const struct mm_list_of *of;
	bool force;
	size_t at, to; /* of the shards */
};

/* From r->at on, which moves behind what was taken. */
static void
pick(struct mm_core *c, struct round *r, struct batch *b)
{
	struct mm_shards *s = r->of->shards;
	size_t *at = &r->at;

	b->n = 0;
	b->number = 0;
	b->slow = false;
	pthread_mutex_lock(&c->lock);
	for (; *at < r->to && b->n < s->most; (*at)++) {
		const struct mm_shard *k = &s->at[*at];

		if (!r->force && !is_wanted(c, r->of, k))
			continue;
		b->shard[b->n] = (uint16_t)*at;
		b->after[b->n] = k->mark.number;
		b->ours[b->n++] = k->listed.ours;
		if (k->mark.number > b->number)
			b->number = k->mark.number;
	}
	pthread_mutex_unlock(&c->lock);
	if (b->n > 0) {
		b->n = mm_shards_fit(b->shard, b->n);
		*at = (size_t)b->shard[b->n - 1] + 1;
	}
}

/* ---- signing ---- */

static void
keep(struct mm_core *c, struct mm_shards *s, const struct batch *b,
    const struct mm_crl_run *run)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < b->n; i++)
		s->at[b->shard[i]].mark = (struct mm_crl_mark){ b->ours[i],
			run->number, run->next_s };
	s->turn++;
	if (run->n > RUN_ENTRIES && s->most > 1)
		s->most /= 2;
	else if (run->n < RUN_ENTRIES / 4)
		s->most = s->most * 2 < s->limit ? s->most * 2 : s->limit;
	pthread_mutex_unlock(&c->lock);
	for (size_t i = 0; i < b->n; i++)
		mm_listed_stored(c, &s->at[b->shard[i]].listed, run->size);
}

static enum mm_err
sign(struct mm_desk *d, const struct mm_list_of *of, struct batch *b,
    struct mm_why *why)
{
	struct mm_shards *s = of->shards;
	struct mm_crl_run run = { .of = of, .shard = b->shard,
		.nshard = b->n, .shards = (unsigned)s->n, .after = b->after,
		.number = b->number + 1 };
	enum mm_err rc = mm_crl_run(d, &run, why);

	b->slow = run.slow;
	pthread_mutex_lock(&d->c->lock);
	if (run.odd)
		s->odd = true;
	s->turn += run.odd;
	pthread_mutex_unlock(&d->c->lock);
	if (rc == MM_OK)
		keep(d->c, s, b, &run);
	return rc;
}

/* What another node has signed is not signed again; where one was first, the
 * store is asked what stands now. */
static enum mm_err
sign_some(struct mm_desk *d, struct round *r, struct batch *b,
    struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc = MM_ECONFLICT;
	const size_t from = r->at;
	bool more;

	for (unsigned i = 0; i < TRIES && rc == MM_ECONFLICT; i++) {
		r->at = from;
		pick(d->c, r, b);
		if (b->n == 0)
			return MM_OK;
		if (i > 0 || mm_store_shared(d->c->store)) {
			MM_TRY(load(d, r->of, &more, why));
			r->at = from;
			pick(d->c, r, b);
		}
		own = (struct mm_why){ 0 };
		rc = b->n == 0 ? MM_OK : sign(d, r->of, b, &own);
	}
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}

/*
 * A run that fails is halved (it may be too large for a transaction), so that
 * what can be signed is: down to the one shard that it is about, behind which
 * the others have their turn.  Where store or signer is away that goes on in
 * the next round.  A size that a signer (a slow token) did not get through in
 * its time is not tried again while this process lives; one that is away, or a
 * store that is, has said nothing about sizes.
 */
static bool
goes_on(struct mm_core *c, struct round *r, const struct batch *b,
    enum mm_err rc)
{
	struct mm_shards *s = r->of->shards;

	if (rc == MM_OK || b->n == 0)
		return rc == MM_OK;
	pthread_mutex_lock(&c->lock);
	s->most = (b->n + 1) / 2;
	if (b->slow && b->n > 1)
		s->limit = s->most;
	pthread_mutex_unlock(&c->lock);
	r->at = b->n > 1 ? b->shard[0] : (size_t)b->shard[0] + 1;
	return rc != MM_EAGAIN;
}

/* The first cause is what is said. */
static enum mm_err
sign_round(struct mm_desk *d, struct round *r, struct mm_why *why)
{
	enum mm_err first = MM_OK;
	struct batch b;

	for (unsigned i = 0; i < RUNS_MOST && r->at < r->to &&
	     !r->of->shards->odd; i++) {
		struct mm_why own = { 0 };
		enum mm_err rc = sign_some(d, r, &b, &own);

		if (rc != MM_OK)
			first = MM_FAIL(why, rc, "%s", own.text);
		if (!goes_on(d->c, r, &b, rc))
			break;
	}
	return first;
}

/* Nobody asks for the list of a CA that has ended. */
static bool
has_ended(struct mm_core *c, const char *issuer)
{
	struct mm_bytes der;
	struct mm_cert cert;

	return mm_core_issuer_der(c, issuer, &der, NULL) == MM_OK &&
	    mm_cert_walk(der, &cert, NULL) == MM_OK &&
	    cert.not_after_s < mm_now_s();
}

/* see core.h */
enum mm_err
mm_desk_shards(struct mm_desk *d, const char *issuer, bool force,
    struct mm_why *why)
{
	struct mm_list_of of;
	struct round r = { &of, force, 0, 0 };
	enum mm_err rc;

	if (!mm_list_find(d->c, issuer, &of))
		return MM_FAIL(why, MM_ENOTFOUND, "no issuer \"%.32s\"",
		    issuer);
	if (of.shards == NULL || of.shards->n == 0 || of.shards->odd ||
	    has_ended(d->c, issuer))
		return MM_OK;
	if (!of.shards->loaded)
		MM_TRY(begin(d, &of, why));
	r.at = of.shards->from < of.shards->n ? of.shards->from : 0;
	r.to = of.shards->n;
	of.shards->from = 0;
	rc = sign_round(d, &r, why);
	if (rc != MM_OK) /* the next round goes on there */
		of.shards->from = r.at;
	return rc;
}

/* see core.h */
size_t
mm_core_shards(struct mm_core *c, const char *issuer, uint64_t *turn)
{
	struct mm_list_of of;
	size_t n;

	if (!mm_list_find(c, issuer, &of) || of.shards == NULL)
		return 0;
	pthread_mutex_lock(&c->lock);
	*turn = of.shards->turn;
	n = of.shards->odd ? 0 : of.shards->n;
	pthread_mutex_unlock(&c->lock);
	return n;
}
