#include "base/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

/* see notify.h */
void
mm_notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = path != NULL ? strlen(path) : 0;
	int fd;

	if (n == 0 || n >= sizeof(a.sun_path))
		return;
	memcpy(a.sun_path, path, n);
	if (a.sun_path[0] == '@') /* abstract */
		a.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL,
	    (struct sockaddr *)&a,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	(void)close(fd);
}

/* A variable's number; 0 if there is none. */
static int64_t
number(const char *name)
{
	const char *text = getenv(name);
	int64_t v = 0;

	if (text == NULL || mm_int_parse(text, &v, NULL) != MM_OK || v < 0)
		return 0;
	return v;
}

/* see notify.h; half of it, as sd_watchdog_enabled(3) asks for */
int64_t
mm_notify_watchdog_ms(void)
{
	int64_t pid = number("WATCHDOG_PID"), us = number("WATCHDOG_USEC");

	if (us == 0 || (pid != 0 && pid != (int64_t)getpid()))
		return 0;
	return us >= 2000 ? us / 2000 : 1;
}
