#include "fixture.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "store/sqlite_sql.h"

/*
 * How SQLite runs each statement: no table that grows with the fleet is walked
 * from end to end, and nothing is sorted but what a revocation list holds.
 */

static const struct {
	const char *name, *text;
} statements[] = {
#define X(name, text) { #name, text },
	SQL_STATEMENTS(X)
#undef X
};

/* What there are few of, or what is one row's own: classes (k, i), products,
 * operators, documents. */
static const char *const few[] = { "k", "i", "class", "product", "operator",
	"doc", "CONSTANT", "sqlite_master", "meta", "(subquery" };

static bool
is_few(const char *name)
{
	for (size_t i = 0; i < sizeof(few) / sizeof(few[0]); i++) {
		size_t n = strlen(few[i]);

		if (strncmp(name, few[i], n) == 0 &&
		    strchr(" -", name[n]) != NULL)
			return true;
	}
	return false;
}

static void
look(const char *name, const char *step)
{
	/* a virtual table is json_each over one value */
	if (strncmp(step, "SCAN ", 5) == 0 && !is_few(step + 5) &&
	    strstr(step, "VIRTUAL TABLE") == NULL)
		fail_msg("%s: %s", name, step);
	if ((strcmp(name, "UNITS_OF") == 0 &&
	    strstr(step, "USING INDEX doc_unit_station") == NULL) ||
	    (strcmp(name, "BATCHES_OF") == 0 &&
	    strstr(step, "USING INDEX doc_batch_product") == NULL))
		fail_msg("%s: %s", name, step);
	if (strstr(step, "TEMP B-TREE") != NULL &&
	    strncmp(name, "CERTS_REVOKED", 13) != 0)
		fail_msg("%s: %s", name, step);
}

static unsigned
explain(sqlite3 *h, const char *name, const char *text)
{
	char sql[4096];
	sqlite3_stmt *st;
	unsigned n = 0;

	assert_true(snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s",
	    text) < (int)sizeof(sql));
	if (sqlite3_prepare_v2(h, sql, -1, &st, NULL) != SQLITE_OK)
		return 0; /* BEGIN, PRAGMA */
	for (; sqlite3_step(st) == SQLITE_ROW; n++)
		look(name, (const char *)sqlite3_column_text(st, 3));
	sqlite3_finalize(st);
	return n;
}

static void
test_plans(void **state)
{
	unsigned explained = 0;
	sqlite3 *h;
	struct fx f;

	(void)state;
	assert_true(fx_open(&f, mm_store_backends[0]));
	assert_int_equal(sqlite3_open(strchr(f.url, ':') + 1, &h), SQLITE_OK);
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
		explained += explain(h, statements[i].name,
		    statements[i].text) > 0;
	assert_true(explained > 80);
	sqlite3_close(h);
	fx_close(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
