#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgres.h"

/* What a session must be, and what the server must promise. */

#define SCHEMA_VERSION 12
#define SERVER_MIN     150000

/*
 * The plan of a statement is made once, often while tables are small: it must
 * be the one for large tables, and every statement here has its index.
 */
const char mm_pg_setup[] =
    "SET search_path = mintmark;"
    "SET timezone = 'UTC';"
    "SET standard_conforming_strings = on;"
    "SET plan_cache_mode = force_generic_plan;"
    "SET jit = off;"
    "SET max_parallel_workers_per_gather = 0;"
    "SET enable_seqscan = off;"
    "SET enable_bitmapscan = off;"
    "SET enable_hashjoin = off;"
    "SET enable_mergejoin = off;";
/* A COMMIT that waits for its replica is not subject to statement_timeout.
 * A node that hangs between its two round trips has every node's turn, and
 * loses it before the others' wait for it ends. */
static const char writer_setup[] =
    "SET statement_timeout = 3000;"
    "SET idle_in_transaction_session_timeout = 1500;";
static const char reader_setup[] =
    "SET statement_timeout = 10000;"
    "SET idle_in_transaction_session_timeout = 60000;"
    "SET default_transaction_read_only = on;";

/*
 * Replicas: connections that stream (a logical one is no copy to fail over
 * to, a backup is over soon: its second stream sends the log and is known by
 * its name alone, which every user may see) and slots that wait for one.
 */
static const char facts[] =
    "SELECT current_setting('server_version_num'),"
    " current_setting('server_encoding'),"
    " current_setting('synchronous_commit'), current_setting('fsync'),"
    " current_setting('full_page_writes'), pg_is_in_recovery(),"
    " current_setting('synchronous_standby_names') <> '',"
    " EXISTS (SELECT FROM pg_stat_replication WHERE"
    " coalesce(state, '') <> 'backup' AND"
    " coalesce(application_name, '') <> 'pg_basebackup' AND pid NOT IN (SELECT active_pid FROM"
    " pg_replication_slots WHERE slot_type = 'logical' AND active_pid > 0))"
    " OR EXISTS (SELECT FROM pg_replication_slots"
    " WHERE slot_type = 'physical' AND NOT temporary)";
enum fact {
	VERSION, ENCODING, SYNCHRONOUS_COMMIT, FSYNC, FULL_PAGE_WRITES,
	RECOVERY, SYNCHRONOUS_NAMES, REPLICAS
};

static const char *
fact(const PGresult *res, enum fact f)
{
	return PQgetvalue(res, 0, (int)f);
}

static bool
is(const PGresult *res, enum fact f, const char *value)
{
	return strcmp(fact(res, f), value) == 0;
}

static enum mm_err
check_server(const PGresult *res, struct mm_why *why)
{
	if (atoi(fact(res, VERSION)) < SERVER_MIN)
		return MM_FAIL(why, MM_EPOLICY, "database: PostgreSQL %d is "
		    "too old, want 15 or later",
		    atoi(fact(res, VERSION)) / 10000);
	if (!is(res, ENCODING, "UTF8"))
		return MM_FAIL(why, MM_EPOLICY, "database: its encoding is "
		    "%s, want UTF8", fact(res, ENCODING));
	return MM_OK;
}

/* Architecture, promise 1: what was answered must outlive a crash, and a
 * failover. */
static enum mm_err
check_durable(const PGresult *res, struct mm_why *why)
{
	if (is(res, FSYNC, "off") || is(res, FULL_PAGE_WRITES, "off"))
		return MM_FAIL(why, MM_EPOLICY, "database: %s is off: a "
		    "crash of the server would lose certificates",
		    is(res, FSYNC, "off") ? "fsync" : "full_page_writes");
	if (is(res, SYNCHRONOUS_COMMIT, "off") ||
	    is(res, SYNCHRONOUS_COMMIT, "local"))
		return MM_FAIL(why, MM_EPOLICY, "database: "
		    "synchronous_commit is %s: a crash or a failover would "
		    "lose certificates", fact(res, SYNCHRONOUS_COMMIT));
	if (is(res, REPLICAS, "t") && !is(res, SYNCHRONOUS_NAMES, "t"))
		return MM_FAIL(why, MM_EPOLICY, "database: it has replicas "
		    "and none is synchronous (synchronous_standby_names): a "
		    "failover would lose certificates");
	return MM_OK;
}

/*
 * A commit whose waiting session was cut may stand here and be on no replica
 * yet; who connects now would see it.  A commit of our own is behind it in
 * the WAL, so when it has returned, everything that shows is as durable.
 */
static const char barrier[] =
    "SELECT set_config('synchronous_commit',"
    " current_setting('synchronous_commit'), false),"
    " pg_logical_emit_message(true, 'mintmark', '')";

static enum mm_err
run(struct pg *db, const char *sql, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	return mm_pg_text(db, sql, &res, why);
}

/* ---- the schema ---- */

static const char tables[] =
    "SELECT to_regclass('mintmark.meta') IS NOT NULL, EXISTS (SELECT FROM"
    " pg_class WHERE relnamespace = to_regnamespace('mintmark')),"
    " to_regnamespace('mintmark') IS NOT NULL";

/* What a version adds to the one before it. */
#define FIRST 2 /* what there is first */
static const char *const later[SCHEMA_VERSION - FIRST] = {
	mm_postgres_3_schema, mm_postgres_4_schema, mm_postgres_5_schema,
	mm_postgres_6_schema, mm_postgres_7_schema, mm_postgres_8_schema,
	mm_postgres_9_schema, mm_postgres_10_schema, mm_postgres_11_schema,
	mm_postgres_12_schema
};

