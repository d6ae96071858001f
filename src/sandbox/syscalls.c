#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "sandbox/sandbox.h"
#include "sandbox/sanitized.h"

/*
 * By name, so that a call that an architecture lacks is left out.  A call's
 * old and new forms stand together: which one libc uses is its own affair.
 */
static const char *const both[] = {
	/* memory and threads */
	"brk", "munmap", "mremap", "madvise", "mlock", "mlock2", "munlock",
	"futex", "futex_waitv", "set_robust_list", "get_robust_list", "rseq",
	"membarrier", "sched_yield", "sched_getaffinity", "getcpu", "gettid",
	"getpid", "exit", "exit_group", "restart_syscall", "arch_prctl",
	"set_tid_address", "uname", "sysinfo",
	/* signals: tgkill is pthread_kill and abort */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait",
	"rt_sigpending", "sigaltstack", "tgkill",
	/* time and randomness */
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
	"gettimeofday", "time", "getrandom",
	/* descriptors that are there */
	"read", "readv", "write", "writev", "pread64", "pwrite64", "preadv",
	"pwritev", "close", "lseek", "_llseek", "fstat", "fcntl", "fcntl64",
	"poll", "ppoll", "recvfrom", "recvmsg", "recv", "sendto", "sendmsg",
	"send", "shutdown",
	/* files, which landlock restricts */
	"open", "openat", "stat", "lstat", "newfstatat", "statx", "fstatat64",
	"flock", "fsync", "fdatasync", "ftruncate", "fchmod", "rename",
	"renameat", "renameat2", "link", "linkat", "unlink", "unlinkat",
	"access", "faccessat", "faccessat2",
	NULL,
};

static const char *const networked[] = {
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
	"epoll_pwait2", "eventfd2", "timerfd_create", "timerfd_settime",
	"pipe2", "accept", "accept4", "getsockname", "getpeername",
	"getsockopt", "setsockopt", "select", "pselect6", "recvmmsg",
	"sendmmsg", "sendfile", "dup", "dup2", "dup3",
	/* SQLite */
	"fallocate", "readlink", "readlinkat", "mkdir", "mkdirat", "getcwd",
	"getuid", "geteuid", "getgid", "getegid", "fchown", "umask",
	"utimensat", "getdents64", "statfs", "fstatfs", "chmod", "fchmodat",
	"truncate", "rmdir", "msync", "mincore",
	/* threads made later, statistics */
	"getrusage", "prlimit64", "getrlimit", "times", "sched_setaffinity",
	"sched_getparam", "sched_getscheduler", "sched_get_priority_max",
	"sched_get_priority_min", "sched_setscheduler", "tkill",
	NULL,
};

static const char *const dialler_only[] = { "connect", NULL };

/* bind is getaddrinfo's, of a netlink socket; nothing can listen */
static const char *const courier_only[] = {
	"connect", "bind", "socketpair",
	NULL,
};

enum {
	SIGNER = 1 << MM_SANDBOX_SIGNER,
	DIALLER = 1 << MM_SANDBOX_DIALLER,
	COURIER = 1 << MM_SANDBOX_COURIER,
	DIALS = DIALLER | COURIER,
	NET = 1 << MM_SANDBOX_SERVER | DIALS,
	ALL = SIGNER | NET,
};

