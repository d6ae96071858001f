#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgres.h"

/*
 * What a doctor asks: the version, connections, and the first year without a
 * partition, this one's distance 0.  Who counts connections need not see
 * whose they are.
 */
static const char facts[] =
    "SELECT split_part(current_setting('server_version'), ' ', 1),"
    " (SELECT sum(numbackends) FROM pg_stat_database),"
    " current_setting('max_connections'), y.this,"
    " coalesce((SELECT min(n) FROM generate_series(0, 9) n WHERE"
    " to_regclass('mintmark.cert_' || y.this + n) IS NULL), 10)"
    " FROM (SELECT extract(year FROM now() AT TIME ZONE 'UTC')::integer"
    " AS this) y";
enum fact { VERSION, CONNECTIONS, CONNECTIONS_MAX, YEAR, YEARS };

static int64_t
number(const PGresult *res, enum fact f)
{
	return strtoll(PQgetvalue(res, 0, (int)f), NULL, 10);
}

static enum mm_err
look(struct pg *db, struct mm_store_health *out, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	MM_TRY(mm_pg_ready(db, why));
	MM_TRY(mm_pg_text(db, facts, &res, why));
	(void)snprintf(out->version, sizeof(out->version), "%s",
	    PQgetvalue(res, 0, VERSION));
	out->connections = number(res, CONNECTIONS);
	out->connections_max = number(res, CONNECTIONS_MAX);
	out->year = (int)number(res, YEAR);
	out->years = (unsigned)number(res, YEARS);
	return MM_OK;
}

/* see postgres.h; over a connection of its own, as one that writes: a session
 * keeps the settings that it began with, the next one meets those of now. */
enum mm_err
mm_pg_inspect(struct mm_store_reader *r, bool deep, struct mm_store_health *out,
    struct mm_why *why)
{
	struct pg db = { .writes = true, .where = mm_pg_db(r)->where };
	enum mm_err err = look(&db, out, why);

	(void)deep;
	mm_pg_disconnect(&db);
	return err;
}
