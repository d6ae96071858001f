#include "fixture.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "shim.h"

/*
 * Every write and every sync of a run fails once, for a while, or although
 * the bytes went out.  MM_EAGAIN must mean that nothing happened, even after
 * a crash at that moment (a copy of the files, opened anew); MM_ESYS that
 * everything or nothing did.
 */

#define N 6

static void
make_batch(struct top t[2 * N], unsigned first)
{
	for (unsigned i = 0; i < N; i++) {
		top_mint(&t[2 * i], first + i);
		top_issue(&t[2 * i + 1], first + i);
		t[2 * i + 1].op.nentries = 4;
	}
}

static unsigned
there(struct fx *f, unsigned first)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N; i++)
		n += cert_state(f, first + i) == MM_CERT_ISSUED &&
		    token_state(f, first + i) == MM_TOKEN_ISSUED;
	return n;
}

static void
copy_file(const struct fx *from, const struct fx *to, const char *suffix)
{
	char a[160], b[160];
	struct mm_buf buf = MM_BUF_INIT(1 << 28);

	snprintf(a, sizeof(a), "%s%s", strchr(from->url, ':') + 1, suffix);
	snprintf(b, sizeof(b), "%s%s", strchr(to->url, ':') + 1, suffix);
	if (mm_file_read(a, &buf, NULL) == MM_OK)
		assert_int_equal(mm_file_replace(b, mm_buf_view(&buf), 0600,
		    NULL), MM_OK);
	mm_buf_done(&buf);
}

/* What a recovery after a crash at this moment would find. */
static unsigned
there_after_crash(const struct fx *f, unsigned first)
{
	struct fx copy = { .s = NULL };
	struct mm_why why = { 0 };
	unsigned n;

	fx_dir(&copy);
	snprintf(copy.url, sizeof(copy.url), "sqlite:%s/store.db", copy.dir);
	copy_file(f, &copy, "");
	copy_file(f, &copy, "-wal");
	must(mm_store_open(copy.url, false, &copy.s, &why), &why);
	must(mm_reader_open(copy.url, &copy.r, &why), &why);
	check_whole(&copy);
	n = there(&copy, first);
	fx_close(&copy);
	return n;
}

/* Fails at the at-th call; false when the run no longer gets there. */
static bool
one_fault(struct fx *f, unsigned first, struct shim_plan plan)
{
	static struct top t[2 * N];
	enum mm_err err;
	unsigned n;

	make_batch(t, first);
	shim_arm(plan);
	err = run_all(f, t, 2 * N);
	if (shim_disarm() == 0) {
		assert_int_equal(err, MM_OK);
		return false;
	}
	assert_true(err == MM_EAGAIN || err == MM_ESYS);
	for (unsigned i = 0; i < 2 * N; i++)
		assert_int_equal(t[i].op.result, err);
	n = there_after_crash(f, first);
	if (n != 0 && !(n == N && err == MM_ESYS))
		fail_msg("fault %d, times %d, rc %d: %u of %u there (%s)",
		    plan.at, plan.times, plan.rc, n, N, mm_err_slug(err));
	if (plan.times == 1)
		assert_int_equal(err, MM_EAGAIN);
	assert_int_equal(there(f, first), 0);
	assert_int_equal(run_all(f, t, 2 * N), MM_OK);
	for (unsigned i = 0; i < 2 * N; i++)
		assert_int_equal(t[i].op.result, MM_OK);
	assert_int_equal(there(f, first), N);
	assert_int_equal(mm_store_tidy(f->r, NULL), MM_OK);
	if (plan.at % 8 == 0)
		check_whole(f);
	return true;
}

static void
each_fault(const struct shim_plan *base)
{
	struct fx f;
	unsigned at = 1;

	assert_true(fx_open(&f, mm_store_backends[0]));
	for (;; at++) {
		struct shim_plan plan = *base;

		plan.at = (int)at;
		if (!one_fault(&f, at * N, plan))
			break;
	}
	assert_true(at > 20);
	assert_int_equal(mm_store_tidy(f.r, NULL), MM_OK);
	check_whole(&f);
	fx_reopen(&f);
	check_whole(&f);
	fx_close(&f);
}

