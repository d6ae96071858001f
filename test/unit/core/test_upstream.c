#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/file.h"
#include "core/upstream_priv.h"
#include "pki/foreign.h"
#include "rig.h"

/* An existing CA, played by the test: what it gives twice, and what becomes of
 * a certificate whose record could not be made. */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned n;
	uint64_t number;
	struct mm_buf csr;
	char dir[64];
} ca = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.more = PTHREAD_COND_INITIALIZER, .csr = MM_BUF_INIT(MM_CSR_MAX) };

static bool
forward(void *rig, uint64_t number, const struct mm_forward_req *q)
{
	(void)rig;
	pthread_mutex_lock(&ca.lock);
	ca.n++;
	ca.number = number;
	mm_buf_reset(&ca.csr);
	mm_buf_bytes(&ca.csr, q->csr);
	pthread_cond_signal(&ca.more);
	pthread_mutex_unlock(&ca.lock);
	return true;
}

/* Waits for the nth question since the start. */
static uint64_t
asked(unsigned n)
{
	uint64_t number;

	pthread_mutex_lock(&ca.lock);
	while (ca.n < n)
		pthread_cond_wait(&ca.more, &ca.lock);
	assert_int_equal(ca.n, n);
	number = ca.number;
	pthread_mutex_unlock(&ca.lock);
	return number;
}

static void
shell(const char *text)
{
	char command[1024];

	snprintf(command, sizeof(command), "cd %s && { %s; } 2>/dev/null",
	    ca.dir, text);
	MUST(system(command) == 0);
}

static void
path_of(const char *name, char out[96])
{
	snprintf(out, 96, "%s/%s", ca.dir, name);
}

/* Of the last request. */
static void
sign(struct mm_buf *der)
{
	char path[96];

	path_of("csr", path);
	MUST(mm_file_replace(path, mm_buf_view(&ca.csr), 0600, NULL) ==
	    MM_OK);
	shell("openssl x509 -req -inform DER -in csr -CA ca.crt -CAkey ca.key"
	    " -days 30 -extfile ext -outform DER -out made");
	path_of("made", path);
	mm_buf_reset(der);
	MUST(mm_file_read(path, der, NULL) == MM_OK);
}

static void
give(struct rig *r, uint64_t number, const struct mm_buf *der)
{
	const struct mm_forward_rep rep = { .how = MM_FORWARD_MADE,
		.der = mm_buf_view(der) };

	mm_core_forwarded(r->core, number, &rep);
}

static int
setup(void **state)
{
	static struct rig rig;
	struct mm_product p = { .name = "corp",
		.ldevid_profile = "corporate" };
	struct mm_product noes = { .name = "noes",
		.ldevid_profile = "ceiling" };
	char extra[1024];

	strcpy(ca.dir, "/tmp/mmca.XXXXXX");
	MUST(mkdtemp(ca.dir) != NULL);
	shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256"
	    " -noenc -days 300 -keyout ca.key -out ca.crt -subj /CN=Corp &&"
	    " echo extendedKeyUsage=clientAuth > ext");
	snprintf(extra, sizeof(extra), "issuer \"corp\" {\n"
	    "  certificate = \"%s/ca.crt\"\n  exec = {\"/bin/false\"}\n}\n"
	    "profile \"corporate\" {\n  issuer = \"corp\"\n"
	    "  subject = {\"CN={device}\"}\n  eku = {\"clientAuth\"}\n"
	    "  lifetime = 60d\n}\n"
	    "profile \"ceiling\" {\n  issuer = \"corp\"\n"
	    "  subject = {\"CN={device}\"}\n  eku = {\"clientAuth\"}\n"
	    "  lifetime = 60d\n}\n", ca.dir);
	rig_make(&rig, extra, NULL);
	rig_shut(&rig);
	rig.forward = forward;
	rig_open(&rig, NULL);
	MUST(mm_desk_product_put(rig.desk, &rig.admin, &p, false, NULL) ==
	    MM_OK);
	MUST(mm_desk_product_put(rig.desk, &rig.admin, &noes, false, NULL) ==
	    MM_OK);
	*state = &rig;
	return 0;
}

