#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "core/priv.h"
#include "core/production_priv.h"

/*
 * When certificates in force end: counted in the background, a piece a turn of
 * housekeeping, through the index of expiry; what is asked is answered from
 * the last count that was complete.  A small store is counted every second, a
 * large one so that it takes a hundredth of a processor; the first count after
 * a start, which people wait for, takes a quarter of one.
 */
enum {
	PIECE = 50000,    /* certificates a turn: some 15 ms ... */
	PIECE_MS = 15,    /* ... and no more are begun after that */
	FIRST_MS = 250,   /* of a turn, while there is no count yet */
	REST_MS = 1000,   /* between two counts, at least ... */
	REST_TIMES = 100, /* ... and in turns of what one took */
	DAY_S = 86400,
};

struct mm_forecaster {
	pthread_mutex_t lock;     /* of what follows */
	struct mm_forecast *last; /* NULL: none yet */
	pthread_mutex_t working;  /* of what follows: whose turn it is */
	struct mm_forecast *next; /* being counted; NULL: at rest */
	struct mm_ending at;
	size_t class_cap, cell_cap;
	int64_t class_id, spent_ms, again_at; /* monotonic */
	uint32_t class;                       /* of class_id, in next */
	bool renews; /* what is of class_id */
	int64_t now_s, late_s; /* what ends before late_s is late */
	bool short_of_memory;
};

static void
forecast_free(struct mm_forecast *f)
{
	free(f->class);
	free(f->cell);
	free(f);
}

/* see priv.h */
enum mm_err
mm_forecaster_new(struct mm_forecaster **out, struct mm_why *why)
{
	struct mm_forecaster *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return MM_FAIL(why, MM_ENOMEM, "forecast: no memory");
	pthread_mutex_init(&f->lock, NULL);
	pthread_mutex_init(&f->working, NULL);
	*out = f;
	return MM_OK;
}

/* see priv.h */
void
mm_forecaster_free(struct mm_forecaster **owner)
{
	struct mm_forecaster *f = *owner;

	if (f == NULL)
		return;
	if (f->last != NULL)
		forecast_free(f->last);
	if (f->next != NULL)
		forecast_free(f->next);
	pthread_mutex_destroy(&f->lock);
	pthread_mutex_destroy(&f->working);
	free(f);
	*owner = NULL;
}

/* ---- who asks ---- */

/* see core.h */
struct mm_forecast *
mm_core_forecast(struct mm_core *c)
{
	struct mm_forecaster *f = c->forecaster;
	struct mm_forecast *last;

	pthread_mutex_lock(&f->lock);
	last = f->last;
	if (last != NULL)
		last->held++;
	pthread_mutex_unlock(&f->lock);
	return last;
}

static void
release(struct mm_forecaster *f, struct mm_forecast *last)
{
	pthread_mutex_lock(&f->lock);
	bool gone = last->held-- == 0;
	pthread_mutex_unlock(&f->lock);
	if (gone)
		forecast_free(last);
}

/* see core.h */
void
mm_core_forecast_done(struct mm_core *c, struct mm_forecast *take_f)
{
	if (take_f != NULL)
		release(c->forecaster, take_f);
}

static void
publish(struct mm_forecaster *f)
{
	struct mm_forecast *before;

	f->next->as_of = mm_now_ms();
	pthread_mutex_lock(&f->lock);
	before = f->last;
	f->last = f->next;
	pthread_mutex_unlock(&f->lock);
	f->next = NULL;
	if (before != NULL)
		release(f, before);
}

/* ---- counting ---- */

struct count {
	struct mm_core *c;
	struct mm_forecaster *f;
};

/* Of what is renewed: none is so after nine tenths of its life (window.h).
 * A profile that is gone has nobody who would say how long that was. */
static void
profile_of(struct count *k, const struct mm_ending *at)
{
	char name[MM_PROFILE_TEXT];
	const struct mm_profile *p;

	snprintf(name, sizeof(name), "%s", at->profile);
	name[strcspn(name, "@")] = '\0';
	p = mm_config_profile(k->c->config, name);
	k->f->renews = p != NULL && p->kind == MM_PROFILE_LDEVID &&
	    p->lifetime_s > 0;
	k->f->now_s = mm_now_s();
	k->f->late_s = k->f->now_s + (k->f->renews ? p->lifetime_s / 10 : 0);
}

