#include "orders.h"

#include "pki/key.h"
#include "work/file.h"

#define PROFILE \
	"profile \"thermo\" {\nversion = 3\nissuer = \"devices\"\n}\n"
#define OTHER \
	"profile \"other\" {\nversion = 1\nissuer = \"devices\"\n}\n"
#define LIST   "SN-1\nSN-2\nSN-3\n"
#define CONFIG "{\"broker\":\"mqtt.example\"}"

static struct mm_bytes
text(const char *s)
{
	return mm_bytes_of(s);
}

static struct mm_buf
file_of(const char *profiles, const char *list)
{
	struct mm_buf b = MM_BUF_INIT(MM_WORK_FILE_MAX);
	struct mm_bytes paper[2] = { text(CONFIG), text(list) };

	assert_int_equal(mm_work_file_encode(text("the note\n"),
	    text(profiles), paper, 2, &b, NULL), MM_OK);
	return b;
}

/* The order that goes with LIST and CONFIG. */
static struct mm_work_order
order(void)
{
	struct mm_work_order o = test_order();

	o.serials[0] = '\0';
	o.serials_count = 3;
	mm_sha256(text(LIST), o.serials_sha256);
	mm_sha256(text(CONFIG), o.config_sha256);
	memset(o.fields_sha256, 0, 32);
	return o;
}

static void
papers_are_found_by_hash(void **state)
{
	struct mm_buf b = file_of(PROFILE, LIST);
	struct mm_work_file f;
	uint8_t hash[32];
	struct mm_bytes got;

	(void)state;
	assert_int_equal(mm_work_file_parse(mm_buf_view(&b), &f, NULL),
	    MM_OK);
	assert_true(mm_bytes_eq(f.note, text("the note\n")));
	mm_sha256(text(CONFIG), hash);
	assert_true(mm_work_file_paper(&f, hash, &got));
	assert_true(mm_bytes_eq(got, text(CONFIG)));
	hash[31] ^= 1;
	assert_false(mm_work_file_paper(&f, hash, &got));
	mm_work_file_done(&f);
	mm_buf_done(&b);
}

/* A stick with half a file, of any length. */
static void
half_a_file_is_refused(void **state)
{
	struct mm_buf b = file_of(PROFILE, LIST);
	struct mm_work_file f;

	(void)state;
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(mm_work_file_parse((struct mm_bytes){ b.p,
		    n }, &f, NULL), MM_EINPUT);
	mm_buf_done(&b);
}

/* Whose order it is needs no more than that: the note's last byte is in. */
static void
the_beginning_has_the_order(void **state)
{
	struct mm_buf b = file_of(PROFILE, LIST);
	struct mm_buf note = MM_BUF_INIT(MM_NOTE_MAX);
	size_t whole = sizeof("{\"v\":1,\"order\":\"the note\\n\"") - 1;

	(void)state;
	for (size_t n = 0; n <= b.n; n++) {
		mm_buf_reset(&note);
		assert_int_equal(mm_work_file_order((struct mm_bytes){ b.p,
		    n }, &note, NULL), n < whole ? MM_EINPUT : MM_OK);
		assert_true(n < whole || mm_bytes_eq(mm_buf_view(&note),
		    text("the note\n")));
	}
	assert_int_equal(mm_work_file_order(text("{\"v\":1,\"order\":7}"),
	    &note, NULL), MM_EINPUT);
	assert_int_equal(mm_work_file_order(text("{\"order\":\"x\"}"), &note,
	    NULL), MM_EINPUT);
	mm_buf_done(&note);
	mm_buf_done(&b);
}

static void
what_the_order_names_must_be_there(void **state)
{
	static const struct {
		const char *what, *list;
		int64_t count;
		bool named;
		enum mm_err want;
	} row[] = {
		{ "all there", LIST, 3, true, MM_OK },
		{ "another list", "SN-1\nSN-2\nSN-4\n", 3, false, MM_EINPUT },
		{ "fewer", LIST, 4, true, MM_EINPUT },
		{ "more", LIST, 2, true, MM_EINPUT },
		{ "no serial", "SN-1\nSN 2\nSN-3\n", 3, true, MM_EINPUT },
		{ "cut off", "SN-1\nSN-2\nSN-3", 3, true, MM_EINPUT },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mm_buf b = file_of(PROFILE, row[i].list);
		struct mm_work_order o = order();
		struct mm_work_file f;

		o.serials_count = row[i].count;
		if (row[i].named)
			mm_sha256(text(row[i].list), o.serials_sha256);
		assert_int_equal(mm_work_file_parse(mm_buf_view(&b), &f,
		    NULL), MM_OK);
		ROW(row[i].what, mm_work_file_check(&f, &o, NULL) ==
		    row[i].want);
		mm_work_file_done(&f);
		mm_buf_done(&b);
	}
}

static void
profiles_are_the_orders(void **state)
{
	static const struct {
		const char *what, *profiles;
		bool good_hash;
		enum mm_err want;
	} row[] = {
		{ "the order's", PROFILE, true, MM_OK },
		{ "changed", PROFILE, false, MM_EINPUT },
		{ "another", OTHER, true, MM_EINPUT },
		{ "one too many", PROFILE OTHER, true, MM_EINPUT },
		{ "none", "", true, MM_EINPUT },
	};
	struct mm_profile_set set = { .n = 0 };
	struct mm_work_profile named = { .name = "thermo", .version = 3 };

	(void)state;
	assert_int_equal(mm_profiles_parse(text(PROFILE), "test", &set, NULL),
	    MM_OK);
	assert_int_equal(mm_profile_hash(&set.profile[0], named.sha256, NULL),
	    MM_OK);
	mm_profiles_done(&set);
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mm_buf b = file_of(row[i].profiles, LIST);
		struct mm_work_order o = order();
		struct mm_work_profile p = named;
		struct mm_work_file f;

		p.sha256[0] ^= row[i].good_hash ? 0 : 1;
		o.profiles = &p;
		o.profiles_n = 1;
		assert_int_equal(mm_work_file_parse(mm_buf_view(&b), &f,
		    NULL), MM_OK);
		ROW(row[i].what, mm_work_file_profiles(&f, &o, &set, NULL) ==
		    row[i].want);
		if (row[i].want == MM_OK)
			mm_profiles_done(&set);
		mm_work_file_done(&f);
		mm_buf_done(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(papers_are_found_by_hash),
		cmocka_unit_test(half_a_file_is_refused),
		cmocka_unit_test(the_beginning_has_the_order),
		cmocka_unit_test(what_the_order_names_must_be_there),
		cmocka_unit_test(profiles_are_the_orders),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