static int
teardown(void **state)
{
	char command[96];

	rig_done(*state);
	mm_buf_done(&ca.csr);
	snprintf(command, sizeof(command), "rm -rf %s", ca.dir);
	MUST(system(command) == 0);
	return 0;
}

static int
forget(void **state)
{
	(void)state;
	ca.n = 0;
	return 0;
}

static struct mm_token_made
token_of(struct rig *r, const char *product, const char *device)
{
	struct mm_token_spec spec = { .ttl_s = 0 };

	strcpy(spec.product, product);
	strcpy(spec.device, device);
	return rig_token_of(r, &spec);
}

static struct mm_token_made
token(struct rig *r, const char *device)
{
	return token_of(r, "corp", device);
}

static void
post(struct rig *r, const struct mm_token_made *t, EVP_PKEY *key,
    const char *device)
{
	struct mm_job *job = rig_job(MM_JOB_ENROL, key, device);

	rig_psk(job, t);
	rig_post(r, job);
}

static void
ends(struct rig *r, enum mm_reason want)
{
	struct mm_job *job = rig_wait(r, 1);

	assert_int_equal(job->reason, want);
	mm_job_free(&job);
}

/* Documents of questions that have no answer on record. */
static unsigned
pending(struct rig *r)
{
	MM_OWN(mm_reader_close) struct mm_store_reader *reader = NULL;
	unsigned n;

	MUST(mm_reader_open(r->config->set.database, &reader, NULL) == MM_OK);
	MUST(mm_count_docs(reader, MM_DOC_ASKED, "", 100, &n, NULL) == MM_OK);
	return n;
}

static enum mm_cert_state
state_of(struct rig *r, const struct mm_buf *der)
{
	MM_OWN(mm_reader_close) struct mm_store_reader *reader = NULL;
	uint8_t serial[MM_SERIAL_N];
	struct mm_cert_row row;
	struct mm_cert c;

	MUST(mm_cert_walk(mm_buf_view(der), &c, NULL) == MM_OK);
	mm_foreign_number(&c, serial);
	MUST(mm_reader_open(r->config->set.database, &reader, NULL) == MM_OK);
	MUST(mm_get_cert(reader, serial, &row, NULL) == MM_OK);
	return row.state;
}

/* ---- given twice ---- */

/* It is refused, with its entry, and nobody is asked again for it. */
static void
a_certificate_that_is_on_record(void **state)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct rig *r = *state;
	EVP_PKEY *key = rig_key();
	struct mm_token_made t = token(r, "SN-same");
	struct mm_upstream_stats s;
	struct mm_job *job;

	post(r, &t, key, "SN-same");
	asked(1);
	sign(&der);
	give(r, ca.number, &der);
	job = rig_wait(r, 1);
	assert_int_equal(job->result, MM_OK);
	for (unsigned i = 0; i < 2; i++) {
		bool already;

		t = token(r, "SN-same");
		post(r, &t, key, "SN-same");
		give(r, asked(2 + i), &der);
		ends(r, MM_R_UPSTREAM_NO);
		assert_int_equal(rig_entries(r, "upstream.refused"), 1 + i);
		assert_int_equal(pending(r), 0);
		assert_int_equal(rig_entries(r, "signature.orphaned"), 0);
		/* and no otherwise where it was revoked */
		assert_int_equal(mm_desk_cert_revoke(r->desk, &r->admin,
		    job->serial, 0, &already, NULL), MM_OK);
	}
	assert_int_equal(state_of(r, &der), MM_CERT_REVOKED);
	assert_true(mm_core_upstream(r->core, "corp", &s));
	assert_int_equal(s.n[MM_FORWARD_MADE], 1);
	assert_int_equal(s.n[MM_FORWARD_WRONG], 2);
	assert_int_equal(s.waiting, 0);
	mm_job_free(&job);
	mm_pkey_free(&key);
}

