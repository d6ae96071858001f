#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sandbox/sandbox.h"
#include "sandbox/sanitized.h"

/*
 * Only with an unlimited allowance: under a finite one a later allocation
 * would fail at a moment nobody chose.  Secrets lock their own pages anyway.
 */
static void
lock_all(void)
{
	struct rlimit lim = { RLIM_INFINITY, RLIM_INFINITY };

	(void)setrlimit(RLIMIT_MEMLOCK, &lim);
	if (getrlimit(RLIMIT_MEMLOCK, &lim) == 0 &&
	    lim.rlim_cur == RLIM_INFINITY)
		(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

/* see sandbox.h; a sanitizer looks for leaks as a debugger would */
enum mm_err
mm_sandbox_hide(struct mm_why *why)
{
	if (prctl(PR_SET_DUMPABLE, MM_SANITIZED, 0, 0, 0) != 0)
		return MM_FAIL(why, MM_ESYS, "sandbox: cannot hide: %s",
		    strerror(errno));
	return MM_OK;
}

/* see sandbox.h */
enum mm_err
mm_sandbox_harden(int lock_memory, struct mm_why *why)
{
	const struct rlimit none = { 0, 0 };

	MM_TRY(mm_sandbox_hide(why));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    setrlimit(RLIMIT_CORE, &none) != 0)
		return MM_FAIL(why, MM_ESYS, "sandbox: cannot harden: %s",
		    strerror(errno));
	if (lock_memory)
		lock_all();
	return MM_OK;
}

static enum mm_err
group_of(const char *name, gid_t *gid, struct mm_why *why)
{
	const struct group *g = getgrnam(name);

	if (g == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no such group: %s", name);
	*gid = g->gr_gid;
	return MM_OK;
}

/* see sandbox.h */
enum mm_err
mm_sandbox_drop(const char *user, const char *extra_group, struct mm_why *why)
{
	const struct passwd *pw;
	gid_t extra = 0;
	size_t nextra = extra_group != NULL && *extra_group != '\0';
	uid_t uid;
	gid_t gid;

	if (*user == '\0')
		return MM_OK;
	if (nextra > 0)
		MM_TRY(group_of(extra_group, &extra, why));
	pw = getpwnam(user);
	if (pw == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no such user: %s", user);
	uid = pw->pw_uid;
	gid = pw->pw_gid;
	if (geteuid() == uid && getuid() == uid && uid != 0)
		return MM_OK;
	if (setgroups(nextra, &extra) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		return MM_FAIL(why, MM_EPOLICY, "cannot become %s: %s", user,
		    strerror(errno));
	if (uid != 0 && setresuid(0, 0, 0) == 0)
		return MM_FAIL(why, MM_EBUG, "could become root again");
	return MM_OK;
}
