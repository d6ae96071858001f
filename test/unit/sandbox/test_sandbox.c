#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sandbox/sandbox.h"
#include "sandbox/sanitized.h"

/* What a child did: left with a status, or died of a signal (negative). */
static int
in_child(int (*run)(const void *), const void *arg)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* a killed child is what is wanted: no core, no message */
		(void)signal(SIGSYS, SIG_DFL);
		_exit(run(arg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

enum { FINE, SETUP_FAILED = 70, NO_SECCOMP, WRONG };

static void *
thread_body(void *arg)
{
	return arg;
}

static int
try_open(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	return fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0;
}

static int
try_memory(void)
{
	void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED || munmap(p, 1 << 20) != 0;
}

static int
try_exec_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED || errno != EPERM;
}

static int
try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0;
}

/* Refused in a way that a name lookup survives. */
static int
try_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EAFNOSUPPORT;
}

static int
try_connect(void)
{
	return connect(-1, NULL, 0) == 0; /* it may be tried */
}

static int
try_bind(void)
{
	return bind(0, NULL, 0) != 0;
}

static int
try_listen(void)
{
	return listen(0, 1) != 0;
}

static int
try_accept(void)
{
	return accept4(-1, NULL, NULL, 0) != -1;
}

static int
try_exec(void)
{
	char *const argv[] = { (char *)(uintptr_t)"true", NULL };

	return execv("/bin/true", argv) != 0;
}

static int
try_fork(void)
{
	return fork() < 0;
}

static int
try_thread(void)
{
	pthread_t t;

	return pthread_create(&t, NULL, thread_body, NULL) != 0 ||
	    pthread_join(t, NULL) != 0;
}

static int
try_setuid(void)
{
	return setuid(0) != 0;
}

static int
try_ptrace(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0;
}

struct row {
	const char *what;
	int (*act)(void);
	int signer, server, dialler, courier; /* FINE, WRONG or -SIGSYS */
};

static int
locked(enum mm_sandbox_role role, const struct row *r)
{
	unsigned missing = 0;

	if (mm_sandbox_harden(0, NULL) != MM_OK ||
	    mm_sandbox_syscalls(role, &missing, NULL) != MM_OK)
		return SETUP_FAILED;
	if (missing & MM_SANDBOX_NO_SECCOMP)
		return NO_SECCOMP;
	return r->act() == 0 ? FINE : WRONG;
}

static int
as_signer(const void *arg)
{
	return locked(MM_SANDBOX_SIGNER, arg);
}

/* What if_nametoindex asks, of an address with a zone. */
static int
try_interface(void)
{
	struct ifreq r = { .ifr_name = "lo" };

	return ioctl(0, SIOCGIFINDEX, &r) < 0 && errno == ENODEV ? FINE :
								   WRONG;
}

static int
as_server(const void *arg)
{
	return locked(MM_SANDBOX_SERVER, arg);
}

static int
as_dialler(const void *arg)
{
	return locked(MM_SANDBOX_DIALLER, arg);
}

static int
as_courier(const void *arg)
{
	return locked(MM_SANDBOX_COURIER, arg);
}

