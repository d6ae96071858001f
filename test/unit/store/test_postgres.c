#include "fixture.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/time.h"
#include "plans.h"
#include "server.h"
#include "store/postgres.h"

/*
 * What only a server can do: be another's too, restart, hang, lose a
 * connection, promise less than it should.
 */

static const struct mm_store_backend *
postgres(void)
{
	for (size_t i = 0; mm_store_backends[i] != NULL; i++)
		if (strcmp(mm_store_backend_scheme(mm_store_backends[i]),
		    "postgresql") == 0)
			return mm_store_backends[i];
	fail_msg("no such backend");
	return NULL;
}

static void
open_here(struct fx *f)
{
	if (!fx_open(f, postgres()))
		skip();
}

static void
end_sessions(void)
{
	pg_sql(NULL, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
	    " WHERE application_name = 'mintmark'");
}

/* A run that may fail once and then not again; what it was at first. */
static enum mm_err
run_twice(struct fx *f, struct top *t)
{
	enum mm_err err = run1(f, t);

	if (err != MM_OK)
		assert_int_equal(run1(f, t), MM_OK);
	return err;
}

/* ---- several writers ---- */

static void
put_entries(struct mm_store *s, unsigned first, unsigned n)
{
	static struct top t[512];
	struct mm_op *ops[512];
	struct mm_why why = { 0 };

	for (unsigned i = 0; i < n; i++) {
		top_init(&t[i], MM_OP_ENTRY, first + i);
		t[i].op.nentries = 3;
		ops[i] = &t[i].op;
	}
	must(mm_store_run(s, ops, n, &why), &why);
}

/* What the other wrote, a little or more than is caught up with. */
static void
test_writers_take_turns(void **state)
{
	struct mm_store *other = NULL;
	struct mm_why why = { 0 };
	struct fx f;

	(void)state;
	open_here(&f);
	must(mm_store_open(f.url, false, &other, &why), &why);
	for (unsigned i = 0; i < 12; i++) {
		put_entries(i % 2 ? other : f.s, i * 600, 40 + i);
		if (i % 5 == 4)
			put_entries(other, i * 7000, 500);
	}
	mm_store_close(&other);
	put_entries(f.s, 1000000, 1);
	check_whole(&f);
	fx_close(&f);
}

struct node {
	pthread_t thread;
	const char *url;
	unsigned first, conflicts;
};

/* Each node wants every token; the certificates have serials of their own. */
static void *
claim_all(void *arg)
{
	struct node *n = arg;
	struct mm_store *s = NULL;
	struct top *t = calloc(8, sizeof(*t));
	struct mm_op *ops[8];
	struct mm_why why = { 0 };

	must(mm_store_open(n->url, false, &s, &why), &why);
	for (unsigned at = 0; at < 160; at += 8) {
		for (unsigned i = 0; i < 8; i++) {
			top_issue(&t[i], at + i);
			t[i].op.u.issue.row.serial[15] = (uint8_t)n->first;
			ops[i] = &t[i].op;
		}
		must(mm_store_run(s, ops, 8, &why), &why);
		for (unsigned i = 0; i < 8; i++)
			n->conflicts += t[i].op.result == MM_ECONFLICT;
	}
	mm_store_close(&s);
	free(t);
	return NULL;
}

