#include "orders.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "pki/key.h"

static struct mm_buf
encoded(const struct mm_work_order *o)
{
	struct mm_buf b = MM_BUF_INIT(MM_WORK_TEXT_MAX);
	struct mm_why why = { 0 };

	if (mm_work_order_encode(o, &b, &why) != MM_OK)
		fail_msg("%s", why.text);
	return b;
}

/* docs/protocol/order.md has the same line. */
static void
the_text_is_as_documented(void **state)
{
	static const char want[] = "mintmark-order/1\n"
	    "{\"centre\":\"mintmark.acme.example\",\"station\":\"l3\","
	    "\"number\":1,\"made_at\":\"2026-11-29T07:00:00.123Z\","
	    "\"batch\":\"b7\",\"product\":\"thermo\",\"state\":\"open\","
	    "\"marker\":\"test\",\"mode\":\"online\",\"share\":25,"
	    "\"scrap\":0,\"not_before\":\"2026-11-29T07:00:00.000Z\","
	    "\"until\":\"2026-12-29T07:00:00.000Z\","
	    "\"level\":\"software\",\"take\":\"next\","
	    "\"on_conflict\":\"replace\",\"key_origin\":\"device\","
	    "\"serials\":\"SN-{01..25}\","
	    "\"profiles\":[{\"name\":\"thermo\",\"version\":3,\"sha256\":"
	    "\"0303000000000000000000000000000000000000000000000000000000"
	    "000000\"}],\"people\":[]}\n";
	struct mm_work_order o = {
		.centre = CENTRE, .station = "l3", .number = 1,
		.made_ms = INT64_C(1795935600123), .batch = "b7",
		.product = "thermo", .marker = MM_WORK_TEST, .share = 25,
		.not_before_ms = INT64_C(1795935600000),
		.until_ms = INT64_C(1798527600000), .take = MM_WORK_NEXT,
		.on_conflict = MM_WORK_REPLACE, .serials = "SN-{01..25}",
		.profiles = test_profiles, .profiles_n = 1,
	};
	struct mm_buf b = encoded(&o);

	(void)state;
	assert_string_equal(mm_buf_cstr(&b), want);
	mm_buf_done(&b);
}

static void
what_is_encoded_parses(void **state)
{
	struct mm_work_order o = test_order(), *got = NULL;
	struct mm_buf b = encoded(&o);

	(void)state;
	assert_int_equal(mm_work_order_parse(mm_buf_view(&b), &got, NULL),
	    MM_OK);
	assert_string_equal(got->station, "l3");
	assert_int_equal(got->previous[0], 0xab);
	assert_int_equal(got->level, MM_WORK_ROLLBACK_PROOF);
	assert_int_equal(got->until_ms, o.until_ms);
	assert_true(mm_bytes_eq(got->ca_key, o.ca_key));
	assert_int_equal(got->profiles_n, 2);
	assert_int_equal(got->profiles[1].version, 1);
	assert_int_equal(got->people_n, 2);
	assert_string_equal(got->people[1].id, "p-2");
	assert_int_equal(got->people[1].role, MM_WORK_SUPERVISOR);
	mm_work_order_free(&got);
	assert_null(got);
	mm_buf_done(&b);
}

/* An order as large as one may be. */
static void
the_largest_parses(void **state)
{
	static struct mm_work_person people[MM_WORK_PEOPLE_MAX];
	static const uint8_t blob[MM_WORK_BLOB_MAX] = { 1 };
	struct mm_work_order o = test_order(), *got = NULL;
	struct mm_buf b;

	(void)state;
	for (size_t i = 0; i < MM_WORK_PEOPLE_MAX; i++) {
		snprintf(people[i].id, sizeof(people[i].id), "%064zu", i);
		memset(people[i].badge, 0xaa, 32);
		memcpy(people[i].badge, &i, sizeof(i));
	}
	o.people = people;
	o.people_n = MM_WORK_PEOPLE_MAX;
	o.ca_chain = o.ca_key = (struct mm_bytes){ blob, sizeof(blob) };
	b = encoded(&o);
	assert_int_equal(mm_work_order_parse(mm_buf_view(&b), &got, NULL),
	    MM_OK);
	mm_work_order_free(&got);
	mm_buf_done(&b);
}

