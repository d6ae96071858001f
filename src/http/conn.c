#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/priv.h"

/*
 * A connection is a state machine over a non-blocking socket.  Each state has
 * one step, run when the socket is ready; each state has one deadline, set
 * when it is entered and by nothing else, so that a peer that trickles gains
 * no time.
 */

#define TO(state) (1U << (state))

/* What is not in here cannot happen. */
static const unsigned edges[CONN_STATES] = {
	[CONN_DELAY] = TO(CONN_DELAY) | TO(CONN_HANDSHAKE) | TO(CONN_DEAD),
	[CONN_HANDSHAKE] = TO(CONN_IDLE) | TO(CONN_DEAD),
	[CONN_IDLE] = TO(CONN_HEAD) | TO(CONN_DEAD),
	[CONN_HEAD] =
	    TO(CONN_BODY) | TO(CONN_WAIT) | TO(CONN_WRITE) | TO(CONN_DEAD),
	[CONN_BODY] = TO(CONN_WAIT) | TO(CONN_WRITE) | TO(CONN_DEAD),
	[CONN_WAIT] = TO(CONN_WRITE) | TO(CONN_DEAD),
	[CONN_WRITE] =
	    TO(CONN_WRITE) | TO(CONN_IDLE) | TO(CONN_HEAD) | TO(CONN_LINGER) |
	    TO(CONN_DEAD),
	[CONN_LINGER] = TO(CONN_DEAD),
	[CONN_DEAD] = 0,
};

bool
mm_http_conn_may(enum conn_state from, enum conn_state to)
{
	return (edges[from] & TO(to)) != 0;
}

static void
queue_drop(struct queue *q, struct conn *c)
{
	*(c->prev != NULL ? &c->prev->next : &q->first) = c->next;
	*(c->next != NULL ? &c->next->prev : &q->last) = c->prev;
	c->prev = c->next = NULL;
}

static void
queue_put(struct queue *q, struct conn *c)
{
	c->until =
	    q->span_ms > 0 ? c->port->loop->now_ms + q->span_ms : INT64_MAX;
	c->prev = q->last;
	c->next = NULL;
	*(q->last != NULL ? &q->last->next : &q->first) = c;
	q->last = c;
}

void
mm_http_conn_go(struct conn *c, enum conn_state next)
{
	struct port *p = c->port;

	MM_INVARIANT(mm_http_conn_may(c->state, next));
	if (c->state == CONN_HANDSHAKE)
		atomic_fetch_sub(&p->listener->handshakes, 1);
	queue_drop(&p->phase[c->state], c);
	c->state = next;
	if (next != CONN_DEAD)
		queue_put(&p->phase[next], c);
}

struct mm_http_ref
mm_http_conn_ref(const struct conn *c)
{
	const struct mm_http_loop *l = c->port->loop;

	return (struct mm_http_ref){ l->number, c->slot,
		l->slots[c->slot].generation };
}

static void
tell_left(struct conn *c)
{
	const struct mm_http_listener_conf *conf = &c->port->listener->conf;

	if (c->state == CONN_WAIT && conf->on_left != NULL)
		conf->on_left(conf->ctx, mm_http_conn_ref(c));
}

void
mm_http_conn_end(struct conn *c)
{
	struct port *p = c->port;

	if (c->state == CONN_DEAD)
		return;
	if (c->state == CONN_WRITE)
		mm_http_serve_log(c);
	tell_left(c);
	mm_http_conn_go(c, CONN_DEAD);
	atomic_fetch_sub(&p->listener->open, 1);
	p->loop->slots[c->slot].generation++; /* its answers find nobody */
	if (!c->again) {
		c->link = p->loop->dead;
		p->loop->dead = c;
	}
}

static void
failed(struct conn *c)
{
	const struct mm_http_listener_conf *conf = &c->port->listener->conf;
	struct port *p = c->port;

	if (conf->on_failed != NULL &&
	    conf->on_failed(conf->ctx, c->ssl, &c->peer))
		mm_http_failures_add(p->failures, p->sources.salt,
		    c->source->key, p->loop->now_ms / 1000);
}

