#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "core/ocsp_alarm.h"
#include "core/priv.h"
#include "base/time.h"
#include "ledger/receipt.h"
#include "rig.h"

static struct mm_job *
claim(struct rig *r, const struct mm_token_made *t)
{
	EVP_PKEY *key = rig_key();
	struct mm_job *job = rig_job(MM_JOB_ENROL, key, "");

	rig_psk(job, t);
	rig_run(r, job);
	mm_pkey_free(&key);
	return job;
}

/* It waits for nothing by itself: first it says for which entry one must. */
static enum mm_err
receipt_in_time(struct rig *r, const char *device, struct mm_buf *json)
{
	int64_t end = mm_mono_ms() + 10000;
	uint64_t uncovered;
	enum mm_err rc;

	do {
		rc = mm_desk_receipt(r->desk, device, json, &uncovered, NULL);
		assert_true((rc == MM_EAGAIN) == (uncovered != UINT64_MAX));
	} while (rc == MM_EAGAIN && mm_mono_ms() < end);
	return rc;
}

static void
receipts(void **state)
{
	uint64_t uncovered;
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-receipt");
	struct mm_job *job = claim(r, &t);
	struct mm_buf json = MM_BUF_INIT(1 << 20), arena =
	    MM_BUF_INIT(1 << 20), text = MM_BUF_INIT(1024);
	struct mm_why why = { 0 };
	struct mm_note_key key;
	struct mm_checkpoint cp;
	struct mm_receipt receipt;

	assert_int_equal(job->result, MM_OK);
	assert_int_equal(receipt_in_time(r, "SN-receipt", &json), MM_OK);
	mm_core_note_key(r->core, &text);
	assert_int_equal(mm_note_key_parse(mm_buf_view(&text), &key, NULL),
	    MM_OK);
	assert_int_equal(mm_receipt_parse(mm_buf_view(&json), &arena,
	    &receipt, &why), MM_OK);
	assert_int_equal(receipt.index, job->entry);
	if (mm_receipt_verify(&receipt, &key, &cp, &why) != MM_OK)
		fail_msg("%s", why.text);
	assert_true(receipt.chain_pem.n > 0);
	mm_buf_done(&json);
	mm_buf_done(&arena);
	mm_buf_done(&text);
	mm_job_free(&job);
	assert_int_equal(mm_desk_receipt(r->desk, "SN-none", &json,
	    &uncovered, NULL), MM_ENOTFOUND);
	assert_true(uncovered == UINT64_MAX);
}

static void
tokens(void **state)
{
	struct rig *r = *state;
	enum { N = 130 };
	struct mm_token_spec spec[N] = { 0 };
	static struct mm_token_made made[N];
	struct mm_token_made t;
	uint8_t spki[32] = { 7 };
	struct mm_job *job;
	struct mm_why why = { 0 };

	for (unsigned i = 0; i < N; i++) {
		snprintf(spec[i].device, sizeof(spec[i].device), "B-%u",
		    i / 2);
		strcpy(spec[i].product, i == 5 ? "nothing" : "thermo");
	}
	strcpy(spec[7].device, "bad id");
	if (mm_desk_tokens_mint(r->desk, &r->admin, spec, N, made, &why) !=
	    MM_OK)
		fail_msg("%s", why.text);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(made[i].result, i == 5 ? MM_ENOTFOUND :
		    i == 7 ? MM_EINPUT : MM_OK);
	/* devices are made once, whoever of the two came first */
	assert_int_equal(rig_entries(r, "token.minted") -
	    rig_entries(r, "device.created") > 60, true);

	assert_int_equal(mm_desk_token_cancel(r->desk, &r->admin, made[0].id,
	    NULL, NULL), MM_OK);
	job = claim(r, &made[0]);
	assert_int_equal(job->reason, MM_R_CANCELLED);
	mm_job_free(&job);

	t = rig_token(r, "SN-thaw");
	job = claim(r, &t);
	assert_int_equal(job->result, MM_OK);
	mm_job_free(&job);
	job = claim(r, &t);
	assert_int_equal(job->reason, MM_R_OTHER_KEY);
	mm_job_free(&job);
	assert_int_equal(mm_desk_token_thaw(r->desk, &r->admin, t.id, spki,
	    NULL, &why), MM_OK);
	job = claim(r, &t);
	assert_int_equal(job->reason, MM_R_BOUND_KEY);
	mm_job_free(&job);
}