static void
test_two_nodes_one_claim(void **state)
{
	static struct top t[160];
	struct node node[2];
	struct mm_store_counts c;
	struct fx f;

	(void)state;
	open_here(&f);
	for (unsigned i = 0; i < 160; i++)
		top_mint(&t[i], i);
	assert_int_equal(run_all(&f, t, 160), MM_OK);
	for (unsigned i = 0; i < 2; i++) {
		node[i] = (struct node){ .url = f.url, .first = i };
		assert_int_equal(pthread_create(&node[i].thread, NULL,
		    claim_all, &node[i]), 0);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(node[i].thread, NULL);
	assert_int_equal(node[0].conflicts + node[1].conflicts, 160);
	assert_int_equal(mm_get_counts(f.r, &c, NULL), MM_OK);
	assert_int_equal(c.certs, 160);
	assert_int_equal(c.entries, 320);
	fx_reopen(&f);
	check_whole(&f);
	fx_close(&f);
}

/* ---- who signs on an authority ---- */

static struct mm_op
reserved(struct fx *f, const char *node, uint8_t key, uint32_t lease_s)
{
	struct mm_op op = { .kind = MM_OP_RESERVE }, *ops[] = { &op };

	strcpy(op.u.reserve.authority, "token:T1");
	strcpy(op.u.reserve.node, node);
	memset(op.u.reserve.spki, key, 32);
	op.u.reserve.lease_s = lease_s;
	assert_int_equal(mm_store_run(f->s, ops, 1, NULL), MM_OK);
	assert_true(op.result == MM_OK || op.result == MM_ECONFLICT);
	return op;
}

static void
test_a_reservation(void **state)
{
	static const struct {
		const char *what, *node;
		uint8_t key;
		uint32_t lease_s;
		enum mm_err want;
		bool same;
	} rows[] = {
		{ "free", "a", 1, 30, MM_OK, false },
		{ "again, another key", "a", 2, 30, MM_OK, false },
		{ "the other node's, same key", "b", 2, 30, MM_ECONFLICT,
		    true },
		{ "the other node's", "b", 1, 30, MM_ECONFLICT, false },
		{ "not b's to give back", "b", 1, 0, MM_OK, false },
		{ "still the other node's", "b", 1, 30, MM_ECONFLICT, false },
		{ "given back", "a", 2, 0, MM_OK, false },
		{ "free again", "b", 1, 1, MM_OK, false },
	};
	const struct timespec pause = { .tv_nsec = 20000000 };
	int64_t until = mm_mono_ms() + 20000;
	struct mm_op op;
	struct fx f;

	(void)state;
	open_here(&f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		op = reserved(&f, rows[i].node, rows[i].key, rows[i].lease_s);
		if (op.result != rows[i].want ||
		    op.u.reserve.same_key != rows[i].same)
			fail_msg("%s: %d", rows[i].what, op.result);
	}
	/* b's second passes, and b has said no more */
	while (reserved(&f, "a", 1, 30).result != MM_OK) {
		assert_true(mm_mono_ms() < until);
		(void)nanosleep(&pause, NULL);
	}
	assert_int_equal(reserved(&f, "b", 1, 30).result, MM_ECONFLICT);
	fx_close(&f);
}

/* ---- what an op does wrong ---- */

/* No text: an error of the database, and only this op's. */
static void
test_a_bad_op_fails_alone(void **state)
{
	static struct top t[9];
	struct fx f;

	(void)state;
	open_here(&f);
	for (unsigned i = 0; i < 9; i++) {
		top_mint(&t[i], i);
		if (i % 4 == 2) {
			top_operator(&t[i], i);
			strcpy(t[i].op.u.operator_.name, "A\xff");
		}
	}
	t[8].op.entry[0].n = 0;
	assert_int_equal(run_all(&f, t, 9), MM_OK);
	for (unsigned i = 0, at = 0; i < 9; i++) {
		enum mm_err want = i == 8 ? MM_ELIMIT :
		    i % 4 == 2 ? MM_EINPUT : MM_OK;

		assert_int_equal(t[i].op.result, want);
		assert_int_equal(t[i].op.index,
		    want == MM_OK ? at++ : UINT64_MAX);
	}
	check_whole(&f);
	fx_close(&f);
}

/* ---- connections ---- */

static void
test_a_lost_connection_comes_back(void **state)
{
	struct mm_store_counts c;
	struct fx f;
	struct top t;

	(void)state;
	open_here(&f);
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	end_sessions();
	top_mint(&t, 2);
	assert_int_equal(run_twice(&f, &t), MM_EAGAIN);
	assert_int_equal(token_state(&f, 2), MM_TOKEN_MINTED);

	/* a snapshot does not outlive its connection */
	assert_int_equal(mm_reader_begin(f.r, NULL), MM_OK);
	end_sessions();
	assert_int_equal(mm_get_counts(f.r, &c, NULL), MM_EAGAIN);
	assert_int_equal(mm_get_counts(f.r, &c, NULL), MM_EAGAIN);
	mm_reader_end(f.r);
	assert_int_equal(mm_get_counts(f.r, &c, NULL), MM_OK);
	top_mint(&t, 3);
	(void)run_twice(&f, &t);
	check_whole(&f);
	fx_close(&f);
}

static void
test_a_restart(void **state)
{
	static const int how[] = { SIGINT, SIGQUIT };
	struct fx f;
	struct top t;

	(void)state;
	open_here(&f);
	for (unsigned i = 0; i < 2; i++) {
		int64_t start;

		top_mint(&t, 2 * i);
		(void)run_twice(&f, &t);
		pg_server_stop(how[i]);
		start = mm_mono_ms();
		top_mint(&t, 2 * i + 1);
		for (unsigned k = 0; k < 20; k++)
			assert_int_equal(run1(&f, &t), MM_EAGAIN);
		assert_int_equal(cert_state(&f, 0), -1);
		/* while it is away nobody waits for it */
		assert_true(mm_mono_ms() - start < 2000);
		pg_server_start();
		while (run1(&f, &t) != MM_OK)
			assert_true(mm_mono_ms() - start < 20000);
		assert_int_equal(token_state(&f, 2 * i),
		    MM_TOKEN_MINTED);
		check_whole(&f);
	}
	fx_close(&f);
}

/* A server that hangs is an answer too. */
static void
test_a_server_that_hangs(void **state)
{
	int64_t start = mm_mono_ms();
	struct fx f;
	struct top t;

	(void)state;
	open_here(&f);
	top_mint(&t, 1);
	pg_server_signal(SIGSTOP);
	assert_int_equal(run1(&f, &t), MM_EAGAIN);
	assert_true(mm_mono_ms() - start < 15000);
	pg_server_signal(SIGCONT);
	while (run1(&f, &t) != MM_OK)
		assert_true(mm_mono_ms() - start < 30000);
	check_whole(&f);
	fx_close(&f);
}

/* Somebody else holds the ledger. */
static void
test_a_lock_that_stays(void **state)
{
	struct fx f;
	struct top t;
	PGconn *c;

	(void)state;
	open_here(&f);
	c = PQconnectdb(f.url);
	PQclear(PQexec(c, "BEGIN; SELECT * FROM mintmark.meta FOR UPDATE"));
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_EAGAIN);
	PQfinish(c);
	assert_int_equal(run1(&f, &t), MM_OK);
	check_whole(&f);
	fx_close(&f);
}