/* ---- what is said of it ---- */

/* One after the other, by devices of their own: what the registrar refuses is
 * no word of the CA's, one odd end is not its end, and three are. */
static void
whose_word_it_is(void **state)
{
	static const struct {
		enum mm_forwarded how;
		enum mm_reason want;
		bool fails;
	} rows[] = {
		{ MM_FORWARD_OURS, MM_R_UPSTREAM_NO, false },
		{ MM_FORWARD_LOST, MM_R_UPSTREAM_AWAY, false },
		{ MM_FORWARD_OURS, MM_R_UPSTREAM_NO, false },
		{ MM_FORWARD_AWAY, MM_R_UPSTREAM_AWAY, false },
		{ MM_FORWARD_LOST, MM_R_UPSTREAM_AWAY, true },
	};
	struct rig *r = *state;
	EVP_PKEY *key;
	struct mm_upstream_stats s;
	char device[32];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_forward_rep rep = { .how = (uint8_t)rows[i].how,
			.why = "so it is" };
		struct mm_token_made t;

		key = rig_key();
		snprintf(device, sizeof(device), "SN-word-%u", i);
		t = token(r, device);
		post(r, &t, key, device);
		mm_core_forwarded(r->core, asked(1 + i), &rep);
		ends(r, rows[i].want);
		assert_true(mm_core_upstream(r->core, "corp", &s));
		assert_int_equal(s.failed_at != 0, rows[i].fails);
		mm_pkey_free(&key);
	}
	/* and those before: refused, and left behind by a node */
	assert_int_equal(s.n[MM_FORWARD_OURS], 2 + 2);
	assert_int_equal(s.n[MM_FORWARD_LOST], 2 + 2);
	assert_int_equal(pending(r), 0);
}

/* ---- a no ---- */

/* Comes n times; at least so long it has to stay away then. */
static void
is_told(struct rig *r, const char *device, unsigned n, enum mm_reason want,
    unsigned least_s)
{
	EVP_PKEY *key = rig_key();
	struct mm_token_made t = token_of(r, "noes", device);
	struct mm_job *job;

	for (unsigned i = 0; i < n; i++) {
		post(r, &t, key, device);
		job = rig_wait(r, 1);
		assert_int_equal(job->reason, want);
		assert_in_range(job->retry_after_s, least_s, 60);
		mm_job_free(&job);
	}
	mm_pkey_free(&key);
}

static void
is_refused(struct rig *r, const char *device, enum mm_forwarded how,
    unsigned n)
{
	const struct mm_forward_rep rep = { .how = (uint8_t)how,
		.why = "no more today" };
	EVP_PKEY *key = rig_key();
	struct mm_token_made t = token_of(r, "noes", device);
	struct mm_job *job;

	post(r, &t, key, device);
	mm_core_forwarded(r->core, asked(n), &rep);
	job = rig_wait(r, 1);
	assert_int_equal(job->reason, MM_R_UPSTREAM_NO);
	assert_in_range(job->retry_after_s, 55, 60);
	mm_job_free(&job);
	mm_pkey_free(&key);
}

/* A no is on record each time, so it is not asked for each time: by that
 * device, and after three in a row by all of its profile. */
static void
who_is_refused_does_not_ask_again(void **state)
{
	static const enum mm_forwarded how[] = { MM_FORWARD_REFUSED,
		MM_FORWARD_OURS, MM_FORWARD_OURS };
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct rig *r = *state;
	const unsigned before = rig_entries(r, "upstream.refused");
	struct mm_token_made t = token(r, "SN-yes");
	EVP_PKEY *key = rig_key();
	struct mm_upstream_stats s;
	char device[32];

	for (unsigned i = 0; i < 3; i++) {
		snprintf(device, sizeof(device), "SN-no-%u", i);
		is_refused(r, device, how[i], i + 1);
		is_told(r, device, 3, MM_R_UPSTREAM_AWAY, 50);
	}
	is_told(r, "SN-no-3", 3, MM_R_UPSTREAM_AWAY, 50);
	assert_int_equal(rig_entries(r, "upstream.refused"), before + 3);
	assert_int_equal(pending(r), 0);
	assert_true(mm_core_upstream(r->core, "corp", &s));
	assert_int_equal(s.failed_at, 0);
	/* its ceiling is not another profile's */
	post(r, &t, key, "SN-yes");
	asked(4);
	sign(&der);
	give(r, ca.number, &der);
	ends(r, MM_R_NONE);
	mm_pkey_free(&key);
}

