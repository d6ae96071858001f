#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/priv.h"

static bool
port_parse(const char *s, uint16_t *port)
{
	char *end;
	unsigned long n;

	if (*s < '0' || *s > '9')
		return false;
	n = strtoul(s, &end, 10);
	*port = (uint16_t)n;
	return *end == '\0' && n <= UINT16_MAX;
}

/* "1.2.3.4:port" or "[v6]:port": numbers only, nothing is looked up. */
static enum mm_err
address_parse(struct mm_http_listener *l, struct mm_why *why)
{
	const char *text = l->conf.address, *colon = strrchr(text, ':');
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&l->address;
	char host[INET6_ADDRSTRLEN + 2] = "";
	size_t n = colon != NULL ? (size_t)(colon - text) : 0;

	if (n < 3 || n >= sizeof(host) || !port_parse(colon + 1, &l->port))
		return MM_FAIL(
		    why, MM_EINPUT, "address %s: want host:port", text);
	memcpy(host, text, n);
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		l->address.sin6_family = AF_INET6;
		l->address_n = sizeof(l->address);
		if (inet_pton(AF_INET6, host + 1, &l->address.sin6_addr) == 1)
			return MM_OK;
	} else {
		v4->sin_family = AF_INET;
		l->address_n = sizeof(*v4);
		if (inet_pton(AF_INET, host, &v4->sin_addr) == 1)
			return MM_OK;
	}
	return MM_FAIL(
	    why, MM_EINPUT, "address %s: not a numeric address", text);
}

static void
limits_default(struct mm_http_limits *m)
{
	const struct mm_http_limits usual = MM_HTTP_LIMITS_USUAL;

#define USUAL(field) m->field = m->field != 0 ? m->field : usual.field
	USUAL(connections);
	USUAL(connections_per_source);
	USUAL(handshakes);
	USUAL(bodies);
	USUAL(answers);
	USUAL(handshake_ms);
	USUAL(slow_after);
	USUAL(slow_ms);
	USUAL(header_ms);
	USUAL(body_ms);
	USUAL(idle_ms);
	USUAL(write_ms);
	USUAL(answer_ms);
#undef USUAL
}

enum mm_err
mm_http_listener_init(struct mm_http_listener *l,
    const struct mm_http_listener_conf *conf, struct mm_why *why)
{
	l->conf = *conf;
	limits_default(&l->conf.limits);
	return address_parse(l, why);
}

static void
phases_set(struct port *p)
{
	const struct mm_http_limits *m = &p->listener->conf.limits;

	p->phase[CONN_DELAY].span_ms = m->slow_ms;
	p->phase[CONN_HANDSHAKE].span_ms = m->handshake_ms;
	p->phase[CONN_IDLE].span_ms = m->idle_ms;
	p->phase[CONN_HEAD].span_ms = m->header_ms;
	p->phase[CONN_BODY].span_ms = m->body_ms;
	p->phase[CONN_WAIT].span_ms = m->answer_ms;
	p->phase[CONN_WRITE].span_ms = m->write_ms;
	p->phase[CONN_LINGER].span_ms = LINGER_MS;
}

/*
 * SO_REUSEPORT lets another process of our user share the port in silence, and
 * get every second connection.  So the first socket of a listener is preceded
 * by one without it, which fails if anybody listens there.
 */
static bool
port_free(const struct mm_http_listener *l)
{
	int on = 1, off = 0;
	int fd = socket(l->address.sin6_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
	    sizeof(on)) == 0 && (l->address.sin6_family != AF_INET6 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0);
	int saved;

	ok = ok && bind(fd, (const struct sockaddr *)&l->address,
	    l->address_n) == 0 && listen(fd, 1) == 0;
	saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return ok;
}

/* The loops share the first one's port, also where it was 0.  TCP_NODELAY is
 * inherited by what is accepted: no call per connection. */
