#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/msg.h"

static int
count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
make_pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
}

static void
test_links_make(void **state)
{
	struct mm_links a, b;
	int before = count_fds();

	(void)state;
	assert_int_equal(mm_links_make(3, &a, &b, NULL), MM_OK);
	assert_int_equal(a.n, 9);
	assert_int_equal(b.n, 9);
	for (unsigned i = 0; i < a.n; i++) {
		assert_int_equal(a.link[i].role, b.link[i].role);
		assert_int_not_equal(fcntl(a.link[i].fd, F_GETFL) & O_NONBLOCK,
		    0);
		assert_int_equal(fcntl(b.link[i].fd, F_GETFL) & O_NONBLOCK, 0);
		assert_int_equal(fcntl(b.link[i].fd, F_GETFD), FD_CLOEXEC);
	}
	mm_links_close(&a);
	mm_links_close(&b);
	assert_int_equal(count_fds(), before);
	assert_int_equal(mm_links_make(0, &a, &b, NULL), MM_EINPUT);
	assert_int_equal(mm_links_make(35, &a, &b, NULL), MM_EINPUT);
}

/* Descriptors that were sent are the same sockets on the other side. */
static void
test_links_pass(void **state)
{
	struct mm_links a, b, c;
	int control[2], before = count_fds();

	(void)state;
	make_pair(control);
	assert_int_equal(mm_links_make(34, &a, &b, NULL), MM_OK);
	assert_int_equal(mm_links_send(control[0], &a, NULL), MM_OK);
	mm_links_close(&a);
	assert_int_equal(mm_links_recv(control[1], &c, NULL), MM_OK);
	assert_int_equal(c.n, MM_LINKS_MAX);
	for (unsigned i = 0; i < c.n; i++) {
		char x = 0;
		assert_int_equal(c.link[i].role, b.link[i].role);
		assert_int_equal(send(c.link[i].fd, "y", 1, 0), 1);
		assert_int_equal(recv(b.link[i].fd, &x, 1, 0), 1);
		assert_int_equal(x, 'y');
	}
	mm_links_close(&b);
	mm_links_close(&c);
	close(control[0]);
	assert_int_equal(mm_links_recv(control[1], &c, NULL), MM_ENOTFOUND);
	close(control[1]);
	assert_int_equal(count_fds(), before);
}

static void
test_links_malformed(void **state)
{
	struct mm_links a, b, c = { 0 };
	int control[2], before = count_fds();

	(void)state;
	make_pair(control);
	assert_int_equal(send(control[0], "\1\2", 2, 0), 2);
	assert_int_equal(mm_links_recv(control[1], &c, NULL), MM_EINPUT);
	assert_int_equal(mm_links_make(1, &a, &b, NULL), MM_OK);
	a.link[0].role = 3; /* two roles at once */
	assert_int_equal(mm_links_send(control[0], &a, NULL), MM_OK);
	assert_int_equal(mm_links_recv(control[1], &c, NULL), MM_EINPUT);
	assert_int_equal(c.n, 0);
	mm_links_close(&a);
	mm_links_close(&b);
	close(control[0]);
	close(control[1]);
	assert_int_equal(count_fds(), before);
}

static void
test_recv_limits(void **state)
{
	static uint8_t big[MM_IPC_FRAME_MAX + 1];
	struct mm_buf b = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	int fd[2];

	(void)state;
	make_pair(fd);
	assert_int_equal(mm_ipc_send(fd[0],
	    (struct mm_bytes){ big, MM_IPC_FRAME_MAX }, NULL), MM_OK);
	assert_int_equal(mm_ipc_recv(fd[1], &b, NULL), MM_OK);
	assert_int_equal(b.n, MM_IPC_FRAME_MAX);
	assert_int_equal(mm_ipc_send(fd[0],
	    (struct mm_bytes){ big, sizeof(big) }, NULL), MM_OK);
	assert_int_equal(mm_ipc_recv(fd[1], &b, NULL), MM_EINPUT);
	assert_int_equal(fcntl(fd[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(mm_ipc_recv(fd[1], &b, NULL), MM_EAGAIN);
	close(fd[0]);
	assert_int_equal(mm_ipc_recv(fd[1], &b, NULL), MM_ENOTFOUND);
	assert_int_equal(mm_ipc_send(fd[1], (struct mm_bytes){ big, 1 }, NULL),
	    MM_ENOTFOUND);
	close(fd[1]);
	mm_buf_done(&b);
}

/* Answers a ledger_add with its index + 1, an old answer and rubbish first. */
static void *
peer(void *arg)
{
	int fd = *(int *)arg;
	const struct mm_msg *m = mm_ipc_msg(MM_IPC_LEDGER_ADD);
	struct mm_buf b = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct mm_ledger_add_req q;
	struct mm_ledger_add_rep old = { 999 }, p;
	struct mm_frame f;
	struct mm_bytes body;
	uint32_t tag;

	if (mm_ipc_recv(fd, &b, NULL) != MM_OK ||
	    mm_frame_parse(mm_buf_view(&b), &f, NULL) != MM_OK ||
	    !mm_frame_next(&f, &tag, &body) ||
	    mm_fields_get(body, m->req, m->nreq, &q, NULL) != MM_OK)
		return NULL;
	p.size = q.index + 1;
	(void)send(fd, "rubbish", 7, 0);
	mm_frame_begin(&b, MM_IPC_LEDGER_ADD);
	(void)mm_frame_put_rep(&b, tag - 1, MM_OK, NULL, &old);
	if (mm_ipc_send(fd, mm_buf_view(&b), NULL) != MM_OK)
		return NULL;
	mm_frame_begin(&b, MM_IPC_LEDGER_ADD);
	(void)mm_frame_put_rep(&b, tag, MM_OK, NULL, &p);
	if (mm_ipc_send(fd, mm_buf_view(&b), NULL) != MM_OK)
		return NULL;
	mm_buf_done(&b);
	return arg;
}

static void
test_call(void **state)
{
	struct mm_buf b = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct mm_ledger_add_req q = { 41, { (const uint8_t *)"x", 1 } };
	struct mm_ledger_add_rep p = { 0 };
	pthread_t t;
	void *good = NULL;
	int fd[2];

	(void)state;
	make_pair(fd);
	assert_int_equal(pthread_create(&t, NULL, peer, &fd[1]), 0);
	assert_int_equal(mm_ipc_call(fd[0], MM_IPC_LEDGER_ADD, &q, &p, &b,
	    10000, NULL), MM_OK);
	assert_int_equal(p.size, 42);
	pthread_join(t, &good);
	assert_non_null(good);
	assert_int_equal(mm_ipc_call(fd[0], MM_IPC_LEDGER_ADD, &q, &p, &b, 20,
	    NULL), MM_EAGAIN);
	close(fd[1]);
	assert_int_equal(mm_ipc_call(fd[0], MM_IPC_LEDGER_ADD, &q, &p, &b, 20,
	    NULL), MM_ENOTFOUND);
	close(fd[0]);
	mm_buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_links_make),
		cmocka_unit_test(test_links_pass),
		cmocka_unit_test(test_links_malformed),
		cmocka_unit_test(test_recv_limits),
		cmocka_unit_test(test_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
