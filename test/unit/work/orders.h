#ifndef TEST_ORDERS_H
#define TEST_ORDERS_H

#include "../ledger/signing.h"
#include "work/order.h"

#define CENTRE "mintmark.acme.example"
#define KEY    CENTRE "/orders"

static const struct mm_work_profile test_profiles[] = {
	{ "thermo", 3, { 3, 3 } },
	{ "thermo-idev", 1, { 4, 4 } },
};
static const struct mm_work_person test_people[] = {
	{ "p-1", MM_WORK_OPERATOR, { 1, 1 } },
	{ "p-2", MM_WORK_SUPERVISOR, { 2, 2 } },
};
static const uint8_t test_der[] = { 0x30, 0x00 };

/* An order with every field. */
static inline struct mm_work_order
test_order(void)
{
	struct mm_work_order o = {
		.centre = CENTRE, .station = "l3", .number = 12,
		.previous = { 0xab }, .made_ms = INT64_C(1795935600123),
		.batch = "b7", .product = "thermo",
		.mode = MM_WORK_OFFLINE, .share = 2575, .scrap = 75,
		.not_before_ms = INT64_C(1795935600000),
		.until_ms = INT64_C(1798527600000), .unsynced_s = 86400,
		.level = MM_WORK_ROLLBACK_PROOF,
		.serials = "SN-{000001..005000}", .scan = "gs1:01=04012345000009",
		.recipe = "esp32-v2", .config_version = 2,
		.config_sha256 = { 5 }, .fields_sha256 = { 6 },
		.ca_chain = { test_der, sizeof(test_der) },
		.ca_key = { test_der, sizeof(test_der) },
		.badge_salt = { 7 },
		.profiles = test_profiles, .profiles_n = 2,
		.people = test_people, .people_n = 2,
	};
	return o;
}

#endif
