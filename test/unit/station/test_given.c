#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "pki/key.h"
#include "station/given.h"

/* What a board is given, and what that means for what it has. */
#define DONE MM_EV_DONE
#define SKIP MM_EV_SKIP
#define HOLD MM_EV_HOLD
#define FAIL MM_EV_FAIL

static void
row(const char *what, bool ok)
{
	if (!ok)
		fail_msg("%s", what);
}

static void
as_a_board_gets_it(void **state)
{
	struct mm_given g;
	uint8_t hash[32] = { 7 };

	(void)state;
	mm_given_init(&g);
	assert_int_equal(mm_given_set(&g, 258, mm_bytes_of("{}"), hash, NULL),
	    MM_OK);
	assert_int_equal(g.part.n, 6);
	assert_memory_equal(g.part.p, "\0\0\1\2{}", 6);
	assert_memory_equal(g.mark, hash, 32);
	assert_int_equal(mm_given_set(&g, 0, mm_bytes_of(""), hash, NULL),
	    MM_OK);
	assert_int_equal(g.part.n, 0);
	assert_int_equal(g.is, MM_GIVEN_HERE);
	assert_int_equal(mm_given_set(&g, (int64_t)INT32_MAX + 1,
	    mm_bytes_of("{}"), hash, NULL), MM_EINPUT);
	assert_int_equal(mm_given_set(&g, -1, mm_bytes_of("{}"), hash, NULL),
	    MM_EINPUT);
	mm_given_done(&g);
}

#define HASH_OF_EMPTY_OBJECT \
	"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

static void
answers(void **state)
{
	static const struct {
		const char *what, *answer;
		enum mm_err want;
	} rows[] = {
		{ "whole", "{\"batch\":\"b\",\"device\":\"SN-1\",\"version\":"
		    "3,\"sha256\":\"" HASH_OF_EMPTY_OBJECT "\",\"document\":"
		    "\"{}\"}", MM_OK },
		{ "none", "{\"device\":\"SN-1\",\"version\":0}", MM_OK },
		{ "another device's", "{\"device\":\"SN-2\",\"version\":0}",
		    MM_EINPUT },
		{ "changed on the way", "{\"device\":\"SN-1\",\"version\":3,"
		    "\"sha256\":\"" HASH_OF_EMPTY_OBJECT "\",\"document\":"
		    "\"{ }\"}", MM_EINPUT },
		{ "without a hash", "{\"device\":\"SN-1\",\"version\":3,"
		    "\"document\":\"{}\"}", MM_EINPUT },
		{ "without a version", "{\"device\":\"SN-1\"}", MM_EINPUT },
		{ "a version that is none", "{\"device\":\"SN-1\","
		    "\"version\":-3,\"sha256\":\"" HASH_OF_EMPTY_OBJECT
		    "\",\"document\":\"{}\"}", MM_EINPUT },
		{ "a list", "[]", MM_EINPUT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *answer = json_loads(rows[i].answer, 0, NULL);
		struct mm_given g;
		struct mm_why why = { 0 };

		mm_given_init(&g);
		row(rows[i].what, mm_given_take(&g, "SN-1", answer, &why) ==
		    rows[i].want);
		row(rows[i].what, strstr(why.text, "{") == NULL);
		mm_given_done(&g);
		json_decref(answer);
	}
}

/* A board says what it has; the batch gives version 3, with bundle 1. */
static const struct {
	const char *what;
	int64_t gives;
	struct mm_unit_said said;
	enum mm_unit_event cert, want;
	enum mm_unit_reason why;
} judgements[] = {
	{ "blank", 3, { .has_key = true }, DONE, DONE, MM_UR_NONE },
	{ "has all of it", 3, { .has_bundle = true, .bundle = { 1 },
	    .config = 3 }, SKIP, SKIP, MM_UR_NONE },
	{ "and is locked", 3, { .has_bundle = true, .bundle = { 1 },
	    .config = 3, .locked = true }, SKIP, SKIP, MM_UR_NONE },
	{ "the certificate alone", 3, { .has_bundle = true,
	    .bundle = { 2 } }, SKIP, DONE, MM_UR_NONE },
	{ "an older one", 3, { .has_bundle = true, .bundle = { 2 },
	    .config = 2 }, SKIP, DONE, MM_UR_NONE },
	{ "a newer one", 3, { .has_bundle = true, .bundle = { 2 },
	    .config = 4 }, SKIP, FAIL, MM_UR_CONFIG_OLDER },
	{ "a newer one, with another certificate", 3,
	    { .has_bundle = true, .bundle = { 2 }, .config = 4 }, DONE,
	    FAIL, MM_UR_CONFIG_OLDER },
	{ "some, and the batch gives none", 0, { .has_bundle = true,
	    .bundle = { 2 }, .config = 4 }, DONE, FAIL,
	    MM_UR_CONFIG_OLDER },
	{ "the same certificate, and the batch gives none", 0,
	    { .has_bundle = true, .bundle = { 2 }, .config = 4 }, SKIP,
	    SKIP, MM_UR_NONE },
	{ "locked with the certificate alone", 3, { .has_bundle = true,
	    .bundle = { 2 }, .locked = true }, SKIP, HOLD,
	    MM_UR_CONFIG_OTHER },
	{ "locked with that version below another chain", 3,
	    { .has_bundle = true, .bundle = { 2 }, .config = 3,
	    .locked = true }, SKIP, SKIP, MM_UR_NONE },
	{ "a program that does not tell", 3, { .has_cert = true },
	    SKIP, SKIP, MM_UR_NONE },
	{ "has all of it, salted", 3, { .has_bundle = true,
	    .bundle = { 5 }, .config = 3, .locked = true }, SKIP,
	    SKIP, MM_UR_NONE },
	{ "takes no salt, and is blank", 3, { .has_key = true,
	    .bare = true }, DONE, FAIL, MM_UR_LIBRARY },
	{ "takes no salt, and has an older one", 3,
	    { .has_bundle = true, .bundle = { 2 }, .bare = true,
	    .config = 2 }, SKIP, FAIL, MM_UR_LIBRARY },
	{ "takes no salt, and has all of it", 3, { .has_bundle = true,
	    .bundle = { 1 }, .bare = true, .config = 3 }, SKIP, SKIP,
	    MM_UR_NONE },
	{ "put aside anyway", 3, { .has_bundle = true,
	    .bundle = { 2 }, .config = 9 }, HOLD, HOLD, MM_UR_NONE },
};

static void
judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(judgements) / sizeof(judgements[0]);
	     i++) {
		const struct mm_given g = { .version = judgements[i].gives,
			.bundle = { 1 }, .salted = { 5 }, .has_salt = true,
			.guessable = true };
		enum mm_unit_reason why = MM_UR_NONE;

		row(judgements[i].what, mm_given_judge(&g, &judgements[i].said,
		    judgements[i].cert, &why) == judgements[i].want);
		row(judgements[i].what, why == judgements[i].why);
	}
}

