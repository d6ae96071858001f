#include <string.h>

#include "base/time.h"
#include "server/public.h"

/*
 * Who has all lists in one and waits for others.  The public listener is
 * everybody's, so there are few places, and of one source (IPv6: its /64) a
 * part of them: who gets none is answered at once, as if he had not asked, and
 * asks again.
 */
enum { OF_ONE = 16 };

static bool
is_of_one(const struct in6_addr *a, const struct in6_addr *b)
{
	size_t n = IN6_IS_ADDR_V4MAPPED(a) ? sizeof(*a) : sizeof(*a) / 2;

	return memcmp(a, b, n) == 0;
}

static bool
is_same(struct mm_http_ref a, struct mm_http_ref b)
{
	return a.loop == b.loop && a.slot == b.slot &&
	    a.generation == b.generation;
}

/* see public.h */
bool
mm_news_wait(struct mm_news *n, struct mm_http_ref ref,
    const struct in6_addr *peer, int64_t until_ms)
{
	unsigned theirs = 0;

	for (unsigned i = 0; i < n->n; i++)
		theirs += is_of_one(peer, &n->at[i].peer);
	if (n->closed || n->n == MM_NEWS_MOST || theirs >= OF_ONE)
		return false;
	n->at[n->n++] = (struct mm_news_waiting){ ref, *peer, until_ms };
	return true;
}

/* see public.h */
bool
mm_news_take(struct mm_news *n, int64_t until_ms, struct mm_http_ref *out)
{
	for (unsigned i = 0; i < n->n; i++)
		if (n->at[i].until_ms <= until_ms) {
			*out = n->at[i].ref;
			n->at[i] = n->at[--n->n];
			return true;
		}
	return false;
}

/* see public.h */
bool
mm_news_left(struct mm_news *n, struct mm_http_ref ref)
{
	for (unsigned i = 0; i < n->n; i++)
		if (is_same(n->at[i].ref, ref)) {
			n->at[i] = n->at[--n->n];
			return true;
		}
	return false;
}
