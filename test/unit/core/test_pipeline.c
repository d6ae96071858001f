#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "rig.h"

/* One CA for all: each test brings its own devices. */
static struct mm_job *
claim(struct rig *r, const struct mm_token_made *t, EVP_PKEY *key)
{
	struct mm_job *job = rig_job(MM_JOB_ENROL, key, "");

	rig_psk(job, t);
	rig_run(r, job);
	return job;
}

static struct mm_job *
by_cert(struct rig *r, enum mm_job_kind kind, EVP_PKEY *key,
    const struct mm_job *with, const char *cn)
{
	struct mm_job *job = rig_job(kind, key, cn);

	rig_cert(job, mm_buf_view(&with->der));
	rig_run(r, job);
	return job;
}

static void
same_answer(const struct mm_job *a, const struct mm_job *b)
{
	assert_int_equal(a->result, MM_OK);
	assert_int_equal(b->result, MM_OK);
	assert_true(mm_bytes_eq(mm_buf_view(&a->der), mm_buf_view(&b->der)));
	assert_memory_equal(a->serial, b->serial, 16);
	assert_int_equal(a->entry, b->entry);
}

/* frees and says what it was */
static enum mm_reason
reason_of(struct mm_job *take_job)
{
	enum mm_reason r = take_job->reason;

	mm_job_free(&take_job);
	return r;
}

static void
claims(void **state)
{
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-claims");
	EVP_PKEY *key = rig_key(), *other = rig_key();
	unsigned alerts = rig_entries(r, "alert");
	struct mm_job *a = claim(r, &t, key), *b = claim(r, &t, key), *c;
	struct mm_token_row row;

	same_answer(a, b);
	assert_false(a->replayed);
	assert_true(b->replayed);
	assert_string_equal(a->device, "SN-claims");
	assert_string_equal(a->profile, "thermo");
	assert_string_equal(b->profile, "thermo");

	c = claim(r, &t, other);
	assert_int_equal(c->result, MM_ECONFLICT);
	assert_int_equal(reason_of(c), MM_R_OTHER_KEY);
	assert_int_equal(mm_get_token(mm_desk_reader(r->desk), t.id, &row,
	    NULL), MM_OK);
	assert_int_equal(row.state, MM_TOKEN_FROZEN);
	assert_int_equal(rig_entries(r, "alert"), alerts + 1);
	assert_int_equal(rig_entries(r, "token.frozen"), 1);

	/* frozen: the first key's owner is not punished */
	c = claim(r, &t, key);
	same_answer(a, c);
	mm_job_free(&c);
	c = claim(r, &t, other);
	assert_int_equal(reason_of(c), MM_R_OTHER_KEY);
	assert_int_equal(rig_entries(r, "alert"), alerts + 1);

	/* confirmed: use mutual TLS from now on */
	c = by_cert(r, MM_JOB_CONFIRM, NULL, a, "");
	assert_int_equal(c->result, MM_OK);
	mm_job_free(&c);
	c = claim(r, &t, key);
	assert_int_equal(c->result, MM_ECONFLICT);
	assert_int_equal(reason_of(c), MM_R_CONFIRMED);
	mm_job_free(&a);
	mm_job_free(&b);
	mm_pkey_free(&key);
	mm_pkey_free(&other);
}

#define RACERS 100

static struct mm_job *
race(struct rig *r, const struct mm_token_made *t, bool same)
{
	EVP_PKEY *key = rig_key();
	struct mm_job *list = NULL;

	for (unsigned i = 0; i < RACERS; i++) {
		struct mm_job *job;

		if (!same && i > 0) {
			mm_pkey_free(&key);
			key = rig_key();
		}
		job = rig_job(MM_JOB_ENROL, key, "");
		rig_psk(job, t);
		job->next = list;
		list = job;
	}
	mm_pkey_free(&key);
	rig_post(r, list);
	return rig_wait(r, RACERS);
}