/* What the registrar had no time for is no word of its CA's, nor of a rule:
 * however many there are, the next device is asked for. */
static void
no_time_brakes_nobody(void **state)
{
	static const uint8_t key[32];
	const struct mm_forward_rep rep = { .how = MM_FORWARD_OURS,
		.retry_after_s = 5 };
	struct mm_at_issuer at = { .under_way = 0 };
	unsigned again_s;
	char device[16];

	(void)state;
	assert_true(mm_at_init(&at, 1));
	for (unsigned i = 0; i < 10; i++) {
		const struct mm_at_who who = { .device = device, .spki = key };

		snprintf(device, sizeof(device), "slow-%u", i);
		assert_true(mm_at_may(&at, &who, 1, &again_s));
		mm_at_ask(&at, &who, mm_mono_ms());
		assert_true(mm_at_tell(&at, &rep, &who, mm_mono_ms()));
		at.under_way--;
		assert_true(mm_at_may(&at, &who, 1, &again_s));
	}
	assert_int_equal(at.stats.n[MM_FORWARD_OURS], 10);
	assert_int_equal(at.stats.failed_at, 0);
	mm_at_done(&at);
}

/* Whether the fleet waits for another rest of the brake for wrong answers
 * after one that tried for it has ended so. */
static void
what_a_trial_proves(void **state)
{
	static const struct {
		enum mm_forwarded how;
		bool wait;
	} rows[] = {
		{ MM_FORWARD_MADE, false }, { MM_FORWARD_WRONG, true },
		{ MM_FORWARD_AWAY, false }, { MM_FORWARD_LOST, false },
		{ MM_FORWARD_REFUSED, false }, { MM_FORWARD_PENDING, false },
		{ MM_FORWARD_OURS, false },
	};
	static const char *const bad[] = { "a", "b", "c" };
	static const uint8_t key[32];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_forward_rep rep = { .how = MM_FORWARD_WRONG };
		struct mm_at_issuer at = { .under_way = 0 };
		struct mm_at_who who = { .device = "tries", .spki = key };
		struct mm_rests *wrongs;
		int64_t then, until;
		unsigned again_s;

		assert_true(mm_at_init(&at, 2));
		wrongs = &at.of[0].wrongs;
		wrongs->first_ms = 600000;
		for (size_t k = 0; k < 3; k++) {
			who.device = bad[k];
			assert_true(mm_at_tell(&at, &rep, &who, 0));
		}
		then = wrongs->all.until;
		assert_true(then > 0);
		mm_at_ask(&at, &who, then);
		assert_false(mm_rests_may(wrongs, "next", then, &until));
		who.device = "tries";
		rep.how = (uint8_t)rows[i].how;
		assert_true(mm_at_tell(&at, &rep, &who, then));
		assert_int_equal(mm_rests_may(wrongs, "next", then + 1,
		    &until), !rows[i].wait);
		/* another profile's is another matter */
		who = (struct mm_at_who){ .device = "else", .spki = key,
			.profile = 1 };
		assert_true(mm_at_may(&at, &who, 9, &again_s));
		mm_at_done(&at);
	}
}

/* ---- a record that could not be made ---- */

static void
until_orphans(struct rig *r, unsigned n)
{
	for (unsigned i = 0; rig_entries(r, "signature.orphaned") < n; i++) {
		MUST(i < 2000);
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	}
}