static void
ask_for(struct rig *r, struct mm_ocsp_alarms *s, unsigned from, unsigned to)
{
	struct mm_ocsp_alarm a = { .issuer = "factory", .serial = { 1 } };

	for (unsigned i = from; i < to; i++) {
		a.serial[15] = (uint8_t)i;
		mm_ocsp_alarm(r->desk, s, &a, 1000 + i);
	}
}

/* Strangers' numbers do not end it, and do not fill the ledger. */
static void
ocsp_alarms(void **state)
{
	struct rig *r = *state;
	struct mm_ocsp_alarms s = { .since = 0 };
	unsigned n = rig_entries(r, "alert");

	ask_for(r, &s, 1, 4);
	ask_for(r, &s, 1, 4);
	assert_int_equal(rig_entries(r, "alert"), n + 3);
	ask_for(r, &s, 4, 12); /* eight are entered, three drawn */
	assert_int_equal(rig_entries(r, "alert"), n + 8);
	assert_int_equal(s.ndrawn, 3);
	mm_ocsp_alarms_turn(r->desk, &s, 1000 + MM_OCSP_ALARM_MS);
	assert_int_equal(rig_entries(r, "alert"), n + 8);
	mm_ocsp_alarms_turn(r->desk, &s, 1001 + MM_OCSP_ALARM_MS);
	assert_int_equal(rig_entries(r, "alert"), n + 11);
	assert_int_equal(s.since, 0);
	ask_for(r, &s, 1, 250); /* another hour */
	assert_int_equal(rig_entries(r, "alert"), n + 19);
	assert_int_equal(s.more, 249 - 8);
	mm_ocsp_alarms_turn(r->desk, &s, 1001 + MM_OCSP_ALARM_MS);
	assert_int_equal(rig_entries(r, "alert"), n + 27);
}

static void
revocation(void **state)
{
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-revoke");
	struct mm_job *job = claim(r, &t);
	struct mm_buf der = MM_BUF_INIT(1 << 20);
	uint64_t first, second, again;
	struct mm_why why = { 0 };
	int64_t next_s;
	bool already;

	if (mm_desk_crl(r->desk, "factory", false, &first, &why) != MM_OK)
		fail_msg("%s", why.text);
	assert_int_equal(mm_desk_crl(r->desk, "factory", false, &again,
	    &why), MM_OK);
	assert_true(first == again);
	assert_int_equal(mm_desk_cert_revoke(r->desk, &r->admin, job->serial,
	    1, &already, &why), MM_OK);
	assert_false(already);
	assert_int_equal(mm_desk_cert_revoke(r->desk, &r->admin, job->serial,
	    1, &already, &why), MM_OK);
	assert_true(already);
	assert_int_equal(mm_desk_cert_revoke(r->desk, &r->admin, job->serial,
	    6, &already, NULL), MM_EINPUT);
	if (mm_desk_crl(r->desk, "factory", false, &second, &why) != MM_OK)
		fail_msg("%s", why.text);
	assert_true(second > first);
	assert_int_equal(mm_get_crl(mm_desk_reader(r->desk), "factory",
	    &again, &next_s, &der, NULL), MM_OK);
	assert_non_null(memmem(der.p, der.n, job->serial, 16));
	mm_buf_done(&der);
	mm_job_free(&job);
}

static struct mm_job *
by_cert(struct rig *r, enum mm_job_kind kind, const struct mm_job *with)
{
	EVP_PKEY *key = rig_key();
	struct mm_job *job = rig_job(kind, key, "");

	rig_cert(job, mm_buf_view(&with->der));
	rig_run(r, job);
	mm_pkey_free(&key);
	return job;
}

static enum mm_cert_state
state_of(struct rig *r, const struct mm_job *job)
{
	struct mm_cert_row row;

	assert_int_equal(mm_get_cert(mm_desk_reader(r->desk), job->serial,
	    &row, NULL), MM_OK);
	return row.state;
}

