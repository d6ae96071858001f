#include "core/upstream_wait.h"

#include <stdlib.h>
#include <string.h>

#include "pki/key.h"

/* see upstream_wait.h */
void
mm_waits_done(struct mm_waits *w)
{
	free(w->of);
	*w = (struct mm_waits){ .n = 0 };
}

/* Who would have another one wait has to find a name and key of the same 64
 * bits. */
static uint64_t
hash_of(const struct mm_wait_of *d)
{
	uint8_t text[32 + MM_DEVICE_ID_MAX], sha256[32];
	const size_t n = strnlen(d->device, MM_DEVICE_ID_MAX);
	uint64_t h;

	memcpy(text, d->spki, 32);
	memcpy(text + 32, d->device, n);
	mm_sha256((struct mm_bytes){ text, 32 + n }, sha256);
	memcpy(&h, sha256, sizeof(h));
	return h;
}

static struct mm_waiting *
find(const struct mm_waits *w, const struct mm_wait_of *d)
{
	const uint64_t who = w->n > 0 ? hash_of(d) : 0;

	for (size_t i = 0; i < w->n; i++)
		if (w->of[i].who == who)
			return &w->of[i];
	return NULL;
}

/* see upstream_wait.h */
int64_t
mm_waits_until(const struct mm_waits *w, const struct mm_wait_of *d)
{
	const struct mm_waiting *at = find(w, d);

	return at != NULL ? at->until : 0;
}

static void
drop(struct mm_waits *w, struct mm_waiting *at)
{
	*at = w->of[--w->n];
}

/* Those whose time has come wait no more; if there are none, the next. */
static bool
make_room(struct mm_waits *w, int64_t now)
{
	struct mm_waiting *first = w->of;

	for (size_t i = w->n; i-- > 0;)
		if (w->of[i].until <= now)
			drop(w, &w->of[i]);
	if (w->n < MM_WAITS_MOST)
		return true;
	for (size_t i = 1; i < w->n; i++)
		if (w->of[i].until < first->until)
			first = &w->of[i];
	drop(w, first);
	return false;
}

/* see upstream_wait.h; without memory nobody waits */
bool
mm_waits_put(struct mm_waits *w, const struct mm_wait_of *d, int64_t until,
    int64_t now)
{
	struct mm_waiting *at = find(w, d);
	bool room = true;

	if (w->of == NULL)
		w->of = calloc(MM_WAITS_MOST, sizeof(*w->of));
	if (w->of == NULL)
		return true;
	if (at == NULL && w->n == MM_WAITS_MOST)
		room = make_room(w, now);
	if (at == NULL)
		at = &w->of[w->n++];
	*at = (struct mm_waiting){ hash_of(d), until };
	return room;
}

/* see upstream_wait.h */
void
mm_waits_end(struct mm_waits *w, const struct mm_wait_of *d)
{
	struct mm_waiting *at = find(w, d);

	if (at != NULL)
		drop(w, at);
}