static enum step
step_handshake(struct conn *c)
{
	const struct mm_http_listener_conf *conf = &c->port->listener->conf;
	enum step step = mm_http_io_handshake(c);

	if (step == STEP_END) {
		COUNT(c->port, handshake_failed);
		failed(c);
	}
	if (step != STEP_GO)
		return step;
	if (conf->on_secured != NULL &&
	    conf->on_secured(conf->ctx, c->ssl, &c->peer, &c->data) != MM_OK)
		return STEP_END;
	COUNT(c->port, handshake_done);
	mm_http_conn_go(c, CONN_IDLE);
	return mm_http_io_pending(c) ? STEP_GO : STEP_READ;
}

/* Its first bytes make a connection hold memory, and no sooner. */
static enum step
step_idle(struct conn *c)
{
	enum step step = STEP_END;
	size_t got = 0;

	c->req = mm_http_request_new();
	if (c->req != NULL)
		step = mm_http_io_read(c, c->req->in, c->req->in_cap, &got);
	if (step != STEP_GO) {
		mm_http_request_free(&c->req);
		return step;
	}
	c->req->in_n = got;
	mm_http_conn_go(c, CONN_HEAD);
	return STEP_GO;
}

static enum step
step_wait(struct conn *c)
{
	(void)c;
	return STEP_PARK;
}

static enum step
step_linger(struct conn *c)
{
	struct mm_http_loop *l = c->port->loop;
	ssize_t n;

	if (!c->broken)
		mm_http_io_bye(c);
	(void)shutdown(c->fd, SHUT_WR);
	while (c->budget > 0) {
		n = recv(c->fd, l->trash, sizeof(l->trash), 0);
		if (n <= 0)
			return n < 0 && errno == EAGAIN ? STEP_READ : STEP_END;
		c->budget -= c->budget < (size_t)n ? c->budget : (size_t)n;
	}
	return STEP_YIELD;
}

static enum step (*const steps[CONN_STATES])(struct conn *) = {
	[CONN_DELAY] = step_wait,
	[CONN_HANDSHAKE] = step_handshake,
	[CONN_IDLE] = step_idle,
	[CONN_HEAD] = mm_http_serve_head,
	[CONN_BODY] = mm_http_serve_body,
	[CONN_WAIT] = step_wait,
	[CONN_WRITE] = mm_http_serve_write,
	[CONN_LINGER] = step_linger,
};

/* epoll is told only of changes: a request in, its answer out, costs none. */
static void
arm(struct conn *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = &c->watch };

	if (c->armed == events)
		return;
	c->armed = events;
	if (epoll_ctl(c->port->loop->epoll, EPOLL_CTL_MOD, c->fd, &ev) != 0)
		mm_http_conn_end(c);
}

static void
yield(struct conn *c)
{
	struct mm_http_loop *l = c->port->loop;

	if (c->again)
		return;
	c->again = true;
	c->link = l->again;
	l->again = c;
}

/*
 * Runs steps until one has to wait.  A handler's answer arrives inside one of
 * them, hence `running`: pipelined requests are a loop, not a recursion.
 */
void
mm_http_conn_run(struct conn *c)
{
	enum step step = STEP_GO;

	if (c->running || c->state == CONN_DEAD)
		return;
	c->running = true;
	c->budget = ROUND_BYTES;
	while (step == STEP_GO && c->state != CONN_DEAD)
		step = steps[c->state](c);
	c->running = false;
	c->parked = step == STEP_PARK;
	if (c->state == CONN_DEAD)
		return;
	if (step == STEP_END)
		mm_http_conn_end(c);
	else if (step == STEP_YIELD)
		yield(c);
	else if (step != STEP_PARK)
		arm(c, step == STEP_READ ? EPOLLIN : EPOLLOUT);
}

/*
 * While a request waits for its answer what the peer sends waits too; but a
 * peer that has gone is noticed, and one that has closed its side (which may
 * be all that a killed one does) is told of.
 */
static void
on_conn(struct watch *w, uint32_t events)
{
	struct conn *c = (struct conn *)w;

	if (!c->parked) {
		mm_http_conn_run(c);
		return;
	}
	if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
		c->broken = true;
		mm_http_conn_end(c);
	} else if ((events & EPOLLRDHUP) != 0) {
		arm(c, 0);
		tell_left(c);
	} else if (c->state != CONN_DEAD) {
		arm(c, c->state == CONN_WAIT ? EPOLLRDHUP : 0);
	}
}

