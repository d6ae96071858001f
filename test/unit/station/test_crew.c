#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "station/crew_priv.h"

/* Who stands at the line, of people that were told before. */
static char folder[] = "/tmp/mintmark-crew-XXXXXX";
static struct mm_station_conf conf = { .batch = "b7",
	.offline = MM_OFFLINE_NEVER };

static const struct {
	const char *id, *role, *badge;
} people[] = { { "op-1", "operator", "0012345678" },
	{ "op-2", "operator", "B-2 x" }, { "boss", "supervisor", "S-99" } };
enum { PEOPLE = sizeof(people) / sizeof(people[0]) };

static void
keep(const char *text)
{
	char path[sizeof(conf.state) + 16];

	snprintf(path, sizeof(path), "%s/people-b7", conf.state);
	assert_int_equal(
	    mm_file_replace(path, mm_bytes_of(text), 0600, NULL), MM_OK);
}

static void
keep_people_of(const char *serials)
{
	static const uint8_t salt[16] = { 1, 2, 3 };
	char text[1024], hex[65];
	size_t n = (size_t)sprintf(text,
	    "{\"batch\":\"b7\",\"badge_salt\":\"01020300000000000000000000000"
	    "000\",\"locks\":true,\"replaces\":false,"
	    "%s\"people\":[", serials);

	for (size_t i = 0; i < PEOPLE; i++) {
		uint8_t hash[32];

		assert_int_equal(mm_work_badge(mm_bytes_of(people[i].badge),
		    salt, hash, NULL), MM_OK);
		mm_hex_text(hash, 32, hex);
		n += (size_t)sprintf(text + n, "%s{\"id\":\"%s\",\"role\":"
		    "\"%s\",\"badge\":\"%s\"}", i > 0 ? "," : "",
		    people[i].id, people[i].role, hex);
	}
	strcpy(text + n, "]}");
	keep(text);
}

static void
keep_people(void)
{
	keep_people_of("");
}

static struct mm_crew *
fresh(void)
{
	struct mm_crew *c = NULL;

	assert_int_equal(mm_crew_open(&conf, NULL, false, &c, NULL), MM_OK);
	return c;
}

/* As a scanner's text goes: compared, and then it counts. */
static bool
scan(struct mm_crew *c, const char *text)
{
	uint64_t ticket = mm_crew_ask(c, MM_DOOR_TYPED, mm_bytes_of(text));
	struct mm_crew_badge b;

	assert_int_not_equal(ticket, 0);
	while (!mm_crew_look(c, ticket, &b)) {
		struct pollfd p = mm_crew_wish(c);

		if (mm_crew_look(c, ticket, &b))
			break;
		(void)poll(&p, 1, 1000);
	}
	if (b.id[0] != '\0')
		mm_crew_came(c, MM_DOOR_TYPED, &b);
	return b.id[0] != '\0';
}

static void
badges_in_and_out(void **state)
{
	static const struct {
		const char *line;
		bool badge;
		const char *operator, *supervisor;
	} rows[] = {
		{ "0012345678", true, "op-1", "" },
		{ "SN-000001", false, "op-1", "" },
		{ "B-2 x", true, "op-2", "" },
		{ "B-2 x", true, "", "" },
		{ "S-99", true, "boss", "boss" },
		{ "0012345678", true, "op-1", "" },
		{ "S-99", true, "op-1", "boss" },
		{ "0012345678", true, "", "" },
		{ "", false, "", "" }, { "S-9", false, "", "" },
		{ "S-99 ", false, "", "" },
	};
	struct mm_crew *c;

	(void)state;
	keep_people();
	c = fresh();
	assert_true(mm_crew_asks(c));
	assert_int_equal(mm_crew_unknown(c), MM_UR_NONE);
	assert_string_equal(mm_crew_operator(c), "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (scan(c, rows[i].line) != rows[i].badge ||
		    strcmp(mm_crew_operator(c), rows[i].operator) != 0 ||
		    strcmp(mm_crew_supervisor(c), rows[i].supervisor) != 0)
			fail_msg("row %zu, %s", i, rows[i].line);
	mm_crew_close(&c);
}

static void
whose_it_is(void **state)
{
	char id[MM_DEVICE_ID_MAX + 1] = "";
	struct mm_crew *c;

	(void)state;
	keep_people();
	c = fresh();
	assert_int_equal(mm_crew_who(c, mm_bytes_of("B-2 x"), MM_WORK_OPERATOR,
	    id, NULL), MM_OK);
	assert_string_equal(id, "op-2");
	assert_int_equal(mm_crew_who(c, mm_bytes_of("B-2 x"),
	    MM_WORK_SUPERVISOR, id, NULL), MM_EPOLICY);
	assert_int_equal(mm_crew_who(c, mm_bytes_of("S-99"), MM_WORK_OPERATOR,
	    id, NULL), MM_OK);
	assert_string_equal(id, "boss");
	assert_int_equal(mm_crew_who(c, mm_bytes_of("guess"), MM_WORK_OPERATOR,
	    id, NULL), MM_EPOLICY);
	/* nobody is in by that alone */
	assert_string_equal(mm_crew_operator(c), "");
	mm_crew_close(&c);
}