static void *
let_go(void *other)
{
	nanosleep(&(struct timespec){ 1, 800000000 }, NULL);
	PQfinish(other);
	return NULL;
}

/* The wait for the ledger and each statement have their time each, however
 * long it all takes. */
static void
test_a_slow_database(void **state)
{
	static struct top t[100];
	struct mm_op *ops[100];
	struct mm_why why = { 0 };
	pthread_t thread;
	struct fx f;
	PGconn *other;

	(void)state;
	open_here(&f);
	pg_sql(f.url, "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql"
	    " AS 'BEGIN PERFORM pg_sleep(0.024); RETURN NEW; END';"
	    "CREATE TRIGGER slow BEFORE INSERT ON mintmark.token FOR EACH ROW"
	    " EXECUTE FUNCTION slow()");
	for (unsigned i = 0; i < 100; i++) {
		top_mint(&t[i], i);
		ops[i] = &t[i].op;
	}
	other = pg_hold(f.url, "SELECT * FROM mintmark.meta FOR UPDATE");
	assert_int_equal(pthread_create(&thread, NULL, let_go, other), 0);
	must(mm_store_run(f.s, ops, 100, &why), &why);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(t[i].op.result, MM_OK);
	fx_close(&f);
}

/* ---- replicas ---- */

static atomic_bool waits_end;