static void
no_centre(struct mm_work_order *o)
{
	o->centre[0] = '\0';
}
static void
two_lines(struct mm_work_order *o)
{
	strcpy(o->centre, "a\nb");
}
static void
no_station(struct mm_work_order *o)
{
	strcpy(o->station, "L 3");
}
static void
no_number(struct mm_work_order *o)
{
	o->number = 0;
}
static void
first_with_previous(struct mm_work_order *o)
{
	o->number = 1;
}
static void
ends_before(struct mm_work_order *o)
{
	o->until_ms = o->not_before_ms;
}
static void
scrap_over_share(struct mm_work_order *o)
{
	o->scrap = o->share + 1;
}
static void
too_many(struct mm_work_order *o)
{
	o->share = MM_WORK_SHARE_MAX + 1;
}
static void
replace_in_production(struct mm_work_order *o)
{
	o->on_conflict = MM_WORK_REPLACE;
}
static void
locked_at_times(struct mm_work_order *o)
{
	strcpy(o->lock, "sometimes");
}

/* A test order never locks; a production order does, but it says otherwise. */
static void
who_locks(void **state)
{
	static const struct {
		int marker;
		const char *lock;
		bool want;
	} rows[] = {
		{ MM_WORK_PRODUCTION, "", true },
		{ MM_WORK_PRODUCTION, MM_WORK_LOCK_NEVER, false },
		{ MM_WORK_TEST, "", false },
		{ MM_WORK_TEST, MM_WORK_LOCK_NEVER, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_work_order o = test_order(), *got = NULL;
		struct mm_buf b;

		o.marker = rows[i].marker;
		strcpy(o.lock, rows[i].lock);
		b = encoded(&o);
		assert_int_equal(mm_work_order_parse(mm_buf_view(&b), &got,
		    NULL), MM_OK);
		assert_int_equal(mm_work_order_locks(got), rows[i].want);
		mm_work_order_free(&got);
		mm_buf_done(&b);
	}
}

static void
paused_without_key(struct mm_work_order *o)
{
	o->state = MM_WORK_PAUSED;
	o->ca_key.n = 0;
}

static void
closed_with_key_alone(struct mm_work_order *o)
{
	o->state = MM_WORK_CLOSED;
	o->ca_chain.n = 0;
}

static void
offline_without_key(struct mm_work_order *o)
{
	o->ca_key.n = 0;
}
static void
online_with_key(struct mm_work_order *o)
{
	o->mode = MM_WORK_ONLINE;
}
static void
no_config(struct mm_work_order *o)
{
	o->config_version = 0;
}
static void
run_and_list(struct mm_work_order *o)
{
	o->serials_sha256[0] = 1;
	o->serials_count = 5;
}
static void
no_serials(struct mm_work_order *o)
{
	o->serials[0] = '\0';
}
static void
bad_run(struct mm_work_order *o)
{
	strcpy(o->serials, "SN-{5..1}");
}
static void
next_with_scan(struct mm_work_order *o)
{
	o->take = MM_WORK_NEXT;
}
static void
bad_scan(struct mm_work_order *o)
{
	strcpy(o->scan, "regex .*");
}
static void
no_profiles(struct mm_work_order *o)
{
	o->profiles_n = 0;
}
static void
profile_twice(struct mm_work_order *o)
{
	static const struct mm_work_profile twice[] = {
		{ "a", 1, { 1 } }, { "a", 2, { 1 } } };
	o->profiles = twice;
}
static void
no_salt(struct mm_work_order *o)
{
	memset(o->badge_salt, 0, sizeof(o->badge_salt));
}
static void
badge_twice(struct mm_work_order *o)
{
	static const struct mm_work_person twice[] = {
		{ "p-1", MM_WORK_OPERATOR, { 1 } },
		{ "p-2", MM_WORK_SUPERVISOR, { 1 } } };
	o->people = twice;
}
static void
short_unsynced(struct mm_work_order *o)
{
	o->unsynced_s = 59;
}
static void
bad_word(struct mm_work_order *o)
{
	o->level = MM_WORK_LEVEL_COUNT;
}

static const struct {
	const char *what;
	void (*change)(struct mm_work_order *o);
} wrong[] = {
	{ "no centre", no_centre }, { "two lines", two_lines },
	{ "no station", no_station }, { "no number", no_number },
	{ "first with previous", first_with_previous },
	{ "ends before it begins", ends_before },
	{ "scrap over share", scrap_over_share }, { "too many", too_many },
	{ "replace in production", replace_in_production },
	{ "locked at times", locked_at_times },
	{ "offline without a key", offline_without_key },
	{ "paused without a key", paused_without_key },
	{ "closed with a key and no CA", closed_with_key_alone },
	{ "online with a key", online_with_key },
	{ "paper without configuration", no_config },
	{ "run and list", run_and_list }, { "no serials", no_serials },
	{ "bad run", bad_run }, { "next with scan", next_with_scan },
	{ "bad scan", bad_scan }, { "no profiles", no_profiles },
	{ "profile twice", profile_twice }, { "no salt", no_salt },
	{ "badge twice", badge_twice }, { "short", short_unsynced },
	{ "no such word", bad_word },
};

static void
contradictions_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(wrong); i++) {
		struct mm_work_order o = test_order();
		struct mm_buf b = MM_BUF_INIT(MM_WORK_TEXT_MAX);
		struct mm_why why = { 0 };

		wrong[i].change(&o);
		ROW(wrong[i].what, mm_work_order_encode(&o, &b, &why) ==
		    MM_EINPUT);
		ROW(wrong[i].what, why.text[0] != '\0' && b.n == 0);
		mm_buf_done(&b);
	}
}