static void
nobody_is_asked_for(void **state)
{
	char id[MM_DEVICE_ID_MAX + 1] = "";
	struct mm_crew *c;

	(void)state;
	keep("{\"batch\":\"b7\",\"people\":[],\"locks\":true,"
	    "\"replaces\":false}");
	c = fresh();
	assert_false(mm_crew_asks(c));
	assert_int_equal(mm_crew_unknown(c), MM_UR_NONE);
	assert_int_equal(mm_crew_who(c, mm_bytes_of("S-99"), MM_WORK_OPERATOR,
	    id, NULL), MM_EPOLICY);
	mm_crew_close(&c);
	assert_false(mm_crew_asks(NULL));
}

/* A file of before there were recipes says nothing of them; it must not count
 * as the word that the batch has none. */
static void
recipes_are_known(void **state)
{
	static const struct {
		const char *what, *file, *recipe;
		enum mm_unit_reason unknown;
	} rows[] = {
		{ "of before", "{\"people\":[]}", "", MM_UR_AWAY },
		{ "none, but not which are locked",
		    "{\"people\":[],\"recipe\":\"\"}", "", MM_UR_AWAY },
		{ "none", "{\"people\":[],\"locks\":true,"
		    "\"replaces\":false}", "", MM_UR_NONE },
		{ "one", "{\"people\":[],\"recipe\":\"esp\",\"locks\":true,"
		    "\"replaces\":false}", "esp", MM_UR_NONE },
		{ "no name", "{\"people\":[],\"recipe\":\"../x\","
		    "\"locks\":true,\"replaces\":false}", "?", MM_UR_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_crew *c;

		keep(rows[i].file);
		c = fresh();
		if (mm_crew_unknown(c) != rows[i].unknown ||
		    strcmp(mm_crew_recipe(c, false), rows[i].recipe) != 0)
			fail_msg("%s", rows[i].what);
		mm_crew_close(&c);
	}
}

/* Not having heard is no answer. */
static void
nobody_has_said(void **state)
{
	char id[MM_DEVICE_ID_MAX + 1] = "", path[sizeof(conf.state) + 16];
	struct mm_crew *c;

	(void)state;
	snprintf(path, sizeof(path), "%s/people-b7", conf.state);
	(void)unlink(path);
	c = fresh();
	assert_int_equal(mm_crew_unknown(c), MM_UR_AWAY);
	assert_int_equal(mm_crew_who(c, mm_bytes_of("S-99"), MM_WORK_OPERATOR,
	    id, NULL), MM_EAGAIN);
	mm_crew_close(&c);
}

/* A supervisor's badge is good for one decision, where it was scanned. */
static void
one_decision(void **state)
{
	const struct mm_crew_badge boss = { "boss", MM_WORK_SUPERVISOR },
		op = { "op-1", MM_WORK_OPERATOR };
	struct mm_crew *c;

	(void)state;
	keep_people();
	c = fresh();
	mm_crew_came(c, MM_DOOR_TYPED, &op);
	mm_crew_came(c, MM_DOOR_SCREEN, &boss);
	assert_string_equal(mm_crew_decides(c, MM_DOOR_SCREEN), "boss");
	assert_string_equal(mm_crew_decides(c, MM_DOOR_TYPED), "");
	assert_string_equal(mm_crew_decides(c, MM_DOOR_API), "");
	mm_crew_decided(c);
	assert_string_equal(mm_crew_decides(c, MM_DOOR_SCREEN), "");
	assert_string_equal(mm_crew_operator(c), "op-1");
	mm_crew_came(c, MM_DOOR_API, &boss);
	assert_string_equal(mm_crew_decides(c, MM_DOOR_API), "");
	mm_crew_close(&c);
}

/* Many wrong ones at one door are no matter at another. */
static void
doors_are_apart(void **state)
{
	const struct mm_bytes wrong = mm_bytes_of("wrong"),
		right = mm_bytes_of("B-2 x");
	struct mm_crew_badge b;
	struct mm_crew *c;
	uint64_t first;

	(void)state;
	keep_people();
	c = fresh();
	first = mm_crew_ask(c, MM_DOOR_API, wrong);
	assert_int_not_equal(first, 0);
	while (!mm_crew_look(c, first, &b))
		(void)usleep(1000);
	assert_string_equal(b.id, "");
	assert_true(c->guess[MM_DOOR_API].paid_ms > 0);
	assert_int_equal(c->guess[MM_DOOR_TYPED].paid_ms, 0);
	assert_int_equal(c->guess[MM_DOOR_SCREEN].paid_ms, 0);
	c->guess[MM_DOOR_API].paid_ms = INT64_MAX / 2;
	assert_false(mm_crew_may(c, MM_DOOR_API));
	assert_int_equal(mm_crew_ask(c, MM_DOOR_API, right), 0);
	assert_true(mm_crew_may(c, MM_DOOR_TYPED));
	do
		first = mm_crew_ask(c, MM_DOOR_TYPED, right);
	while (first == 0);
	while (!mm_crew_look(c, first, &b))
		(void)usleep(1000);
	assert_string_equal(b.id, "op-2");
	mm_crew_close(&c);
}

static void
what_is_a_label(void **state)
{
	static const struct {
		const char *serials, *text;
		enum mm_crew_label want;
	} rows[] = {
		{ "", "SN-01", MM_CREW_MAYBE_LABEL },
		{ "\"serials\":\"SN-{01..20}\",", "SN-01", MM_CREW_A_LABEL },
		{ "\"serials\":\"SN-{01..20}\",", "SN-21",
		    MM_CREW_NO_LABEL },
		{ "\"serials\":\"SN-{01..20}\",", "0012345678",
		    MM_CREW_NO_LABEL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_crew *c;

		keep_people_of(rows[i].serials);
		c = fresh();
		if (mm_crew_label(c, rows[i].text) != rows[i].want)
			fail_msg("row %zu, %s", i, rows[i].text);
		mm_crew_close(&c);
	}
}

/* A burst, then one a second, whatever came between. */
static void
guesses(void **state)
{
	struct mm_guess g = { 0 };
	unsigned n = 0;

	(void)state;
	for (; mm_guess_may(&g, 5000) && n < 100; n++)
		mm_guess_wrong(&g, 5000);
	assert_int_equal(n, MM_GUESS_FREE);
	assert_false(mm_guess_may(&g, 5000 + MM_GUESS_MS - 1));
	assert_true(mm_guess_may(&g, 5000 + MM_GUESS_MS));
	mm_guess_wrong(&g, 5000 + MM_GUESS_MS);
	assert_false(mm_guess_may(&g, 5000 + MM_GUESS_MS));
	for (n = 0; mm_guess_may(&g, 3600000) && n < 100; n++)
		mm_guess_wrong(&g, 3600000);
	assert_int_equal(n, MM_GUESS_FREE);
}

/* What was damaged lets nobody make anything. */
static void
damaged(void **state)
{
	static const char *const rows[] = { "", "{}", "[]", "{\"people\":[{}]}",
		"{\"people\":[{\"id\":\"a\",\"role\":\"king\",\"badge\":"
		"\"00\"}]}",
		"{\"people\":[{\"id\":\"a\",\"role\":\"operator\",\"badge\":"
		"\"0000000000000000000000000000000000000000000000000000000000"
		"000000\"}]}" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_crew *c = NULL;

		keep(rows[i]);
		assert_int_equal(mm_crew_open(&conf, NULL, false, &c, NULL),
		    MM_EINPUT);
		assert_null(c);
	}
}

static void
decisions_are_kept(void **state)
{
	const struct mm_crew_decision good = { "scrap", "SN-1", "boss",
		"it \"fell\"" }, none = { "scrap", "SN-1", "boss", "" };
	struct mm_buf b = MM_BUF_INIT(4096);
	char path[sizeof(conf.state) + 16];
	struct mm_crew *c;

	(void)state;
	keep_people();
	c = fresh();
	assert_int_equal(mm_crew_decide(c, &none, NULL), MM_EINPUT);
	assert_int_equal(mm_crew_decide(c, &good, NULL), MM_OK);
	assert_int_equal(mm_crew_decide(c, &good, NULL), MM_OK);
	snprintf(path, sizeof(path), "%s/decisions", conf.state);
	assert_int_equal(mm_file_read(path, &b, NULL), MM_OK);
	assert_non_null(strstr(mm_buf_cstr(&b), "\"decision\":\"scrap\","
	    "\"device\":\"SN-1\",\"by\":\"boss\",\"reason\":\"it \\\"fell\\\""
	    "\"}\n{\"at\":"));
	mm_buf_reset(&b);
	/* one that was torn is none of the next one's */
	assert_int_equal(mm_file_replace(path, mm_bytes_of("{\"at\":"), 0600,
	    NULL), MM_OK);
	assert_int_equal(mm_crew_decide(c, &good, NULL), MM_OK);
	assert_int_equal(mm_file_read(path, &b, NULL), MM_OK);
	assert_memory_equal(mm_buf_cstr(&b), "{\"at\":\n{\"at\":", 13);
	mm_buf_done(&b);
	(void)unlink(path);
	mm_crew_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(badges_in_and_out),
		cmocka_unit_test(whose_it_is),
		cmocka_unit_test(nobody_is_asked_for),
		cmocka_unit_test(recipes_are_known),
		cmocka_unit_test(nobody_has_said),
		cmocka_unit_test(one_decision),
		cmocka_unit_test(doors_are_apart),
		cmocka_unit_test(what_is_a_label),
		cmocka_unit_test(guesses),
		cmocka_unit_test(damaged),
		cmocka_unit_test(decisions_are_kept),
	};
	int failed;

	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(conf.state, sizeof(conf.state), "%s", folder);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)!chdir(folder);
	(void)unlink("people-b7");
	(void)rmdir(folder);
	return failed;
}
