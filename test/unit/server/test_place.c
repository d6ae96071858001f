#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "server/courier.h"

static enum mm_place
place(const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return mm_courier_place((const struct sockaddr *)&in);
	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return mm_courier_place((const struct sockaddr *)&in6);
}

/* Both ends of each range and what lies just outside. */
static const struct {
	const char *text;
	enum mm_place want;
} rows[] = {
	{ "0.0.0.0", MM_PLACE_NEVER },
	{ "0.255.255.255", MM_PLACE_NEVER },
	{ "1.0.0.0", MM_PLACE_PUBLIC },
	{ "9.255.255.255", MM_PLACE_PUBLIC },
	{ "10.0.0.0", MM_PLACE_PRIVATE },
	{ "10.255.255.255", MM_PLACE_PRIVATE },
	{ "11.0.0.0", MM_PLACE_PUBLIC },
	{ "100.63.255.255", MM_PLACE_PUBLIC },
	{ "100.64.0.0", MM_PLACE_PRIVATE },
	{ "100.127.255.255", MM_PLACE_PRIVATE },
	{ "100.100.100.199", MM_PLACE_PRIVATE },
	{ "100.100.100.200", MM_PLACE_NEVER },
	{ "::ffff:100.100.100.200", MM_PLACE_NEVER },
	{ "100.128.0.0", MM_PLACE_PUBLIC },
	{ "127.0.0.1", MM_PLACE_LOOPBACK },
	{ "127.255.255.255", MM_PLACE_LOOPBACK },
	{ "128.0.0.0", MM_PLACE_PUBLIC },
	{ "169.253.255.255", MM_PLACE_PUBLIC },
	{ "169.254.169.254", MM_PLACE_NEVER },
	{ "169.255.0.0", MM_PLACE_PUBLIC },
	{ "172.15.255.255", MM_PLACE_PUBLIC },
	{ "172.16.0.0", MM_PLACE_PRIVATE },
	{ "172.31.255.255", MM_PLACE_PRIVATE },
	{ "172.32.0.0", MM_PLACE_PUBLIC },
	{ "192.0.0.192", MM_PLACE_NEVER },
	{ "192.0.1.0", MM_PLACE_PUBLIC },
	{ "192.168.0.0", MM_PLACE_PRIVATE },
	{ "192.169.0.0", MM_PLACE_PUBLIC },
	{ "198.18.0.0", MM_PLACE_PRIVATE },
	{ "198.20.0.0", MM_PLACE_PUBLIC },
	{ "223.255.255.255", MM_PLACE_PUBLIC },
	{ "224.0.0.1", MM_PLACE_NEVER },
	{ "255.255.255.255", MM_PLACE_NEVER },
	{ "::", MM_PLACE_NEVER },
	{ "::1", MM_PLACE_LOOPBACK },
	{ "::2", MM_PLACE_NEVER },
	{ "fe80::1", MM_PLACE_NEVER },
	{ "febf::1", MM_PLACE_NEVER },
	{ "fec0::1", MM_PLACE_PRIVATE },
	{ "fc00::1", MM_PLACE_PRIVATE },
	{ "fdff::1", MM_PLACE_PRIVATE },
	{ "fd00:ec2::254", MM_PLACE_NEVER },
	{ "ff02::1", MM_PLACE_NEVER },
	{ "2001:db8::1", MM_PLACE_PUBLIC },
	{ "2606:4700::1", MM_PLACE_PUBLIC },
	{ "::ffff:127.0.0.1", MM_PLACE_LOOPBACK },
	{ "::ffff:169.254.169.254", MM_PLACE_NEVER },
	{ "::ffff:8.8.8.8", MM_PLACE_PUBLIC },
	{ "64:ff9b::a9fe:a9fe", MM_PLACE_NEVER },
	{ "64:ff9b::808:808", MM_PLACE_PUBLIC },
	{ "64:ff9b:1::a9fe:a9fe", MM_PLACE_NEVER },
	{ "64:ff9b:1:ffff:ffff::1", MM_PLACE_NEVER },
	{ "64:ff9b:2::1", MM_PLACE_PUBLIC },
	{ "2000:ffff:ffff::1", MM_PLACE_PUBLIC },
	{ "2001::1", MM_PLACE_NEVER },
	{ "2001:0:ffff:ffff::1", MM_PLACE_NEVER },
	{ "2001:1::1", MM_PLACE_PUBLIC },
	{ "2002:a9fe:a9fe::1", MM_PLACE_NEVER },
	{ "2002:0a00:0001::1", MM_PLACE_PRIVATE },
	{ "2002:0808:0808::1", MM_PLACE_PUBLIC },
};

static void
addresses_have_their_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (place(rows[i].text) != rows[i].want)
			fail_msg("%s: %d, want %d", rows[i].text,
			    (int)place(rows[i].text), (int)rows[i].want);
}

static void
what_is_no_address_is_never_allowed(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	(void)state;
	assert_int_equal(mm_courier_place((const struct sockaddr *)&un),
	    MM_PLACE_NEVER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_have_their_place),
		cmocka_unit_test(what_is_no_address_is_never_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
