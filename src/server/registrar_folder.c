#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/owner.h"
#include "server/registrar.h"

/* The one before may still be ending its programs. */
enum { LOCK_TICK_MS = 50, LOCK_TICKS = 100 };

/* see registrar.h */
const char *
mm_registrar_user(const struct mm_settings *set)
{
	return set->registrar_user[0] != '\0' ? set->registrar_user :
						set->server_user;
}

/* Of a path without the slashes at its end; the root keeps its own. */
static int
trimmed(const char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	return (int)n;
}

/* The server may write there, whoever's the folder is. */
static bool
is_in_servers(const struct mm_settings *set, const char *path)
{
	int n = trimmed(set->server_dir);

	return strncmp(path, set->server_dir, (size_t)n) == 0 &&
	    (path[n] == '\0' || path[n] == '/');
}

/* see registrar.h */
enum mm_err
mm_registrar_folder(const struct mm_settings *set,
    char out[MM_REGISTRAR_FOLDER_MAX], struct mm_why *why)
{
	const char *dir = set->server_dir, *own = set->registrar_dir;
	int n = trimmed(dir);

	if (own[0] != '\0') {
		n = snprintf(out, MM_REGISTRAR_FOLDER_MAX, "%.*s",
		    trimmed(own), own);
	} else {
		while (n > 0 && dir[n - 1] != '/')
			n--;
		n = snprintf(out, MM_REGISTRAR_FOLDER_MAX, "%.*sregistrar", n,
		    dir);
	}
	if (n <= 0 || n >= MM_REGISTRAR_FOLDER_MAX)
		return MM_FAIL(why, MM_ELIMIT, "registrar_dir: want a path of "
		    "at most %d bytes", MM_REGISTRAR_FOLDER_MAX - 1);
	if (is_in_servers(set, out))
		return MM_FAIL(why, MM_EPOLICY, "registrar_dir: %.80s is in "
		    "server_dir, where the server may write: want another "
		    "place", out);
	return MM_OK;
}

/* see registrar.h */
enum mm_err
mm_registrar_part(const char *folder, bool est, char out[MM_PATH_MAX + 1],
    struct mm_why *why)
{
	if (est)
		return mm_path_join(out, MM_PATH_MAX + 1, folder, "est", why);
	(void)snprintf(out, MM_PATH_MAX + 1, "%s", folder);
	return MM_OK;
}

/* see registrar.h; root makes it for that user, who could not */
enum mm_err
mm_registrar_folder_make(const struct mm_settings *set, const char *path,
    struct mm_why *why)
{
	const char *user = mm_registrar_user(set);
	struct mm_file_own own = { .mode = 0700 };
	struct stat st;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return MM_FAIL(why, MM_ESYS, "registrar_dir %.100s: %s", path,
		    strerror(errno));
	if (geteuid() != 0 || user[0] == '\0' ||
	    lstat(path, &st) != 0 || st.st_uid != 0)
		return MM_OK;
	MM_TRY(mm_owner_of(user, &own, why));
	return mm_dir_own(path, &own, why);
}

static enum mm_err
is_ours(const char *path, struct mm_why *why)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return MM_FAIL(why, MM_ESYS, "registrar_dir %.100s: %s", path,
		    strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return MM_FAIL(why, MM_EPOLICY, "registrar_dir %.80s: want a "
		    "folder of the registrar's user that nobody else may "
		    "read: chown it, chmod 0700 it", path);
	return MM_OK;
}

static void
sweep(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		const char *end = strrchr(e->d_name, '.');

		if (end != NULL && strcmp(end, ".csr") == 0)
			(void)unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d != NULL)
		(void)closedir(d);
}

/* see registrar.h; whoever has it now sweeps for himself */
void
mm_registrar_folder_leave(const char *path)
{
	char name[MM_PATH_MAX + 1];
	int lock = -1;

	if (mm_path_join(name, sizeof(name), path, "lock", NULL) != MM_OK ||
	    mm_file_lock(name, &lock, NULL) != MM_OK)
		return;
	sweep(path);
	(void)close(lock);
}

/* see registrar.h */
enum mm_err
mm_registrar_folder_take(const char *path, const char *part, int *lock,
    struct mm_why *why)
{
	char name[MM_PATH_MAX + 1];
	enum mm_err rc = MM_ECONFLICT;

	MM_TRY(is_ours(path, why));
	if (mkdir(part, 0700) != 0 && errno != EEXIST)
		return MM_FAIL(why, MM_ESYS, "registrar_dir: %.100s: %s", part,
		    strerror(errno));
	MM_TRY(is_ours(part, why));
	MM_TRY(mm_path_join(name, sizeof(name), part, "lock", why));
	for (int i = 0; i < LOCK_TICKS && rc == MM_ECONFLICT; i++) {
		if (i > 0)
			(void)poll(NULL, 0, LOCK_TICK_MS);
		rc = mm_file_lock(name, lock, NULL);
	}
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "registrar_dir %.100s: %s", part,
		    rc == MM_ECONFLICT ? "another registrar has it" :
		    "its lock cannot be made");
	sweep(part);
	return MM_OK;
}
