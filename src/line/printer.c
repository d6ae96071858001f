#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "base/time.h"
#include "line/label.h"

struct printer {
	const char *name;
	int fd;
	bool tcp, sent; /* sent: some of it */
	int64_t until_ms; /* monotonic */
	struct mm_why *why;
};

static int
left(const struct printer *p)
{
	int64_t ms = p->until_ms - mm_mono_ms();

	return ms > 0 ? (int)ms : 0;
}

static enum mm_err
failed(const struct printer *p, const char *what)
{
	return MM_FAIL(p->why, p->sent ? MM_EUNSURE : MM_EAGAIN,
	    "printer %.80s: %s%s", p->name, what,
	    p->sent ? "; look whether the label came out" : "");
}

static enum mm_err
wait_writable(const struct printer *p)
{
	struct pollfd f = { .fd = p->fd, .events = POLLOUT };
	int n;

	do
		n = poll(&f, 1, left(p));
	while (n < 0 && errno == EINTR);
	return n > 0 ? MM_OK : failed(p, "it takes nothing");
}

static enum mm_err
write_all(struct printer *p, struct mm_bytes data)
{
	while (data.n > 0) {
		ssize_t n = p->tcp
		    ? send(p->fd, data.p, data.n, MSG_NOSIGNAL)
		    : write(p->fd, data.p, data.n);

		if (n > 0) {
			p->sent = true;
			data.p += n;
			data.n -= (size_t)n;
		} else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			MM_TRY(wait_writable(p));
		} else {
			return failed(p, strerror(errno));
		}
	}
	return MM_OK;
}

/* ---- TCP ---- */

/* "HOST", "HOST:PORT", "[v6]", "[v6]:PORT" */
static bool
split(const char *s, char host[256], char port[6])
{
	const char *end = s[0] == '[' ? strchr(s, ']') : strchr(s, ':');
	const char *from = s + (s[0] == '['), *rest;

	if (s[0] == '[' && end == NULL)
		return false;
	end = end != NULL ? end : s + strlen(s);
	rest = end + (*end == ']');
	if (!mm_text_copy(host, 256, (struct mm_bytes){
	    (const uint8_t *)from, (size_t)(end - from) }) || host[0] == '\0')
		return false;
	if (*rest == '\0') {
		strcpy(port, MM_LABEL_PORT);
		return true;
	}
	return *rest == ':' && rest[1] != '\0' &&
	    strspn(rest + 1, "0123456789") == strlen(rest + 1) &&
	    mm_text_copy(port, 6, mm_bytes_of(rest + 1));
}

static enum mm_err
connect_one(struct printer *p, const struct addrinfo *a)
{
	socklen_t n = sizeof(int);
	int error = 0;

	p->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return failed(p, strerror(errno));
	if (connect(p->fd, a->ai_addr, a->ai_addrlen) == 0)
		return MM_OK;
	if (errno != EINPROGRESS)
		return failed(p, strerror(errno));
	MM_TRY(wait_writable(p));
	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
		error = errno;
	return error == 0 ? MM_OK : failed(p, strerror(error));
}

static enum mm_err
connect_any(struct printer *p, const char *host, const char *port)
{
	struct addrinfo want = { .ai_socktype = SOCK_STREAM }, *list, *a;
	enum mm_err rc = MM_EAGAIN;
	int error = getaddrinfo(host, port, &want, &list);

	if (error != 0)
		return failed(p, gai_strerror(error));
	for (a = list; a != NULL && rc != MM_OK; a = a->ai_next) {
		if (p->fd >= 0)
			close(p->fd);
		rc = connect_one(p, a);
	}
	freeaddrinfo(list);
	return rc;
}

/* Until the other machine has said that it has all of it. */
static enum mm_err
settle(const struct printer *p)
{
	socklen_t n = sizeof(int);
	int queued = 0, error = 0;

	(void)shutdown(p->fd, SHUT_WR);
	for (;;) {
		if (ioctl(p->fd, SIOCOUTQ, &queued) != 0)
			return failed(p, strerror(errno));
		if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 ||
		    error != 0)
			return failed(p, strerror(error));
		if (queued == 0)
			return MM_OK;
		if (left(p) == 0)
			return failed(p, "it did not take all of it");
		(void)poll(NULL, 0, 5);
	}
}

static enum mm_err
send_tcp(struct printer *p, const char *where, struct mm_bytes data)
{
	char host[256], port[6];

	if (!split(where, host, port))
		return MM_FAIL(p->why, MM_EINPUT, "printer: want "
		    "tcp:HOST[:PORT], not \"%.60s\"", p->name);
	MM_TRY(connect_any(p, host, port));
	MM_TRY(write_all(p, data));
	return settle(p);
}

/* ---- a device ---- */

static enum mm_err
send_device(struct printer *p, const char *path, struct mm_bytes data)
{
	struct stat st;

	p->fd = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (p->fd < 0)
		return failed(p, strerror(errno));
	/* A plain file would be written over. */
	if (fstat(p->fd, &st) != 0 || !(S_ISCHR(st.st_mode) ||
	    S_ISFIFO(st.st_mode)))
		return MM_FAIL(p->why, MM_EINPUT,
		    "printer %.80s: not a device", path);
	return write_all(p, data);
}

/* see label.h */
enum mm_err
mm_label_send(const char *printer, struct mm_bytes data, int deadline_ms,
    struct mm_why *why)
{
	struct printer p = { .name = printer, .fd = -1, .why = why,
		.tcp = strncmp(printer, "tcp:", 4) == 0,
		.until_ms = mm_mono_ms() + deadline_ms };
	enum mm_err rc;

	rc = p.tcp
	    ? send_tcp(&p, printer + 4, data) : send_device(&p, printer, data);
	if (p.fd >= 0)
		close(p.fd);
	return rc;
}
