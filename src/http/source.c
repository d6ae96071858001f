#include <stdlib.h>
#include <string.h>

#include "http/priv.h"

/* see priv.h; IPv4 whole; of IPv6 the network, which is what one household
 * has */
uint64_t
mm_http_source_key(const struct in6_addr *peer)
{
	size_t from = IN6_IS_ADDR_V4MAPPED(peer) ? 8 : 0;
	uint64_t key;

	memcpy(&key, peer->s6_addr + from, sizeof(key));
	return key;
}

/* see priv.h; salted, or a peer with many networks could choose one bucket */
uint64_t
mm_http_source_hash(uint64_t key, uint64_t salt)
{
	uint64_t x = (key ^ salt) * 0x9e3779b97f4a7c15;

	x = (x ^ x >> 29 ^ salt >> 17) * 0xbf58476d1ce4e5b9;
	return x >> 32;
}

static struct source **
bucket_of(struct sources *s, uint64_t key)
{
	return &s->bucket[mm_http_source_hash(key, s->salt) % SOURCE_BUCKETS];
}

struct source *
mm_http_source_take(
    struct sources *s, const struct in6_addr *peer, unsigned max)
{
	uint64_t key = mm_http_source_key(peer);
	struct source **bucket = bucket_of(s, key), *src = *bucket;

	while (src != NULL && src->key != key)
		src = src->next;
	if (src == NULL) {
		src = calloc(1, sizeof(*src));
		if (src == NULL)
			return NULL;
		src->key = key;
		src->next = *bucket;
		*bucket = src;
	}
	if (src->conns >= max)
		return NULL;
	src->conns++;
	return src;
}

void
mm_http_source_drop(struct sources *s, struct source *src)
{
	struct source **at = bucket_of(s, src->key);

	if (--src->conns > 0)
		return;
	while (*at != src)
		at = &(*at)->next;
	*at = src->next;
	free(src);
}
