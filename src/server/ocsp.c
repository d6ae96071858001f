#include "server/ocsp.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "server/blob.h"
#include "server/ocsp_kept.h"

enum {
	WAITING_MAX = 1024, /* above: tryLater */
	AGE_S = 60,         /* a cache on the way may be this late */
	LOG_MS = 60000,
	REST_S = 30,        /* between two looks at what is to be entered */
	TRIES = 3,
};

/* Who waits for an answer that has to be signed. */
struct waiting {
	struct waiting *next;
	struct mm_http_ref ref;
	size_t issuer; /* door's n: a line CA, or nobody */
	uint8_t id[MM_OCSP_ID_MAX], nonce[MM_OCSP_NONCE_MAX];
	size_t id_n, nonce_n;
	uint8_t serial[MM_SERIAL_N];
	bool has_serial, get;
};

struct mm_ocsp_door {
	struct mm_server *s;
	struct mm_ocsp_issuer *issuer; /* as in the configuration */
	size_t n;
	struct mm_ocsp_kept *kept;
	atomic_uint_fast64_t said[MM_OCSP_SAIDS], from_kept;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t more;
	struct waiting *first, **last;
	unsigned waiting;
	bool closed;
	pthread_t thread;
	bool started;
	/* the thread's own */
	struct mm_desk *desk;
	struct mm_ocsp_ask ask[MM_IPC_ITEMS_MAX];
	int64_t log_at; /* monotonic: strangers decide how often one fails */
};

static const char *const names[MM_OCSP_SAIDS] = {
	[MM_OCSP_SAID_GOOD] = "good", [MM_OCSP_SAID_REVOKED] = "revoked",
	[MM_OCSP_SAID_UNKNOWN] = "unknown",
	[MM_OCSP_SAID_MALFORMED] = "malformed",
	[MM_OCSP_SAID_UNAUTHORIZED] = "unauthorized",
	[MM_OCSP_SAID_LATER] = "later",
};

/* see ocsp.h */
const char *
mm_ocsp_said_name(enum mm_ocsp_said w)
{
	return names[w];
}

/* see ocsp.h */
uint64_t
mm_ocsp_said(const struct mm_ocsp_door *o, enum mm_ocsp_said w)
{
	return atomic_load(&o->said[w]);
}

/* see ocsp.h */
uint64_t
mm_ocsp_kept(const struct mm_ocsp_door *o)
{
	return atomic_load(&o->from_kept);
}

/* ---- answering ---- */

/* Nothing is signed in it, and nobody keeps it. */
static void
refuse(struct mm_ocsp_door *o, struct mm_http_ref ref,
    enum mm_ocsp_said said)
{
	static const enum mm_ocsp_refusal codes[MM_OCSP_SAIDS] = {
		[MM_OCSP_SAID_MALFORMED] = MM_OCSP_MALFORMED,
		[MM_OCSP_SAID_UNAUTHORIZED] = MM_OCSP_UNAUTHORIZED,
		[MM_OCSP_SAID_LATER] = MM_OCSP_TRY_LATER,
	};
	struct mm_http_resp resp = { .status = 200,
		.content_type = "application/ocsp-response" };
	uint8_t der[MM_OCSP_REFUSAL_N];

	mm_ocsp_refusal(codes[said], der);
	mm_buf_init(&resp.body, sizeof(der));
	mm_buf_put(&resp.body, der, sizeof(der));
	o->said[said]++;
	mm_http_answer(o->s->http, ref, &resp);
}

static enum mm_ocsp_said
said_of(enum mm_ocsp_status status)
{
	return status == MM_OCSP_GOOD ? MM_OCSP_SAID_GOOD :
	    status == MM_OCSP_REVOKED ? MM_OCSP_SAID_REVOKED :
					MM_OCSP_SAID_UNKNOWN;
}

/* RFC 9919 6.2: what a GET gets, caches keep. */
enum { ETAG_N = 2 * MM_OCSP_TAG_N + 3 };
static void
etag_of(const uint8_t tag[MM_OCSP_TAG_N], char etag[ETAG_N])
{
	etag[0] = '"';
	mm_hex_text(tag, MM_OCSP_TAG_N, etag + 1);
	strcpy(etag + ETAG_N - 2, "\"");
}

static int64_t
age_of(int64_t next_s)
{
	int64_t left = next_s - mm_now_s();

	return left < AGE_S ? left : AGE_S;
}