/* Calls whose arguments decide.  The signer makes no thread once locked. */
static const struct {
	const char *name;
	uint32_t action;
	struct scmp_arg_cmp arg;
	unsigned roles;
} conditional[] = {
	{ "mmap", SCMP_ACT_ALLOW,
	    { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 }, ALL },
	{ "mmap", SCMP_ACT_ERRNO(EPERM),
	    { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC }, ALL },
	{ "mprotect", SCMP_ACT_ALLOW,
	    { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 }, ALL },
	{ "mprotect", SCMP_ACT_ERRNO(EPERM),
	    { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC }, ALL },
	{ "ioctl", SCMP_ACT_ERRNO(ENOTTY), { 1, SCMP_CMP_EQ, TCGETS, 0 },
	    ALL },
	{ "ioctl", SCMP_ACT_ALLOW, { 1, SCMP_CMP_EQ, FIONBIO, 0 }, NET },
	{ "ioctl", SCMP_ACT_ALLOW, { 1, SCMP_CMP_EQ, FIONREAD, 0 }, NET },
	/* libcurl's question for an interface by name (SIOC...): an address
	 * must not be able to kill */
	{ "ioctl", SCMP_ACT_ERRNO(ENODEV),
	    { 1, SCMP_CMP_MASKED_EQ, 0xff00, 0x8900 }, COURIER },
	{ "clone", SCMP_ACT_ALLOW,
	    { 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD }, NET },
	{ "socket", SCMP_ACT_ALLOW, { 0, SCMP_CMP_EQ, AF_INET, 0 }, DIALS },
	{ "socket", SCMP_ACT_ALLOW, { 0, SCMP_CMP_EQ, AF_INET6, 0 }, DIALS },
	/* libpq; and libc's look-up of a host name, which also asks for the
	 * routes and does without */
	{ "socket", SCMP_ACT_ALLOW, { 0, SCMP_CMP_EQ, AF_UNIX, 0 }, DIALLER },
	{ "socket", SCMP_ACT_ERRNO(EAFNOSUPPORT),
	    { 0, SCMP_CMP_EQ, AF_NETLINK, 0 }, DIALLER },
	{ "socket", SCMP_ACT_ALLOW, { 0, SCMP_CMP_EQ, AF_NETLINK, 0 },
	    COURIER },
	/* the name service's daemons: it goes on without */
	{ "socket", SCMP_ACT_ERRNO(EAFNOSUPPORT),
	    { 0, SCMP_CMP_EQ, AF_UNIX, 0 }, COURIER },
};

static int
allow_names(scmp_filter_ctx f, const char *const *names)
{
	for (; *names != NULL; names++) {
		int nr = seccomp_syscall_resolve_name(*names);
		int rc;
		if (nr < 0)
			continue;
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 0);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
allow_conditional(scmp_filter_ctx f, enum mm_sandbox_role role)
{
	for (size_t i = 0; i < sizeof(conditional) / sizeof(conditional[0]);
	     i++) {
		int rc;
		if ((conditional[i].roles & 1U << role) == 0)
			continue;
		rc = seccomp_rule_add_array(f, conditional[i].action,
		    seccomp_syscall_resolve_name(conditional[i].name), 1,
		    &conditional[i].arg);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* clone3's flags are behind a pointer, out of a filter's sight: libc falls
 * back to clone when it does not exist. */
static int
fill(scmp_filter_ctx f, enum mm_sandbox_role role)
{
	int rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);

	if (rc == 0)
		rc = allow_names(f, both);
	if (rc == 0 && role != MM_SANDBOX_SIGNER)
		rc = allow_names(f, networked);
	if (rc == 0 && role == MM_SANDBOX_DIALLER)
		rc = allow_names(f, dialler_only);
	if (rc == 0 && role == MM_SANDBOX_COURIER)
		rc = allow_names(f, courier_only);
	if (rc == 0)
		rc = allow_conditional(f, role);
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS),
		    seccomp_syscall_resolve_name("clone3"), 0);
	return rc;
}

/* see sandbox.h; a sanitizer's own calls are none of the program's, so that
 * such a build goes without. */
enum mm_err
mm_sandbox_syscalls(enum mm_sandbox_role role, unsigned *missing,
    struct mm_why *why)
{
	scmp_filter_ctx f;
	int rc;

	if (MM_SANITIZED) {
		*missing |= MM_SANDBOX_NO_SECCOMP;
		return MM_OK;
	}
	f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (f == NULL)
		return MM_FAIL(why, MM_ENOMEM, "seccomp: no memory");
	rc = fill(f, role);
	if (rc != 0) {
		seccomp_release(f);
		return MM_FAIL(why, MM_EBUG, "seccomp: %s", strerror(-rc));
	}
	rc = seccomp_load(f);
	seccomp_release(f);
	if (rc == -ENOSYS || rc == -EINVAL || rc == -EOPNOTSUPP) {
		*missing |= MM_SANDBOX_NO_SECCOMP;
		return MM_OK;
	}
	if (rc != 0)
		return MM_FAIL(why, MM_ESYS, "seccomp: %s", strerror(-rc));
	return MM_OK;
}
