/* When certificates end, counted: the first time without rests in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "core/priv.h"
#include "rig.h"

/* More than two turns of later counts have. */
enum { CERTS = 130000, TURNS = 2 };

/* Rows like that of the one device, behind the program's back. */
static void
fill(struct rig *r)
{
	static const char sql[] =
	    "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n"
	    " WHERE i < ?1) INSERT INTO cert (serial, device, class, state,"
	    " idevid, key_origin, replaced, replaced_at, issued_at,"
	    " not_before_s, not_after_s, confirmed_at, revoked_at, reason,"
	    " held_from, shard) SELECT CAST(printf('%016d', n.i) AS BLOB),"
	    " device, class, state, idevid, key_origin, replaced, replaced_at,"
	    " issued_at, not_before_s, not_after_s + n.i, confirmed_at,"
	    " revoked_at, reason, held_from, shard FROM n, cert"
	    " WHERE cert.id = 1";
	struct sqlite3 *db = rig_lock_store(r);
	sqlite3_stmt *st;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_bind_int(st, 1, CERTS), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "COMMIT; BEGIN", NULL, NULL, NULL),
	    SQLITE_OK);
	rig_unlock_store(db);
}

static uint64_t
counted(const struct mm_forecast *f)
{
	uint64_t n = 0;

	for (size_t i = 0; i < f->ncell; i++)
		n += f->cell[i].n;
	return n;
}

static void
test_the_first_is_soon_there(void **state)
{
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-1");
	EVP_PKEY *key = rig_key();
	struct mm_job *job = rig_job(MM_JOB_ENROL, key, "");
	struct mm_forecast *f = NULL;

	rig_psk(job, &t);
	rig_run(r, job);
	assert_int_equal(job->result, MM_OK);
	mm_job_free(&job);
	mm_pkey_free(&key);
	fill(r);
	for (int i = 0; i < TURNS && f == NULL; i++) {
		assert_int_equal(mm_desk_forecast(r->desk, NULL), MM_OK);
		f = mm_core_forecast(r->core);
	}
	assert_non_null(f);
	assert_int_equal(counted(f), CERTS);
	mm_core_forecast_done(r->core, f);
	/* and then it rests */
	assert_int_equal(mm_desk_forecast(r->desk, NULL), MM_OK);
	f = mm_core_forecast(r->core);
	assert_int_equal(counted(f), CERTS);
	mm_core_forecast_done(r->core, f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_is_soon_there),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