static void *
cancel_wait(void *url)
{
	while (!atomic_load(&waits_end)) {
		nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
		pg_sql(url, "SELECT pg_cancel_backend(pid) FROM"
		    " pg_stat_activity WHERE wait_event = 'SyncRep'");
	}
	return NULL;
}

static void
standby_names(const char *names)
{
	char sql[96];

	snprintf(sql, sizeof(sql),
	    "ALTER SYSTEM SET synchronous_standby_names = '%s'", names);
	pg_sql(NULL, sql);
	pg_sql(NULL, "SELECT pg_reload_conf()");
}

/* Mints one after the other until an answer is want (the server takes a new
 * setting when it gets to it); that one's number. */
static unsigned
mint_until(struct fx *f, unsigned first, enum mm_err want)
{
	struct top t;

	for (unsigned n = first; n < first + 200; n++) {
		top_mint(&t, n);
		if (run1(f, &t) == want)
			return n;
		nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
	}
	return 0;
}

/* The wait for a replica is cancelled: committed here, and perhaps nowhere
 * else.  That is not known to be durable. */
static void
test_a_commit_without_its_replica(void **state)
{
	pthread_t thread;
	unsigned lost, kept;
	struct fx f;

	(void)state;
	open_here(&f);
	standby_names("nobody");
	assert_int_equal(pthread_create(&thread, NULL, cancel_wait, NULL), 0);
	lost = mint_until(&f, 1, MM_ESYS);
	standby_names("");
	kept = mint_until(&f, lost + 1, MM_OK);
	atomic_store(&waits_end, true);
	pthread_join(thread, NULL);
	assert_true(lost != 0 && kept != 0);
	assert_int_equal(token_state(&f, lost), MM_TOKEN_MINTED);
	assert_int_equal(token_state(&f, kept), MM_TOKEN_MINTED);
	check_whole(&f);
	fx_close(&f);
}

/* ---- opening ---- */

static void
refused(const char *url, enum mm_err want, const char *words)
{
	struct mm_store *s = NULL;
	struct mm_why why = { 0 };

	if (mm_store_open(url, true, &s, &why) != want ||
	    strstr(why.text, words) == NULL)
		fail_msg("%s: \"%s\"", url, why.text);
	assert_null(s);
}

