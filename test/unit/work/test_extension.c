#include "orders.h"

static const struct mm_work_extension longer = {
	.batch = "b7", .station = "l3", .number = 12, .share = 2700,
	.until_ms = INT64_C(1798614000000),
};

static struct mm_buf
sign(const struct mm_work_extension *e, const char *name, uint8_t seed)
{
	struct mm_buf line = MM_BUF_INIT(500), tbs = MM_BUF_INIT(900);
	struct mm_buf out = MM_BUF_INIT(MM_WORK_EXTENSION_MAX);
	struct mm_note_key key;
	EVP_PKEY *pkey = test_key(name, seed, &key);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[64];
	size_t n = sizeof(sig);

	assert_int_equal(mm_work_extension_encode(e, &line, NULL), MM_OK);
	mm_work_extension_tbs(mm_buf_view(&line), name, &tbs);
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, tbs.p, tbs.n), 1);
	mm_work_extension_join(&out, mm_buf_view(&line), sig);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	mm_buf_done(&tbs);
	mm_buf_done(&line);
	return out;
}

static void
a_signed_one_verifies(void **state)
{
	struct mm_buf text = sign(&longer, KEY, 9);
	struct mm_work_extension got;
	struct mm_note_key key;

	(void)state;
	EVP_PKEY_free(test_key(KEY, 9, &key));
	assert_non_null(strstr(mm_buf_cstr(&text),
	    "MMX1 b7 l3 12 2700 2026-12-30T07:00:00Z "));
	assert_int_equal(mm_work_extension_verify(mm_buf_view(&text), &key,
	    &got, NULL), MM_OK);
	assert_int_equal(got.share, 2700);
	assert_int_equal(got.until_ms, longer.until_ms);
	for (size_t i = 0; i < text.n; i++) {
		text.p[i] ^= 1;
		assert_int_not_equal(mm_work_extension_verify(
		    mm_buf_view(&text), &key, &got, NULL), MM_OK);
		text.p[i] ^= 1;
	}
	mm_buf_done(&text);
}

static void
others_are_refused(void **state)
{
	static const struct {
		const char *what, *name;
		uint8_t seed;
		enum mm_err want;
	} row[] = {
		{ "the centre", KEY, 9, MM_OK },
		{ "another key", KEY, 8, MM_EPOLICY },
		{ "another centre", "other/orders", 9, MM_EPOLICY },
	};
	struct mm_note_key key;

	(void)state;
	EVP_PKEY_free(test_key(KEY, 9, &key));
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mm_buf text = sign(&longer, row[i].name, row[i].seed);
		struct mm_work_extension got;

		ROW(row[i].what, mm_work_extension_verify(mm_buf_view(&text),
		    &key, &got, NULL) == row[i].want);
		mm_buf_done(&text);
	}
}

static void
it_only_gives_more(void **state)
{
	static const struct {
		const char *what, *batch, *station;
		int64_t number, share, until_ms;
		enum mm_err want;
	} row[] = {
		{ "more", "b7", "l3", 12, 2700, 1798614000000, MM_OK },
		{ "the same", "b7", "l3", 12, 2575, 1798527600000, MM_OK },
		{ "fewer", "b7", "l3", 12, 2574, 1798614000000, MM_EPOLICY },
		{ "shorter", "b7", "l3", 12, 2700, 1798527599000, MM_EPOLICY },
		{ "another batch", "b8", "l3", 12, 2700, 1798614000000,
		    MM_EPOLICY },
		{ "another station", "b7", "l4", 12, 2700, 1798614000000,
		    MM_EPOLICY },
		{ "another order", "b7", "l3", 11, 2700, 1798614000000,
		    MM_EPOLICY },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mm_work_extension e = { .number = row[i].number,
			.share = row[i].share, .until_ms = row[i].until_ms };
		struct mm_work_order o = test_order();
		int64_t before = o.share;

		strcpy(e.batch, row[i].batch);
		strcpy(e.station, row[i].station);
		ROW(row[i].what, mm_work_extension_apply(&e, &o, NULL) ==
		    row[i].want);
		ROW(row[i].what, o.share == (row[i].want == MM_OK ?
		    row[i].share : before));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signed_one_verifies),
		cmocka_unit_test(others_are_refused),
		cmocka_unit_test(it_only_gives_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
