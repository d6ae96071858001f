#include "base/guard.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The server's uid where it is another one than the administrator's. */
static bool
is_servers(const struct mm_settings *set, uid_t owner)
{
	const struct passwd *pw =
	    set->server_user[0] != '\0' ? getpwnam(set->server_user) : NULL;

	return pw != NULL && pw->pw_uid == owner;
}

static enum mm_err
check(const struct mm_settings *set, const char *path, mode_t bad,
    const char *todo, struct mm_why *why)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return MM_OK;
	if (S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) != 0)
		bad = 0; /* others cannot replace what is in it */
	if ((st.st_mode & bad) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "%.100s: mode %04o lets others "
		    "%s it: chmod %s it",
		    path, (unsigned)st.st_mode & 07777,
		    (bad & S_IROTH) != 0 ? "read" : "change", todo);
	if (is_servers(set, st.st_uid))
		return MM_FAIL(why, MM_EPOLICY,
		    "%.100s: it belongs to "
		    "server_user %.32s: chown root it",
		    path, set->server_user);
	return MM_OK;
}

/* see guard.h */
enum mm_err
mm_guard_files(
    const struct mm_settings *set, const char *config_path, struct mm_why *why)
{
	char folder[PATH_MAX];
	char *slash;

	MM_TRY(check(set, config_path, S_IWGRP | S_IWOTH, "go-w", why));
	snprintf(folder, sizeof(folder), "%s", config_path);
	slash = strrchr(folder, '/');
	if (slash != NULL && slash != folder)
		*slash = '\0';
	MM_TRY(check(set,
	    slash == NULL     ? "."
	    : slash == folder ? "/"
			      : folder,
	    S_IWGRP | S_IWOTH, "go-w", why));
	if (set->passphrase_file[0] == '\0')
		return MM_OK;
	return check(set, set->passphrase_file, S_IRWXG | S_IRWXO, "0600", why);
}
