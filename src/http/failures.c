#include "http/priv.h"

/*
 * Sources whose handshakes failed: a table of fixed size per loop, so that
 * nobody makes the server remember more by coming from more places.
 *
 * A count halves every HALF_S.  Within a bucket a newcomer takes the place of
 * an empty or the lightest count only while that is no heavier than its own,
 * one: a source that is being slowed cannot be pushed out by others, only by
 * its own good behaviour.  Where all places are taken by heavier ones the
 * newcomer is not slowed, which is how everybody began.
 */
enum { HALF_S = 30 };

static struct failing *
bucket_of(struct failures *f, uint64_t key, uint64_t salt)
{
	return f->place[mm_http_source_hash(key, salt) % FAILING_BUCKETS];
}

/* Brings the count to now, whole steps at a time. */
static uint32_t
decay(struct failing *p, int64_t now_s)
{
	int64_t steps = (now_s - p->at_s) / HALF_S;

	p->count = steps < 32 ? p->count >> steps : 0;
	p->at_s += steps * HALF_S;
	return p->count;
}

/* see priv.h */
void
mm_http_failures_add(
    struct failures *f, uint64_t salt, uint64_t key, int64_t now_s)
{
	struct failing *p = bucket_of(f, key, salt), *light = NULL;

	for (unsigned i = 0; i < FAILING_WAYS; i++, p++) {
		uint32_t count = decay(p, now_s);

		if (count > 0 && p->key == key) {
			p->count += p->count < UINT32_MAX;
			return;
		}
		if (light == NULL || count < light->count)
			light = p;
	}
	if (light->count <= 1)
		*light =
		    (struct failing){ .key = key, .at_s = now_s, .count = 1 };
}

/* see priv.h */
uint32_t
mm_http_failures_of(
    struct failures *f, uint64_t salt, uint64_t key, int64_t now_s)
{
	struct failing *p = bucket_of(f, key, salt);

	for (unsigned i = 0; i < FAILING_WAYS; i++, p++)
		if (p->count > 0 && p->key == key)
			return decay(p, now_s);
	return 0;
}