static void
test_databases_that_are_refused(void **state)
{
	static const struct {
		const char *sql, *words;
	} rows[] = {
		{ "UPDATE mintmark.meta SET version = 99",
		    "schema version is 99" },
		{ "UPDATE mintmark.meta SET version = 0",
		    "schema version is 0" },
		{ "UPDATE mintmark.meta SET application = 'x'",
		    "not one of" },
		{ "DROP TABLE mintmark.meta", "not one of" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_store_reader *r = NULL;
		struct fx f;

		open_here(&f);
		mm_reader_close(&f.r);
		mm_store_close(&f.s);
		pg_sql(f.url, rows[i].sql);
		refused(f.url, MM_EPOLICY, rows[i].words);
		assert_int_equal(mm_reader_open(f.url, &r, NULL), MM_EPOLICY);
		fx_close(&f);
	}
}

/* The database as the first version left it: what later texts add taken
 * away.  A reader leaves it alone; who writes brings it up, once. */
static const char older[] =
    "SET search_path = mintmark;"
    "DROP FUNCTION op_issue(op, bigint), op_issue_in_group(op, bigint),"
    " op_issue_in_batch(op, bigint), op_issue_alone(op, bigint),"
    " op_doc_put(op), op_doc_put_whatever(op), op_doc_put_ending(op),"
    " op_doc_put_counted(op), not_in_batch(op), count_of(text),"
    " count_up(text), operator_key_refused(bytea), op_operator_renew(op),"
    " op_operator_confirm(op), op_orphan(op, bigint), op_revoke(op, bigint);"
    "ALTER FUNCTION op_orphan_alone(op, bigint) RENAME TO op_orphan;"
    "ALTER FUNCTION op_revoke_alone(op, bigint) RENAME TO op_revoke;"
    "ALTER TABLE cert DETACH PARTITION cert_theirs;"
    "INSERT INTO cert_other SELECT * FROM cert_theirs;"
    "ALTER FUNCTION op_issue_new(op, bigint) RENAME TO op_issue;"
    "ALTER FUNCTION op_doc_put_alone(op) RENAME TO op_doc_put;"
    "ALTER TABLE device DROP COLUMN salt;"
    FX_UNRENEWED
    "DROP INDEX doc_unit_station; DROP FUNCTION station_of(bytea);"
    "DROP INDEX doc_batch_product; DROP FUNCTION product_of(bytea);"
    "DROP TABLE shard, listed, cert_theirs;"
    "DROP TRIGGER listed_new ON cert; DROP TRIGGER listed_now ON cert;"
    "DROP FUNCTION op_crl_put(op), put_shards(op), not_of_shards(op),"
    " number_in(bytea, integer, integer), keep_listed(),"
    " listed_as(smallint, bigint);"
    "ALTER FUNCTION op_crl_put_whole(op) RENAME TO op_crl_put;"
    "UPDATE meta SET version = 2";

static enum mm_err
count_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	(void)row, (void)next, (void)why;
	++*(unsigned *)ctx;
	return MM_OK;
}

static unsigned
listed(struct mm_store_reader *r, int64_t shard)
{
	struct mm_shards_of of = { ISSUER, 0, shard, shard };
	unsigned n = 0;

	must(mm_list_revoked_shards(r, &of, count_row, &n, NULL), NULL);
	return n;
}

/* Another CA's certificate and two of a clock that is wrong have their
 * places, in an older database that was brought up and in a new one. */
static void
in_their_places(const struct fx *f)
{
	pg_sql(f->url, "DO $$ BEGIN ASSERT 1 = (SELECT count(*) FROM"
	    " mintmark.cert_theirs) AND 2 = (SELECT count(*) FROM"
	    " mintmark.cert_other); END $$");
}

static void
put_theirs(struct fx *f)
{
	static const uint8_t first[] = { 0x80, 0x7f };
	struct top t;

	for (unsigned i = 0; i < 2; i++) {
		top_orphan(&t, 10 + i);
		t.op.u.orphan.row.serial[0] = first[i];
		assert_int_equal(run1(f, &t), MM_OK);
	}
	in_their_places(f);
}

/* Opens while another node has the row, and waits for longer than a
 * statement may take otherwise. */
static void *
open_second(void *url)
{
	struct mm_store *s = NULL;
	struct mm_why why = { 0 };

	pg_sql(url, "DO $$ BEGIN FOR i IN 1..400 LOOP EXIT WHEN EXISTS ("
	    "SELECT FROM pg_locks WHERE locktype = 'relation' AND NOT"
	    " granted); PERFORM pg_sleep(0.02); END LOOP; END $$");
	must(mm_store_open(url, false, &s, &why), &why);
	mm_store_close(&s);
	return NULL;
}