static void
an_orphan_that_comes_again(void **state)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct rig *r = *state;
	EVP_PKEY *key = rig_key();
	struct mm_token_made t = token(r, "SN-orphan");
	struct mm_job *job;

	post(r, &t, key, "SN-orphan");
	asked(1);
	/* housekeeping leaves alone what somebody waits for */
	mm_desk_housekeeping(r->desk);
	assert_int_equal(pending(r), 1);
	assert_int_equal(mm_desk_token_cancel(r->desk, &r->admin, t.id, NULL,
	    NULL), MM_OK);
	sign(&der);
	give(r, ca.number, &der);
	job = rig_wait(r, 1);
	assert_int_not_equal(job->result, MM_OK);
	mm_job_free(&job);
	until_orphans(r, 1);
	assert_int_equal(pending(r), 0);
	assert_int_equal(state_of(r, &der), MM_CERT_ORPHANED);
	assert_int_equal(rig_entries(r, "upstream.unknown"), 0);

	t = token(r, "SN-orphan");
	post(r, &t, key, "SN-orphan");
	give(r, asked(2), &der);
	ends(r, MM_R_NONE);
	assert_int_equal(state_of(r, &der), MM_CERT_ISSUED);
	assert_int_equal(pending(r), 0);
	assert_int_equal(rig_entries(r, "signature.orphaned"), 1);
	mm_pkey_free(&key);
}

static void
lose(struct rig *r, const char *device, EVP_PKEY *key, struct mm_buf *der)
{
	struct mm_token_made t = token(r, device);
	struct mm_job *job;

	post(r, &t, key, device);
	asked(1);
	assert_int_equal(mm_desk_token_cancel(r->desk, &r->admin, t.id, NULL,
	    NULL), MM_OK);
	sign(der);
	give(r, ca.number, der);
	job = rig_wait(r, 1);
	assert_int_not_equal(job->result, MM_OK);
	mm_job_free(&job);
}

/* What it is revoked for holds, though it was on no record when it came. */
static void
an_orphan_that_was_revoked(void **state)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct rig *r = *state;
	const unsigned before = rig_entries(r, "signature.orphaned");
	EVP_PKEY *key = rig_key();
	struct mm_token_made t;
	uint8_t serial[MM_SERIAL_N];
	struct mm_cert c;
	bool already;

	lose(r, "SN-ended", key, &der);
	until_orphans(r, before + 1);
	MUST(mm_cert_walk(mm_buf_view(&der), &c, NULL) == MM_OK);
	mm_foreign_number(&c, serial);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(mm_desk_cert_revoke(r->desk, &r->admin,
		    serial, 4, &already, NULL), MM_OK);
		assert_int_equal(already, i);
	}
	t = token(r, "SN-ended");
	post(r, &t, key, "SN-ended");
	give(r, asked(2), &der);
	ends(r, MM_R_UPSTREAM_NO);
	assert_int_equal(state_of(r, &der), MM_CERT_REVOKED);
	assert_int_equal(pending(r), 0);
	mm_pkey_free(&key);
}

/* ---- who asked is gone ---- */

static void
leave(struct rig *r, const char *id, const char *node)
{
	char body[512];
	struct mm_op op = { .kind = MM_OP_DOC_PUT };

	snprintf(body, sizeof(body), "{\"authority\":\"token:x\","
	    "\"device\":\"SN-gone\",\"product\":\"\",\"issuer\":\"corp\","
	    "\"profile\":\"corporate@1\",\"spki_sha256\":\"%064d\","
	    "\"request_sha256\":\"%064d\",\"node\":\"%s\","
	    "\"session\":\"of-before\"}", 1, 2, node);
	op.u.doc.kind = MM_DOC_ASKED;
	strcpy(op.u.doc.id, id);
	op.u.doc.body = mm_bytes_of(body);
	MUST(mm_core_run1(r->core, &op, NULL) == MM_OK);
}

