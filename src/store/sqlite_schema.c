#include "store/sqlite.h"

#include <stdio.h>

/*
 * The schema: version 1 and what was added since, a text each.  An empty
 * database takes all of them, an older one what it lacks, in one transaction
 * with the new number: whole or not at all.
 */
#define APPLICATION_ID 0x4d4d726b /* "MMrk" */

static const char *const steps[] = { mm_sqlite_schema, mm_sqlite_2_schema,
	mm_sqlite_3_schema, mm_sqlite_4_schema, mm_sqlite_5_schema,
	mm_sqlite_6_schema, mm_sqlite_7_schema, mm_sqlite_8_schema };
#define VERSION ((int)(sizeof(steps) / sizeof(steps[0])))

static enum mm_err
grow(struct db *db, int from, struct mm_why *why)
{
	char pragmas[96];

	snprintf(pragmas, sizeof(pragmas),
	    "PRAGMA user_version = %d; PRAGMA application_id = %d;", VERSION,
	    APPLICATION_ID);
	MM_TRY(mm_sqlite_text(db, "BEGIN IMMEDIATE", why));
	for (int i = from; i < VERSION; i++)
		MM_TRY(mm_sqlite_text(db, steps[i], why));
	MM_TRY(mm_sqlite_text(db, pragmas, why));
	return mm_sqlite_text(db, "COMMIT", why);
}

/* 0: the database is empty. */
static enum mm_err
version_of(struct db *db, int *version, struct mm_why *why)
{
	int64_t tables, application, have;

	*version = 0;
	MM_TRY(mm_sqlite_ints(db, ASK0(TABLES), &tables, 1, why));
	if (tables == 0)
		return MM_OK;
	MM_TRY(mm_sqlite_ints(db, ASK0(VERSION), &have, 1, why));
	MM_TRY(mm_sqlite_ints(db, ASK0(APPLICATION), &application, 1, why));
	if (application != APPLICATION_ID)
		return MM_FAIL(
		    why, MM_EPOLICY, "database: not one of Mintmark's");
	if (have < 1 || have > VERSION)
		return MM_FAIL(why, MM_EPOLICY,
		    "database: schema version "
		    "is %lld, this program's is %d",
		    (long long)have, VERSION);
	*version = (int)have;
	return MM_OK;
}

/* see sqlite.h */
enum mm_err
mm_sqlite_schema_write(struct db *db, bool create, struct mm_why *why)
{
	int have;

	MM_TRY(version_of(db, &have, why));
	if (have == 0 && !create)
		return MM_FAIL(why, MM_ENOTFOUND, "database: it is empty");
	return have == VERSION ? MM_OK : grow(db, have, why);
}

/* see sqlite.h */
enum mm_err
mm_sqlite_schema_read(struct db *db, struct mm_why *why)
{
	int have;

	MM_TRY(version_of(db, &have, why));
	if (have == 0)
		return MM_FAIL(why, MM_ENOTFOUND, "database: it is empty");
	return have == VERSION ? MM_OK
			       : MM_FAIL(why, MM_EPOLICY,
				     "database: schema version is %d, this "
				     "program's is %d: start "
				     "mintmarkd, which brings it up to date",
				     have, VERSION);
}