/* Unconfirmed, it stands and falls with what it was renewed from. */
static void
successors(void **state)
{
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-successor");
	struct mm_job *a = claim(r, &t), *b = by_cert(r, MM_JOB_REENROL, a);
	struct mm_job *c;

	assert_int_equal(b->result, MM_OK);
	assert_int_equal(mm_desk_cert_hold(r->desk, &r->admin, a->serial,
	    false, NULL), MM_OK);
	assert_int_equal(state_of(r, b), MM_CERT_HELD);
	assert_int_equal(mm_desk_cert_hold(r->desk, &r->admin, a->serial,
	    true, NULL), MM_OK);
	assert_int_equal(state_of(r, b), MM_CERT_ISSUED);
	assert_int_equal(mm_desk_cert_revoke(r->desk, &r->admin, a->serial,
	    1, NULL, NULL), MM_OK);
	assert_int_equal(state_of(r, b), MM_CERT_REVOKED);
	c = by_cert(r, MM_JOB_CONFIRM, b);
	assert_int_equal(c->reason, MM_R_CERT_REVOKED);
	mm_job_free(&a);
	mm_job_free(&b);
	mm_job_free(&c);
}

static void
devices(void **state)
{
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-retire");
	struct mm_job *job = claim(r, &t);
	struct mm_cert_row row;
	struct mm_why why = { 0 };

	if (mm_desk_device_retire(r->desk, &r->admin, "sn-retire", &why) !=
	    MM_OK)
		fail_msg("%s", why.text);
	assert_int_equal(mm_get_cert(mm_desk_reader(r->desk), job->serial,
	    &row, NULL), MM_OK);
	assert_int_equal(row.state, MM_CERT_REVOKED);
	assert_int_equal(row.reason, 5);
	mm_job_free(&job);
}

static struct mm_job *
by_operator(struct rig *r, const char *device, EVP_PKEY *key)
{
	struct mm_job *job = rig_job(MM_JOB_ENROL, key, "");

	assert_int_equal(mm_authority_operator(&job->authority, &r->admin,
	    device, NULL), MM_OK);
	rig_run(r, job);
	return job;
}

static enum mm_err
count_state(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	unsigned *n = ctx;

	(void)next, (void)why;
	n[((const struct mm_cert_row *)row)->state]++;
	return MM_OK;
}

/* More certificates than any page holds: an operator makes them one after the
 * other, and when the device is retired none of them is left. */
static void
as_often_as_needed(void **state)
{
	enum { TIMES = 1010 };
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-often");
	const struct mm_list all = { .most = 2 * TIMES, .state = -1,
		.device = "SN-often" };
	unsigned n[MM_CERT_STATES] = { 0 };
	struct mm_why why = { 0 };

	(void)t;
	for (unsigned i = 0; i < TIMES; i++) {
		EVP_PKEY *key = rig_key();
		struct mm_job *job = by_operator(r, "SN-often", key);
		struct mm_job *again = by_operator(r, "SN-often", key);
		struct mm_job *proof = by_cert(r, MM_JOB_CONFIRM, job);

		if (job->result != MM_OK)
			fail_msg("%u: %s", i, job->why.text);
		assert_true(again->result == MM_OK && again->replayed);
		assert_memory_equal(again->serial, job->serial, 16);
		assert_int_equal(proof->result, MM_OK);
		mm_job_free(&again);
		again = by_operator(r, "SN-often", key);
		/* within one millisecond it looks as if issuing confirmed */
		assert_true(again->reason == MM_R_CONFIRMED ||
		    again->replayed);
		mm_job_free(&job);
		mm_job_free(&again);
		mm_job_free(&proof);
		mm_pkey_free(&key);
	}
	if (mm_desk_device_retire(r->desk, &r->admin, "SN-often", &why) !=
	    MM_OK)
		fail_msg("%s", why.text);
	assert_int_equal(mm_list_certs(mm_desk_reader(r->desk), &all,
	    count_state, n, NULL), MM_OK);
	assert_int_equal(n[MM_CERT_REVOKED], TIMES);
}