/* Whatever it was called: the configuration has another name now. */
static void
a_question_of_a_node_that_is_no_more(void **state)
{
	struct rig *r = *state;

	leave(r, "old-name/01", "old-name");
	leave(r, "/02", "");
	assert_int_equal(pending(r), 2);
	mm_desk_housekeeping(r->desk);
	assert_int_equal(pending(r), 0);
	assert_int_equal(rig_entries(r, "upstream.unknown"), 2);
}

/* It was recorded under another question meanwhile: of this one's answer
 * nothing is unknown. */
static void
a_question_whose_answer_is_on_record(void **state)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_reader_close) struct mm_store_reader *reader = NULL;
	struct rig *r = *state;
	const unsigned before = rig_entries(r, "upstream.unknown");
	EVP_PKEY *key = rig_key();
	struct mm_token_made t = token(r, "SN-meanwhile");
	struct mm_cert_row row;
	struct mm_job *job;

	post(r, &t, key, "SN-meanwhile");
	asked(1);
	sign(&der);
	give(r, ca.number, &der);
	job = rig_wait(r, 1);
	MUST(mm_reader_open(r->config->set.database, &reader, NULL) == MM_OK);
	MUST(mm_get_cert(reader, job->serial, &row, NULL) == MM_OK);
	mm_job_free(&job);
	leave(r, "/03", "");
	row.issued_at--;
	mm_settle_add(r->core, &row, mm_buf_view(&der), "/03");
	for (unsigned i = 0; pending(r) > 0; i++) {
		MUST(i < 2000);
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	}
	mm_desk_housekeeping(r->desk);
	assert_int_equal(rig_entries(r, "upstream.unknown"), before);
	mm_pkey_free(&key);
}

/* ---- its serial number ---- */

static void
a_certificate_by_its_own_serial(void **state)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_reader_close) struct mm_store_reader *reader = NULL;
	struct rig *r = *state;
	EVP_PKEY *key = rig_key();
	struct mm_token_made t = token(r, "SN-serial");
	uint8_t number[MM_SERIAL_N];
	struct mm_any_serial any;
	struct mm_job *job;
	struct mm_cert c;
	char hex[64];

	post(r, &t, key, "SN-serial");
	asked(1);
	sign(&der);
	give(r, ca.number, &der);
	job = rig_wait(r, 1);
	MUST(mm_reader_open(r->config->set.database, &reader, NULL) == MM_OK);
	MUST(mm_cert_walk(mm_buf_view(&der), &c, NULL) == MM_OK);
	for (unsigned i = 0; i < 3; i++) {
		/* as its certificate has it, without a zero, and as ours */
		mm_hex_text(c.serial.p, c.serial.n, hex);
		if (i == 2)
			mm_hex_text(job->serial, 16, hex);
		MUST(mm_any_serial_parse(mm_bytes_of(hex + (i == 1 &&
		    hex[0] == '0')), &any, NULL) == MM_OK);
		assert_int_equal(mm_core_serial(r->core, reader, &any, number,
		    NULL), MM_OK);
		assert_memory_equal(number, job->serial, MM_SERIAL_N);
	}
	any.p[any.n - 1] ^= 1;
	assert_int_equal(mm_core_serial(r->core, reader, &any, number, NULL),
	    MM_ENOTFOUND);
	mm_job_free(&job);
	mm_pkey_free(&key);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, forget)
	const struct CMUnitTest tests[] = {
		TEST(a_certificate_that_is_on_record),
		TEST(an_orphan_that_comes_again),
		TEST(an_orphan_that_was_revoked),
		TEST(a_question_of_a_node_that_is_no_more),
		TEST(a_question_whose_answer_is_on_record),
		TEST(a_certificate_by_its_own_serial),
		TEST(who_is_refused_does_not_ask_again),
		TEST(no_time_brakes_nobody),
		TEST(what_a_trial_proves),
		TEST(whose_word_it_is), /* last: it rests then */
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