/* Every byte of a signed order, changed. */
static void
no_byte_can_be_changed(void **state)
{
	struct mm_work_order o = test_order(), *got = NULL;
	struct mm_buf text = encoded(&o), note = MM_BUF_INIT(MM_WORK_TEXT_MAX);
	struct mm_note_key key;

	(void)state;
	EVP_PKEY_free(test_key(KEY, 9, &key));
	test_sign(KEY, 9, mm_buf_view(&text), &note);
	assert_int_equal(mm_work_order_verify(mm_buf_view(&note), &key, &got,
	    NULL), MM_OK);
	mm_work_order_free(&got);
	for (size_t i = 0; i < note.n; i++) {
		note.p[i] ^= 1;
		assert_int_not_equal(mm_work_order_verify(mm_buf_view(&note),
		    &key, &got, NULL), MM_OK);
		note.p[i] ^= 1;
	}
	assert_null(got);
	mm_buf_done(&note);
	mm_buf_done(&text);
}

static void
another_centre_is_refused(void **state)
{
	static const struct {
		const char *what, *signer;
		uint8_t seed;
		enum mm_err want;
	} row[] = {
		{ "the centre", KEY, 9, MM_OK },
		{ "another key of that name", KEY, 8, MM_EPOLICY },
		{ "another centre", "other.example/orders", 9, MM_EPOLICY },
		{ "the ledger's key", CENTRE, 9, MM_EPOLICY },
	};
	struct mm_work_order o = test_order();
	struct mm_buf text = encoded(&o);
	struct mm_note_key key;

	(void)state;
	EVP_PKEY_free(test_key(KEY, 9, &key));
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mm_buf note = MM_BUF_INIT(MM_WORK_TEXT_MAX);
		struct mm_work_order *got = NULL;

		test_sign(row[i].signer, row[i].seed, mm_buf_view(&text),
		    &note);
		ROW(row[i].what, mm_work_order_verify(mm_buf_view(&note),
		    &key, &got, NULL) == row[i].want);
		mm_work_order_free(&got);
		mm_buf_done(&note);
	}
	mm_buf_done(&text);
}

/* A key that is pinned and signs what another centre said. */
static void
the_centre_is_the_keys(void **state)
{
	struct mm_work_order o = test_order(), *got = NULL;
	struct mm_buf text = encoded(&o), note = MM_BUF_INIT(MM_WORK_TEXT_MAX);
	struct mm_note_key key;

	(void)state;
	EVP_PKEY_free(test_key("other.example/orders", 9, &key));
	test_sign("other.example/orders", 9, mm_buf_view(&text), &note);
	assert_int_equal(mm_work_order_verify(mm_buf_view(&note), &key, &got,
	    NULL), MM_EPOLICY);
	mm_buf_done(&note);
	mm_buf_done(&text);
}

static void
other_forms_are_refused(void **state)
{
	static const struct {
		const char *what, *from, *to;
	} row[] = {
		{ "another version", "order/1", "order/2" },
		{ "a space", "{\"centre\"", "{ \"centre\"" },
		{ "an unknown key", "{\"centre\"", "{\"exec\":\"x\",\"centre\"" },
		{ "a key twice", "\"number\":12", "\"number\":12,\"number\":12" },
		{ "a fraction", "\"number\":12", "\"number\":12.0" },
		{ "another time", ".123Z", ".123+00:00" },
		{ "upper case", "\"ab00", "\"AB00" },
		{ "zero that may be left out", "\"unsynced_s\":86400",
		    "\"unsynced_s\":0" },
		{ "a word", "\"mode\":\"offline\"", "\"mode\":\"off\"" },
		{ "an escape", "\"l3\"", "\"\\u006c3\"" },
		{ "missing", "\"share\":2575,", "" },
		{ "no lists", "\"people\":[", "\"peoples\":[" },
		{ "a line too many", "]}\n", "]}\n\n" },
		{ "cut off", "]}\n", "]" },
	};
	struct mm_work_order o = test_order(), *got = NULL;
	struct mm_buf b = encoded(&o);
	const char *text = mm_buf_cstr(&b);

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mm_buf c = MM_BUF_INIT(MM_WORK_TEXT_MAX);
		const char *at = strstr(text, row[i].from);

		ROW(row[i].what, at != NULL);
		mm_buf_put(&c, text, (size_t)(at - text));
		mm_buf_text(&c, row[i].to);
		mm_buf_text(&c, at + strlen(row[i].from));
		ROW(row[i].what, mm_work_order_parse(mm_buf_view(&c), &got,
		    NULL) == MM_EINPUT);
		mm_buf_done(&c);
	}
	mm_buf_done(&b);
}