/* Line CAs, of which there are many, count together. */
static bool
class_of(struct count *k, const struct mm_ending *at)
{
	struct mm_forecast *n = k->f->next;
	const char *issuer =
	    mm_issuer_is_line(k->c, at->issuer) ? "" : at->issuer;
	struct mm_forecast_class *grown;

	k->f->class_id = at->class;
	profile_of(k, at);
	for (k->f->class = 0; k->f->class < n->nclass; k->f->class ++)
		if (strcmp(n->class[k->f->class].product, at->product) == 0 &&
		    strcmp(n->class[k->f->class].issuer, issuer) == 0)
			return true;
	grown =
	    mm_grown(n->class, n->nclass, &k->f->class_cap, sizeof(*n->class));
	if (grown == NULL)
		return false;
	n->class = grown;
	n->class[n->nclass] = (struct mm_forecast_class){ .in_use = 0 };
	strcpy(n->class[n->nclass].product, at->product);
	strcpy(n->class[n->nclass++].issuer, issuer);
	return true;
}

static bool
cell_of(struct mm_forecaster *f, int64_t day)
{
	struct mm_forecast *n = f->next;
	const struct mm_forecast_cell *last =
	    n->ncell == 0 ? NULL : &n->cell[n->ncell - 1];
	struct mm_forecast_cell *grown;

	if (last != NULL && last->class == f->class && last->day == day)
		return true;
	grown = mm_grown(n->cell, n->ncell, &f->cell_cap, sizeof(*n->cell));
	if (grown == NULL)
		return false;
	n->cell = grown;
	n->cell[n->ncell++] =
	    (struct mm_forecast_cell){ f->class, (uint32_t)day, 0 };
	return true;
}

static void
take(void *ctx, const struct mm_ending *at)
{
	struct count *k = ctx;
	struct mm_forecaster *f = k->f;

	if (f->short_of_memory ||
	    (f->class_id != at->class && !class_of(k, at)) ||
	    !cell_of(f, at->not_after_s / DAY_S)) {
		f->short_of_memory = true;
		return;
	}
	f->next->cell[f->next->ncell - 1].n++;
	if (!f->renews || at->in != MM_CERT_CONFIRMED ||
	    at->not_after_s < f->now_s)
		return;
	f->next->class[f->class].in_use++;
	f->next->class[f->class].late += at->not_after_s < f->late_s;
}

static enum mm_err
begin(struct mm_forecaster *f, struct mm_why *why)
{
	f->next = calloc(1, sizeof(*f->next));
	if (f->next == NULL)
		return MM_FAIL(why, MM_ENOMEM, "forecast: no memory");
	memset(&f->at, 0, sizeof(f->at));
	f->class_cap = f->cell_cap = 0;
	f->class_id = f->spent_ms = 0;
	f->short_of_memory = false;
	return MM_OK;
}

static enum mm_err
piece(struct mm_desk *d, struct mm_forecaster *f, struct mm_why *why)
{
	struct count k = { d->c, f };
	int64_t began = mm_mono_ms();
	int64_t until = began + (f->last == NULL ? FIRST_MS : PIECE_MS);

	if (f->next == NULL)
		MM_TRY(begin(f, why));
	do {
		MM_TRY(mm_walk_ends(d->r, &f->at, PIECE, until, take, &k,
		    why));
		if (f->short_of_memory)
			return MM_FAIL(why, MM_ENOMEM, "forecast: no memory");
	} while (f->last == NULL && !f->at.over && mm_mono_ms() < until);
	f->spent_ms += mm_mono_ms() - began;
	if (!f->at.over)
		return MM_OK;
	publish(f);
	f->again_at = mm_mono_ms() + (f->spent_ms * REST_TIMES > REST_MS
					     ? f->spent_ms * REST_TIMES
					     : REST_MS);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_desk_forecast(struct mm_desk *d, struct mm_why *why)
{
	struct mm_forecaster *f = d->c->forecaster;
	enum mm_err rc = MM_OK;

	if (pthread_mutex_trylock(&f->working) != 0)
		return MM_OK; /* another worker is at it */
	if (f->next != NULL || mm_mono_ms() >= f->again_at)
		rc = piece(d, f, why);
	if (rc != MM_OK && f->next != NULL) {
		forecast_free(f->next);
		f->next = NULL;
		f->again_at = mm_mono_ms() + REST_MS;
	}
	pthread_mutex_unlock(&f->working);
	return rc;
}