/* Takes the blob's hold over. */
static void
give(struct mm_ocsp_door *o, const struct mm_http_req *req,
    struct mm_ocsp_found *f)
{
	struct mm_http_resp resp = { .status = 200,
		.content_type = "application/ocsp-response" };
	char etag[ETAG_N];

	etag_of(f->tag, etag);
	o->said[said_of(f->status)]++;
	o->from_kept++;
	if (req->method == MM_HTTP_POST || !mm_public_validate(req, &resp,
	    etag, f->this_s, age_of(f->next_s)))
		mm_blob_lend(f->blob, &resp);
	mm_blob_let_go(f->blob);
	mm_http_answer(o->s->http, req->ref, &resp);
}

/* ---- on a loop ---- */

static size_t
issuer_of(const struct mm_ocsp_door *o, const struct mm_ocsp_id *id)
{
	size_t i = 0;

	while (i < o->n && (!mm_issuer_lists(&o->s->config->issuer[i]) ||
	    !mm_ocsp_is_of(id, &o->issuer[i])))
		i++;
	return i;
}

static struct waiting *
waiting_new(const struct mm_http_req *http, const struct mm_ocsp_request *q,
    size_t issuer)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->ref = http->ref;
	w->get = http->method != MM_HTTP_POST;
	w->issuer = issuer;
	memcpy(w->id, q->id.whole.p, q->id.whole.n);
	w->id_n = q->id.whole.n;
	if (q->nonce.n > 0)
		memcpy(w->nonce, q->nonce.p, q->nonce.n);
	w->nonce_n = q->nonce.n;
	w->has_serial = q->id.serial.n == MM_SERIAL_N;
	if (w->has_serial)
		memcpy(w->serial, q->id.serial.p, MM_SERIAL_N);
	return w;
}

/* false: too many wait, or the server stops. */
static bool
queue(struct mm_ocsp_door *o, struct waiting *w)
{
	bool room;

	pthread_mutex_lock(&o->lock);
	room = !o->closed && o->waiting < WAITING_MAX;
	if (room) {
		*o->last = w;
		o->last = &w->next;
		o->waiting++;
		pthread_cond_signal(&o->more);
	}
	pthread_mutex_unlock(&o->lock);
	return room;
}

static void
ask(struct mm_ocsp_door *o, const struct mm_http_req *req, struct mm_bytes der)
{
	struct mm_ocsp_request q;
	struct mm_ocsp_found found;
	struct waiting *w;
	size_t issuer;
	enum mm_err rc = mm_ocsp_request_parse(der, &q, NULL);

	if (rc == MM_OK && q.nonce.n == 0 &&
	    mm_ocsp_kept_get(o->kept, &q.id, &found)) {
		give(o, req, &found);
		return;
	}
	issuer = rc == MM_OK ? issuer_of(o, &q.id) : o->n;
	if (rc != MM_OK || (issuer == o->n &&
	    mm_core_lines(o->s->core) == 0)) {
		refuse(o, req->ref, rc == MM_EINPUT ?
		    MM_OCSP_SAID_MALFORMED : MM_OCSP_SAID_UNAUTHORIZED);
		return;
	}
	w = waiting_new(req, &q, issuer);
	if (w == NULL || !queue(o, w)) {
		free(w);
		refuse(o, req->ref, MM_OCSP_SAID_LATER);
	}
}

/* see ocsp.h */
void
mm_ocsp_post(struct mm_http_req *req, void *ctx)
{
	struct mm_server *s = ctx;

	ask(s->ocsp, req, req->body);
}

/* see ocsp.h; RFC 6960 A.1: the path is decoded already */
void
mm_ocsp_get(struct mm_http_req *req, void *ctx)
{
	MM_OWN(mm_buf_done) struct mm_buf der =
	    MM_BUF_INIT(MM_OCSP_REQUEST_MAX);
	struct mm_server *s = ctx;

	if (mm_base64_parse(req->rest, &der, NULL) != MM_OK)
		mm_buf_reset(&der);
	ask(s->ocsp, req, mm_buf_view(&der));
}

/* ---- on the thread ---- */

static void
wait_for_some(struct mm_ocsp_door *o)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += REST_S;
	while (o->first == NULL && !o->closed)
		if (pthread_cond_timedwait(&o->more, &o->lock, &until) ==
		    ETIMEDOUT)
			return;
}