static void
free_list(struct mm_job *list)
{
	struct mm_job *next;

	for (; list != NULL; list = next) {
		next = list->next;
		mm_job_free(&list);
	}
}

static void
race_same_key(void **state)
{
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-race");
	unsigned before = rig_journal(r, "certificate"), fresh = 0;
	struct mm_job *list = race(r, &t, true);

	for (struct mm_job *j = list; j != NULL; j = j->next) {
		same_answer(list, j);
		fresh += !j->replayed;
	}
	assert_int_equal(fresh, 1);
	assert_int_equal(rig_journal(r, "certificate"), before + 1);
	free_list(list);
}

static void
race_other_keys(void **state)
{
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-race-2");
	unsigned before = rig_journal(r, "certificate");
	unsigned alerts = rig_entries(r, "alert"), won = 0;
	struct mm_job *list = race(r, &t, false);

	for (struct mm_job *j = list; j != NULL; j = j->next)
		if (j->result == MM_OK)
			won++;
		else
			assert_int_equal(j->reason, MM_R_OTHER_KEY);
	assert_int_equal(won, 1);
	assert_int_equal(rig_journal(r, "certificate"), before + 1);
	assert_int_equal(rig_entries(r, "alert"), alerts + 1);
	free_list(list);
}

static void
renewal(void **state)
{
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-renew");
	EVP_PKEY *k1 = rig_key(), *k2 = rig_key(), *k3 = rig_key();
	struct mm_job *a = claim(r, &t, k1), *b, *c;

	assert_int_equal(a->result, MM_OK);
	c = by_cert(r, MM_JOB_REENROL, k1, a, "");
	assert_int_equal(reason_of(c), MM_R_SAME_KEY);
	c = by_cert(r, MM_JOB_REENROL, k2, a, "SN-other");
	assert_int_equal(reason_of(c), MM_R_NAMES);
	c = by_cert(r, MM_JOB_ENROL, k2, a, "");
	assert_int_equal(reason_of(c), MM_R_LDEVID);

	b = by_cert(r, MM_JOB_REENROL, k2, a, "SN-renew");
	assert_int_equal(b->result, MM_OK);
	c = by_cert(r, MM_JOB_REENROL, k2, a, "SN-renew");
	same_answer(b, c);
	mm_job_free(&c);
	mm_job_free(&b);

	/* a power cut lost the new key */
	b = by_cert(r, MM_JOB_REENROL, k3, a, "");
	assert_int_equal(b->result, MM_OK);
	c = by_cert(r, MM_JOB_CONFIRM, NULL, b, "");
	assert_int_equal(c->result, MM_OK);
	mm_job_free(&c);
	c = by_cert(r, MM_JOB_CONFIRM, NULL, b, "");
	assert_int_equal(c->result, MM_OK);
	mm_job_free(&c);

	/* the old one again: somebody has a copy */
	c = by_cert(r, MM_JOB_REENROL, k2, a, "");
	assert_int_equal(c->result, MM_EPOLICY);
	assert_int_equal(reason_of(c), MM_R_CLONE);
	mm_job_free(&a);
	mm_job_free(&b);
	mm_pkey_free(&k1);
	mm_pkey_free(&k2);
	mm_pkey_free(&k3);
}

static void
too_many(void **state)
{
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-many");
	EVP_PKEY *key = rig_key();
	struct mm_job *a = claim(r, &t, key), *c;

	mm_pkey_free(&key);
	for (unsigned i = 0; i < 5; i++) {
		key = rig_key();
		c = by_cert(r, MM_JOB_REENROL, key, a, "");
		assert_int_equal(c->result, i < 4 ? MM_OK : MM_ERATE);
		assert_int_equal(reason_of(c), i < 4 ? MM_R_NONE :
						       MM_R_TOO_MANY);
		mm_pkey_free(&key);
	}
	mm_job_free(&a);
}

