#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/journal.h"

static struct mm_journal_line
sample(enum mm_journal_kind kind)
{
	struct mm_journal_line l = { .kind = kind,
		.issuer = "issuing", .device = "SN-1",
		.authority = "token:mm1-x", .profile = "thermo@3",
		.not_after_s = 1900000000 };

	memset(l.serial, 0x11, sizeof(l.serial));
	memset(l.spki_sha256, 0x22, sizeof(l.spki_sha256));
	memset(l.tbs_sha256, 0x33, sizeof(l.tbs_sha256));
	return l;
}

static void
fill(struct mm_buf *b, struct mm_journal_chain *c)
{
	for (unsigned k = 0; k < MM_J_KINDS; k++) {
		struct mm_journal_line l = sample((enum mm_journal_kind)k);
		mm_journal_link(c, &l, 1800000000123 + k, b);
	}
	assert_int_equal(b->err, MM_OK);
}

static void
test_round_trip(void **state)
{
	struct mm_buf b = MM_BUF_INIT(65536), again = MM_BUF_INIT(65536);
	struct mm_journal_chain c = { 0 }, d = { 0 };
	struct mm_journal_line l;
	struct mm_bytes rest;
	unsigned n = 0;

	(void)state;
	fill(&b, &c);
	rest = mm_buf_view(&b);
	while (mm_journal_next(&rest, &d, &l, NULL) == MM_OK) {
		assert_int_equal(l.kind, n++);
		mm_journal_encode(&l, &again);
	}
	assert_int_equal(n, MM_J_KINDS);
	assert_memory_equal(&c, &d, sizeof(c));
	assert_true(mm_bytes_eq(mm_buf_view(&b), mm_buf_view(&again)));
	mm_buf_done(&b);
	mm_buf_done(&again);
}

/* How many lines of b follow one another from the start. */
static unsigned
count(struct mm_bytes rest, enum mm_err *end)
{
	struct mm_journal_chain c = { 0 };
	struct mm_journal_line l;
	unsigned n = 0;

	while ((*end = mm_journal_next(&rest, &c, &l, NULL)) == MM_OK)
		n++;
	return n;
}

/* Any byte of any line but the last: found there or at the next line. */
static void
test_every_changed_byte_is_found(void **state)
{
	struct mm_buf b = MM_BUF_INIT(65536);
	struct mm_journal_chain c = { 0 };
	enum mm_err end;
	size_t last;

	(void)state;
	fill(&b, &c);
	last = b.n - 1;
	while (b.p[last - 1] != '\n')
		last--;
	for (size_t i = 0; i < last; i++) {
		b.p[i] ^= 1;
		assert_true(count(mm_buf_view(&b), &end) < MM_J_KINDS);
		assert_int_not_equal(end, MM_ENOTFOUND);
		b.p[i] ^= 1;
	}
	mm_buf_done(&b);
}

static void
test_every_truncation(void **state)
{
	struct mm_buf b = MM_BUF_INIT(65536);
	struct mm_journal_chain c = { 0 };

	(void)state;
	fill(&b, &c);
	for (size_t n = 0; n < b.n; n++) {
		bool whole = n == 0 || b.p[n - 1] == '\n';
		enum mm_err end;
		(void)count((struct mm_bytes){ b.p, n }, &end);
		assert_int_equal(end, whole ? MM_ENOTFOUND : MM_EAGAIN);
	}
	mm_buf_done(&b);
}

static void
test_lines_out_of_order(void **state)
{
	struct mm_buf a = MM_BUF_INIT(4096), b = MM_BUF_INIT(4096);
	struct mm_journal_chain c = { 0 };
	struct mm_journal_line l = sample(MM_J_CRL);
	enum mm_err end;

	(void)state;
	mm_journal_link(&c, &l, 5000, &a);
	mm_journal_link(&c, &l, 6000, &b);
	assert_int_equal(count(mm_buf_view(&b), &end), 0);
	assert_int_equal(end, MM_EPOLICY);
	mm_buf_bytes(&b, mm_buf_view(&a));
	assert_int_equal(count(mm_buf_view(&b), &end), 0);
	mm_buf_done(&a);
	mm_buf_done(&b);
}

