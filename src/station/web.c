#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "station/web_priv.h"

enum { DRAIN_MS = 500 };

static void
ask_free(struct mm_ask **owner)
{
	if (*owner == NULL)
		return;
	mm_buf_wipe(&(*owner)->body);
	free(*owner);
	*owner = NULL;
}

/* ---- the HTTP thread ---- */

static bool
enqueue(struct mm_web *w, struct mm_ask *take_a)
{
	const uint64_t one = 1;
	bool room;

	pthread_mutex_lock(&w->lock);
	room = w->nasks < MM_WEB_ASKS;
	if (room) {
		w->nasks++;
		*w->last = take_a;
		w->last = &take_a->next;
	}
	pthread_mutex_unlock(&w->lock);
	if (!room)
		ask_free(&take_a);
	else
		(void)!write(w->event, &one, sizeof(one));
	return room;
}

static enum mm_err
read_query(const struct mm_http_req *req, struct mm_ask *a, struct mm_why *why)
{
	char text[16] = "";
	int64_t s = 0;
	enum mm_err rc;

	rc = mm_http_query(req, "wait", text, sizeof(text), why);
	if (rc == MM_OK && (mm_int_parse(text, &s, NULL) != MM_OK || s < 0 ||
			       s > MM_WEB_WAIT_S))
		return MM_FAIL(why, MM_EINPUT, "wait: want 0 to %d seconds",
		    MM_WEB_WAIT_S);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return rc;
	a->wait_ms = s * 1000;
	rc = mm_http_query(req, "only", text, sizeof(text), why);
	if (rc == MM_OK && strcmp(text, "unit") != 0)
		return MM_FAIL(why, MM_EINPUT, "only: want unit");
	a->units_only = rc == MM_OK;
	rc = mm_http_query(req, "after", a->after, sizeof(a->after), why);
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

static enum mm_err
read_request(
    const struct mm_http_req *req, struct mm_ask *a, struct mm_why *why)
{
	struct mm_bytes last;
	struct mm_why no = { 0 };
	bool more = false;
	enum mm_err rc = read_query(req, a, &no);

	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", no.text);
	if (!mm_text_copy(a->name, sizeof(a->name), mm_http_segment(req, 0)))
		return MM_FAIL(why, MM_ENOTFOUND,
		    "there is nothing of that "
		    "name");
	last = mm_http_header(req, "Last-Event-ID", &more);
	if (last.n > 0 && !mm_text_copy(a->after, sizeof(a->after), last))
		return MM_FAIL(why, MM_EINPUT, "Last-Event-ID: too long");
	mm_buf_init(&a->body, MM_WEB_BODY);
	mm_buf_bytes(&a->body, req->body);
	return mm_buf_ok(&a->body, why);
}

/* see web_priv.h */
void
mm_web_handle(struct mm_http_req *req, void *ctx)
{
	const struct mm_door *d = ctx;
	struct mm_http_resp resp = { 0 };
	struct mm_why why = { 0 };
	struct mm_ask *a = calloc(1, sizeof(*a));
	enum mm_err rc = a != NULL ? read_request(req, a, &why)
				   : MM_FAIL(&why, MM_ENOMEM, "out of memory");

	if (rc == MM_OK) {
		a->call = req->route->data;
		a->door = d->screen ? MM_DOOR_SCREEN : MM_DOOR_API;
		a->ref = req->ref;
		memcpy(a->id, req->id, sizeof(a->id));
		if (enqueue(d->web, a))
			return;
		a = NULL;
		rc = MM_FAIL(&why, MM_EAGAIN, "too many requests at a time");
	}
	ask_free(&a);
	mm_http_problem(
	    &resp, mm_err_http(rc), mm_err_slug(rc), why.text, NULL, req->id);
	mm_http_answer(d->web->http, req->ref, &resp);
}

/* Whoever waits for it no more makes room. */
static void
left(void *ctx, struct mm_http_ref ref)
{
	const struct mm_door *d = ctx;
	struct mm_ask *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return;
	a->ref = ref;
	(void)enqueue(d->web, a);
}

/* Signals are the line's thread's. */
static void
on_thread(void *ctx, uint16_t loop)
{
	sigset_t all;

	(void)ctx, (void)loop;
	sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, NULL);
}