/* The newest certificate is of an hour, and that of 21 of its minutes ago. */
static void
is_due(struct rig *r)
{
	static const char sql[] =
	    "UPDATE cert SET issued_at = issued_at - 1260000,"
	    " not_after_s = issued_at / 1000 + 2340"
	    " WHERE id = (SELECT max(id) FROM cert); COMMIT; BEGIN";
	struct sqlite3 *db = rig_lock_store(r);

	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	rig_unlock_store(db);
}

/* One after the other, each by the one before, and then no more today, but
 * when it is time. */
static void
renews_no_end(void **state)
{
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-endless");
	EVP_PKEY *key = rig_key(), *next = NULL;
	struct mm_job *a = claim(r, &t, key), *c;

	for (unsigned i = 0; i < 24; i++) {
		next = rig_key();
		c = by_cert(r, MM_JOB_REENROL, next, a, "");
		assert_int_equal(c->result, MM_OK);
		if (i < 23) {
			mm_job_free(&a);
			mm_pkey_free(&key);
			a = c;
			key = next;
		}
	}
	mm_job_free(&a);
	mm_pkey_free(&key);
	key = rig_key();
	a = by_cert(r, MM_JOB_REENROL, key, c, "");
	assert_int_equal(a->result, MM_ERATE);
	assert_true(a->retry_after_s > 0);
	assert_int_equal(reason_of(a), MM_R_TOO_MANY);
	is_due(r);
	a = by_cert(r, MM_JOB_REENROL, key, c, "");
	assert_int_equal(a->result, MM_OK);
	mm_job_free(&a);
	mm_pkey_free(&key);
	mm_pkey_free(&next);
	mm_job_free(&c);
}

static struct mm_job *
basic(struct rig *r, const char *id, const char *secret, EVP_PKEY *key)
{
	struct mm_job *job = rig_job(MM_JOB_ENROL, key, "");

	assert_int_equal(mm_authority_token_basic(&job->authority,
	    mm_bytes_of(id), mm_bytes_of(secret), NULL), MM_OK);
	rig_run(r, job);
	return job;
}

static void
compatible_door(void **state)
{
	struct rig *r = *state;
	struct mm_token_spec spec = { .device = "SN-door", .product =
	    "thermo", .bearer = true };
	struct mm_token_made t = rig_token_of(r, &spec), shut =
	    rig_token(r, "SN-shut");
	EVP_PKEY *key = rig_key();
	struct mm_token parsed;
	char secret[33], other[33], unknown[MM_TOKEN_ID_TEXT];
	struct mm_job *a, *b;

	assert_int_equal(mm_token_parse(mm_bytes_of(t.text), &parsed, NULL),
	    MM_OK);
	mm_token_secret_text(parsed.secret, secret);
	parsed.secret[3] ^= 1;
	mm_token_secret_text(parsed.secret, other);
	parsed.id[5] ^= 1;
	mm_token_id_text(parsed.id, unknown);

	a = basic(r, t.id, other, key);
	b = basic(r, unknown, secret, key);
	assert_int_equal(a->result, MM_EAUTH);
	assert_int_equal(b->result, MM_EAUTH);
	assert_string_equal(a->why.text, b->why.text);
	assert_int_equal(reason_of(a), MM_R_CREDENTIAL);
	assert_int_equal(reason_of(b), MM_R_CREDENTIAL);
	a = basic(r, t.id, secret, key);
	assert_int_equal(a->result, MM_OK);
	mm_job_free(&a);

	assert_int_equal(mm_token_parse(mm_bytes_of(shut.text), &parsed,
	    NULL), MM_OK);
	mm_token_secret_text(parsed.secret, secret);
	a = basic(r, shut.id, secret, key);
	assert_int_equal(a->result, MM_EPOLICY);
	assert_int_equal(reason_of(a), MM_R_DOOR);
	mm_pkey_free(&key);
}

