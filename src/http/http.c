#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/provider.h>

#include "base/own.h"
#include "base/time.h"
#include "http/priv.h"

/* Where a caller waits until every loop has done one thing. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t open;
	unsigned left;
	enum mm_err rc;
	struct mm_why why;
};

#define GATE_INIT(n)                                          \
	{                                                     \
		.lock = PTHREAD_MUTEX_INITIALIZER,            \
		.open = PTHREAD_COND_INITIALIZER, .left = (n) \
	}

static void
gate_pass(struct gate *g, enum mm_err rc, const struct mm_why *why)
{
	pthread_mutex_lock(&g->lock);
	if (g->rc == MM_OK && rc != MM_OK) {
		g->rc = rc;
		g->why = *why;
	}
	if (--g->left == 0)
		pthread_cond_signal(&g->open);
	pthread_mutex_unlock(&g->lock);
}

static enum mm_err
gate_wait(struct gate *g, struct mm_why *why)
{
	pthread_mutex_lock(&g->lock);
	while (g->left > 0)
		pthread_cond_wait(&g->open, &g->lock);
	pthread_mutex_unlock(&g->lock);
	if (g->rc != MM_OK)
		return MM_FAIL(why, g->rc, "%s", g->why.text);
	return MM_OK;
}

static void
wake(struct mm_http_loop *l)
{
	uint64_t one = 1;

	(void)!write(l->event, &one, sizeof(one));
}

/* True if the inbox was empty: then, and only then, nobody else wakes.  Once
 * pushed the task is the loop's, and may be gone. */
static bool
push(struct mm_http_loop *l, struct mm_http_task *t)
{
	struct mm_http_task *head = atomic_load(&l->inbox);

	do
		t->next = head;
	while (!atomic_compare_exchange_weak(&l->inbox, &head, t));
	return head == NULL;
}

void
mm_http_post(struct mm_http *h, struct mm_http_task *list)
{
	struct mm_http_task *next;
	uint64_t wanted = 0;

	for (; list != NULL; list = next) {
		uint16_t loop = list->loop;

		next = list->next;
		if (push(&h->loops[loop], list))
			wanted |= UINT64_C(1) << loop;
	}
	for (unsigned i = 0; wanted != 0; i++, wanted >>= 1)
		if (wanted & 1)
			wake(&h->loops[i]);
}

uint16_t
mm_http_loop_number(const struct mm_http_loop *loop)
{
	return loop->number;
}

struct mm_http *
mm_http_of(const struct mm_http_loop *loop)
{
	return loop->http;
}

const char *
mm_http_listener_name(const struct mm_http_listener *listener)
{
	return listener->conf.name;
}

struct later {
	struct mm_http_task task;
	struct mm_http_ref ref;
	struct mm_http_resp resp;
};

static void
answer_here(
    struct mm_http_loop *l, struct mm_http_ref ref, struct mm_http_resp *resp)
{
	struct conn *c = mm_http_loop_find(l, ref);

	if (c == NULL || c->state != CONN_WAIT) {
		COUNT(&l->ports[0], answers_dropped);
		mm_http_resp_drop(resp);
	} else if (mm_http_serve_answer(c, resp)) {
		mm_http_conn_run(c);
	} else {
		mm_http_conn_end(c);
	}
}

static void
answer_later(struct mm_http_loop *l, void *arg)
{
	struct later *a = arg;

	answer_here(l, a->ref, &a->resp);
	free(a);
}

void
mm_http_answer(
    struct mm_http *h, struct mm_http_ref ref, struct mm_http_resp *take_resp)
{
	struct mm_http_loop *l = &h->loops[ref.loop];
	struct later *a;

	if (l->joinable && pthread_equal(l->thread, pthread_self())) {
		answer_here(l, ref, take_resp);
		return;
	}
	a = calloc(1, sizeof(*a));
	if (a == NULL) { /* the request's own deadline will answer */
		mm_http_resp_drop(take_resp);
		return;
	}
	a->ref = ref;
	a->resp = *take_resp;
	take_resp->body = (struct mm_buf){ 0 };
	take_resp->give_back = NULL;
	a->task = (struct mm_http_task){
		.loop = ref.loop, .run = answer_later, .arg = a
	};
	mm_http_post(h, &a->task);
}

struct mm_http_ref
mm_http_ssl_ref(const struct mm_http *h, const SSL *ssl)
{
	return mm_http_conn_ref(SSL_get_ex_data(ssl, h->ssl_index));
}