static enum mm_err
log_in(struct rig *r, const char *text, struct mm_login *out)
{
	return mm_desk_login(r->desk, &(struct mm_presented){
	    .key = mm_bytes_of(text), .peer = &in6addr_loopback }, out, NULL);
}

static void
operators(void **state)
{
	struct rig *r = *state;
	char text[80], id[17];
	struct mm_authority a;
	struct mm_login login;
	struct mm_operator row;
	struct mm_why why = { 0 };

	assert_int_equal(mm_desk_operator_revoke(r->desk, &r->admin,
	    r->admin.id, NULL), MM_EPOLICY);
	if (mm_desk_operator_create(r->desk, &r->admin,
	    &(struct mm_operator_spec){ .name = "Line",
	    .roles = MM_ROLE_LINE }, text, &row, &why) != MM_OK)
		fail_msg("%s", why.text);
	strcpy(id, row.id);
	assert_int_equal(log_in(r, text, &login), MM_OK);
	assert_int_equal(login.roles, MM_ROLE_LINE);
	assert_string_equal(login.name, "Line");
	assert_int_equal(mm_authority_operator(&a, &login, "SN-1", NULL),
	    MM_OK);
	text[30] = text[30] == 'a' ? 'b' : 'a';
	assert_int_equal(log_in(r, text, &login), MM_EAUTH);
	text[30] = '!';
	assert_int_equal(log_in(r, text, &login), MM_EAUTH);
	login.roles = MM_ROLE_SUPPORT;
	assert_int_equal(mm_authority_operator(&a, &login, "SN-1", NULL),
	    MM_EPOLICY);
	assert_int_equal(mm_desk_operator_revoke(r->desk, &r->admin, id,
	    &why), MM_OK);
}

/* Somebody else holds the database: signatures cannot be recorded.  They are
 * told as "again", settled as orphans, and nothing is spent. */
static void
store_away(void **state)
{
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-locked");
	EVP_PKEY *key = rig_key();
	struct mm_job *job = rig_job(MM_JOB_ENROL, key, "");
	sqlite3 *db = rig_lock_store(r);

	rig_psk(job, &t);
	rig_run(r, job);
	assert_int_equal(job->result, MM_EAGAIN);
	mm_job_free(&job);
	rig_unlock_store(db);
	rig_wait_ready(r);
	job = rig_job(MM_JOB_ENROL, key, "");
	rig_psk(job, &t);
	rig_run(r, job);
	assert_int_equal(job->result, MM_OK);
	mm_job_free(&job);
	mm_pkey_free(&key);
	assert_int_equal(rig_entries(r, "signature.orphaned"), 1);
	assert_int_equal(rig_journal(r, "certificate"),
	    rig_entries(r, "certificate.issued") +
	    rig_entries(r, "certificate.renewed") + 1);
}

/* A revocation list that could not be stored is the last one that is signed
 * until the store is back, though no certificate was asked for. */
static void
store_away_from_the_desk(void **state)
{
	struct rig *r = *state;
	unsigned lists = rig_journal(r, "crl");
	struct mm_core_stats s;
	uint64_t number;
	sqlite3 *db = rig_lock_store(r);

	for (int i = 0; i < 3; i++)
		assert_int_equal(mm_desk_crl(r->desk, "factory", true,
		    &number, NULL), MM_EAGAIN);
	assert_int_equal(rig_journal(r, "crl"), lists + 1);
	mm_core_stats(r->core, &s);
	assert_false(s.ready);
	assert_string_equal(s.why, "the store is away");
	rig_unlock_store(db);
	rig_wait_ready(r);
	assert_int_equal(mm_desk_crl(r->desk, "factory", true, &number, NULL),
	    MM_OK);
}

/* Meeting the signer enters the list that it signed and the store never got. */
static void
a_lost_list(void **state)
{
	struct rig *r = *state;

	rig_shut(r);
	rig_open(r, NULL);
	/* and that of the shards, which the last call signed too */
	assert_int_equal(rig_journal(r, "crl") + 1,
	    rig_entries(r, "crl.signed"));
}