static void
factory_identity(void **state)
{
	struct rig *r = *state;
	struct mm_device dev = { .id = "SN-birth", .product = "thermo" };
	EVP_PKEY *born = rig_key(), *local = rig_key(), *k = rig_key();
	struct mm_job *a = rig_job(MM_JOB_ENROL, born, ""), *b, *c;

	assert_int_equal(mm_desk_device_put(r->desk, &r->admin, &dev, false,
	    NULL), MM_OK);
	assert_int_equal(mm_authority_operator(&a->authority, &r->admin,
	    "sn-birth", NULL), MM_OK);
	strcpy(a->label, "birth");
	rig_run(r, a);
	assert_int_equal(a->result, MM_OK);
	assert_string_equal(a->device, "SN-birth");

	c = by_cert(r, MM_JOB_REENROL, local, a, "");
	assert_int_equal(reason_of(c), MM_R_IDEVID);
	b = by_cert(r, MM_JOB_ENROL, local, a, "");
	assert_int_equal(b->result, MM_OK);
	assert_string_equal(b->profile, "thermo");
	c = by_cert(r, MM_JOB_CONFIRM, NULL, b, "");
	assert_int_equal(c->result, MM_OK);
	mm_job_free(&c);
	c = by_cert(r, MM_JOB_ENROL, k, a, "");
	assert_int_equal(c->result, MM_ECONFLICT);
	assert_int_equal(reason_of(c), MM_R_CONFIRMED);
	mm_job_free(&a);
	mm_job_free(&b);
	mm_pkey_free(&born);
	mm_pkey_free(&local);
	mm_pkey_free(&k);
}

static void
taken_key(void **state)
{
	struct rig *r = *state;
	struct mm_token_made t1 = rig_token(r, "SN-t1"), t2 =
	    rig_token(r, "SN-t2");
	EVP_PKEY *key = rig_key();
	struct mm_job *a = claim(r, &t1, key), *b = claim(r, &t2, key);

	assert_int_equal(a->result, MM_OK);
	assert_int_equal(b->result, MM_ECONFLICT);
	assert_int_equal(reason_of(b), MM_R_KEY_TAKEN);
	mm_job_free(&a);
	mm_pkey_free(&key);
}

static void
conflict_profiles(void **state)
{
	struct rig *r = *state;
	struct mm_token_spec spec = { .device = "SN-hold", .product =
	    "hold" };
	struct mm_token_made hold = rig_token_of(r, &spec), swap;
	EVP_PKEY *k1 = rig_key(), *k2 = rig_key(), *k3 = rig_key();
	struct mm_job *a = claim(r, &hold, k1), *b = claim(r, &hold, k2);
	struct mm_cert_row row;

	assert_int_equal(a->result, MM_OK);
	assert_int_equal(reason_of(b), MM_R_OTHER_KEY);
	assert_int_equal(mm_get_cert(mm_desk_reader(r->desk), a->serial,
	    &row, NULL), MM_OK);
	assert_int_equal(row.state, MM_CERT_HELD);
	mm_job_free(&a);

	strcpy(spec.device, "SN-swap");
	strcpy(spec.product, "swap");
	swap = rig_token_of(r, &spec);
	a = claim(r, &swap, k2);
	b = claim(r, &swap, k3);
	assert_int_equal(a->result, MM_OK);
	assert_int_equal(b->result, MM_OK);
	assert_int_equal(mm_get_cert(mm_desk_reader(r->desk), a->serial,
	    &row, NULL), MM_OK);
	assert_int_equal(row.state, MM_CERT_REVOKED);
	mm_job_free(&a);
	mm_job_free(&b);
	mm_pkey_free(&k1);
	mm_pkey_free(&k2);
	mm_pkey_free(&k3);
}