/* ---- the line's thread ---- */

/* see web_priv.h */
void
mm_web_answer(struct mm_web *w, const struct mm_ask *a, int status,
    const char *type, struct mm_buf *take_body)
{
	struct mm_http_resp resp = {
		.status = status, .content_type = type, .body = *take_body
	};

	*take_body = (struct mm_buf){ 0 };
	mm_http_answer(w->http, a->ref, &resp);
}

/* see web_priv.h */
void
mm_web_refuse(struct mm_web *w, const struct mm_ask *a, enum mm_err rc,
    const char *detail, const char *reason)
{
	struct mm_http_resp resp = { 0 };

	mm_http_problem(
	    &resp, mm_err_http(rc), mm_err_slug(rc), detail, reason, a->id);
	mm_http_answer(w->http, a->ref, &resp);
}

static struct mm_ask *
take_asks(struct mm_web *w)
{
	struct mm_ask *first;
	uint64_t n;

	(void)!read(w->event, &n, sizeof(n));
	pthread_mutex_lock(&w->lock);
	first = w->first;
	w->first = NULL;
	w->last = &w->first;
	w->nasks = 0;
	pthread_mutex_unlock(&w->lock);
	return first;
}

static bool
same_ref(const struct mm_http_ref *a, const struct mm_http_ref *b)
{
	return a->loop == b->loop && a->slot == b->slot &&
	       a->generation == b->generation;
}

static void
forget(struct mm_web *w, const struct mm_http_ref *ref)
{
	struct mm_ask **at = &w->waiting, *a;

	while ((a = *at) != NULL && !same_ref(&a->ref, ref))
		at = &a->next;
	if (a == NULL)
		return;
	*at = a->next;
	mm_web_refuse(w, a, MM_EAGAIN, "not waited for", NULL);
	ask_free(&a);
}

static void
begin(struct mm_web *w, struct mm_ask *take_a)
{
	if (take_a->call == NULL) {
		forget(w, &take_a->ref);
		ask_free(&take_a);
		return;
	}
	take_a->until_ms = mm_mono_ms() + take_a->wait_ms;
	if (take_a->call->run(w, take_a, false)) {
		ask_free(&take_a);
		return;
	}
	take_a->next = w->waiting;
	w->waiting = take_a;
}

/* What has changed may be what somebody waits for; nothing else can be, but
 * that the time is over. */
static void
try_waiting(struct mm_web *w)
{
	struct mm_ask **at = &w->waiting, *a;
	int64_t now = mm_mono_ms();

	while ((a = *at) != NULL) {
		if (!a->call->run(w, a, now >= a->until_ms)) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		ask_free(&a);
	}
}

/* see web.h */
void
mm_web_run(struct mm_web *w)
{
	struct mm_ask *a = take_asks(w), *next;

	for (; a != NULL; a = next) {
		next = a->next;
		a->next = NULL;
		begin(w, a);
	}
	try_waiting(w);
}

/* see web.h */
struct pollfd
mm_web_wish(const struct mm_web *w, int *ms)
{
	if (w->waiting != NULL && w->state_seq != w->seq &&
	    *ms > MM_WEB_STATE_MS)
		*ms = MM_WEB_STATE_MS;
	return (struct pollfd){ .fd = w->event, .events = POLLIN };
}

/* ---- opening ---- */

static void
fill_listener(
    struct mm_web *w, struct mm_http_listener_conf *l, size_t i, bool screen)
{
	const struct mm_station_conf *c = w->shift->line.conf;