static void
test_faults(void **state)
{
	static const struct shim_plan plans[] = {
		{ .times = 1, .rc = SQLITE_IOERR_WRITE },
		{ .times = 1, .rc = SQLITE_IOERR_WRITE, .bytes_done = 1 },
		{ .times = 1, .rc = SQLITE_FULL },
		{ .times = 1000, .rc = SQLITE_FULL },
		{ .times = 1000, .rc = SQLITE_IOERR_FSYNC, .bytes_done = 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
		each_fault(&plans[i]);
}

/* A WAL that cannot be copied back is no loss: the next time does it. */
static void
test_tidy_fails(void **state)
{
	static struct top t[2 * N];
	struct fx f;

	(void)state;
	assert_true(fx_open(&f, mm_store_backends[0]));
	make_batch(t, 0);
	assert_int_equal(run_all(&f, t, 2 * N), MM_OK);
	for (int at = 1; at < 20; at++) {
		shim_arm((struct shim_plan){ .at = at, .times = 1,
		    .rc = SQLITE_IOERR_WRITE });
		enum mm_err err = mm_store_tidy(f.r, NULL);
		assert_int_equal(err,
		    shim_disarm() > 0 ? MM_EAGAIN : MM_OK);
		assert_int_equal(there(&f, 0), N);
	}
	check_whole(&f);
	fx_close(&f);
}

/* Another program's database, and a schema of another version. */
static void
test_foreign(void **state)
{
	static const struct {
		const char *what, *sql;
	} rows[] = {
		{ "newer", "PRAGMA user_version = 99" },
		{ "older", "PRAGMA user_version = 0" },
		{ "another's", "PRAGMA application_id = 1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_store *s = NULL;
		struct mm_store_reader *r = NULL;
		struct mm_why why = { 0 };
		sqlite3 *h;
		struct fx f;

		assert_true(fx_open(&f, mm_store_backends[0]));
		mm_reader_close(&f.r);
		mm_store_close(&f.s);
		assert_int_equal(sqlite3_open(strchr(f.url, ':') + 1, &h), 0);
		assert_int_equal(sqlite3_exec(h, rows[i].sql, NULL, NULL,
		    NULL), 0);
		sqlite3_close(h);
		assert_int_equal(mm_store_open(f.url, true, &s, &why),
		    MM_EPOLICY);
		assert_non_null(strstr(why.text, i < 2 ? "schema version" :
		    "not one of"));
		assert_int_equal(mm_reader_open(f.url, &r, NULL), MM_EPOLICY);
		fx_close(&f);
	}
}

/* All tables and indexes, as the database has them. */
static void
shape_of(const char *url, char *out, size_t n, const char *sql)
{
	sqlite3_stmt *st;
	sqlite3 *h;

	assert_int_equal(sqlite3_open(strchr(url, ':') + 1, &h), 0);
	assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), 0);
	assert_int_equal(sqlite3_prepare_v2(h, "SELECT group_concat(sql, ';')"
	    " FROM (SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"
	    " ORDER BY name)", -1, &st, NULL), 0);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_true(sqlite3_column_bytes(st, 0) < (int)n);
	strcpy(out, (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	sqlite3_close(h);
}

/* A database of version 1: refused to a reader, brought up to date by the
 * writer, with what was in it. */
static void
test_older_grows(void **state)
{
	static char fresh[16384], old[16384], grown[16384];
	struct mm_store_reader *r = NULL;
	struct mm_why why = { 0 };
	struct top t;
	struct fx f;

	(void)state;
	assert_true(fx_open(&f, mm_store_backends[0]));
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	mm_reader_close(&f.r);
	mm_store_close(&f.s);
	shape_of(f.url, fresh, sizeof(fresh), "");
	shape_of(f.url, old, sizeof(old),
	    "DROP TRIGGER listed_new; DROP TRIGGER listed_now;"
	    "DROP TABLE listed; DROP TABLE shard;"
	    "DROP INDEX cert_class; DROP INDEX cert_expiry;"
	    "DROP INDEX token_class;"
	    "CREATE INDEX cert_place ON cert"
	    " (segment, class, state, not_after_s);"
	    "CREATE INDEX token_place ON token (segment, class, state);"
	    "DROP INDEX cert_issued;"
	    "DROP TABLE doc; DROP TABLE attribute;"
	    "DROP INDEX operator_key;"
	    FX_UNRENEWED
	    "ALTER TABLE entry DROP COLUMN back;"
	    "ALTER TABLE device DROP COLUMN last;"
	    "ALTER TABLE device DROP COLUMN salt;"
	    "ALTER TABLE token DROP COLUMN last;"
	    "ALTER TABLE cert DROP COLUMN last;"
	    "ALTER TABLE cert DROP COLUMN key_type;"
	    "ALTER TABLE product DROP COLUMN version;"
	    "ALTER TABLE operator DROP COLUMN kind;"
	    "ALTER TABLE operator DROP COLUMN description;"
	    "ALTER TABLE operator DROP COLUMN scope;"
	    "ALTER TABLE operator DROP COLUMN sources;"
	    "ALTER TABLE operator DROP COLUMN spki;"
	    "ALTER TABLE operator DROP COLUMN used_at;"
	    "PRAGMA user_version = 1");
	assert_string_not_equal(old, fresh);
	assert_int_equal(mm_reader_open(f.url, &r, &why), MM_EPOLICY);
	assert_non_null(strstr(why.text, "start mintmarkd"));
	fx_reopen(&f);
	assert_int_equal(token_state(&f, 1), MM_TOKEN_MINTED);
	check_whole(&f);
	shape_of(f.url, grown, sizeof(grown), "");
	assert_string_equal(grown, fresh);
	fx_close(&f);
}

/* One of version 6, with documents whose index it makes. */
static void
test_batches_get_their_index(void **state)
{
	static char fresh[16384], old[16384], grown[16384];
	struct fx f;

	(void)state;
	assert_true(fx_open(&f, mm_store_backends[0]));
	fx_put_batches(&f);
	mm_reader_close(&f.r);
	mm_store_close(&f.s);
	shape_of(f.url, fresh, sizeof(fresh), "");
	shape_of(f.url, old, sizeof(old),
	    "DROP INDEX doc_batch_product;"
	    FX_UNRENEWED "PRAGMA user_version = 6");
	assert_string_not_equal(old, fresh);
	fx_reopen(&f);
	fx_check_batches(&f);
	shape_of(f.url, grown, sizeof(grown), "");
	assert_string_equal(grown, fresh);
	fx_close(&f);
}

/* An auditor reads while the server runs; at rest he is told why not. */
static void
read_as_nobody(const char *url, enum mm_err want, const char *words)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct mm_store_reader *r = NULL;
		struct mm_why why = { 0 };
		enum mm_err err;

		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(3);
		err = mm_reader_open(url, &r, &why);
		_exit(err != want || strstr(why.text, words) == NULL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_read_only_user(void **state)
{
	struct fx f;

	(void)state;
	if (getuid() != 0)
		skip();
	umask(022);
	assert_true(fx_open(&f, mm_store_backends[0]));
	assert_int_equal(chmod(f.dir, 0755), 0);
	mm_reader_close(&f.r);
	mm_store_close(&f.s);
	assert_int_equal(chmod(strchr(f.url, ':') + 1, 0644), 0);
	read_as_nobody(f.url, MM_EAGAIN, "nobody has it open");
	assert_int_equal(mm_store_open(f.url, false, &f.s, NULL), MM_OK);
	read_as_nobody(f.url, MM_OK, "");
	fx_close(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_tidy_fails),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_older_grows),
		cmocka_unit_test(test_batches_get_their_index),
		cmocka_unit_test(test_read_only_user),
	};

	shim_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
