#include "fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * A process that is killed while it writes.  The child reports each batch
 * that was answered; after the kill, everything reported is there, every op
 * is whole or absent, and the ledger is dense.
 */

#define ROUNDS 25
#define BATCH 16

/* Writes batches [first, ...) until killed; one byte for each answered. */
static void
child(const char *url, unsigned first, int out)
{
	static struct top t[2 * BATCH];
	struct mm_op *ops[2 * BATCH];
	struct mm_store *s = NULL;

	if (mm_store_open(url, false, &s, NULL) != MM_OK)
		_exit(2);
	for (unsigned batch = first;; batch++) {
		for (unsigned i = 0; i < BATCH; i++) {
			top_mint(&t[2 * i], batch * BATCH + i);
			top_issue(&t[2 * i + 1], batch * BATCH + i);
			t[2 * i + 1].op.nentries = 3;
			ops[2 * i] = &t[2 * i].op;
			ops[2 * i + 1] = &t[2 * i + 1].op;
		}
		if (mm_store_run(s, ops, 2 * BATCH, NULL) != MM_OK ||
		    write(out, "x", 1) != 1)
			_exit(3);
	}
}

/* Runs a child for about that long; how many batches it said were done. */
static unsigned
run_and_kill(struct fx *f, unsigned first, unsigned microseconds)
{
	struct timespec wait = { 0, microseconds * 1000L };
	int fd[2], status;
	unsigned done = 0;
	char c;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fd[0]);
		child(f->url, first, fd[1]);
	}
	close(fd[1]);
	if (read(fd[0], &c, 1) == 1)
		done++;
	nanosleep(&wait, NULL);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	while (read(fd[0], &c, 1) == 1)
		done++;
	close(fd[0]);
	return done;
}

/* The next batch that is not there at all; every other is whole. */
static unsigned
check_batches(struct fx *f, unsigned answered)
{
	for (unsigned batch = 0;; batch++) {
		unsigned there = 0;

		for (unsigned i = 0; i < BATCH; i++) {
			int cert = cert_state(f, batch * BATCH + i);
			int token = token_state(f, batch * BATCH + i);
			assert_true(cert == MM_CERT_ISSUED ?
			    token == MM_TOKEN_ISSUED : token == -1);
			there += cert != -1;
		}
		assert_true(there == 0 || there == BATCH);
		if (there == 0) {
			assert_true(batch >= answered);
			return batch;
		}
	}
}

static void
killed(const struct mm_store_backend *b)
{
	struct fx f;
	unsigned next = 0, seed = 12345;

	if (!fx_open(&f, b))
		return;
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned done;

		mm_reader_close(&f.r);
		mm_store_close(&f.s);
		seed = seed * 1103515245U + 12345;
		done = run_and_kill(&f, next, seed / 65536 % 4000);
		fx_reopen(&f);
		next = check_batches(&f, next + done);
		check_whole(&f);
	}
	assert_true(next >= ROUNDS);
	fx_close(&f);
}

static void
test_killed(void **state)
{
	(void)state;
	for (size_t i = 0; mm_store_backends[i]; i++)
		killed(mm_store_backends[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_killed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
