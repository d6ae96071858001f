#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/text.h"
#include "base/time.h"
#include "http/priv.h"

#define NO_SLOT UINT32_MAX

enum { EVENTS = 128 };

enum mm_err
mm_http_loop_watch(
    struct mm_http_loop *l, int fd, struct watch *w, struct mm_why *why)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = w };

	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) != 0)
		return MM_FAIL(why, MM_ESYS, "epoll_ctl: %s", strerror(errno));
	return MM_OK;
}

/* The inbox is emptied later in the round: what is posted meanwhile by this
 * round's own handlers comes along. */
static void
on_mail(struct watch *w, uint32_t events)
{
	struct mm_http_loop *l =
	    (struct mm_http_loop *)(void *)((char *)w -
					    offsetof(
						struct mm_http_loop, mail));
	uint64_t times;

	(void)events;
	(void)!read(l->event, &times, sizeof(times));
}

enum mm_err
mm_http_loop_init(struct mm_http_loop *l, struct mm_http *h, uint16_t number,
    struct mm_why *why)
{
	l->http = h;
	l->number = number;
	l->free_slot = NO_SLOT;
	l->mail.on_event = on_mail;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->epoll < 0 || l->event < 0)
		return MM_FAIL(why, MM_ESYS, "event loop: %s", strerror(errno));
	l->ports = calloc(h->conf.nlisteners, sizeof(*l->ports));
	if (l->ports == NULL)
		return MM_FAIL(why, MM_ENOMEM, "event loop");
	for (size_t i = 0; i < h->conf.nlisteners; i++) {
		l->ports[i].loop = l;
		l->ports[i].listener = &h->listeners[i];
		l->ports[i].fd = -1;
		MM_TRY(mm_http_port_open(&l->ports[i], why));
	}
	return mm_http_loop_watch(l, l->event, &l->mail, why);
}

void
mm_http_loop_done(struct mm_http_loop *l)
{
	while (mm_http_loop_inbox(l))
		continue;
	for (size_t i = 0; l->ports != NULL && i < l->http->conf.nlisteners;
	     i++) {
		mm_http_port_close(&l->ports[i]);
		free(l->ports[i].failures);
	}
	free(l->ports);
	free(l->slots);
	if (l->event >= 0)
		close(l->event);
	if (l->epoll >= 0)
		close(l->epoll);
}

static bool
slots_grow(struct mm_http_loop *l)
{
	uint32_t n = l->nslots == 0 ? 64 : 2 * l->nslots;
	struct slot *p = reallocarray(l->slots, n, sizeof(*p));

	if (p == NULL)
		return false;
	for (uint32_t i = l->nslots; i < n; i++)
		p[i] =
		    (struct slot){ .next_free = i + 1 < n ? i + 1 : NO_SLOT };
	l->free_slot = l->nslots;
	l->slots = p;
	l->nslots = n;
	return true;
}

bool
mm_http_loop_slot(struct mm_http_loop *l, struct conn *c)
{
	if (l->free_slot == NO_SLOT && !slots_grow(l))
		return false;
	c->slot = l->free_slot;
	l->free_slot = l->slots[c->slot].next_free;
	l->slots[c->slot].conn = c;
	l->open++;
	return true;
}

struct conn *
mm_http_loop_find(const struct mm_http_loop *l, struct mm_http_ref ref)
{
	if (ref.slot >= l->nslots ||
	    l->slots[ref.slot].generation != ref.generation)
		return NULL;
	return l->slots[ref.slot].conn;
}

static void
reap(struct mm_http_loop *l)
{
	struct conn *c = l->dead, *next;

	l->dead = NULL;
	for (; c != NULL; c = next) {
		struct slot *s = &l->slots[c->slot];

		next = c->link;
		s->conn = NULL;
		s->next_free = l->free_slot;
		l->free_slot = c->slot;
		l->open--;
		mm_http_conn_free(c);
	}
}

/* Those that yielded; whoever died meanwhile only changes lists. */
static void
again_run(struct mm_http_loop *l)
{
	struct conn *c = l->again, *next;

	l->again = NULL;
	for (; c != NULL; c = next) {
		next = c->link;
		c->again = false;
		if (c->state != CONN_DEAD) {
			mm_http_conn_run(c);
			continue;
		}
		c->link = l->dead;
		l->dead = c;
	}
}

/* Taken whole and turned round: posted first, run first. */
bool
mm_http_loop_inbox(struct mm_http_loop *l)
{
	struct mm_http_task *t = atomic_exchange(&l->inbox, NULL), *next;
	struct mm_http_task *fifo = NULL;

	for (; t != NULL; t = next) {
		next = t->next;
		t->next = fifo;
		fifo = t;
	}
	for (t = fifo; t != NULL; t = next) {
		next = t->next; /* run may free it */
		t->run(l, t->arg);
	}
	return fifo != NULL;
}