static void
test_an_older_database_is_brought_up(void **state)
{
	PGconn *reader;
	pthread_t second;
	struct mm_store_reader *r = NULL;
	struct mm_why why = { 0 };
	struct fx f;
	struct top t;

	(void)state;
	open_here(&f);
	top_product(&t, PRODUCT);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_orphan(&t, 9);
	assert_int_equal(run1(&f, &t), MM_OK);
	put_theirs(&f);
	fx_put_batches(&f);
	mm_reader_close(&f.r);
	mm_store_close(&f.s);
	pg_sql(f.url, older);
	assert_int_equal(mm_reader_open(f.url, &r, NULL), MM_EPOLICY);
	reader = pg_hold(f.url, "LOCK mintmark.cert IN ACCESS SHARE MODE");
	assert_int_equal(pthread_create(&second, NULL, open_second, f.url), 0);
	refused(f.url, MM_EAGAIN, "somebody has used its tables");
	PQfinish(reader);
	pthread_join(second, NULL);
	for (unsigned i = 0; i < 2; i++) {
		must(mm_store_open(f.url, false, &f.s, &why), &why);
		mm_store_close(&f.s);
	}
	must(mm_store_open(f.url, false, &f.s, &why), &why);
	must(mm_reader_open(f.url, &f.r, &why), &why);
	in_their_places(&f);
	assert_int_equal(listed(f.r, MM_SHARD_NONE), 3);
	fx_check_batches(&f);
	top_issue(&t, 1);
	t.op.u.issue.share = &(struct mm_op_share){ .batch = "B",
		.place = "B/", .version = 1 };
	assert_int_equal(run1(&f, &t), MM_ECONFLICT);
	t.op.u.issue.share = NULL;
	assert_int_equal(run1(&f, &t), MM_OK);
	check_whole(&f);
	fx_close(&f);
}

static void
url_of_bytes(const char *url, char out[160])
{
	const char *name = strchr(url, '@') + 2;

	snprintf(out, 160, "%.*sbytes%s", (int)(name - url), url,
	    strchr(name, '?'));
}

static void
test_servers_that_are_refused(void **state)
{
	struct fx f;
	char url[160];

	(void)state;
	open_here(&f);
	pg_sql(NULL, "SELECT pg_create_physical_replication_slot('copy')");
	refused(f.url, MM_EPOLICY, "none is synchronous");
	pg_sql(NULL, "SELECT pg_drop_replication_slot('copy')");
	fx_reopen(&f);
	fx_close(&f);
	pg_sql(NULL, "CREATE DATABASE bytes ENCODING 'SQL_ASCII'"
	    " TEMPLATE template0");
	refused(f.url, MM_ENOTFOUND, "does not exist");
	url_of_bytes(f.url, url);
	refused(url, MM_EPOLICY, "encoding is SQL_ASCII");
	pg_drop(url);
}

/* No word of a URL that holds one is repeated. */
static void
test_passwords_stay_out(void **state)
{
	static const char *const urls[] = {
		"postgresql://u:hunter2@127.0.0.1/db",
		"postgresql://u@127.0.0.1/db?password=hunter2",
		"postgresql://u:hunter2%zz@127.0.0.1/db",
		"postgresql:hunter2", "postgres://u:hunter2@h/db",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct mm_store *s = NULL;
		struct mm_why why = { 0 };
		enum mm_err err = mm_store_open(urls[i], true, &s, &why);

		assert_true(err == MM_EPOLICY || err == MM_EINPUT);
		assert_null(strstr(why.text, "hunter2"));
	}
}

/* Rows lie in their year's partition, and those of no year are found too. */
static void
test_years(void **state)
{
	struct fx f;
	struct top t;
	int64_t now = mm_now_ms();

	(void)state;
	open_here(&f);
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_issue(&t, 1);
	for (unsigned i = 0; i < 6; i++)
		t.op.u.issue.row.serial[i] = (uint8_t)(now >> (40 - 8 * i));
	assert_int_equal(run1(&f, &t), MM_OK);
	top_orphan(&t, 2);
	assert_int_equal(run1(&f, &t), MM_OK);
	pg_sql(f.url, "DO $$ BEGIN ASSERT (SELECT count(*) FROM"
	    " mintmark.cert_other) = 1; ASSERT (SELECT count(*) FROM"
	    " pg_inherits WHERE inhparent = 'mintmark.cert'::regclass) = 5;"
	    " END $$");
	assert_int_equal(cert_state(&f, 2), MM_CERT_ORPHANED);
	check_whole(&f);
	fx_close(&f);
}

