#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"

/* What limits a credential: products, batches, and where it comes from. */

/* ---- scope ---- */

static bool
contains(char (*list)[MM_NAME_MAX + 1], unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

/* In its place among those before: lists go from product to product. */
static bool
insert(char (*list)[MM_NAME_MAX + 1], unsigned *n, const char *name)
{
	unsigned at = *n;

	if (*n == MM_SCOPE_MOST || contains(list, *n, name))
		return false;
	for (; at > 0 && strcmp(list[at - 1], name) > 0; at--)
		memcpy(list[at], list[at - 1], sizeof(*list));
	memset(list[at], 0, sizeof(*list));
	strcpy(list[at], name);
	++*n;
	return true;
}

static bool
take(struct mm_scope *s, struct mm_bytes item)
{
	static const char product[] = "product:", batch[] = "batch:";
	char text[MM_NAME_MAX + sizeof(product)];

	if (!mm_text_copy(text, sizeof(text), item))
		return false;
	if (strncmp(text, product, sizeof(product) - 1) == 0) {
		const char *name = text + sizeof(product) - 1;

		return mm_name_valid(name) &&
		    insert(s->product, &s->nproducts, name);
	}
	/* a batch is named as the factory names it, like a device */
	return strncmp(text, batch, sizeof(batch) - 1) == 0 &&
	    strlen(text) < sizeof(batch) + MM_NAME_MAX &&
	    mm_device_id_valid(text + sizeof(batch) - 1) &&
	    insert(s->batch, &s->nbatches, text + sizeof(batch) - 1);
}

/* see core.h */
enum mm_err
mm_scope_parse(const char *text, struct mm_scope *out, struct mm_why *why)
{
	struct mm_scope s = { .on = *text != '\0' };
	size_t n;

	for (; s.on; text += n + 1) {
		n = strcspn(text, ",");
		if (!take(&s, (struct mm_bytes){ (const uint8_t *)text, n }))
			return MM_FAIL(why, MM_EINPUT, "scope: want "
			    "product:NAME or batch:NAME, each once, at most "
			    "%d of a kind, not \"%.40s\"", MM_SCOPE_MOST,
			    text);
		if (text[n] == '\0')
			break;
	}
	*out = s;
	return MM_OK;
}

/* see core.h */
bool
mm_scope_has_product(const struct mm_scope *s, const char *product)
{
	struct mm_scope *names = (struct mm_scope *)(uintptr_t)s;

	return s->nproducts == 0 ||
	    contains(names->product, s->nproducts, product);
}

/* see core.h */
bool
mm_scope_sees(const struct mm_scope *s, const char *product,
    const char *batch)
{
	struct mm_scope *names = (struct mm_scope *)(uintptr_t)s;

	if (!s->on)
		return true;
	return mm_scope_has_product(s, product) &&
	    (s->nbatches == 0 || contains(names->batch, s->nbatches, batch));
}

/* ---- source addresses ---- */

struct range {
	struct in6_addr at;
	unsigned bits;
};

/* RFC 4291 2.5.5.2: IPv4 as the server's sockets show it. */
static bool
parse_address(const char *text, struct in6_addr *out, unsigned *most)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	*most = 128;
	if (inet_pton(AF_INET6, text, out) == 1)
		return true;
	*most = 32;
	memcpy(out->s6_addr, mapped, sizeof(mapped));
	return inet_pton(AF_INET, text, out->s6_addr + 12) == 1;
}

static bool
same_bits(const struct in6_addr *a, const struct in6_addr *b, unsigned from,
    unsigned to)
{
	for (unsigned i = from; i < to; i++)
		if (((a->s6_addr[i / 8] ^ b->s6_addr[i / 8]) >>
		    (7 - i % 8) & 1) != 0)
			return false;
	return true;
}

static bool
parse_range(struct mm_bytes item, struct range *out)
{
	const struct in6_addr zero = IN6ADDR_ANY_INIT;
	char text[INET6_ADDRSTRLEN + 4], *slash;
	unsigned most;
	int64_t bits;

	if (!mm_text_copy(text, sizeof(text), item))
		return false;
	slash = strchr(text, '/');
	if (slash != NULL)
		*slash = '\0';
	if (!parse_address(text, &out->at, &most))
		return false;
	bits = most;
	if (slash != NULL && (mm_int_parse(slash + 1, &bits, NULL) != MM_OK ||
	    bits < 0 || bits > most))
		return false;
	out->bits = 128 - most + (unsigned)bits;
	return same_bits(&out->at, &zero, out->bits, 128);
}

/* The next item of a list; false at its end. */
static bool
next_item(const char **text, struct mm_bytes *item)
{
	size_t n = strcspn(*text, ",");

	if (**text == '\0')
		return false;
	*item = (struct mm_bytes){ (const uint8_t *)*text, n };
	*text += n + ((*text)[n] == ',');
	return true;
}

/* see core.h */
enum mm_err
mm_sources_check(const char *text, struct mm_why *why)
{
	struct mm_bytes item;
	struct range r;
	size_t n = strlen(text);

	if (n > 0 && text[n - 1] == ',')
		return MM_FAIL(why, MM_EINPUT, "sources: ends in a comma");
	while (next_item(&text, &item))
		if (!parse_range(item, &r))
			return MM_FAIL(why, MM_EINPUT, "sources: \"%.*s\": "
			    "want an address or a range like 10.0.0.0/8, "
			    "without bits beyond it", (int)item.n,
			    (const char *)item.p);
	return MM_OK;
}

/* see core.h */
bool
mm_sources_hold(const char *text, const struct in6_addr *peer)
{
	struct mm_bytes item;
	struct range r;

	if (*text == '\0')
		return true;
	while (next_item(&text, &item))
		if (parse_range(item, &r) &&
		    same_bits(&r.at, peer, 0, r.bits))
			return true;
	return false;
}