/*
 * Its time has come, if the ceiling on handshakes has room; else once more,
 * as often as a handshake may take.
 */
static void
expire_delay(struct conn *c)
{
	const struct mm_http_limits *m = &c->port->listener->conf.limits;

	if (mm_http_handshake_reserve(c->port)) {
		mm_http_conn_go(c, CONN_HANDSHAKE);
		mm_http_conn_run(c);
	} else if (++c->delays < UINT8_MAX &&
		   c->delays * m->slow_ms < m->handshake_ms) {
		mm_http_conn_go(c, CONN_DELAY);
	} else {
		COUNT(c->port, handshake_timeout);
		c->broken = true;
		mm_http_conn_end(c);
	}
}

static void
expire_handshake(struct conn *c)
{
	COUNT(c->port, handshake_timeout);
	failed(c);
	c->broken = true;
	mm_http_conn_end(c);
}

static void
expire_request(struct conn *c)
{
	int status = c->state == CONN_WAIT ? 503 : 408;

	if (mm_http_serve_refuse(c, status,
		status == 408 ? "the request took too long"
			      : "no answer in time") == STEP_GO)
		mm_http_conn_run(c);
	else
		mm_http_conn_end(c);
}

/* Who reads on is slow, and not stuck: a large answer takes what it takes. */
static bool
goes_on(struct conn *c)
{
	size_t least = c->port->listener->conf.limits.write_least;
	struct request *r = c->req;

	if (least == 0 || r->out_at - r->out_mark < least ||
	    (r->stands != NULL && !r->stands(r->owner)))
		return false;
	r->out_mark = r->out_at;
	return true;
}

static void
expire_write(struct conn *c)
{
	if (goes_on(c)) {
		mm_http_conn_go(c, CONN_WRITE);
		return;
	}
	c->broken = true;
	mm_http_conn_end(c);
}

void
mm_http_conn_expire(struct conn *c)
{
	static void (*const expire[CONN_STATES])(struct conn *) = {
		[CONN_DELAY] = expire_delay,
		[CONN_HANDSHAKE] = expire_handshake,
		[CONN_IDLE] = mm_http_conn_end,
		[CONN_HEAD] = expire_request,
		[CONN_BODY] = expire_request,
		[CONN_WAIT] = expire_request,
		[CONN_WRITE] = expire_write,
		[CONN_LINGER] = mm_http_conn_end,
	};

	expire[c->state](c);
}

/* A connection that is in neither slot nor epoll is freed at once. */
static bool
enter(struct conn *c)
{
	struct mm_http_loop *l = c->port->loop;
	struct epoll_event ev = { .data.ptr = &c->watch };

	c->parked = c->state == CONN_DELAY;
	ev.events = c->armed = c->parked ? 0 : EPOLLIN;
	if (!mm_http_io_open(c) ||
	    epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		return false;
	return mm_http_loop_slot(l, c);
}

struct conn *
mm_http_conn_new(struct port *p, int fd, const struct sockaddr_in6 *peer,
    struct source *take_source, bool slow)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->watch.on_event = on_conn;
	c->port = p;
	c->fd = fd;
	c->peer = peer->sin6_addr;
	c->peer_port = ntohs(peer->sin6_port);
	c->state = p->tls == NULL ? CONN_IDLE
		   : slow         ? CONN_DELAY
				  : CONN_HANDSHAKE;
	if (!enter(c)) {
		SSL_free(c->ssl);
		free(c);
		return NULL;
	}
	c->source = take_source;
	queue_put(&p->phase[c->state], c);
	return c;
}

void
mm_http_conn_free(struct conn *c)
{
	const struct mm_http_listener_conf *conf = &c->port->listener->conf;

	mm_http_io_bye(c);
	if (conf->free_conn_data != NULL && c->data != NULL)
		conf->free_conn_data(c->data);
	mm_http_request_free(&c->req);
	SSL_free(c->ssl);
	close(c->fd);
	mm_http_source_drop(&c->port->sources, c->source);
	free(c);
}