static void
each_queue(
    struct mm_http_loop *l, void (*fn)(struct queue *, int64_t *), int64_t *arg)
{
	for (size_t i = 0; i < l->http->conf.nlisteners; i++)
		for (unsigned s = 0; s < CONN_DEAD; s++)
			fn(&l->ports[i].phase[s], arg);
}

static void
queue_expire(struct queue *q, int64_t *now)
{
	while (q->first != NULL && q->first->until <= *now)
		mm_http_conn_expire(q->first);
}

static void
queue_soonest(struct queue *q, int64_t *at)
{
	if (q->first != NULL && q->first->until < *at)
		*at = q->first->until;
}

static void
queue_end(struct queue *q, int64_t *unused)
{
	(void)unused;
	while (q->first != NULL)
		mm_http_conn_end(q->first);
}

/* IMF-fixdate (RFC 9110 5.6.7), once a second. */
static void
date_set(struct mm_http_loop *l)
{
	static const char days[] = "ThuFriSatSunMonTueWed";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t now = mm_now_s();
	struct mm_civil t;

	if (now == l->date_s)
		return;
	l->date_s = now;
	t = mm_time_civil(now);
	(void)snprintf(l->date, sizeof(l->date),
	    "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
	    days + now / 86400 % 7 * 3, (unsigned)t.day % 100,
	    months + (t.month - 1) * 3, (unsigned)t.year % 10000,
	    (unsigned)t.hour % 100, (unsigned)t.minute % 100,
	    (unsigned)t.second % 100);
}

void
mm_http_loop_id(struct mm_http_loop *l, char id[17])
{
	if (l->pool_n < 8) {
		if (getrandom(l->pool, sizeof(l->pool), 0) !=
		    (ssize_t)sizeof(l->pool))
			memset(l->pool, 0, sizeof(l->pool));
		l->pool_n = sizeof(l->pool);
	}
	l->pool_n -= 8;
	mm_hex_text(l->pool + l->pool_n, 8, id);
}

static void
ports_arm(struct mm_http_loop *l, uint32_t events)
{
	for (size_t i = 0; i < l->http->conf.nlisteners; i++) {
		struct epoll_event ev = { .events = events,
			.data.ptr = &l->ports[i].watch };

		(void)epoll_ctl(l->epoll, EPOLL_CTL_MOD, l->ports[i].fd, &ev);
	}
}

/* Out of descriptors: the listening sockets stay ready, so they must not be
 * asked about for a while, or the loop would spin. */
static void
accept_pause(struct mm_http_loop *l)
{
	if (l->accept_at < 0) {
		ports_arm(l, 0);
		l->accept_at = l->now_ms + ACCEPT_PAUSE_MS;
	} else if (l->accept_at > 0 && l->accept_at <= l->now_ms) {
		ports_arm(l, EPOLLIN);
		l->accept_at = 0;
	}
}

void
mm_http_loop_drain(struct mm_http_loop *l, int64_t until_ms)
{
	l->drain_until = until_ms;
	l->accept_at = 0;
	for (size_t i = 0; i < l->http->conf.nlisteners; i++) {
		struct port *p = &l->ports[i];

		mm_http_port_close(p);
		queue_end(&p->phase[CONN_DELAY], NULL);
		queue_end(&p->phase[CONN_HANDSHAKE], NULL);
		queue_end(&p->phase[CONN_IDLE], NULL);
	}
}

static bool
drained(struct mm_http_loop *l)
{
	return l->drain_until != 0 &&
	       (l->open == 0 || l->now_ms >= l->drain_until);
}

static int
timeout(struct mm_http_loop *l)
{
	int64_t at = INT64_MAX, now = mm_mono_ms();

	if (l->again != NULL)
		return 0;
	each_queue(l, queue_soonest, &at);
	if (l->accept_at > 0 && l->accept_at < at)
		at = l->accept_at;
	if (l->drain_until != 0 && l->drain_until < at)
		at = l->drain_until;
	if (at == INT64_MAX)
		return -1;
	if (at <= now)
		return 0;
	return at - now > 60000 ? 60000 : (int)(at - now);
}

static void
events_run(struct mm_http_loop *l)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(l->epoll, ev, EVENTS, timeout(l));

	l->now_ms = mm_mono_ms();
	date_set(l);
	for (int i = 0; i < n; i++) {
		struct watch *w = ev[i].data.ptr;

		w->on_event(w, ev[i].events);
	}
}

/* One event round.  Connections are freed at its end only, so that no event
 * or task of the same round can meet a freed one. */
static void
round_run(struct mm_http_loop *l)
{
	const struct mm_http_conf *conf = &l->http->conf;

	events_run(l);
	again_run(l);
	(void)mm_http_loop_inbox(l);
	accept_pause(l);
	each_queue(l, queue_expire, &l->now_ms);
	if (conf->on_round != NULL)
		conf->on_round(conf->ctx, l);
	reap(l);
}

void
mm_http_loop_run(struct mm_http_loop *l)
{
	l->now_ms = mm_mono_ms();
	date_set(l);
	while (!drained(l))
		round_run(l);
	each_queue(l, queue_end, NULL);
	again_run(l);
	reap(l);
}
