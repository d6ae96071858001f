#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

/*
 * SIGKILL at every numbered step of an issuance.  Whatever happened, the same
 * device with the same key then gets one certificate, and everything that was
 * signed stands in the ledger.
 */
static int
setup(void **state)
{
	/* a killed core's signer becomes our child */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return rig_setup(state);
}

static void
die_at(void *ctx, int step)
{
	const int *at = ctx;

	if (step == *at)
		kill(getpid(), SIGKILL);
}

static void
enrol_and_die(struct rig *r, const struct mm_token_made *t, EVP_PKEY *key,
    int step)
{
	const struct mm_core_hooks hooks = { die_at, &step };
	struct mm_job *job = rig_job(MM_JOB_ENROL, key, "");

	rig_open(r, &hooks);
	rig_psk(job, t);
	rig_post(r, job);
	pause();
	_exit(1);
}

static void
kill_at(struct rig *r, const struct mm_token_made *t, EVP_PKEY *key,
    int step)
{
	int status;
	pid_t pid;

	rig_shut(r);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		enrol_and_die(r, t, key, step);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/* the signer notices that it is alone and ends */
	assert_true(waitpid(-1, NULL, 0) > 0);
	rig_open(r, NULL);
}

static void
every_step(void **state)
{
	static const int steps[] = { 1, 3, 4, 5, 6, 7 };
	struct rig *r = *state;
	unsigned replayed = 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		EVP_PKEY *key = rig_key();
		struct mm_job *job = rig_job(MM_JOB_ENROL, key, "");
		struct mm_token_made t;
		char device[16];

		snprintf(device, sizeof(device), "SN-%d", steps[i]);
		t = rig_token(r, device);
		kill_at(r, &t, key, steps[i]);
		rig_psk(job, &t);
		rig_run(r, job);
		assert_int_equal(job->result, MM_OK);
		replayed += job->replayed;
		mm_job_free(&job);
		mm_pkey_free(&key);
		assert_int_equal(rig_journal(r, "certificate"),
		    rig_entries(r, "certificate.issued") +
		    rig_entries(r, "signature.orphaned"));
		assert_int_equal(rig_entries(r, "certificate.issued"), i + 1);
	}
	/* signed but not committed: an orphan; committed: the same bytes */
	assert_int_equal(rig_entries(r, "signature.orphaned"), 1);
	assert_int_equal(replayed, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_step),
	};

	return cmocka_run_group_tests(tests, setup, rig_teardown);
}
