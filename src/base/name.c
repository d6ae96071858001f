#include "base/name.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* see name.h */
enum mm_err
mm_name_folder(const char *path, char out[PATH_MAX], struct mm_why *why)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path);

	if (n >= PATH_MAX)
		return MM_FAIL(why, MM_ELIMIT, "path is too long");
	if (slash == NULL)
		strcpy(out, ".");
	else
		snprintf(out, PATH_MAX, "%.*s", n == 0 ? 1 : (int)n, path);
	return MM_OK;
}

/* see name.h */
enum mm_err
mm_name_sync(const char *path, struct mm_why *why)
{
	char dir[PATH_MAX];
	int fd, rc;

	MM_TRY(mm_name_folder(path, dir, why));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = fd < 0 ? -1 : fsync(fd);
	if (rc != 0)
		(void)MM_FAIL(why, MM_ESYS, "%.100s: %s", dir,
		    strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return rc == 0 ? MM_OK : MM_ESYS;
}
