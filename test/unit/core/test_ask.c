#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/time.h"
#include "rig.h"

/* Parking: a first enrolment waits for an answer from outside, everything
 * else goes on. */
enum { ASK_MS = 60000, FAST_MS = 500 };

/* What the hook does, and what it was asked. */
static struct {
	struct mm_core *core;
	bool refuse;                 /* cannot be asked */
	enum mm_said at_once;        /* answers before it returns */
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned n;
	struct mm_question q[MM_ASKED_MOST + 8];
} maker = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.more = PTHREAD_COND_INITIALIZER };

static bool
ask(void *rig, const struct mm_question *q)
{
	(void)rig;
	pthread_mutex_lock(&maker.lock);
	MUST(maker.n < MM_ASKED_MOST + 8);
	maker.q[maker.n++] = *q;
	pthread_cond_broadcast(&maker.more);
	pthread_mutex_unlock(&maker.lock);
	if (maker.at_once != MM_SAID_NOTHING)
		mm_core_said(maker.core, q->number, maker.at_once, "at once");
	return !maker.refuse;
}

static void
reopen(struct rig *r, int64_t ask_ms)
{
	rig_shut(r);
	r->ask = ask;
	r->ask_ms = ask_ms;
	rig_open(r, NULL);
	maker.core = r->core;
}

static int
setup(void **state)
{
	static struct rig rig;

	rig_make(&rig, NULL, NULL);
	reopen(&rig, ASK_MS);
	*state = &rig;
	return 0;
}

static int
teardown(void **state)
{
	rig_done(*state);
	return 0;
}

static int
forget(void **state)
{
	(void)state;
	maker.n = 0;
	maker.refuse = false;
	maker.at_once = MM_SAID_NOTHING;
	return 0;
}

/* The nth question, from 0. */
static struct mm_question
asked(unsigned n)
{
	struct mm_question q;

	pthread_mutex_lock(&maker.lock);
	while (maker.n <= n)
		pthread_cond_wait(&maker.more, &maker.lock);
	q = maker.q[n];
	pthread_mutex_unlock(&maker.lock);
	return q;
}

static struct mm_job *
posted(struct rig *r, const struct mm_token_made *t, EVP_PKEY *key)
{
	struct mm_job *job = rig_job(MM_JOB_ENROL, key, "");

	rig_psk(job, t);
	rig_post(r, job);
	return job;
}

static void
ends(struct rig *r, enum mm_reason want, const char *said)
{
	struct mm_job *job = rig_wait(r, 1);

	assert_int_equal(job->reason, want);
	assert_string_equal(job->said, said);
	mm_job_free(&job);
}

static void
an_answer_goes_on(void **state)
{
	static const struct {
		enum mm_said said;
		enum mm_reason want;
		const char *shown;
	} rows[] = {
		{ MM_SAID_NO, MM_R_AUTHORISE_NO, "why" },
		{ MM_SAID_NOTHING, MM_R_AUTHORISE_AWAY, "why" },
		{ MM_SAID_YES, MM_R_NONE, "" },
	};
	struct rig *r = *state;
	struct mm_token_made t = rig_token(r, "SN-go");
	EVP_PKEY *key = rig_key();

	/* one token: what was refused has spent nothing */
	for (unsigned i = 0; i < 3; i++) {
		struct mm_question q;

		posted(r, &t, key);
		q = asked(i);
		assert_string_equal(q.device, "SN-go");
		assert_string_equal(q.profile, "thermo");
		assert_string_equal(q.token, t.id);
		mm_core_said(r->core, q.number + 1, MM_SAID_YES, "other");
		mm_core_said(r->core, q.number, rows[i].said, "why");
		mm_core_said(r->core, q.number, MM_SAID_YES, "twice");
		ends(r, rows[i].want, rows[i].shown);
	}
	posted(r, &t, key); /* a replay */
	ends(r, MM_R_NONE, "");
	assert_int_equal(maker.n, 3);
	mm_pkey_free(&key);
}

static void
answers_may_be_early(void **state)
{
	struct rig *r = *state;
	EVP_PKEY *key = rig_key();
	struct mm_token_made t = rig_token(r, "SN-early");

	maker.at_once = MM_SAID_NO;
	posted(r, &t, key);
	ends(r, MM_R_AUTHORISE_NO, "at once");
	/* it says that it cannot, but did */
	maker.refuse = true;
	maker.at_once = MM_SAID_YES;
	posted(r, &t, key);
	ends(r, MM_R_NONE, "");
	mm_pkey_free(&key);
}

static void
who_cannot_be_asked_refuses(void **state)
{
	struct rig *r = *state;
	EVP_PKEY *key = rig_key();
	struct mm_token_made t = rig_token(r, "SN-cannot");

	maker.refuse = true;
	posted(r, &t, key);
	ends(r, MM_R_AUTHORISE_AWAY, "");
	mm_pkey_free(&key);
}