static void
test_time_never_goes_back(void **state)
{
	struct mm_buf b = MM_BUF_INIT(4096);
	struct mm_journal_chain c = { 0 };
	struct mm_journal_line l = sample(MM_J_CRL);

	(void)state;
	mm_journal_link(&c, &l, 9000, &b);
	mm_journal_link(&c, &l, 8000, &b);
	assert_int_equal(l.at_ms, 9000);
	mm_buf_done(&b);
}

/* Back at a clock's line, and only from where the chain stands. */
static void
test_a_clock_that_is_set_back(void **state)
{
	struct mm_buf b = MM_BUF_INIT(4096);
	struct mm_journal_chain c = { 0 }, d = { 0 };
	struct mm_journal_line l = sample(MM_J_CRL);
	struct mm_journal_line clock = { .kind = MM_J_CLOCK };
	struct mm_bytes rest;
	enum mm_err end;

	(void)state;
	mm_journal_link(&c, &l, 9000, &b);
	mm_journal_link(&c, &clock, 5000, &b);
	assert_int_equal(clock.at_ms, 5000);
	assert_int_equal(clock.number, 9000);
	mm_journal_link(&c, &l, 6000, &b);
	assert_int_equal(l.at_ms, 6000);
	assert_int_equal(count(mm_buf_view(&b), &end), 3);
	assert_int_equal(end, MM_ENOTFOUND);

	rest = mm_buf_view(&b);
	assert_int_equal(mm_journal_next(&rest, &d, &l, NULL), MM_OK);
	d.at_ms += 1;
	assert_int_equal(mm_journal_next(&rest, &d, &l, NULL), MM_EPOLICY);
	mm_buf_done(&b);
}

#define PREV                                                           \
	"\"prev\":\"00000000000000000000000000000000"                 \
	"00000000000000000000000000000000\"}"
#define AT "\"at\":\"2026-11-23T05:00:00.123Z\","

static void
test_forms(void **state)
{
	static const struct {
		const char *line;
		enum mm_err want;
	} rows[] = {
		{ "{\"n\":1," AT "\"kind\":\"crl\"," PREV, MM_OK },
		{ "{\"n\":01," AT "\"kind\":\"crl\"," PREV, MM_EINPUT },
		{ "{\"n\":-1," AT "\"kind\":\"crl\"," PREV, MM_EINPUT },
		{ "{\"n\":," AT "\"kind\":\"crl\"," PREV, MM_EINPUT },
		{ "{\"n\":9223372036854775808," AT "\"kind\":\"crl\"," PREV,
		    MM_EINPUT },
		{ "{\"n\":1," AT "\"kind\":\"x\"," PREV, MM_EINPUT },
		{ "{\"n\":1, " AT "\"kind\":\"crl\"," PREV, MM_EINPUT },
		{ "{" AT "\"n\":1,\"kind\":\"crl\"," PREV, MM_EINPUT },
		{ "{\"n\":1," AT "\"kind\":\"crl\",\"device\":\"\"," PREV,
		    MM_EINPUT },
		{ "{\"n\":1," AT "\"kind\":\"crl\",\"device\":\"a\\u0020\","
		    PREV, MM_EINPUT },
		{ "{\"n\":1," AT "\"kind\":\"crl\",\"number\":0," PREV,
		    MM_EINPUT },
		{ "{\"n\":1," AT "\"kind\":\"crl\"," PREV " ", MM_EINPUT },
		{ "{\"n\":1," AT "\"kind\":\"crl\"," PREV "}", MM_EINPUT },
		{ "", MM_EINPUT },
		{ "{}", MM_EINPUT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_journal_line l;
		assert_int_equal(mm_journal_parse(mm_bytes_of(rows[i].line),
		    &l, NULL), rows[i].want);
	}
}

static void
test_text(void **state)
{
	(void)state;
	assert_true(mm_journal_text_valid("token:mm1-ABC op_7/x@y"));
	assert_false(mm_journal_text_valid("a\"b"));
	assert_false(mm_journal_text_valid("a\\b"));
	assert_false(mm_journal_text_valid("a\nb"));
	assert_false(mm_journal_text_valid("\xc3\xa9"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_changed_byte_is_found),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_lines_out_of_order),
		cmocka_unit_test(test_time_never_goes_back),
		cmocka_unit_test(test_a_clock_that_is_set_back),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
