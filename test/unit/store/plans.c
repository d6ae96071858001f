#include "fixture.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "plans.h"
#include "server.h"
#include "store/postgres.h"

static const struct {
	const char *name, *text;
} statements[] = {
#define X(name, text) { #name, text },
	SQL_STATEMENTS(X)
#undef X
};

/* Every place where a table that grows is read has a key to go by; the two
 * lists of everything begin at one or at the first row, and have a LIMIT. */
static void
check_plan(const char *name, PGresult *res)
{
	static const char *const grow[] = { "cert", "token", "device", "key",
		"claim", "entry", "tile", "attribute" };
	const char *index = strcmp(name, "UNITS_OF") == 0 ?
	    "doc_unit_station" : strcmp(name, "BATCHES_OF") == 0 ?
	    "doc_batch_product" : NULL;
	bool ordered = false;

	for (int i = 0; i < PQntuples(res); i++) {
		const char *line = PQgetvalue(res, i, 0);
		const char *next = i + 1 < PQntuples(res) ?
		    PQgetvalue(res, i + 1, 0) : "";
		const char *table = strstr(line, " on ");

		for (size_t k = 0; table != NULL &&
		    k < sizeof(grow) / sizeof(grow[0]); k++)
			if (strncmp(table + 4, grow[k], strlen(grow[k])) == 0 &&
			    strstr(next, "Index Cond") == NULL)
				fail_msg("%s: %s", name, line);
		ordered = ordered || (index != NULL &&
		    strstr(line, index) != NULL);
		if (index != NULL && strstr(line, "Sort"))
			fail_msg("%s: %s", name, line);
	}
	if (index != NULL && !ordered)
		fail_msg("%s: not by %s", name, index);
}

/*
 * Sessions plan once, while tables may be small: the plan must be the one for
 * large ones.
 */
void
check_plans(const char *url)
{
	PGconn *c;
	unsigned checked = 0;

	/* few stations and products: the primary key and a filter look as
	 * good */
	pg_sql(url, "INSERT INTO mintmark.doc SELECT 13, 'B/' ||"
	    " 10000 + i, 1, convert_to('{\"station\":\"s' || i % 3 || '\"'"
	    " || repeat(' ', 500) || '}', 'UTF8')"
	    " FROM generate_series(1, 3000) i;"
	    " INSERT INTO mintmark.doc SELECT 9, 'b' || 10000 + i, 1,"
	    " convert_to('{\"plan\":{\"order\":\"mintmark-order/1\\n{"
	    "\\\"product\\\":\\\"p' || i % 3 || '\\\"}\\n\"}' ||"
	    " repeat(' ', 500) || '}', 'UTF8')"
	    " FROM generate_series(1, 3000) i; ANALYZE mintmark.doc");
	c = PQconnectdb(url);
	PQclear(PQexec(c, mm_pg_setup));
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]);
	     i++) {
		char sql[256] = "EXPLAIN (COSTS OFF) EXECUTE p(";
		PGresult *res;
		int n;

		if (strncmp(statements[i].text, "SELECT", 6) != 0)
			continue;
		PQclear(PQprepare(c, "p", statements[i].text, 0, NULL));
		res = PQdescribePrepared(c, "p");
		n = PQnparams(res);
		PQclear(res);
		for (int k = 0; k < n; k++)
			strcat(sql, k > 0 ? ", NULL" : "NULL");
		if (n == 0)
			sql[strlen(sql) - 1] = '\0';
		strcat(sql, n > 0 ? ")" : "");
		res = PQexec(c, sql);
		if (PQresultStatus(res) != PGRES_TUPLES_OK)
			fail_msg("%s: %s", statements[i].name,
			    PQerrorMessage(c));
		check_plan(statements[i].name, res);
		PQclear(res);
		PQclear(PQexec(c, "DEALLOCATE p"));
		checked++;
	}
	PQfinish(c);
	assert_true(checked > 30);
}
