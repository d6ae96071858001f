#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "server/courier.h"

struct range {
	uint8_t net[16];
	unsigned bits;
	enum mm_place place;
};

/* RFC 6890 and its successors; the first that fits counts. */
static const struct range v4[] = {
	{ { 0 }, 8, MM_PLACE_NEVER },
	{ { 127 }, 8, MM_PLACE_LOOPBACK },
	{ { 169, 254 }, 16, MM_PLACE_NEVER },
	{ { 100, 100, 100, 200 }, 32, MM_PLACE_NEVER }, /* cloud metadata */
	{ { 10 }, 8, MM_PLACE_PRIVATE },
	{ { 172, 16 }, 12, MM_PLACE_PRIVATE },
	{ { 192, 168 }, 16, MM_PLACE_PRIVATE },
	{ { 100, 64 }, 10, MM_PLACE_PRIVATE },
	{ { 192, 0, 0 }, 24, MM_PLACE_NEVER },
	{ { 198, 18 }, 15, MM_PLACE_PRIVATE },
	{ { 224 }, 3, MM_PLACE_NEVER },
};
static const struct range v6[] = {
	{ { [15] = 1 }, 128, MM_PLACE_LOOPBACK },
	{ { 0 }, 96, MM_PLACE_NEVER },
	/* RFC 8215, RFC 4380: what IPv4 address is behind is a gateway's
	 * affair */
	{ { 0, 0x64, 0xff, 0x9b, 0, 1 }, 48, MM_PLACE_NEVER },
	{ { 0x20, 0x01 }, 32, MM_PLACE_NEVER },
	{ { 0xfe, 0x80 }, 10, MM_PLACE_NEVER },
	{ { 0xfe, 0xc0 }, 10, MM_PLACE_PRIVATE },
	{ { 0xfc }, 7, MM_PLACE_PRIVATE },
	{ { 0xff }, 8, MM_PLACE_NEVER },
};
/* IPv6 prefixes with an IPv4 address behind them. */
static const struct {
	uint8_t net[16];
	unsigned bits, at;
} holds_v4[] = {
	{ { [10] = 0xff, 0xff }, 96, 12 },
	{ { 0, 0x64, 0xff, 0x9b }, 96, 12 }, /* RFC 6052 */
	{ { 0x20, 0x02 }, 16, 2 },           /* RFC 3056 */
};
static const uint8_t aws_metadata[16] = { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02,
	0x54 };

static bool
within(const uint8_t *a, const uint8_t *net, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	unsigned mask = 0xff00U >> rest & 0xff;

	return memcmp(a, net, whole) == 0 &&
	    (rest == 0 || ((a[whole] ^ net[whole]) & mask) == 0);
}

static enum mm_place
find(const struct range *r, size_t n, const uint8_t *a)
{
	for (size_t i = 0; i < n; i++)
		if (within(a, r[i].net, r[i].bits))
			return r[i].place;
	return MM_PLACE_PUBLIC;
}

#define N(a) (sizeof(a) / sizeof((a)[0]))

static enum mm_place
place6(const uint8_t *a)
{
	for (size_t i = 0; i < N(holds_v4); i++)
		if (within(a, holds_v4[i].net, holds_v4[i].bits))
			return find(v4, N(v4), a + holds_v4[i].at);
	if (memcmp(a, aws_metadata, sizeof(aws_metadata)) == 0)
		return MM_PLACE_NEVER;
	return find(v6, N(v6), a);
}

/* see courier.h */
enum mm_place
mm_courier_place(const struct sockaddr *a)
{
	const struct sockaddr_in *in = (const void *)a;
	const struct sockaddr_in6 *in6 = (const void *)a;

	if (a->sa_family == AF_INET)
		return find(v4, N(v4), (const uint8_t *)&in->sin_addr);
	if (a->sa_family == AF_INET6)
		return place6(in6->sin6_addr.s6_addr);
	return MM_PLACE_NEVER;
}
