#include "port/posix_openssl.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static bool
connected(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int err = 0;
	socklen_t n = sizeof(err);

	return poll(&p, 1, timeout_ms) == 1 &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) == 0 && err == 0;
}

static enum mmd_rc
try_address(const struct addrinfo *a, int timeout_ms, int *out)
{
	int on = 1;
	int fd = socket(a->ai_family,
	    a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);

	if (fd < 0)
		return MMD_EPORT;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 &&
	    (errno != EINPROGRESS || !connected(fd, timeout_ms))) {
		(void)close(fd);
		return MMD_ECLOSED;
	}
	*out = fd;
	return MMD_OK;
}

/* see posix_openssl.h */
enum mmd_rc
mmd_posix_connect(const char *host, const char *port, int timeout_ms, int *fd)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *all = NULL;
	enum mmd_rc rc = MMD_ECLOSED;

	if (getaddrinfo(host, port, &hints, &all) != 0)
		return MMD_NONE;
	for (const struct addrinfo *a = all; a != NULL; a = a->ai_next) {
		rc = try_address(a, timeout_ms, fd);
		if (rc == MMD_OK)
			break;
	}
	freeaddrinfo(all);
	return rc;
}