static void
test_forbidden_calls_die(void **state)
{
	static const struct row rows[] = {
		/* signer, server, dialler, courier */
		{ "open, write", try_open, FINE, FINE, FINE, FINE },
		{ "memory", try_memory, FINE, FINE, FINE, FINE },
		{ "executable memory", try_exec_memory, FINE, FINE, FINE, FINE },
		{ "socket", try_socket, -SIGSYS, -SIGSYS, FINE, FINE },
		{ "unix socket", try_unix, -SIGSYS, -SIGSYS, WRONG, FINE },
		{ "connect", try_connect, -SIGSYS, -SIGSYS, FINE, FINE },
		{ "bind", try_bind, -SIGSYS, -SIGSYS, -SIGSYS, WRONG },
		{ "listen", try_listen, -SIGSYS, -SIGSYS, -SIGSYS, -SIGSYS },
		{ "accept", try_accept, -SIGSYS, FINE, FINE, FINE },
		{ "execve", try_exec, -SIGSYS, -SIGSYS, -SIGSYS, -SIGSYS },
		{ "fork", try_fork, -SIGSYS, -SIGSYS, -SIGSYS, -SIGSYS },
		{ "thread", try_thread, -SIGSYS, FINE, FINE, FINE },
		{ "setuid", try_setuid, -SIGSYS, -SIGSYS, -SIGSYS, -SIGSYS },
		{ "interface", try_interface, -SIGSYS, -SIGSYS, -SIGSYS, FINE },
		{ "prctl", try_ptrace, -SIGSYS, -SIGSYS, -SIGSYS, -SIGSYS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int a = in_child(as_signer, &rows[i]);
		int b = in_child(as_server, &rows[i]);
		int c = in_child(as_dialler, &rows[i]);
		int d = in_child(as_courier, &rows[i]);
		if (a == NO_SECCOMP)
			skip();
		if (a != rows[i].signer || b != rows[i].server ||
		    c != rows[i].dialler || d != rows[i].courier)
			fail_msg("%s: signer %d, server %d, dialler %d, "
			    "courier %d",
			    rows[i].what, a, b, c, d);
	}
}

/* Threads that were there before are locked in too (TSYNC). */
static void *
waits_then_calls(void *arg)
{
	pthread_barrier_t *b = arg;

	pthread_barrier_wait(b);
	(void)try_socket();
	return NULL;
}

static int
older_thread(const void *arg)
{
	pthread_barrier_t b;
	pthread_t t;
	unsigned missing = 0;

	(void)arg;
	pthread_barrier_init(&b, NULL, 2);
	if (pthread_create(&t, NULL, waits_then_calls, &b) != 0 ||
	    mm_sandbox_harden(0, NULL) != MM_OK ||
	    mm_sandbox_syscalls(MM_SANDBOX_SIGNER, &missing, NULL) != MM_OK)
		return SETUP_FAILED;
	if (missing & MM_SANDBOX_NO_SECCOMP)
		return NO_SECCOMP;
	pthread_barrier_wait(&b);
	pthread_join(t, NULL);
	return FINE;
}

static void
test_older_threads_are_locked_in(void **state)
{
	int got = in_child(older_thread, NULL);

	(void)state;
	if (got == NO_SECCOMP)
		skip();
	assert_int_equal(got, -SIGSYS);
}

static int
files_only_here(const void *arg)
{
	const struct mm_sandbox_path paths[] = {
		{ arg, 1 },
		{ "/dev/null", 0 },
		{ "/there/is/no/such", 0 },
	};
	unsigned missing = 0;
	char in[256];
	int fd;

	if (mm_sandbox_files(paths, 3, &missing, NULL) != MM_OK)
		return SETUP_FAILED;
	if (missing & MM_SANDBOX_NO_LANDLOCK)
		return NO_SECCOMP;
	snprintf(in, sizeof(in), "%s/new", (const char *)arg);
	fd = open(in, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || ftruncate(fd, 0) != 0 ||
	    close(fd) != 0 || rename(in, arg) == 0 || unlink(in) != 0)
		return WRONG;
	if (open("/dev/null", O_RDONLY) < 0 ||
	    open("/dev/null", O_WRONLY) >= 0)
		return WRONG;
	return open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? FINE :
								      WRONG;
}

static void
test_files(void **state)
{
	char dir[] = "/tmp/mm-sandbox-XXXXXX";
	int got;

	(void)state;
	assert_non_null(mkdtemp(dir));
	got = in_child(files_only_here, dir);
	assert_int_equal(rmdir(dir), 0);
	if (got == NO_SECCOMP)
		skip();
	assert_int_equal(got, FINE);
}

static int
hardened(const void *arg)
{
	struct rlimit core;

	(void)arg;
	if (mm_sandbox_harden(1, NULL) != MM_OK)
		return SETUP_FAILED;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != MM_SANITIZED ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
	    getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0)
		return WRONG;
	return FINE;
}

static int
dropped(const void *arg)
{
	gid_t groups[8];

	if (mm_sandbox_drop(arg, "daemon", NULL) != MM_OK)
		return SETUP_FAILED;
	if (getuid() == 0 || geteuid() == 0 || setuid(0) == 0 ||
	    getgroups(8, groups) != 1)
		return WRONG;
	return mm_sandbox_drop(arg, NULL, NULL) == MM_OK ? FINE : WRONG;
}

static void
test_harden_and_drop(void **state)
{
	(void)state;
	assert_int_equal(in_child(hardened, NULL), FINE);
	assert_int_equal(mm_sandbox_drop("", "nonsense", NULL), MM_OK);
	assert_int_equal(mm_sandbox_drop("no-such-user-here", NULL, NULL),
	    MM_ENOTFOUND);
	assert_int_equal(mm_sandbox_drop("nobody", "no-such-group", NULL),
	    MM_ENOTFOUND);
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(dropped, "nobody"), FINE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forbidden_calls_die),
		cmocka_unit_test(test_older_threads_are_locked_in),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_harden_and_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