#define RACERS 100

/* Of one key and in the same flight: one question, whatever the answer. */
static void
those_who_wait_ask_once(void **state)
{
	struct rig *r = *state;

	for (enum mm_said said = MM_SAID_NOTHING; said <= MM_SAID_YES; said++) {
		EVP_PKEY *key = rig_key();
		char name[] = "SN-race-0";
		struct mm_token_made t;
		struct mm_job *list, *next;

		name[8] = (char)('0' + said);
		t = rig_token(r, name);
		for (unsigned i = 0; i < RACERS; i++)
			posted(r, &t, key);
		mm_core_said(r->core, asked(said).number, said, "");
		list = rig_wait(r, RACERS);
		assert_int_equal(maker.n, said + 1);
		for (unsigned n = 0; list != NULL; list = next, n++) {
			assert_int_equal(list->result == MM_OK,
			    said == MM_SAID_YES);
			assert_true(n < RACERS);
			next = list->next;
			mm_job_free(&list);
		}
		mm_pkey_free(&key);
	}
}

/* A no to one key is none to another. */
static void
another_key_is_another_question(void **state)
{
	struct rig *r = *state;
	EVP_PKEY *key[2] = { rig_key(), rig_key() };
	struct mm_token_made t = rig_token(r, "SN-two");
	struct mm_question a, b;

	posted(r, &t, key[0]);
	a = asked(0);
	posted(r, &t, key[1]);
	mm_core_said(r->core, a.number, MM_SAID_NO, "no");
	ends(r, MM_R_AUTHORISE_NO, "no");
	b = asked(1);
	assert_memory_not_equal(a.spki, b.spki, 32);
	mm_core_said(r->core, b.number, MM_SAID_YES, "");
	ends(r, MM_R_NONE, "");
	mm_pkey_free(&key[0]);
	mm_pkey_free(&key[1]);
}

/* Above the bound: refused at once; the parked are not lost. */
static void
so_many_are_parked(void **state)
{
	struct rig *r = *state;
	EVP_PKEY *key = rig_key();
	struct mm_job *list, *next;

	for (unsigned i = 0; i <= MM_ASKED_MOST; i++) {
		char name[24];
		struct mm_token_made t;

		snprintf(name, sizeof(name), "SN-many-%u", i);
		t = rig_token(r, name);
		if (i == MM_ASKED_MOST)
			(void)asked(i - 1);
		posted(r, &t, key);
	}
	ends(r, MM_R_AUTHORISE_AWAY, "");
	assert_int_equal(maker.n, MM_ASKED_MOST);
	for (unsigned i = MM_ASKED_MOST; i > 0; i--)
		mm_core_said(r->core, asked(i - 1).number, MM_SAID_NO, "");
	list = rig_wait(r, MM_ASKED_MOST);
	for (; list != NULL; list = next) {
		assert_int_equal(list->reason, MM_R_AUTHORISE_NO);
		next = list->next;
		mm_job_free(&list);
	}
	mm_pkey_free(&key);
}

static void
without_an_answer_it_ends_by_itself(void **state)
{
	struct rig *r = *state;
	EVP_PKEY *key = rig_key();
	struct mm_token_made t;
	int64_t began;

	reopen(r, FAST_MS);
	t = rig_token(r, "SN-late");
	began = mm_mono_ms();
	posted(r, &t, key);
	ends(r, MM_R_AUTHORISE_AWAY, "no answer in time");
	assert_in_range(mm_mono_ms() - began, FAST_MS, FAST_MS + 3000);
	mm_core_said(r->core, asked(0).number, MM_SAID_YES, "too late");
	posted(r, &t, key);
	mm_core_said(r->core, asked(1).number, MM_SAID_YES, "");
	ends(r, MM_R_NONE, "");
	mm_pkey_free(&key);
}

static void
who_stops_hands_the_parked_back(void **state)
{
	struct rig *r = *state;
	EVP_PKEY *key = rig_key();
	struct mm_token_made t;

	reopen(r, ASK_MS);
	t = rig_token(r, "SN-stop");
	posted(r, &t, key);
	(void)asked(0);
	mm_core_stop(r->core, 100);
	ends(r, MM_R_BUSY, "");
	reopen(r, ASK_MS);
	maker.at_once = MM_SAID_YES;
	posted(r, &t, key);
	ends(r, MM_R_NONE, "");
	mm_pkey_free(&key);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup(f, forget)
	const struct CMUnitTest tests[] = {
		T(an_answer_goes_on),
		T(answers_may_be_early),
		T(who_cannot_be_asked_refuses),
		T(those_who_wait_ask_once),
		T(another_key_is_another_question),
		T(so_many_are_parked),
		T(without_an_answer_it_ends_by_itself),
		T(who_stops_hands_the_parked_back),
	};

	return cmocka_run_group_tests_name("ask", tests, setup, teardown);
}