static enum mm_err
check_version(struct pg *db, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	MM_TRY(mm_pg_text(db, "SELECT application, version,"
	    " 'op'::regtype::oid, 'op[]'::regtype::oid FROM meta", &res,
	    why));
	if (PQntuples(res) != 1 ||
	    strcmp(PQgetvalue(res, 0, 0), "mintmark") != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "database: not one of Mintmark's");
	if (atoi(PQgetvalue(res, 0, 1)) != SCHEMA_VERSION)
		return MM_FAIL(why, MM_EPOLICY, "database: schema version "
		    "is %s, this program's is %d%s", PQgetvalue(res, 0, 1),
		    SCHEMA_VERSION, db->writes ? "" : ": start mintmarkd, "
		    "which brings an older one up to date");
	db->op = (Oid)strtoul(PQgetvalue(res, 0, 2), NULL, 10);
	db->ops = (Oid)strtoul(PQgetvalue(res, 0, 3), NULL, 10);
	return MM_OK;
}

/* Whole or not at all.  An administrator may have made the (empty) schema, so
 * that this user need not have the right to. */
static enum mm_err
schema_make(struct pg *db, bool named, struct mm_why *why)
{
	enum mm_err err = run(db, "BEGIN", why);

	if (err == MM_OK && !named)
		err = run(db, "CREATE SCHEMA mintmark", why);
	if (err == MM_OK)
		err = run(db, mm_postgres_schema, why);
	if (err == MM_OK)
		err = run(db, mm_postgres_ops_schema, why);
	if (err == MM_OK)
		err = run(db, mm_postgres_reads_schema, why);
	for (int v = FIRST; err == MM_OK && v < SCHEMA_VERSION; v++)
		err = run(db, later[v - FIRST], why);
	if (err == MM_OK)
		err = run(db, "COMMIT", why);
	if (err != MM_OK)
		mm_pg_disconnect(db);
	return err;
}

/* An SQLSTATE: words are in the server's language. */
#define LOCK_NOT_AVAILABLE "55P03"

/* A table is its own while it changes: who waits for one that somebody reads
 * has all others wait behind it, so it does not wait long. */
static enum mm_err
add(struct pg *db, int before, struct mm_why *why)
{
	struct mm_why no = { 0 };
	enum mm_err rc = run(db, later[before - FIRST], &no);

	if (rc == MM_OK)
		return MM_OK;
	if (strstr(no.text, "(" LOCK_NOT_AVAILABLE ")") != NULL)
		return MM_FAIL(why, rc, "database: its schema cannot be "
		    "brought to version %d: somebody has used its tables for "
		    "10 seconds (pg_stat_activity says who: a long query, a "
		    "backup by pg_dump, another node); start again after that",
		    before + 1);
	return MM_FAIL(why, rc, "%s", no.text);
}

static enum mm_err
look(struct pg *db, const char *sql, int *have, bool *older,
    struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	MM_TRY(mm_pg_text(db, sql, &res, why));
	*have = PQntuples(res) == 1 ? atoi(PQgetvalue(res, 0, 0)) : 0;
	*older = *have >= FIRST && *have < SCHEMA_VERSION;
	return MM_OK;
}

#define GET_VERSION "SELECT version FROM meta WHERE application = 'mintmark'"

/* Nodes may start at once: the row is locked while the version is looked at,
 * for as long as the first of them takes. */
static enum mm_err
grow(struct pg *db, bool *grown, struct mm_why *why)
{
	int have;

	MM_TRY(run(db, "SET LOCAL statement_timeout = 0", why));
	MM_TRY(look(db, GET_VERSION " FOR UPDATE", &have, grown, why));
	if (*grown)
		MM_TRY(run(db, "SET LOCAL lock_timeout = '10s';"
		    "SET LOCAL enable_seqscan = on;", why));
	for (int v = have; *grown && v < SCHEMA_VERSION; v++)
		MM_TRY(add(db, v, why));
	return MM_OK;
}

/* Of a version before, by who writes; whole or not at all. */
static enum mm_err
bring_up(struct pg *db, struct mm_why *why)
{
	bool grown = false;
	enum mm_err err;
	int have;

	if (!db->writes)
		return MM_OK;
	MM_TRY(look(db, GET_VERSION, &have, &grown, why));
	if (!grown)
		return MM_OK;
	MM_TRY(run(db, "BEGIN", why));
	db->patient = true;
	err = grow(db, &grown, why);
	db->patient = false;
	if (err == MM_OK)
		err = run(db, grown ? "COMMIT" : "ROLLBACK", why);
	if (err != MM_OK)
		mm_pg_disconnect(db);
	return err;
}

/* see postgres.h */
enum mm_err
mm_pg_schema(struct pg *db, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	MM_TRY(mm_pg_text(db, tables, &res, why));
	if (strcmp(PQgetvalue(res, 0, 0), "t") == 0) {
		MM_TRY(bring_up(db, why));
		return check_version(db, why);
	}
	if (strcmp(PQgetvalue(res, 0, 1), "t") == 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "database: not one of Mintmark's");
	if (!db->create)
		return MM_FAIL(why, MM_ENOTFOUND, "database: it is empty");
	MM_TRY(schema_make(db, strcmp(PQgetvalue(res, 0, 2), "t") == 0, why));
	return check_version(db, why);
}

/* see postgres.h */
enum mm_err
mm_pg_session(struct pg *db, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	MM_TRY(run(db, mm_pg_setup, why));
	MM_TRY(mm_pg_text(db, facts, &res, why));
	MM_TRY(check_server(res, why));
	if (db->writes)
		MM_TRY(check_durable(res, why));
	if (!is(res, RECOVERY, "t"))
		MM_TRY(run(db, barrier, why));
	MM_TRY(run(db, db->writes ? writer_setup : reader_setup, why));
	return mm_pg_schema(db, why);
}