void
mm_http_resume(struct mm_http_loop *loop, struct mm_http_ref ref)
{
	struct conn *c = mm_http_loop_find(loop, ref);

	if (c != NULL && c->state == CONN_HANDSHAKE)
		mm_http_conn_run(c);
}

static enum mm_err
tls_make(struct port *p, SSL_CTX **out, struct mm_why *why)
{
	const struct mm_http_listener_conf *conf = &p->listener->conf;

	if (conf->make_ctx == NULL)
		return MM_OK;
	return conf->make_ctx(
	    conf->ctx, p->loop->number, p->loop->lib, out, why);
}

static enum mm_err
loop_secure(struct mm_http_loop *l, struct mm_why *why)
{
	l->lib = OSSL_LIB_CTX_new();
	if (l->lib != NULL)
		l->provider = OSSL_PROVIDER_load(l->lib, "default");
	if (l->provider == NULL)
		return MM_FAIL(why, MM_ECRYPTO, "no OpenSSL default provider");
	for (size_t i = 0; i < l->http->conf.nlisteners; i++)
		MM_TRY(tls_make(&l->ports[i], &l->ports[i].tls, why));
	return MM_OK;
}

static void
loop_unsecure(struct mm_http_loop *l)
{
	for (size_t i = 0; i < l->http->conf.nlisteners; i++)
		SSL_CTX_free(l->ports[i].tls);
	OPENSSL_thread_stop_ex(l->lib);
	if (l->provider != NULL)
		OSSL_PROVIDER_unload(l->provider);
	OSSL_LIB_CTX_free(l->lib);
	l->provider = NULL;
	l->lib = NULL;
}

struct start {
	struct gate gate;
	struct mm_http_loop *loop;
};

static void *
loop_thread(void *arg)
{
	struct start *s = arg;
	struct mm_http_loop *l = s->loop;
	const struct mm_http_conf *conf = &l->http->conf;
	struct mm_why why = { 0 };
	enum mm_err rc;

	l->thread = pthread_self();
	if (conf->on_thread != NULL)
		conf->on_thread(conf->ctx, l->number);
	rc = loop_secure(l, &why);
	gate_pass(&s->gate, rc, &why); /* s is gone after it */
	if (rc == MM_OK)
		mm_http_loop_run(l);
	loop_unsecure(l);
	return NULL;
}

/* Every signal is the main thread's; SIGPIPE becomes EPIPE. */
static enum mm_err
loop_start(struct mm_http_loop *l, struct mm_why *why)
{
	struct start s = { .gate = GATE_INIT(1), .loop = l };
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&l->thread, NULL, loop_thread, &s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return MM_FAIL(why, MM_ESYS, "thread: %s", strerror(rc));
	l->joinable = true;
	return gate_wait(&s.gate, why);
}

enum mm_err
mm_http_start(struct mm_http *h, struct mm_why *why)
{
	for (uint16_t i = 0; i < h->conf.loops; i++)
		MM_TRY(loop_start(&h->loops[i], why));
	return MM_OK;
}

/* A reload in two halves: every loop makes its own, then every loop takes
 * it or none does. */
struct reload {
	struct mm_http_task task;
	struct gate *gate;
	bool take;
};

static void
reload_make(struct mm_http_loop *l, void *arg)
{
	struct reload *r = arg;
	struct mm_why why = { 0 };
	enum mm_err rc = MM_OK;

	for (size_t i = 0; rc == MM_OK && i < l->http->conf.nlisteners; i++)
		rc = tls_make(&l->ports[i], &l->ports[i].fresh, &why);
	gate_pass(r->gate, rc, &why);
}

static void
reload_end(struct mm_http_loop *l, void *arg)
{
	struct reload *r = arg;

	for (size_t i = 0; i < l->http->conf.nlisteners; i++) {
		struct port *p = &l->ports[i];
		SSL_CTX *old = r->take && p->fresh != NULL ? p->tls : p->fresh;

		if (old != p->fresh)
			p->tls = p->fresh;
		p->fresh = NULL;
		SSL_CTX_free(old); /* open connections hold it */
	}
	gate_pass(r->gate, MM_OK, NULL);
}

static enum mm_err
reload_half(
    struct mm_http *h, mm_http_task_fn *run, bool take, struct mm_why *why)
{
	struct gate gate = GATE_INIT(h->conf.loops);
	struct reload parts[LOOPS_MAX];

	for (uint16_t i = 0; i < h->conf.loops; i++) {
		struct mm_http_task *next =
		    i + 1 < h->conf.loops ? &parts[i + 1].task : NULL;

		parts[i] = (struct reload){ .gate = &gate,
			.take = take,
			.task = { next, i, run, &parts[i] } };
	}
	mm_http_post(h, &parts[0].task);
	return gate_wait(&gate, why);
}

