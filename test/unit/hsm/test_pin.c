#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hsm/hsm.h"

/* Which keys one PIN opens, for which it is tried once. */
static const struct {
	const char *what, *key, *pin_file;
	bool same; /* as the first one's */
} rows[] = {
	{ "the first", "pkcs11:token=mint;serial=1;object=a", "/pin", true },
	{ "another key", "pkcs11:token=mint;serial=1;object=b", "/pin", true },
	{ "by its id", "pkcs11:token=mint;serial=1;id=%01%02;type=private",
	    "/pin", true },
	{ "in another order", "pkcs11:object=a;serial=1;token=mint", "/pin",
	    true },
	{ "written otherwise", "pkcs11:token=m%69nt;serial=%31;object=a",
	    "/pin", true },
	{ "an escape that is none", "pkcs11:token=mint%;serial=1;object=a",
	    "/pin", false },
	{ "another token", "pkcs11:token=mint;serial=2;object=a", "/pin",
	    false },
	{ "two that read as one", "pkcs11:token=mint%3bserial=1;object=a",
	    "/pin", false },
	{ "another module",
	    "pkcs11:token=mint;serial=1;object=a?module-path=/m.so", "/pin",
	    false },
	{ "another PIN", "pkcs11:token=mint;serial=1;object=a", "/pin2",
	    false },
};

static void
test_pin_ids(void **state)
{
	struct mm_issuer_conf conf = { .name = "issuing" };
	uint8_t first[32], id[32];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s\n", rows[i].what);
		strcpy(conf.key, rows[i].key);
		strcpy(conf.pin_file, rows[i].pin_file);
		assert_int_equal(mm_hsm_pin_id(&conf, id, NULL), MM_OK);
		if (i == 0)
			memcpy(first, id, 32);
		assert_int_equal(memcmp(id, first, 32) == 0, rows[i].same);
	}
}

static void
test_too_many_parts(void **state)
{
	struct mm_issuer_conf conf = { .name = "issuing" };
	uint8_t id[32];

	(void)state;
	strcpy(conf.key, "pkcs11:");
	for (unsigned i = 0; i < 33; i++)
		strcat(conf.key, "x=1;");
	assert_int_equal(mm_hsm_pin_id(&conf, id, NULL), MM_EINPUT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pin_ids),
		cmocka_unit_test(test_too_many_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