/* Up to a frame of them, the oldest first, or none for a while; false: it is
 * over. */
static bool
take(struct mm_ocsp_door *o, struct waiting **out)
{
	struct waiting *list, *w;
	unsigned n = 1;
	bool closed;

	pthread_mutex_lock(&o->lock);
	wait_for_some(o);
	closed = o->closed;
	list = closed ? NULL : o->first;
	if (list != NULL) {
		for (w = list; w->next != NULL && n < MM_IPC_ITEMS_MAX; n++)
			w = w->next;
		o->first = w->next;
		if (o->first == NULL)
			o->last = &o->first;
		o->waiting -= n;
		w->next = NULL;
	}
	pthread_mutex_unlock(&o->lock);
	*out = list;
	return !closed;
}

/* Whose certificate it is, and how long an answer is good; false: nobody's
 * here. */
static bool
whose(struct mm_ocsp_door *o, const struct waiting *w, struct mm_ocsp_ask *a)
{
	const struct mm_issuer_conf *i = &o->s->config->issuer[w->issuer];
	struct mm_ocsp_id id;

	if (w->issuer == o->n)
		return mm_ocsp_id_parse((struct mm_bytes){ w->id, w->id_n },
		    &id, NULL) == MM_OK &&
		    mm_core_ocsp_line(o->s->core, &id, a->issuer, &a->life_s);
	memcpy(a->issuer, i->name, sizeof(a->issuer));
	a->life_s = i->ocsp_hours * 3600;
	return true;
}

static bool
fill(struct mm_ocsp_door *o, const struct waiting *w, struct mm_ocsp_ask *a)
{
	if (!whose(o, w, a))
		return false;
	a->id = (struct mm_bytes){ w->id, w->id_n };
	a->nonce = (struct mm_bytes){ w->nonce, w->nonce_n };
	a->has_serial = w->has_serial;
	memcpy(a->serial, w->serial, sizeof(a->serial));
	return true;
}

/* Its certificate's state changed while it was being signed: whoever changed
 * it may have been answered already. */
static void
renew(struct mm_ocsp_door *o, struct mm_ocsp_ask *a)
{
	for (unsigned i = 0; i < TRIES && a->rc == MM_OK &&
	     a->turn != mm_core_cert_turn(o->s->core, a->serial); i++)
		if (mm_desk_ocsp(o->desk, a, 1, NULL) != MM_OK)
			a->rc = MM_EAGAIN;
	if (a->turn != mm_core_cert_turn(o->s->core, a->serial))
		a->rc = MM_EAGAIN;
}

static void
let_keep(const struct mm_ocsp_ask *a, struct mm_http_resp *resp)
{
	uint8_t tag[MM_OCSP_TAG_N];
	char etag[ETAG_N];

	mm_ocsp_tag(mm_buf_view(&a->der), tag);
	etag_of(tag, etag);
	mm_public_caches(resp, etag, a->this_s, age_of(a->next_s));
}

static void
answer(struct mm_ocsp_door *o, const struct waiting *w,
    const struct mm_ocsp_ask *a)
{
	struct mm_http_resp resp = { .status = 200,
		.content_type = "application/ocsp-response" };

	if (a->rc != MM_OK) {
		refuse(o, w->ref, a->rc == MM_EPOLICY ?
		    MM_OCSP_SAID_UNAUTHORIZED : MM_OCSP_SAID_LATER);
		return;
	}
	if (w->nonce_n == 0 && a->status != MM_OCSP_UNKNOWN) {
		mm_ocsp_kept_put(o->kept, a);
		if (w->get)
			let_keep(a, &resp);
	}
	o->said[said_of(a->status)]++;
	mm_buf_init(&resp.body, a->der.n);
	mm_buf_bytes(&resp.body, mm_buf_view(&a->der));
	mm_http_answer(o->s->http, w->ref, &resp);
}

/* Those that are nobody's are told so; gives the others. */
static struct waiting *
sort_out(struct mm_ocsp_door *o, struct waiting *list, size_t *n)
{
	struct waiting **at = &list, *w;

	*n = 0;
	while ((w = *at) != NULL) {
		if (fill(o, w, &o->ask[*n])) {
			++*n;
			at = &w->next;
			continue;
		}
		*at = w->next;
		refuse(o, w->ref, MM_OCSP_SAID_UNAUTHORIZED);
		free(w);
	}
	return list;
}