/* What a board that takes no salt may be given. */
static void
without_a_salt(void **state)
{
	static const struct {
		const char *what;
		bool salt, guessable, bare, may;
	} rows[] = {
		{ "takes the salt", true, true, false, true },
		{ "takes none, and there is no short secret", true, false,
		    true, true },
		{ "takes none, and the batch has none", false, true, true,
		    true },
		{ "takes none", true, true, true, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct mm_given g = { .version = 1,
			.has_salt = rows[i].salt,
			.guessable = rows[i].guessable };
		const struct mm_unit_said said = { .bare = rows[i].bare };

		row(rows[i].what, mm_given_may(&g, &said) == rows[i].may);
	}
}

static void
read_back(void **state)
{
	struct mm_given g = { .bundle = { 1 }, .written = true };
	struct mm_unit_said said = { .has_bundle = true, .bundle = { 2 } };
	enum mm_unit_reason why = MM_UR_NONE;

	(void)state;
	assert_int_equal(mm_given_read_back(&g, &said, MM_EV_DONE, &why),
	    MM_EV_FAIL);
	assert_int_equal(why, MM_UR_READ_BACK);
	assert_int_equal(mm_given_read_back(&g, &said, MM_EV_HOLD, &why),
	    MM_EV_HOLD);
	said.bundle[0] = 1;
	assert_int_equal(mm_given_read_back(&g, &said, MM_EV_DONE, &why),
	    MM_EV_DONE);
	said.bundle[0] = 2;
	g.written = false;
	assert_int_equal(mm_given_read_back(&g, &said, MM_EV_DONE, &why),
	    MM_EV_DONE);
}

/* docs/protocol/link.md, commit: by a salt of the console's own, made of the
 * device's. */
static void
sealed(void **state)
{
	const uint8_t salt[MM_SALT_N] = { 9 }, none[MM_SALT_N] = { 0 };
	const uint8_t mark[32] = { 7 };
	uint8_t bundle[32], all[48], want[32];
	struct mm_given g;

	(void)state;
	mm_given_init(&g);
	assert_int_equal(mm_given_set(&g, 1, mm_bytes_of("{}"), mark, NULL),
	    MM_OK);
	mm_given_salt(&g, none);
	mm_given_seal(&g, mm_bytes_of("cert"), mm_bytes_of("chain"));
	assert_false(g.has_salt);
	mm_sha256((struct mm_bytes){ (const uint8_t *)"certchain\0\0\0\1{}",
	    15 }, bundle);
	assert_memory_equal(g.bundle, bundle, 32);
	mm_given_salt(&g, salt);
	mm_given_seal(&g, mm_bytes_of("cert"), mm_bytes_of("chain"));
	assert_true(g.has_salt);
	assert_memory_equal(g.bundle, bundle, 32);
	assert_memory_not_equal(g.salt, salt, MM_SALT_N);
	memcpy(all, bundle, 32);
	memcpy(all + 32, g.salt, 16);
	mm_sha256((struct mm_bytes){ all, sizeof(all) }, want);
	assert_memory_equal(g.salted, want, 32);
	/* what has no secrets needs none */
	assert_int_equal(mm_given_set(&g, 0, mm_bytes_of(""), mark, NULL),
	    MM_OK);
	mm_given_salt(&g, salt);
	assert_false(g.has_salt);
	mm_given_done(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_a_board_gets_it),
		cmocka_unit_test(answers),
		cmocka_unit_test(judged),
		cmocka_unit_test(sealed),
		cmocka_unit_test(without_a_salt),
		cmocka_unit_test(read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
