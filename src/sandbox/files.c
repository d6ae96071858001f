#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/sandbox.h"
#include "sandbox/sanitized.h"

/*
 * Landlock by raw system calls and constants of our own: the distribution's
 * headers are older than the kernels it runs on.
 */
#define NR_CREATE_RULESET 444
#define NR_ADD_RULE       445
#define NR_RESTRICT_SELF  446
#define CREATE_VERSION    1
#define RULE_PATH_BENEATH 1

#define FS_EXECUTE    (1ULL << 0)
#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE  (1ULL << 2)
#define FS_READ_DIR   (1ULL << 3)
#define FS_MAKE_REG   (1ULL << 8)
#define FS_REMOVE_FILE (1ULL << 5)
#define FS_MAKE_DIR   (1ULL << 7)
#define FS_REFER      (1ULL << 13)
#define FS_TRUNCATE   (1ULL << 14)
#define FS_IOCTL_DEV  (1ULL << 15)

#define ABI1_ALL ((1ULL << 13) - 1)
#define OF_FILES (FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)
#define TO_READ  (FS_READ_FILE | FS_READ_DIR)
#define TO_WRITE \
	(TO_READ | FS_WRITE_FILE | FS_MAKE_REG | FS_REMOVE_FILE | \
	    FS_MAKE_DIR | FS_TRUNCATE)

struct ruleset_attr {
	uint64_t fs;
};
struct beneath_attr {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

/* What a kernel of that ABI can forbid. */
static uint64_t
handled(long abi)
{
	uint64_t all = ABI1_ALL;

	if (abi >= 2)
		all |= FS_REFER;
	if (abi >= 3)
		all |= FS_TRUNCATE;
	if (abi >= 5)
		all |= FS_IOCTL_DEV;
	return all;
}

/* A path that is not there needs no permission. */
static enum mm_err
allow(int set, const struct mm_sandbox_path *p, uint64_t all,
    struct mm_why *why)
{
	struct beneath_attr rule = {
		.allowed = all & (p->write ? TO_WRITE : TO_READ),
	};
	struct stat st;
	int fd = open(p->path, O_PATH | O_CLOEXEC);
	long rc;

	if (fd < 0 && errno == ENOENT)
		return MM_OK;
	if (fd < 0 || fstat(fd, &st) != 0) {
		int errnum = errno;
		if (fd >= 0)
			close(fd);
		return MM_FAIL(why, MM_ESYS, "landlock: %.80s: %s", p->path,
		    strerror(errnum));
	}
	if (!S_ISDIR(st.st_mode))
		rule.allowed &= OF_FILES;
	rule.parent = fd;
	rc = syscall(NR_ADD_RULE, set, RULE_PATH_BENEATH, &rule, 0);
	close(fd);
	if (rc != 0)
		return MM_FAIL(why, MM_ESYS, "landlock: %.80s: %s", p->path,
		    strerror(errno));
	return MM_OK;
}

static enum mm_err
enforce(int set, const struct mm_sandbox_path *paths, size_t n, uint64_t all,
    struct mm_why *why)
{
	/* a sanitizer looks for leaks at the end */
	const struct mm_sandbox_path self = { "/proc/self", 0 };

	if (MM_SANITIZED)
		MM_TRY(allow(set, &self, all, why));
	for (size_t i = 0; i < n; i++)
		MM_TRY(allow(set, &paths[i], all, why));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(NR_RESTRICT_SELF, set, 0) != 0)
		return MM_FAIL(why, MM_ESYS, "landlock: %s", strerror(errno));
	return MM_OK;
}

/* see sandbox.h */
enum mm_err
mm_sandbox_files(const struct mm_sandbox_path *paths, size_t n,
    unsigned *missing, struct mm_why *why)
{
	long abi = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_VERSION);
	struct ruleset_attr attr;
	enum mm_err err;
	int set;

	if (abi < 1) {
		*missing |= MM_SANDBOX_NO_LANDLOCK;
		return MM_OK;
	}
	if (abi < 3) /* ABI 3 made truncation forbiddable */
		*missing |= MM_SANDBOX_OLD_LANDLOCK;
	attr.fs = handled(abi);
	set = (int)syscall(NR_CREATE_RULESET, &attr, sizeof(attr), 0);
	if (set < 0)
		return MM_FAIL(why, MM_ESYS, "landlock: %s", strerror(errno));
	err = enforce(set, paths, n, attr.fs, why);
	close(set);
	return err;
}
