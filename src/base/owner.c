#include "base/owner.h"

#include <pwd.h>

/* see owner.h */
enum mm_err
mm_owner_of(const char *user, struct mm_file_own *own, struct mm_why *why)
{
	const struct passwd *pw = getpwnam(user);

	if (pw == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no such user: %s", user);
	own->uid = pw->pw_uid;
	own->gid = pw->pw_gid;
	return MM_OK;
}
