#include <stdlib.h>
#include <string.h>

#include "core/priv.h"

/*
 * Step 4: one request in flight per authority, in this process; leases.c does
 * the same among nodes.  The store's unique claim is the rule; this table
 * saves signatures that could not be committed.
 *
 * A leader holds its name from before its facts are read until its outcome is
 * durable, so whoever holds it next reads facts that contain that outcome.
 */
struct mm_reserve {
	pthread_mutex_t lock;
	size_t mask;
	struct mm_flight *bucket[];
};

/* see priv.h */
enum mm_err
mm_reserve_new(unsigned most, struct mm_reserve **out, struct mm_why *why)
{
	size_t n = 64;
	struct mm_reserve *r;

	while (n < 2 * (size_t)most)
		n *= 2;
	r = calloc(1, sizeof(*r) + n * sizeof(r->bucket[0]));
	if (r == NULL)
		return MM_FAIL(why, MM_ENOMEM, "reserve: no memory");
	pthread_mutex_init(&r->lock, NULL);
	r->mask = n - 1;
	*out = r;
	return MM_OK;
}

/* see priv.h */
void
mm_reserve_free(struct mm_reserve **owner)
{
	if (*owner == NULL)
		return;
	pthread_mutex_destroy(&(*owner)->lock);
	free(*owner);
	*owner = NULL;
}

/* FNV-1a: names are ids that the signer or we made up. */
static struct mm_flight **
bucket_of(struct mm_reserve *r, const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	while (*name != '\0')
		h = (h ^ (uint8_t)*name++) * UINT64_C(0x100000001b3);
	return &r->bucket[(h ^ (h >> 32)) & r->mask];
}

/* The place that points at the name's leader, or at NULL. */
static struct mm_flight **
place_of(struct mm_reserve *r, const char *name)
{
	struct mm_flight **at = bucket_of(r, name);

	while (*at != NULL && strcmp((*at)->name, name) != 0)
		at = &(*at)->same_bucket;
	return at;
}

/* Another key must wait too where it counts as a conflict, but only once the
 * leader's certificate is there to be in conflict with. */
static bool
may_wait(const struct mm_flight *leader, const struct mm_flight *f)
{
	enum mm_authority_kind kind = f->job->authority.kind;

	return kind == MM_AUTH_TOKEN_PSK || kind == MM_AUTH_TOKEN_BASIC ||
	    kind == MM_AUTH_BOOTSTRAP ||
	    (leader->job->kind == f->job->kind &&
	    memcmp(leader->spki, f->spki, 32) == 0);
}

static enum mm_taken
take(struct mm_reserve *r, struct mm_flight *f)
{
	struct mm_flight **at = place_of(r, f->name), *leader = *at;

	f->next_waiter = f->waiters = f->last_waiter = NULL;
	if (leader == NULL) {
		f->same_bucket = NULL;
		f->flags |= MM_FLIGHT_HELD;
		*at = f;
		return MM_TAKEN;
	}
	if (!may_wait(leader, f))
		return MM_TAKEN_BY_OTHER;
	if (leader->waiters == NULL)
		leader->waiters = f;
	else
		leader->last_waiter->next_waiter = f;
	leader->last_waiter = f;
	return MM_PARKED;
}

/* see priv.h */
enum mm_taken
mm_reserve_take(struct mm_reserve *r, struct mm_flight *f)
{
	enum mm_taken t;

	pthread_mutex_lock(&r->lock);
	t = take(r, f);
	pthread_mutex_unlock(&r->lock);
	return t;
}

static struct mm_flight *
pass(struct mm_reserve *r, struct mm_flight *f)
{
	struct mm_flight **at = place_of(r, f->name), *heir = f->waiters;

	MM_INVARIANT(*at == f);
	f->flags &= ~(unsigned)MM_FLIGHT_HELD;
	if (heir == NULL) {
		*at = f->same_bucket;
		return NULL;
	}
	heir->waiters = heir->next_waiter;
	heir->last_waiter = f->last_waiter == heir ? NULL : f->last_waiter;
	heir->next_waiter = NULL;
	heir->same_bucket = f->same_bucket;
	heir->flags |= MM_FLIGHT_HELD;
	*at = heir;
	f->waiters = NULL;
	return heir;
}

/* see priv.h */
struct mm_flight *
mm_reserve_pass(struct mm_reserve *r, struct mm_flight *f)
{
	struct mm_flight *heir;

	if ((f->flags & MM_FLIGHT_HELD) == 0)
		return NULL;
	pthread_mutex_lock(&r->lock);
	heir = pass(r, f);
	pthread_mutex_unlock(&r->lock);
	return heir;
}
