#include "cli/leaves.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* More would wait for the caller's thread, which hashes the nodes; and a false
 * ledger's bundles may take MM_SOURCE_MAX each. */
enum { THREADS_MAX = 4, SLOTS_A_THREAD = 2 };

/* A bundle on its way.  done is under the lock; the rest is the caller's, a
 * thread's from read to done, and the caller's again. */
struct slot {
	uint64_t index;
	unsigned width;
	bool done;
	bool unread; /* rc is the reading's */
	enum mm_err rc;
	struct mm_why why;
	struct mm_buf bundle;
	struct mm_leaf leaf[MM_TILE_W];
};

struct leaves {
	struct mm_source *source;
	pthread_mutex_t lock;
	pthread_cond_t filled, hashed;
	uint64_t read, taken, used; /* bundles; slot is number % nslots */
	bool ending;
	unsigned nthreads, nslots;
	pthread_t thread[THREADS_MAX];
	struct slot slot[THREADS_MAX * SLOTS_A_THREAD];
};

static struct slot *
slot_of(struct leaves *l, uint64_t bundle)
{
	return &l->slot[bundle % l->nslots];
}

/* ---- a thread ---- */

struct hasher {
	struct slot *slot;
	char arena[MM_ENTRY_MAX + 64];
};

static enum mm_err
hash_entry(void *ctx, uint64_t index, struct mm_bytes json, struct mm_why *why)
{
	struct hasher *h = ctx;
	struct mm_leaf *leaf = &h->slot->leaf[index % MM_TILE_W];
	struct mm_why bad = { 0 };
	struct mm_entry_read e;

	if (mm_entry_read(json, h->arena, sizeof(h->arena), &e, &bad) != MM_OK)
		return MM_FAIL(why, MM_EPOLICY, "entry %llu: %s",
		    (unsigned long long)index, bad.text);
	leaf->hash = mm_tree_leaf(json);
	snprintf(leaf->later, sizeof(leaf->later), "%s",
	    e.later ? e.type : "");
	return MM_OK;
}

static void
hash_bundle(const struct leaves *l, struct hasher *h)
{
	struct slot *s = h->slot;

	if (s->rc == MM_OK)
		s->rc = mm_source_entries(l->source, mm_buf_view(&s->bundle),
		    s->index, s->width, hash_entry, h, &s->why);
}

static void *
hash_bundles(void *ctx)
{
	struct leaves *l = ctx;
	struct hasher h;

	pthread_mutex_lock(&l->lock);
	for (;;) {
		while (l->taken == l->read && !l->ending)
			pthread_cond_wait(&l->filled, &l->lock);
		if (l->ending)
			break;
		h.slot = slot_of(l, l->taken++);
		pthread_mutex_unlock(&l->lock);
		hash_bundle(l, &h);
		pthread_mutex_lock(&l->lock);
		h.slot->done = true;
		pthread_cond_signal(&l->hashed);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* ---- the caller's ---- */

/* False: what cannot be read is told once all before it is used. */
static bool
read_bundle(struct leaves *l, uint64_t index, unsigned width)
{
	struct slot *s = slot_of(l, index);
	enum mm_err rc;

	s->index = index;
	s->width = width;
	s->done = false;
	s->why = (struct mm_why){ 0 };
	mm_buf_reset(&s->bundle);
	rc = mm_source_bundle(l->source, index, width, &s->bundle, &s->why);
	s->rc = rc;
	s->unread = rc != MM_OK && l->source->unread;
	pthread_mutex_lock(&l->lock);
	l->read++;
	pthread_cond_signal(&l->filled);
	pthread_mutex_unlock(&l->lock);
	return rc == MM_OK;
}

static enum mm_err
use_bundle(struct leaves *l, mm_leaf_fn *fn, void *ctx, struct mm_why *why)
{
	struct slot *s = slot_of(l, l->used++);

	pthread_mutex_lock(&l->lock);
	while (!s->done)
		pthread_cond_wait(&l->hashed, &l->lock);
	pthread_mutex_unlock(&l->lock);
	l->source->unread = s->unread;
	if (s->rc != MM_OK)
		return MM_FAIL(why, s->rc, "%s", s->why.text);
	for (unsigned i = 0; i < s->width; i++)
		MM_TRY(fn(ctx, s->index * MM_TILE_W + i, &s->leaf[i], why));
	return MM_OK;
}

static enum mm_err
run(struct leaves *l, uint64_t size, mm_leaf_fn *fn, void *ctx,
    struct mm_why *why)
{
	for (uint64_t i = 0; i * MM_TILE_W < size; i++) {
		uint64_t left = size - i * MM_TILE_W;

		if (i - l->used == l->nslots)
			MM_TRY(use_bundle(l, fn, ctx, why));
		if (!read_bundle(
			l, i, left < MM_TILE_W ? (unsigned)left : MM_TILE_W))
			break;
	}
	while (l->used < l->read)
		MM_TRY(use_bundle(l, fn, ctx, why));
	return MM_OK;
}

static enum mm_err
start(struct leaves *l, struct mm_why *why)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned want = cores < 1             ? 1
			: cores < THREADS_MAX ? (unsigned)cores
					      : THREADS_MAX;

	for (; l->nthreads < want; l->nthreads++)
		if (pthread_create(
			&l->thread[l->nthreads], NULL, hash_bundles, l) != 0)
			break;
	if (l->nthreads == 0)
		return MM_FAIL(why, MM_ENOMEM, "no thread can be started");
	l->nslots = l->nthreads * SLOTS_A_THREAD;
	for (unsigned i = 0; i < l->nslots; i++)
		mm_buf_init(&l->slot[i].bundle, MM_SOURCE_MAX);
	return MM_OK;
}

static void
stop(struct leaves *l)
{
	pthread_mutex_lock(&l->lock);
	l->ending = true;
	pthread_cond_broadcast(&l->filled);
	pthread_mutex_unlock(&l->lock);
	for (unsigned i = 0; i < l->nthreads; i++)
		pthread_join(l->thread[i], NULL);
	for (unsigned i = 0; i < l->nslots; i++)
		mm_buf_done(&l->slot[i].bundle);
	pthread_cond_destroy(&l->filled);
	pthread_cond_destroy(&l->hashed);
	pthread_mutex_destroy(&l->lock);
}

/* see leaves.h */
enum mm_err
mm_leaves_each(struct mm_source *s, uint64_t size, mm_leaf_fn *fn, void *ctx,
    struct mm_why *why)
{
	struct leaves *l = calloc(1, sizeof(*l));
	enum mm_err rc;

	if (l == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	l->source = s;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->filled, NULL);
	pthread_cond_init(&l->hashed, NULL);
	rc = start(l, why);
	if (rc == MM_OK)
		rc = run(l, size, fn, ctx, why);
	stop(l);
	free(l);
	return rc;
}