enum mm_err
mm_http_reload(struct mm_http *h, struct mm_why *why)
{
	enum mm_err rc = reload_half(h, reload_make, false, why);
	enum mm_err end = reload_half(h, reload_end, rc == MM_OK, why);

	return rc != MM_OK ? rc : end;
}

static void
drain_begin(struct mm_http_loop *l, void *arg)
{
	(void)arg;
	mm_http_loop_drain(l, l->now_ms + l->drain_ms + 1);
}

void
mm_http_drain(struct mm_http *h, int64_t deadline_ms)
{
	for (uint16_t i = 0; i < h->conf.loops; i++) {
		struct mm_http_loop *l = &h->loops[i];

		if (!l->joinable)
			continue;
		l->drain_ms = deadline_ms;
		l->drain_task =
		    (struct mm_http_task){ NULL, i, drain_begin, NULL };
		mm_http_post(h, &l->drain_task);
	}
	for (uint16_t i = 0; i < h->conf.loops; i++) {
		struct mm_http_loop *l = &h->loops[i];

		if (l->joinable)
			pthread_join(l->thread, NULL);
		l->joinable = false;
	}
}

void
mm_http_close(struct mm_http **owner)
{
	struct mm_http *h = *owner;

	*owner = NULL;
	if (h == NULL)
		return;
	if (h->loops != NULL)
		mm_http_drain(h, 0);
	for (uint16_t i = 0; h->loops != NULL && i < h->conf.loops; i++)
		mm_http_loop_done(&h->loops[i]);
	free(h->loops);
	free(h->listeners);
	free(h);
}

static enum mm_err
http_init(
    struct mm_http *h, const struct mm_http_conf *conf, struct mm_why *why)
{
	h->conf = *conf;
	h->ssl_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	h->listeners = calloc(conf->nlisteners, sizeof(*h->listeners));
	h->loops = calloc(conf->loops, sizeof(*h->loops));
	if (h->listeners == NULL || h->loops == NULL || h->ssl_index < 0)
		return MM_FAIL(why, MM_ENOMEM, "http");
	h->conf.listeners = NULL; /* the caller's; ours are copies */
	for (uint16_t i = 0; i < conf->loops; i++)
		h->loops[i].epoll = h->loops[i].event = -1;
	for (size_t i = 0; i < conf->nlisteners; i++)
		MM_TRY(mm_http_listener_init(
		    &h->listeners[i], &conf->listeners[i], why));
	for (uint16_t i = 0; i < conf->loops; i++)
		MM_TRY(mm_http_loop_init(&h->loops[i], h, i, why));
	return MM_OK;
}

enum mm_err
mm_http_open(
    const struct mm_http_conf *conf, struct mm_http **out, struct mm_why *why)
{
	MM_OWN(mm_http_close) struct mm_http *h = NULL;

	if (conf->loops == 0 || conf->loops > LOOPS_MAX ||
	    conf->nlisteners == 0)
		return MM_FAIL(why, MM_EINPUT,
		    "want 1 to %d loops and a listener", LOOPS_MAX);
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return MM_FAIL(why, MM_ENOMEM, "http");
	MM_TRY(http_init(h, conf, why));
	*out = MM_MOVE(h);
	return MM_OK;
}

uint16_t
mm_http_port(const struct mm_http *h, size_t listener)
{
	return h->listeners[listener].port;
}

void
mm_http_counters(
    const struct mm_http *h, size_t listener, struct mm_http_counters *out)
{
	*out = (struct mm_http_counters){
		.open = atomic_load(&h->listeners[listener].open),
		.handshakes = atomic_load(&h->listeners[listener].handshakes),
	};
	for (uint16_t i = 0; i < h->conf.loops; i++) {
		const struct tally *t = &h->loops[i].ports[listener].tally;

		out->accepted += atomic_load(&t->accepted);
		out->refused_cap += atomic_load(&t->refused_cap);
		out->refused_source += atomic_load(&t->refused_source);
		out->handshake_done += atomic_load(&t->handshake_done);
		out->handshake_failed += atomic_load(&t->handshake_failed);
		out->handshake_timeout += atomic_load(&t->handshake_timeout);
		out->requests += atomic_load(&t->requests);
		out->bad_requests += atomic_load(&t->bad_requests);
		out->slowed += atomic_load(&t->slowed);
		out->evicted += atomic_load(&t->evicted);
		out->answers_dropped += atomic_load(&t->answers_dropped);
	}
}
