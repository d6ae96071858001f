#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/own.h"
#include "pki/profile.h"

/* Issuers that follow each other: who signs when, what may be configured. */

#define BLOCK(name, more)                                        \
	"issuer \"" name "\" { certificate = \"" name ".pem\" " \
	"key = \"" name ".key\"\n" more "\n}\n"
#define PROFILE "profile \"thermo\" { issuer = \"a\"\nsubject = { \"CN={device}\" } }\n"
#define B_2027 BLOCK("b", "follows = \"a\"\nfollows_from = \"2027-01-01T00:00:00Z\"")
#define C_2028 BLOCK("c", "follows = \"b\"\nfollows_from = \"2028-01-01T00:00:00Z\"")
#define Y2027 INT64_C(1798761600)
#define Y2028 INT64_C(1830297600)

static struct mm_config *
parse(const char *text, struct mm_why *why)
{
	struct mm_config *c = NULL;

	return mm_config_parse(mm_bytes_of(text), "/x/mintmark.conf", &c,
	    why) == MM_OK ? c : NULL;
}

static void
test_who_signs_when(void **state)
{
	static const struct {
		const char *text, *named;
		int64_t at;
		const char *want;
	} rows[] = {
		{ BLOCK("a", ""), "a", Y2027, "a" },
		{ BLOCK("a", "") B_2027, "a", Y2027 - 1, "a" },
		{ BLOCK("a", "") B_2027, "a", Y2027, "b" },
		{ BLOCK("a", "") B_2027 C_2028, "a", Y2028 - 1, "b" },
		{ BLOCK("a", "") B_2027 C_2028, "a", Y2028, "c" },
		{ C_2028 B_2027 BLOCK("a", ""), "a", Y2028, "c" },
		{ BLOCK("a", "") B_2027, "b", Y2027 - 1, "b" },
		{ BLOCK("a", "") BLOCK("b", "follows = \"a\""), "a", 0, "b" },
		/* its own time has come, and that of who is before it not */
		{ BLOCK("a", "") B_2027 BLOCK("c", "follows = \"b\""), "a",
		    Y2027 - 1, "a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		MM_OWN(mm_config_free) struct mm_config *c =
		    parse(rows[i].text, NULL);

		assert_non_null(c);
		assert_string_equal(mm_config_issuing(c, rows[i].named,
		    rows[i].at)->name, rows[i].want);
	}
}

static void
test_states(void **state)
{
	MM_OWN(mm_config_free) struct mm_config *c = parse(
	    BLOCK("a", "") B_2027 C_2028 BLOCK("z", "retired = true"), NULL);
	static const char *const want[] = { "followed", "issuing", "next",
		"retired" };

	(void)state;
	assert_non_null(c);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(mm_issuer_states[mm_config_state(c,
		    &c->issuer[i], Y2027)], want[i]);
		assert_string_equal(mm_config_first(c, &c->issuer[i])->name,
		    i < 3 ? "a" : "z");
	}
}

static void
test_what_is_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ BLOCK("a", "follows = \"a\""), "follows" },
		{ BLOCK("a", "follows = \"b\"") BLOCK("b", "follows = \"a\""),
		    "itself" },
		{ BLOCK("a", "follows = \"none\""), "no issuer" },
		{ BLOCK("a", "follows_from = \"2027-01-01T00:00:00Z\""),
		    "without" },
		{ BLOCK("a", "") BLOCK("b",
		    "follows = \"a\"\nfollows_from = \"soon\""),
		    "2027-01-01T00:00:00Z" },
		{ BLOCK("a", "") B_2027 BLOCK("c", "follows = \"a\""),
		    "another one" },
		{ BLOCK("a", "") BLOCK("b", "follows = \"a\"\nlines = 5"),
		    "both" },
		{ BLOCK("a", "") BLOCK("b", "follows = \"a\"\nline = true"),
		    "both" },
		{ BLOCK("a", "lines = 5") BLOCK("b", "lines = 5"),
		    "one issuer signs line CAs" },
		{ BLOCK("a", "") BLOCK("a", ""), "duplicate" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_why why = { 0 };

		assert_null(parse(rows[i].text, &why));
		if (strstr(why.text, rows[i].says) == NULL)
			fail_msg("%zu: %s", i, why.text);
	}
}

static void
test_line_makers_may_follow(void **state)
{
	MM_OWN(mm_config_free) struct mm_config *c = parse(
	    BLOCK("b", "follows = \"a\"\nlines = 7")
	    BLOCK("a", "lines = 5") PROFILE, NULL);

	(void)state;
	assert_null(c); /* no profile may name one that signs line CAs */
	c = parse(BLOCK("b", "follows = \"a\"\nlines = 7")
	    BLOCK("a", "lines = 5"), NULL);
	assert_non_null(c);
	assert_string_equal(mm_config_first(c, mm_config_lines(c))->name, "a");
}

/* A profile's hash is its own: it does not change when its issuer does. */
static void
test_profiles_stay(void **state)
{
	MM_OWN(mm_config_free) struct mm_config *one =
	    parse(BLOCK("a", "") PROFILE, NULL);
	MM_OWN(mm_config_free) struct mm_config *two =
	    parse(BLOCK("a", "") B_2027 PROFILE, NULL);
	uint8_t hash[2][32];

	(void)state;
	assert_non_null(one);
	assert_non_null(two);
	assert_int_equal(mm_profile_hash(&one->profile[0], hash[0], NULL),
	    MM_OK);
	assert_int_equal(mm_profile_hash(&two->profile[0], hash[1], NULL),
	    MM_OK);
	assert_memory_equal(hash[0], hash[1], 32);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_signs_when),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_line_makers_may_follow),
		cmocka_unit_test(test_profiles_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