static bool
socket_bind(struct port *p)
{
	struct mm_http_listener *l = p->listener;
	struct sockaddr_in6 got = { 0 };
	socklen_t n = sizeof(got);
	int on = 1, off = 0;

	l->address.sin6_port = htons(l->port); /* same place in sockaddr_in */
	if (mm_http_loop_number(p->loop) == 0 && l->port != 0 && !port_free(l))
		return false;
	if (setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    setsockopt(p->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
	    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		return false;
	if (l->address.sin6_family == AF_INET6 &&
	    setsockopt(p->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) !=
		0)
		return false;
	if (bind(p->fd, (struct sockaddr *)&l->address, l->address_n) != 0 ||
	    listen(p->fd, SOMAXCONN) != 0 ||
	    getsockname(p->fd, (struct sockaddr *)&got, &n) != 0)
		return false;
	l->port = ntohs(got.sin6_port);
	return true;
}

static void
v4_map(struct sockaddr_in6 *a)
{
	struct sockaddr_in v4;

	if (a->sin6_family != AF_INET)
		return;
	memcpy(&v4, a, sizeof(v4));
	*a = (struct sockaddr_in6){ .sin6_family = AF_INET6,
		.sin6_port = v4.sin_port };
	a->sin6_addr.s6_addr[10] = a->sin6_addr.s6_addr[11] = 0xff;
	memcpy(a->sin6_addr.s6_addr + 12, &v4.sin_addr, 4);
}

/* Exact, though the loops count together: taken first, then given back. */
static bool
reserve(_Atomic unsigned *n, unsigned max)
{
	if (atomic_fetch_add(n, 1) < max)
		return true;
	atomic_fetch_sub(n, 1);
	return false;
}

/*
 * The ceiling on handshakes: room is made by ending this loop's oldest, if it
 * has had a quarter of its time.  Honest ones take one round trip, so a peer
 * that only opens connections pushes out its own.
 */
bool
mm_http_handshake_reserve(struct port *p)
{
	const struct mm_http_limits *m = &p->listener->conf.limits;
	struct conn *oldest = p->phase[CONN_HANDSHAKE].first;

	if (reserve(&p->listener->handshakes, m->handshakes))
		return true;
	if (oldest == NULL || oldest->until - p->loop->now_ms >
				  m->handshake_ms - m->handshake_ms / 4)
		return false;
	mm_http_conn_expire(oldest);
	return reserve(&p->listener->handshakes, m->handshakes);
}

/* Ends the one of this loop's that has rested longest between requests, or has
 * sent nothing yet. */
static bool
evict(struct port *p)
{
	const struct mm_http_limits *m = &p->listener->conf.limits;
	struct conn *oldest = p->phase[CONN_IDLE].first;

	if (oldest == NULL ||
	    oldest->until - p->loop->now_ms > m->idle_ms - IDLE_LEAST_MS)
		return false;
	COUNT(p, evicted);
	mm_http_conn_end(oldest);
	return true;
}

/* On the loop that has some to give; another one may have been first. */
static void
make_room(struct mm_http_loop *loop, void *arg)
{
	struct port *p = arg;

	(void)loop;
	atomic_store(&p->room_wanted, false);
	if (atomic_load(&p->listener->open) >=
	    p->listener->conf.limits.connections)
		(void)evict(p);
}

/* The kernel spreads new connections by their addresses and ports: all that
 * rest may be other loops', and this one's newcomers stay outside. */
static void
ask_others(struct port *p)
{
	struct mm_http *h = p->loop->http;
	size_t at = (size_t)(p - p->loop->ports);
	struct mm_http_task *list = NULL;

	for (uint16_t i = 0; i < h->conf.loops; i++) {
		struct port *q = &h->loops[i].ports[at];

		if (q == p || atomic_exchange(&q->room_wanted, true))
			continue;
		q->room = (struct mm_http_task){ .next = list, .loop = i,
			.run = make_room, .arg = q };
		list = &q->room;
	}
	if (list != NULL)
		mm_http_post(h, list);
}

/*
 * The ceiling on connections: room is made by ending one that rests.  Its peer
 * may ask again; who comes new could not ask at all.  Where only other loops
 * have such, this one is refused, and who comes next finds room.
 */
static bool
open_reserve(struct port *p)
{
	unsigned most = p->listener->conf.limits.connections;

	if (reserve(&p->listener->open, most))
		return true;
	if (evict(p))
		return reserve(&p->listener->open, most);
	ask_others(p);
	return false;
}

/* One whose source goes on failing waits before it counts as a handshake, so
 * that the ceiling is not filled with those who wait. */
static bool
caps_take(struct port *p, bool slow)
{
	struct mm_http_listener *l = p->listener;

	if (!open_reserve(p))
		return false;
	if (p->tls == NULL || slow || mm_http_handshake_reserve(p))
		return true;
	atomic_fetch_sub(&l->open, 1);
	return false;
}

static void
caps_drop(struct port *p, bool slow)
{
	atomic_fetch_sub(&p->listener->open, 1);
	if (p->tls != NULL && !slow)
		atomic_fetch_sub(&p->listener->handshakes, 1);
}

static bool
is_slow(struct port *p, const struct in6_addr *peer)
{
	bool slow = p->tls != NULL &&
	    mm_http_failures_of(p->failures, p->sources.salt,
		mm_http_source_key(peer), p->loop->now_ms / 1000) >=
		p->listener->conf.limits.slow_after;

	if (slow)
		COUNT(p, slowed);
	return slow;
}

/* Every cap comes before the first byte of TLS. */
static bool
admit(struct port *p, int fd, struct sockaddr_in6 *peer)
{
	struct source *src;
	bool slow;

	v4_map(peer);
	COUNT(p, accepted);
	slow = is_slow(p, &peer->sin6_addr);
	if (!caps_take(p, slow)) {
		COUNT(p, refused_cap);
		return false;
	}
	src = mm_http_source_take(&p->sources, &peer->sin6_addr,
	    p->listener->conf.limits.connections_per_source);
	if (src != NULL && mm_http_conn_new(p, fd, peer, src, slow) != NULL)
		return true;
	caps_drop(p, slow);
	if (src != NULL)
		mm_http_source_drop(&p->sources, src);
	else
		COUNT(p, refused_source);
	return false;
}

static void
on_accept(struct watch *w, uint32_t events)
{
	struct port *p = (struct port *)w;

	(void)events;
	for (unsigned i = 0; i < ACCEPT_ROUND && p->fd >= 0; i++) {
		struct sockaddr_in6 peer = { 0 };
		socklen_t n = sizeof(peer);
		int fd = accept4(p->fd, (struct sockaddr *)&peer, &n,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE ||
				  errno == ENOBUFS || errno == ENOMEM))
			p->loop->accept_at = -1;
		if (fd < 0)
			return;
		if (!admit(p, fd, &peer))
			close(fd);
	}
}

enum mm_err
mm_http_port_open(struct port *p, struct mm_why *why)
{
	struct mm_http_listener *l = p->listener;

	p->watch.on_event = on_accept;
	phases_set(p);
	if (getrandom(&p->sources.salt, sizeof(p->sources.salt), 0) < 0)
		return MM_FAIL(why, MM_ESYS, "getrandom: %s", strerror(errno));
	if (l->conf.make_ctx != NULL &&
	    (p->failures = calloc(1, sizeof(*p->failures))) == NULL)
		return MM_FAIL(why, MM_ENOMEM, "listener %s", l->conf.name);
	p->fd = socket(l->address.sin6_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || !socket_bind(p))
		return MM_FAIL(why, MM_ESYS, "listener %s: %s: %s%s",
		    l->conf.name, l->conf.address, strerror(errno),
		    errno == EADDRINUSE ? ": another program has it" : "");
	return mm_http_loop_watch(p->loop, p->fd, &p->watch, why);
}

void
mm_http_port_close(struct port *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}