static void
orders_follow_each_other(void **state)
{
	static const struct {
		const char *what, *station;
		int64_t number, last;
		uint8_t previous, hash, last_hash;
		enum mm_err want;
		bool again;
	} row[] = {
		{ "the first", "l3", 1, 0, 0, 1, 0, MM_OK, false },
		{ "the next", "l3", 5, 4, 4, 5, 4, MM_OK, false },
		{ "the same", "l3", 5, 5, 4, 5, 5, MM_OK, true },
		{ "after a gap", "l3", 9, 5, 8, 9, 5, MM_OK, false },
		{ "older", "l3", 4, 5, 3, 4, 5, MM_EPOLICY, false },
		{ "same number", "l3", 5, 5, 4, 6, 5, MM_EPOLICY, false },
		{ "forked", "l3", 6, 5, 4, 6, 5, MM_EPOLICY, false },
		{ "another's", "l4", 6, 5, 5, 6, 5, MM_EPOLICY, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mm_work_order o = { .number = row[i].number,
			.previous = { row[i].previous } };
		struct mm_work_last last = { row[i].last,
			{ row[i].last_hash } };
		uint8_t hash[32] = { row[i].hash };
		bool again = false;

		strcpy(o.station, row[i].station);
		ROW(row[i].what, mm_work_order_follows(&o, hash, &last, "l3",
		    &again, NULL) == row[i].want);
		ROW(row[i].what, again == row[i].again);
	}
}

static void
the_window_is_kept(void **state)
{
	static const struct {
		const char *what;
		int word;
		int64_t now;
		enum mm_err want;
	} row[] = {
		{ "begins", MM_WORK_OPEN, 1000, MM_OK },
		{ "before", MM_WORK_OPEN, 999, MM_EPOLICY },
		{ "last", MM_WORK_OPEN, 1999, MM_OK },
		{ "ended", MM_WORK_OPEN, 2000, MM_EPOLICY },
		{ "paused", MM_WORK_PAUSED, 1500, MM_EPOLICY },
		{ "closed", MM_WORK_CLOSED, 1500, MM_EPOLICY },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mm_work_order o = { .state = row[i].word,
			.not_before_ms = 1000, .until_ms = 2000 };
		ROW(row[i].what, mm_work_order_check_now(&o, row[i].now,
		    NULL) == row[i].want);
	}
}

/* python3: hashlib.scrypt(b"4711-0815", salt=b"0123456789abcdef", n=16384,
 * r=8, p=1, dklen=32) */
static void
badges_are_scrypt(void **state)
{
	static const uint8_t salt[17] = "0123456789abcdef";
	uint8_t got[32];
	char hex[65];

	(void)state;
	assert_int_equal(mm_work_badge(mm_bytes_of("4711-0815"), salt, got,
	    NULL), MM_OK);
	mm_hex_text(got, 32, hex);
	assert_string_equal(hex, "d30dbc343ddd902e8bc1e70d66196029c385efa26673235d5e91465260f1e921");
	assert_int_equal(mm_work_badge(mm_bytes_of("471"), salt, got, NULL),
	    MM_EINPUT);
}

static void
the_hash_is_the_texts(void **state)
{
	struct mm_work_order o = test_order();
	struct mm_buf text = encoded(&o), note = MM_BUF_INIT(MM_WORK_TEXT_MAX);
	uint8_t want[32], got[32];

	(void)state;
	test_sign(KEY, 9, mm_buf_view(&text), &note);
	mm_sha256(mm_buf_view(&text), want);
	assert_int_equal(mm_work_order_hash(mm_buf_view(&note), got, NULL),
	    MM_OK);
	assert_memory_equal(got, want, 32);
	assert_int_equal(mm_work_order_hash(mm_bytes_of("no note"), got,
	    NULL), MM_EINPUT);
	mm_buf_done(&note);
	mm_buf_done(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text_is_as_documented),
		cmocka_unit_test(who_locks),
		cmocka_unit_test(what_is_encoded_parses),
		cmocka_unit_test(the_largest_parses),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(no_byte_can_be_changed),
		cmocka_unit_test(another_centre_is_refused),
		cmocka_unit_test(the_centre_is_the_keys),
		cmocka_unit_test(other_forms_are_refused),
		cmocka_unit_test(orders_follow_each_other),
		cmocka_unit_test(the_window_is_kept),
		cmocka_unit_test(badges_are_scrypt),
		cmocka_unit_test(the_hash_is_the_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
