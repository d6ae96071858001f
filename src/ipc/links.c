#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/msg.h"

#define ISSUE_LINKS 2

/* A control message with room for every link's descriptor, aligned. */
union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int) * MM_LINKS_MAX)];
};

/* see msg.h */
void
mm_links_close(struct mm_links *l)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->link[i].fd >= 0)
			close(l->link[i].fd);
	l->n = 0;
}

static bool
role_valid(unsigned role)
{
	return role != 0 && (role & (role - 1)) == 0 &&
	    role <= MM_LINK_EST;
}

/* The data are the roles; the descriptors go beside it. */
enum mm_err
mm_links_send(int control, const struct mm_links *l, struct mm_why *why)
{
	uint16_t roles[MM_LINKS_MAX];
	int fds[MM_LINKS_MAX];
	union control c = { 0 };
	struct iovec iov = { roles, l->n * sizeof(roles[0]) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = c.room,
		.msg_controllen = CMSG_SPACE(sizeof(int) * l->n) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	MM_INVARIANT(l->n > 0 && l->n <= MM_LINKS_MAX);
	for (unsigned i = 0; i < l->n; i++) {
		roles[i] = l->link[i].role;
		fds[i] = l->link[i].fd;
	}
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int) * l->n);
	memcpy(CMSG_DATA(h), fds, sizeof(int) * l->n);
	while (sendmsg(control, &m, MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		/* the latter: it closed with something unread */
		return MM_FAIL(why, errno == EPIPE || errno == ECONNRESET ?
		    MM_ENOTFOUND : MM_ESYS, "links: cannot send: %s", strerror(errno));
	}
	return MM_OK;
}

/* Every descriptor that came, so that none leaks when the message is bad. */
static void
take_fds(struct msghdr *m, struct mm_links *l)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL;
	     h = CMSG_NXTHDR(m, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n && l->n < MM_LINKS_MAX; i++)
			memcpy(&l->link[l->n++].fd,
			    CMSG_DATA(h) + i * sizeof(int), sizeof(int));
	}
}

/* see msg.h */
enum mm_err
mm_links_recv(int control, struct mm_links *l, struct mm_why *why)
{
	uint16_t roles[MM_LINKS_MAX];
	struct mm_links got = { 0 };
	union control c;
	struct iovec iov = { roles, sizeof(roles) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = c.room, .msg_controllen = sizeof(c.room) };
	ssize_t n;
	bool good;

	do {
		n = recvmsg(control, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return MM_FAIL(why, errno == EAGAIN ? MM_EAGAIN : MM_ESYS,
		    "links: cannot receive: %s", strerror(errno));
	if (n == 0)
		return MM_FAIL(why, MM_ENOTFOUND, "links: the peer is gone");
	take_fds(&m, &got);
	good = got.n * sizeof(roles[0]) == (size_t)n &&
	    (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
	for (unsigned i = 0; good && i < got.n; i++) {
		got.link[i].role = roles[i];
		good = role_valid(roles[i]);
	}
	if (!good) {
		mm_links_close(&got);
		return MM_FAIL(why, MM_EINPUT, "links: malformed message");
	}
	*l = got;
	return MM_OK;
}

static enum mm_err
add_pair(enum mm_link role, struct mm_links *server, struct mm_links *signer,
    struct mm_why *why)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) != 0)
		return MM_FAIL(why, MM_ESYS, "links: socketpair: %s",
		    strerror(errno));
	server->link[server->n].role = (uint16_t)role;
	server->link[server->n++].fd = fd[0];
	signer->link[signer->n].role = (uint16_t)role;
	signer->link[signer->n++].fd = fd[1];
	/* Two peers that both block on sending would wait for ever. */
	if (fcntl(fd[0], F_SETFL, O_NONBLOCK) != 0)
		return MM_FAIL(why, MM_ESYS, "links: fcntl: %s",
		    strerror(errno));
	return MM_OK;
}

static enum mm_err
make_all(unsigned loops, struct mm_links *server, struct mm_links *signer,
    struct mm_why *why)
{
	const struct {
		enum mm_link role;
		unsigned n;
	} rows[] = {
		{ MM_LINK_ISSUE, ISSUE_LINKS },
		{ MM_LINK_LEDGER, 1 },
		{ MM_LINK_OPS, 1 },
		{ MM_LINK_CHECK, 1 },
		{ MM_LINK_OCSP, 1 },
		{ MM_LINK_PSK, loops },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned k = 0; k < rows[i].n; k++)
			MM_TRY(add_pair(rows[i].role, server, signer, why));
	return MM_OK;
}

/* see msg.h */
enum mm_err
mm_links_make(unsigned loops, struct mm_links *server,
    struct mm_links *signer, struct mm_why *why)
{
	struct mm_links a = { 0 }, b = { 0 };
	enum mm_err err;

	if (loops == 0 || loops > MM_LINKS_MAX - ISSUE_LINKS - 4)
		return MM_FAIL(why, MM_EINPUT, "links: %u event loops", loops);
	err = make_all(loops, &a, &b, why);
	if (err != MM_OK) {
		mm_links_close(&a);
		mm_links_close(&b);
		return err;
	}
	*server = a;
	*signer = b;
	return MM_OK;
}
