#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/time.h"
#include "core/priv.h"
#include "rig.h"

/* What the signer says on several links counts in its journal's order. */

static void
in_the_journals_order(void **state)
{
	/* a status of a journal with so many lines, or a certificate's line */
	static const struct {
		bool status, issuing;
		uint64_t n;
		bool want, issues; /* what it answers; then */
		uint64_t known;    /* as the status was asked for */
	} rows[] = {
		{ true, true, 10, true, true },
		{ false, false, 11, false, true },
		{ true, false, 10, false, true }, /* overtaken */
		{ true, false, 11, true, false },
		{ false, false, 11, false, false }, /* of before */
		{ false, false, 9, false, false },
		{ false, false, 12, true, true }, /* it overtook */
		{ true, false, 11, false, true },
		{ true, true, 11, true, true }, /* of what it can do, any */
		{ true, false, 12, true, false },
		{ true, true, 12, true, true },
		/* one that no journal has, by a fault or a lie */
		{ false, false, 99, false, true },
		{ true, false, 13, false, true, 12 }, /* asked for before */
		{ true, false, 13, true, false, 99 },
		{ false, false, 14, true, true },
		{ true, false, 13, false, true, 13 },
	};
	struct mm_word w = { .signed_n = 0 };

	(void)state;
	assert_false(mm_word_signed(&w, 1)); /* nothing was said yet */
	mm_word_anew(&w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_status_rep rep = { .issuing = rows[i].issuing,
			.journal_n = rows[i].n, .version = "1" };
		bool got = rows[i].status ?
		    mm_word_take(&w, &rep, rows[i].known) :
		    mm_word_signed(&w, rows[i].n);

		if (got != rows[i].want ||
		    (w.status.issuing != 0) != rows[i].issues)
			fail_msg("row %zu", i);
	}
}

/*
 * Between the core and the signer, on the ledger's link.  The next status is
 * held back, and made one of a moment at which the disk was full.
 */
static struct {
	int core, signer, leave[2];
	pthread_t thread;
	atomic_bool arm, held, let;
	atomic_uint asked; /* statuses since it was let go */
} between;

static unsigned
kind_of(const struct mm_buf *frame)
{
	struct mm_frame f;

	MUST(mm_frame_parse(mm_buf_view(frame), &f, NULL) == MM_OK);
	return f.kind;
}

static void
pass_on(int fd, const struct mm_buf *frame)
{
	while (mm_ipc_send(fd, mm_buf_view(frame), NULL) != MM_OK) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (errno != EAGAIN || poll(&p, 1, 1000) != 1)
			return; /* the other side has gone */
	}
}

static void
spoil(struct mm_buf *frame)
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct mm_status_rep rep;
	struct mm_bytes body;
	struct mm_frame f;
	uint32_t tag;

	MUST(mm_frame_parse(mm_buf_view(frame), &f, NULL) == MM_OK);
	MUST(mm_frame_next(&f, &tag, &body));
	MUST(mm_answer_get(MM_IPC_STATUS, body, &rep, NULL) == MM_OK);
	rep.issuing = 0;
	strcpy(rep.why, "the journal could not be written");
	mm_frame_begin(&out, MM_IPC_STATUS);
	MUST(mm_frame_put_rep(&out, tag, MM_OK, "", &rep));
	mm_buf_reset(frame);
	mm_buf_bytes(frame, mm_buf_view(&out));
	between.held = true;
	while (!between.let)
		usleep(1000);
}

static bool
take(int from, int to, struct mm_buf *frame)
{
	if (mm_ipc_recv(from, frame, NULL) != MM_OK)
		return false;
	if (kind_of(frame) == MM_IPC_STATUS && from == between.core)
		between.asked += between.let;
	if (kind_of(frame) == MM_IPC_STATUS && from == between.signer &&
	    between.arm && !between.held)
		spoil(frame);
	pass_on(to, frame);
	return true;
}

static void *
carry(void *unused)
{
	MM_OWN(mm_buf_done) struct mm_buf frame =
	    MM_BUF_INIT(MM_IPC_FRAME_MAX);

	for (bool on = true; on;) {
		struct pollfd p[3] = { { between.core, POLLIN, 0 },
			{ between.signer, POLLIN, 0 },
			{ between.leave[0], POLLIN, 0 } };

		on = poll(p, 3, 20000) > 0 && p[2].revents == 0;
		if (on && p[0].revents != 0)
			on = take(between.core, between.signer, &frame);
		if (on && p[1].revents != 0)
			on = take(between.signer, between.core, &frame);
	}
	close(between.core);
	close(between.signer);
	return unused;
}

static void
step_between(struct mm_links *l)
{
	int pair[2];

	for (unsigned i = 0; i < l->n; i++) {
		if (l->link[i].role != MM_LINK_LEDGER)
			continue;
		MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
		    pair) == 0);
		MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
		between.signer = l->link[i].fd;
		between.core = pair[1];
		l->link[i].fd = pair[0];
	}
	MUST(pipe(between.leave) == 0);
	MUST(pthread_create(&between.thread, NULL, carry, NULL) == 0);
}

static enum mm_err
enrol(struct rig *r, unsigned i)
{
	char device[16];
	EVP_PKEY *key = rig_key();
	struct mm_token_made token;
	struct mm_job *job;
	enum mm_err rc;

	snprintf(device, sizeof(device), "W-%u", i);
	token = rig_token(r, device);
	job = rig_job(MM_JOB_ENROL, key, "");
	rig_psk(job, &token);
	rig_run(r, job);
	rc = job->result;
	if (rc != MM_OK)
		print_message("%s: %s\n", device, job->why.text);
	mm_job_free(&job);
	EVP_PKEY_free(key);
	return rc;
}

static void
until(atomic_bool *v)
{
	int64_t end = mm_mono_ms() + 10000;

	while (!*v && mm_mono_ms() < end)
		usleep(1000);
	assert_true(*v);
}

/* The disk was full and is not any more: the first certificate has come, when
 * a status of before does. */
static void
overtaken_by_a_certificate(void **state)
{
	struct rig *r = *state;
	int64_t end;
	unsigned n = 1;

	rig_kill_signer(r);
	rig_restart_signer_with(r, step_between);
	rig_wait_ready(r);
	assert_int_equal(enrol(r, 0), MM_OK);
	between.arm = true;
	until(&between.held);
	assert_int_equal(enrol(r, n++), MM_OK);
	between.let = true;
	end = mm_mono_ms() + 10000;
	for (; between.asked == 0 && mm_mono_ms() < end; n++)
		assert_int_equal(enrol(r, n), MM_OK);
	assert_true(between.asked > 0);
	assert_int_equal(enrol(r, n), MM_OK);
	rig_kill_signer(r);
	MUST(write(between.leave[1], "", 1) == 1);
	pthread_join(between.thread, NULL);
	close(between.leave[0]);
	close(between.leave[1]);
	rig_restart_signer(r);
	rig_wait_ready(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_the_journals_order),
		cmocka_unit_test(overtaken_by_a_certificate),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