	w->door[i] = (struct mm_door){ .web = w, .screen = screen };
	*l = (struct mm_http_listener_conf){
		.name = screen ? "screen" : "api",
		.address = screen ? c->screen : c->api,
		.make_ctx = screen || c->api_plain ? NULL : mm_web_tls,
		.routes = mm_web_routes,
		.nroutes = mm_web_nroutes - (screen ? 0 : mm_web_nfiles),
		.on_head = mm_web_guard,
		.on_left = left,
		.on_error = mm_web_error,
		.ctx = &w->door[i],
		.limits = { .connections = 64,
		    .connections_per_source = screen ? 64 : 16,
		    .handshakes = 16,
		    .handshake_ms = 5000,
		    .header_ms = 5000,
		    .body_ms = 5000,
		    .write_ms = 10000,
		    .bodies = 64 * MM_WEB_BODY,
		    .answer_ms = (MM_WEB_WAIT_S + 10) * 1000 },
	};
}

static enum mm_err
listen_all(struct mm_web *w, struct mm_why *why)
{
	const struct mm_station_conf *c = w->shift->line.conf;
	struct mm_http_listener_conf l[MM_WEB_DOORS];
	struct mm_http_conf conf = {
		.loops = 1, .listeners = l, .on_thread = on_thread
	};

	if (c->screen[0] != '\0') {
		fill_listener(w, &l[0], 0, true);
		conf.nlisteners++;
	}
	if (c->api[0] != '\0') {
		fill_listener(w, &l[conf.nlisteners], conf.nlisteners, false);
		conf.nlisteners++;
	}
	MM_TRY(mm_http_open(&conf, &w->http, why));
	for (size_t i = 0; i < conf.nlisteners; i++) {
		mm_web_door_hosts(&w->door[i], mm_http_port(w->http, i));
		MM_LOG(MM_LOG_INFO, "listening", MM_S("door", l[i].name),
		    MM_S("address", l[i].address),
		    MM_I("port", mm_http_port(w->http, i)));
	}
	return mm_http_start(w->http, why);
}

static enum mm_err
open_web(struct mm_web *w, struct mm_why *why)
{
	mm_buf_init(&w->state, 1 << 20);
	w->last = &w->first;
	w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event < 0)
		return MM_FAIL(why, MM_ESYS, "eventfd: %s", strerror(errno));
	if (getrandom(&w->run, sizeof(w->run), 0) != sizeof(w->run))
		return MM_FAIL(why, MM_ESYS, "no random numbers");
	MM_TRY(mm_api_keys_open(&w->keys, w->shift->line.conf, why));
	return listen_all(w, why);
}

/* see web.h */
enum mm_err
mm_web_open(struct mm_shift *s, struct mm_web **out, struct mm_why *why)
{
	MM_OWN(mm_web_close) struct mm_web *w = NULL;

	*out = NULL;
	if (s->line.conf->screen[0] == '\0' && s->line.conf->api[0] == '\0')
		return MM_OK;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	w->shift = s;
	pthread_mutex_init(&w->lock, NULL);
	MM_TRY(open_web(w, why));
	mm_shift_listen(s, mm_feed_hear, w);
	*out = MM_MOVE(w);
	return MM_OK;
}

/* see web.h */
void
mm_web_close(struct mm_web **owner)
{
	struct mm_web *w = *owner;
	struct mm_ask *a, *next;

	if (w == NULL)
		return;
	while (w->waiting != NULL)
		forget(w, &w->waiting->ref);
	if (w->http != NULL)
		mm_http_drain(w->http, DRAIN_MS);
	mm_http_close(&w->http);
	for (a = w->first; a != NULL; a = next) {
		next = a->next;
		ask_free(&a);
	}
	mm_feed_done(w);
	if (w->event >= 0)
		(void)close(w->event);
	pthread_mutex_destroy(&w->lock);
	free(w);
	*owner = NULL;
}