/* ---- plans ---- */

static void
test_plans(void **state)
{
	struct fx f;

	(void)state;
	open_here(&f);
	check_plans(f.url);
	fx_close(&f);
}

/* ---- what C and SQL both say ---- */

/* run() knows kinds by number: the functions that it must call, in order. */
static void
test_kinds_are_numbered_alike(void **state)
{
	static const char *const calls[MM_OP_KINDS] = {
		[MM_OP_ENTRY] = "done()",
		[MM_OP_ISSUE] = "op_issue(",
		[MM_OP_CONFIRM] = "op_confirm(",
		[MM_OP_REVOKE] = "op_revoke(",
		[MM_OP_ORPHAN] = "op_orphan(",
		[MM_OP_TOKEN_MINT] = "op_token_mint(",
		[MM_OP_TOKEN_STATE] = "op_token_state(",
		[MM_OP_PRODUCT_PUT] = "op_product_put(",
		[MM_OP_DEVICE_PUT] = "op_device_put(",
		[MM_OP_DEVICE_RETIRE] = "op_device_retire(",
		[MM_OP_OPERATOR_PUT] = "op_operator_put(",
		[MM_OP_OPERATOR_REVOKE] = "op_operator_revoke(",
		[MM_OP_CHECKPOINT_PUT] = "op_checkpoint_put(",
		[MM_OP_CRL_PUT] = "op_crl_put(",
		[MM_OP_ANSWER_PUT] = "op_answer_put(",
		[MM_OP_DOC_PUT] = "op_doc_put(",
		[MM_OP_DEVICES_INDEX] = "op_devices_index(",
		[MM_OP_OPERATOR_ERASE] = "op_operator_erase(",
		[MM_OP_OPERATOR_USED] = "op_operator_used(",
		[MM_OP_RESERVE] = "op_reserve(",
		[MM_OP_OPERATOR_RENEW] = "op_operator_renew(",
		[MM_OP_OPERATOR_CONFIRM] = "op_operator_confirm(",
	};
	const char *at = strstr(mm_postgres_12_schema, "FUNCTION run(");
	unsigned kind;
	char want[64];

	(void)state;
	for (kind = 0; kind < MM_OP_KINDS; kind++) {
		assert_non_null(calls[kind]);
		at = strstr(at, "WHEN ");
		assert_non_null(at);
		snprintf(want, sizeof(want), "WHEN %u THEN r := %s", kind,
		    calls[kind]);
		if (strncmp(at, want, strlen(want)) != 0)
			fail_msg("run(): \"%.40s\", want \"%s\"", at, want);
		at++;
	}
	assert_null(strstr(at, "WHEN "));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writers_take_turns),
		cmocka_unit_test(test_two_nodes_one_claim),
		cmocka_unit_test(test_a_reservation),
		cmocka_unit_test(test_a_bad_op_fails_alone),
		cmocka_unit_test(test_a_lost_connection_comes_back),
		cmocka_unit_test(test_a_restart),
		cmocka_unit_test(test_a_server_that_hangs),
		cmocka_unit_test(test_a_lock_that_stays),
		cmocka_unit_test(test_a_slow_database),
		cmocka_unit_test(test_a_commit_without_its_replica),
		cmocka_unit_test(test_databases_that_are_refused),
		cmocka_unit_test(test_an_older_database_is_brought_up),
		cmocka_unit_test(test_servers_that_are_refused),
		cmocka_unit_test(test_passwords_stay_out),
		cmocka_unit_test(test_years),
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_kinds_are_numbered_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