static void
work(struct mm_ocsp_door *o, struct waiting *list)
{
	struct mm_why why = { 0 };
	struct waiting *next;
	size_t n, i = 0;
	enum mm_err rc;

	list = sort_out(o, list, &n);
	rc = mm_desk_ocsp(o->desk, o->ask, n, &why);
	if (rc != MM_OK && mm_mono_ms() >= o->log_at) {
		MM_LOG(MM_LOG_WARN, "ocsp", MM_S("why", why.text));
		o->log_at = mm_mono_ms() + LOG_MS;
	}
	for (; list != NULL; list = next, i++) {
		next = list->next;
		if (rc != MM_OK && o->ask[i].rc == MM_OK)
			o->ask[i].rc = rc;
		renew(o, &o->ask[i]);
		answer(o, list, &o->ask[i]);
		free(list);
	}
}

static void *
run(void *door)
{
	struct mm_ocsp_door *o = door;
	struct waiting *list;

	while (take(o, &list))
		if (list != NULL)
			work(o, list);
		else
			mm_desk_ocsp_rest(o->desk, false);
	mm_desk_ocsp_rest(o->desk, true);
	return NULL;
}

/* ---- opening ---- */

static enum mm_err
read_issuers(struct mm_ocsp_door *o, struct mm_why *why)
{
	const struct mm_config *c = o->s->config;
	struct mm_bytes der;

	o->issuer = calloc(c->nissuer + 1, sizeof(*o->issuer));
	if (o->issuer == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	for (; o->n < c->nissuer; o->n++)
		if (mm_core_issuer_der(o->s->core, c->issuer[o->n].name, &der,
		    NULL) == MM_OK) /* else it has no certificate yet */
			MM_TRY(mm_ocsp_issuer_make(der, &o->issuer[o->n],
			    why));
	return MM_OK;
}

/* see ocsp.h */
enum mm_err
mm_ocsp_open(struct mm_server *s, struct mm_ocsp_door **out,
    struct mm_why *why)
{
	MM_OWN(mm_ocsp_close) struct mm_ocsp_door *o = calloc(1, sizeof(*o));
	pthread_condattr_t attr;

	if (o == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	o->s = s;
	o->last = &o->first;
	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->more, &attr);
	pthread_condattr_destroy(&attr);
	for (size_t i = 0; i < MM_IPC_ITEMS_MAX; i++)
		mm_buf_init(&o->ask[i].der, MM_OCSP_ANSWER_MAX);
	MM_TRY(read_issuers(o, why));
	MM_TRY(mm_ocsp_kept_new(s->core, &o->kept, why));
	MM_TRY(mm_desk_open(s->core, &o->desk, why));
	if (pthread_create(&o->thread, NULL, run, o) != 0)
		return MM_FAIL(why, MM_ESYS, "ocsp: no thread");
	o->started = true;
	*out = MM_MOVE(o);
	return MM_OK;
}

/* see ocsp.h */
void
mm_ocsp_stop(struct mm_ocsp_door *o)
{
	struct waiting *w, *next;

	if (o == NULL || !o->started)
		return;
	pthread_mutex_lock(&o->lock);
	o->closed = true;
	w = o->first;
	o->first = NULL;
	o->last = &o->first;
	pthread_cond_signal(&o->more);
	pthread_mutex_unlock(&o->lock);
	for (; w != NULL; w = next) {
		next = w->next;
		refuse(o, w->ref, MM_OCSP_SAID_LATER);
		free(w);
	}
	pthread_join(o->thread, NULL);
	o->started = false;
}

/* see ocsp.h */
void
mm_ocsp_close(struct mm_ocsp_door **owner)
{
	struct mm_ocsp_door *o = MM_MOVE(*owner);

	if (o == NULL)
		return;
	mm_ocsp_stop(o);
	mm_desk_close(&o->desk);
	mm_ocsp_kept_free(&o->kept);
	for (size_t i = 0; i < MM_IPC_ITEMS_MAX; i++)
		mm_buf_done(&o->ask[i].der);
	pthread_cond_destroy(&o->more);
	pthread_mutex_destroy(&o->lock);
	free(o->issuer);
	free(o);
}
