#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/entry.h"

static void
same(struct mm_bytes got, const char *want)
{
	if (want == NULL)
		assert_int_equal(got.n, 0);
	else
		assert_true(mm_bytes_eq(got, mm_bytes_of(want)));
}

static void
fields_are_found_whatever_is_around_them(void **state)
{
	static const struct {
		const char *json, *type, *at, *device, *product, *key,
		    *token, *serial, *batch;
	} rows[] = {
		{ "{\"v\":1,\"type\":\"token.minted\",\"at\":\"T\","
		  "\"device\":\"SN-1\",\"product\":\"p\"}",
		    "token.minted", "T", "SN-1", "p", NULL },
		{ "{\"v\":1,\"type\":\"alert\",\"reason\":\"a \\\"device\\\":"
		  "\\\"X\\\" b\\\\\",\"count\":12,\"key\":\"k\"}",
		    "alert", NULL, NULL, NULL, "k" },
		{ "{\"type\":\"cert.held\",\"token\":\"t1\","
		  "\"serial\":\"0a\",\"detail\":\"serial\"}",
		    "cert.held", NULL, NULL, NULL, NULL, "t1", "0a" },
		{ "{\"type\":\"batch.created\",\"batch\":\"B7\",\"count\":3}",
		    "batch.created", NULL, NULL, NULL, NULL, NULL, NULL,
		    "B7" },
		{ "{\"count\":3}", NULL, NULL, NULL, NULL, NULL },
		{ "{}", NULL, NULL, NULL, NULL, NULL },
		{ "", NULL, NULL, NULL, NULL, NULL },
		{ "{\"type\":\"cut", NULL, NULL, NULL, NULL, NULL },
		{ "{\"type\":\"cut\\", NULL, NULL, NULL, NULL, NULL },
		{ "{\"type\"", NULL, NULL, NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* On the heap and exactly as long, for the sanitizer. */
		size_t n = strlen(rows[i].json);
		uint8_t *p = malloc(n + (n == 0));
		struct mm_entry_view v;

		assert_non_null(p);
		memcpy(p, rows[i].json, n);
		mm_entry_look((struct mm_bytes){ p, n }, &v);
		same(v.type, rows[i].type);
		same(v.at, rows[i].at);
		same(v.device, rows[i].device);
		same(v.product, rows[i].product);
		same(v.key, rows[i].key);
		same(v.token, rows[i].token);
		same(v.serial, rows[i].serial);
		same(v.batch, rows[i].batch);
		free(p);
	}
}

static void
a_number_is_its_digits(void **state)
{
	struct mm_entry e = { .type = MM_E_CRL_SIGNED, .at_ms = 1,
		.field = { [MM_F_ISSUER] = "factory", [MM_F_NUMBER] = "17",
		    [MM_F_SIZE] = "230" } };
	struct mm_buf b = MM_BUF_INIT(4096);
	struct mm_entry_view v;

	(void)state;
	assert_int_equal(mm_entry_encode(&e, &b, NULL), MM_OK);
	mm_entry_look(mm_buf_view(&b), &v);
	same(v.issuer, "factory");
	same(v.size, "230");
	mm_buf_done(&b);
}

static void
it_sees_what_the_strict_parser_sees(void **state)
{
	struct mm_entry e = { .type = MM_E_OPERATOR_REVOKED, .at_ms = 1,
		.field = { [MM_F_ACTOR] = "a\"b\\c\n\xc3\xa9",
		    [MM_F_KEY] = "0123", [MM_F_REASON] = "\\\"" } };
	struct mm_buf b = MM_BUF_INIT(4096);
	struct mm_entry_view v;

	(void)state;
	assert_int_equal(mm_entry_encode(&e, &b, NULL), MM_OK);
	mm_entry_look(mm_buf_view(&b), &v);
	same(v.type, "operator.revoked");
	same(v.key, "0123");
	same(v.device, NULL);
	mm_buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_found_whatever_is_around_them),
		cmocka_unit_test(a_number_is_its_digits),
		cmocka_unit_test(it_sees_what_the_strict_parser_sees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