/* Stopping enters what was counted and signs the last head. */
static void
again(void **state)
{
	struct rig *r = *state;
	struct mm_core_stats s;
	unsigned loaded = rig_entries(r, "profile.loaded");

	rig_shut(r);
	rig_open(r, NULL);
	mm_core_stats(r->core, &s);
	assert_true(s.ready);
	assert_true(s.checkpoint_size == s.tree_size);
	assert_int_equal(rig_entries(r, "profile.loaded"), loaded);
	assert_true(rig_entries(r, "refused") > 0);
}

static void
profile_more(struct rig *r, const char *name)
{
	FILE *f = fopen(r->conf, "a");

	assert_non_null(f);
	fprintf(f, "profile \"%s\" {\n  issuer = \"factory\"\n}\n", name);
	assert_int_equal(fclose(f), 0);
	mm_config_free(&r->config);
	assert_int_equal(mm_config_load(r->conf, &r->config, NULL), MM_OK);
}

/* Answers live for 24 h, whatever the ledger is told meanwhile. */
static void
noting_takes_no_answer(void **state)
{
	struct rig *r = *state;
	unsigned loaded = rig_entries(r, "profile.loaded");
	struct mm_buf body = MM_BUF_INIT(64);
	uint8_t sha256[32] = { 0 };
	char key[32];
	struct mm_answer_row row;

	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "op/noting-%d", i);
		assert_int_equal(mm_desk_answer_put(r->desk, key, sha256, 200,
		    mm_bytes_of("{}"), NULL), MM_OK);
	}
	rig_shut(r);
	profile_more(r, "later");
	rig_open(r, NULL);
	assert_int_equal(rig_entries(r, "profile.loaded"), loaded + 1);
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "op/noting-%d", i);
		mm_buf_reset(&body);
		if (mm_get_answer(mm_desk_reader(r->desk), key, &row, &body,
		    NULL) != MM_OK)
			fail_msg("%s is gone", key);
	}
	mm_buf_done(&body);
}

static void
do_sql(struct rig *r, const char *sql)
{
	char path[160];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/mintmark.db", r->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_busy_timeout(db, 10000), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The first stores noted a hash as an answer without an end. */
static void
noted_as_an_answer(void **state)
{
	static const char old[] = "DELETE FROM doc"
	    " WHERE id = 'profile:later@1'; INSERT INTO answer VALUES"
	    " ('profile:later@1', x'%s', 0, 253402300799000, x'')";
	struct rig *r = *state;
	unsigned loaded = rig_entries(r, "profile.loaded");
	struct mm_core_conf conf = { .config = r->config, .loops = 1 };
	struct mm_core *core = NULL;
	struct mm_why why = { 0 };
	uint8_t sha256[32];
	char hex[65], sql[256];

	assert_int_equal(mm_noted_get(mm_desk_reader(r->desk),
	    "profile:later@1", sha256, NULL), MM_OK);
	mm_hex_text(sha256, 32, hex);
	snprintf(sql, sizeof(sql), old, hex);
	rig_shut(r);
	do_sql(r, sql);
	rig_open(r, NULL);
	assert_int_equal(rig_entries(r, "profile.loaded"), loaded);
	rig_shut(r);
	do_sql(r, "UPDATE answer SET request_sha256 = zeroblob(32)"
	    " WHERE key = 'profile:later@1'");
	assert_int_equal(mm_core_open(&conf, &core, &why), MM_EPOLICY);
	assert_non_null(strstr(why.text, "later@1: not the one"));
	do_sql(r, "DELETE FROM answer WHERE key = 'profile:later@1'");
	rig_open(r, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receipts),
		cmocka_unit_test(tokens),
		cmocka_unit_test(ocsp_alarms),
		cmocka_unit_test(revocation),
		cmocka_unit_test(successors),
		cmocka_unit_test(devices),
		cmocka_unit_test(as_often_as_needed),
		cmocka_unit_test(operators),
		cmocka_unit_test(store_away),
		cmocka_unit_test(store_away_from_the_desk),
		cmocka_unit_test(a_lost_list),
		cmocka_unit_test(again),
		cmocka_unit_test(noting_takes_no_answer),
		cmocka_unit_test(noted_as_an_answer),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
