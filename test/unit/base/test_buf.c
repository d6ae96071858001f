#include "rows.h"

#include "base/buf.h"

static void
encodes_big_endian(void **state)
{
	static const uint8_t want[] = { 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0,
		0, 8, 0, 1, 'x', 0, 0, 0, 2, 'y', 'z', 'n', '=', '7' };
	struct mm_buf b = MM_BUF_INIT(100);

	(void)state;
	mm_buf_u8(&b, 1);
	mm_buf_u16(&b, 0x0203);
	mm_buf_u32(&b, 0x04050607);
	mm_buf_u64(&b, 8);
	mm_buf_block16(&b, mm_bytes_of("x"));
	mm_buf_block32(&b, mm_bytes_of("yz"));
	mm_buf_printf(&b, "n=%d", 7);
	assert_int_equal(mm_buf_ok(&b, NULL), MM_OK);
	assert_int_equal(b.n, sizeof(want));
	assert_memory_equal(b.p, want, sizeof(want));
	mm_buf_wipe(&b);
	assert_null(b.p);
}

static void
stops_at_its_maximum(void **state)
{
	struct mm_buf b = MM_BUF_INIT(4);
	struct mm_why why = { 0 };

	(void)state;
	mm_buf_text(&b, "abcd");
	assert_string_equal(mm_buf_cstr(&b), "abcd");
	mm_buf_u8(&b, 'e');
	mm_buf_put(&b, NULL, 0);
	assert_int_equal(b.n, 4);
	assert_int_equal(mm_buf_ok(&b, &why), MM_ELIMIT);
	assert_non_null(strstr(why.text, "4 bytes"));
	assert_null(mm_buf_cstr(&b));
	assert_null(mm_buf_room(&b, 0));
	mm_buf_reset(&b);
	mm_buf_printf(&b, "%s", "1234");
	assert_string_equal(mm_buf_cstr(&b), "1234");
	mm_buf_done(&b);
}

static void
grows_to_exactly_max(void **state)
{
	struct mm_buf b = MM_BUF_INIT(100000);

	(void)state;
	for (int i = 0; i < 100000; i++)
		mm_buf_u8(&b, (uint8_t)i);
	assert_int_equal(mm_buf_ok(&b, NULL), MM_OK);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(b.p[i], (uint8_t)i);
	mm_buf_u8(&b, 0);
	assert_int_equal(mm_buf_ok(&b, NULL), MM_ELIMIT);
	mm_buf_done(&b);
}

static void
refuses_a_block_too_long_for_its_length(void **state)
{
	static uint8_t big[UINT16_MAX + 1];
	struct mm_buf b = MM_BUF_INIT(1 << 20);

	(void)state;
	mm_buf_block16(&b, (struct mm_bytes){ big, sizeof(big) - 1 });
	assert_int_equal(mm_buf_ok(&b, NULL), MM_OK);
	mm_buf_block16(&b, (struct mm_bytes){ big, sizeof(big) });
	assert_int_equal(mm_buf_ok(&b, NULL), MM_ELIMIT);
	mm_buf_done(&b);
}

static void
an_empty_buffer_is_an_empty_text(void **state)
{
	struct mm_buf b = MM_BUF_INIT(0);

	(void)state;
	assert_string_equal(mm_buf_cstr(&b), "");
	assert_int_equal(mm_buf_view(&b).n, 0);
	mm_buf_done(&b);
}

static void
a_reader_sticks_at_its_first_short_read(void **state)
{
	static const uint8_t bytes[] = { 0, 3, 'a', 'b', 'c', 0, 9, 'd' };
	struct mm_rd r = mm_rd_over((struct mm_bytes){ bytes, 8 });

	(void)state;
	assert_int_equal(mm_rd_block16(&r).n, 3);
	assert_false(mm_rd_end(&r));
	assert_int_equal(mm_rd_block16(&r).n, 0);
	assert_int_equal(mm_rd_u8(&r), 0);
	assert_true(r.bad);
	assert_false(mm_rd_end(&r));
}

static void
the_first_cause_wins(void **state)
{
	struct mm_why why = { 0 };

	(void)state;
	assert_int_equal(MM_FAIL(&why, MM_EINPUT, "first %d", 1), MM_EINPUT);
	assert_int_equal(MM_FAIL(&why, MM_ESYS, "second"), MM_ESYS);
	assert_int_equal(why.code, MM_EINPUT);
	assert_string_equal(why.text, "first 1");
	for (unsigned i = 0; i < MM_ERR_COUNT; i++) {
		enum mm_err e = mm_err_from_byte(i);
		assert_int_equal(e, i);
		assert_true(mm_err_http(e) >= 200 && mm_err_http(e) <= 503);
		assert_int_equal(mm_err_exit(e) == 0, i == MM_OK);
		assert_non_null(mm_err_slug(e));
	}
	assert_int_equal(mm_err_from_byte(255), MM_EBUG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodes_big_endian),
		cmocka_unit_test(stops_at_its_maximum),
		cmocka_unit_test(grows_to_exactly_max),
		cmocka_unit_test(refuses_a_block_too_long_for_its_length),
		cmocka_unit_test(an_empty_buffer_is_an_empty_text),
		cmocka_unit_test(a_reader_sticks_at_its_first_short_read),
		cmocka_unit_test(the_first_cause_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