static void
confirmed_at_issue(void **state)
{
	struct rig *r = *state;
	struct mm_token_spec spec = { .device = "SN-quick", .product =
	    "quick" };
	struct mm_token_made t = rig_token_of(r, &spec);
	EVP_PKEY *k1 = rig_key(), *k2 = rig_key();
	struct mm_job *a = claim(r, &t, k1), *b = claim(r, &t, k1), *c;

	same_answer(a, b);
	mm_job_free(&b);
	b = by_cert(r, MM_JOB_REENROL, k2, a, "");
	assert_int_equal(b->result, MM_OK);
	c = by_cert(r, MM_JOB_REENROL, k2, a, "");
	same_answer(b, c);
	mm_job_free(&a);
	mm_job_free(&b);
	mm_job_free(&c);
	mm_pkey_free(&k1);
	mm_pkey_free(&k2);
}

static void
keys_made_here(void **state)
{
	struct rig *r = *state;
	struct mm_token_spec spec = { .device = "SN-keys", .product =
	    "keys" };
	struct mm_token_made t = rig_token_of(r, &spec);
	uint8_t first[16];

	for (unsigned i = 0; i < 5; i++) {
		EVP_PKEY *key = rig_key();
		struct mm_job *a = rig_job(MM_JOB_KEYGEN, key, "");

		rig_psk(a, &t);
		rig_run(r, a);
		assert_int_equal(a->result, i < 4 ? MM_OK : MM_ERATE);
		if (i < 4)
			assert_non_null(a->pkcs8);
		if (i > 0 && i < 4)
			assert_memory_not_equal(first, a->serial, 16);
		memcpy(first, a->serial, 16);
		mm_job_free(&a);
		mm_pkey_free(&key);
	}
}

static void
signer_away(void **state)
{
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-away");
	EVP_PKEY *key = rig_key();
	struct mm_core_stats s;
	struct mm_job *a;

	rig_kill_signer(r);
	a = claim(r, &t, key);
	assert_int_equal(a->result, MM_EAGAIN);
	assert_true(a->retry_after_s > 0);
	mm_job_free(&a);
	assert_int_equal(mm_core_psk_fd(r->core, 0), -1);
	rig_restart_signer(r);
	do {
		usleep(10000);
		mm_core_stats(r->core, &s);
	} while (!s.ready);
	a = claim(r, &t, key);
	assert_int_equal(a->result, MM_OK);
	mm_job_free(&a);
	mm_pkey_free(&key);
}

/* Nothing is lost: whatever was signed is in the ledger afterwards. */
static void
killed_in_flight(void **state)
{
	struct rig *r = *state;
	struct mm_core_stats s;
	struct mm_job *list = NULL;
	unsigned journal, entries;

	for (unsigned i = 0; i < 64; i++) {
		char device[32];
		struct mm_token_made t;
		EVP_PKEY *key = rig_key();
		struct mm_job *job = rig_job(MM_JOB_ENROL, key, "");

		snprintf(device, sizeof(device), "SN-kill-%u", i);
		t = rig_token(r, device);
		rig_psk(job, &t);
		job->next = list;
		list = job;
		mm_pkey_free(&key);
	}
	rig_post(r, list);
	usleep(2000);
	rig_kill_signer(r);
	free_list(rig_wait(r, 64));
	rig_restart_signer(r);
	do {
		usleep(10000);
		mm_core_stats(r->core, &s);
	} while (!s.ready);
	journal = rig_journal(r, "certificate");
	entries = rig_entries(r, "certificate.issued") +
	    rig_entries(r, "certificate.renewed") +
	    rig_entries(r, "signature.orphaned");
	assert_int_equal(journal, entries);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(claims),
		cmocka_unit_test(race_same_key),
		cmocka_unit_test(race_other_keys),
		cmocka_unit_test(renewal),
		cmocka_unit_test(renews_no_end),
		cmocka_unit_test(too_many),
		cmocka_unit_test(compatible_door),
		cmocka_unit_test(factory_identity),
		cmocka_unit_test(taken_key),
		cmocka_unit_test(conflict_profiles),
		cmocka_unit_test(confirmed_at_issue),
		cmocka_unit_test(keys_made_here),
		cmocka_unit_test(signer_away),
		cmocka_unit_test(killed_in_flight),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
