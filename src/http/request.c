#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/priv.h"

enum { OTHERS = 4 }; /* ceilings, for who reads none yet */

struct request *
mm_http_request_new(void)
{
	struct request *r = calloc(1, sizeof(*r));

	if (r != NULL && !mm_http_request_room(r, READ_MAX / 4))
		mm_http_request_free(&r);
	return r;
}

/* A handler's copy of a body is as large as the body was: what was counted is
 * given back with the answer, not when the body goes. */
bool
mm_http_request_hold(struct request *r, struct mm_http_listener *l)
{
	size_t more = r->body.cap - r->held;

	r->bodies = &l->bodies;
	r->held = r->body.cap;
	return more == 0 ||
	       atomic_fetch_add(r->bodies, more) + more <=
		   l->conf.limits.bodies;
}

/* A body can hold a secret (a password, a server-made key). */
void
mm_http_request_drop_body(struct request *r)
{
	mm_buf_wipe(&r->body);
	if (r->bodies != NULL)
		atomic_fetch_sub(r->bodies, r->held);
	r->bodies = NULL;
	r->held = 0;
}

/* What had an effect is not said twice: its answer counts, and is given. */
static bool
has_effect(const struct request *r)
{
	return r->route != NULL && r->route->method != MM_HTTP_GET &&
	    r->route->method != MM_HTTP_HEAD;
}

/* see priv.h */
bool
mm_http_request_hold_answer(struct conn *c, const struct mm_http_resp *resp)
{
	struct mm_http_listener *l = c->port->listener;
	struct request *r = c->req;
	size_t n = resp->body.cap, most = l->conf.limits.answers, before;

	if (resp->give_back != NULL || resp->body.n <= MM_HTTP_SHORT)
		return true;
	if (c->source->answers == 0)
		most *= OTHERS;
	before = atomic_fetch_add(&l->answers, n);
	if (before > 0 && before + n > most && !has_effect(r)) {
		atomic_fetch_sub(&l->answers, n);
		return false;
	}
	r->answers = &l->answers;
	r->answer_held = n;
	r->reader = c->source;
	r->reader->answers++;
	return true;
}

static void
buffers_free(struct request *r)
{
	mm_http_request_drop_body(r);
	if (r->answers != NULL) {
		atomic_fetch_sub(r->answers, r->answer_held);
		r->reader->answers--;
	}
	r->answers = NULL;
	mm_buf_wipe(&r->out);
	mm_buf_wipe(&r->out_body);
	if (r->give_back != NULL)
		r->give_back(r->owner);
	r->give_back = NULL;
}

void
mm_http_request_free(struct request **owner)
{
	struct request *r = *owner;

	*owner = NULL;
	if (r == NULL)
		return;
	buffers_free(r);
	if (r->in != NULL)
		explicit_bzero(r->in, r->in_n); /* Authorization */
	free(r->in);
	free(r);
}

bool
mm_http_request_room(struct request *r, size_t cap)
{
	uint8_t *p;

	if (r->in_cap >= cap)
		return true;
	p = realloc(r->in, cap);
	if (p == NULL)
		return false;
	r->in = p;
	r->in_cap = cap;
	return true;
}

bool
mm_http_request_next(struct request *r)
{
	struct request clean = {
		.in = r->in, .in_cap = r->in_cap, .in_n = r->in_n - r->used
	};

	buffers_free(r);
	memmove(r->in, r->in + r->used, clean.in_n);
	*r = clean;
	return clean.in_n > 0;
}

static struct mm_bytes
piece(const struct request *r, struct mm_http_span s)
{
	return (struct mm_bytes){ r->in + s.at, s.n };
}

void
mm_http_request_view(const struct conn *c, struct mm_http_req *out)
{
	const struct request *r = c->req;
	struct mm_http_loop *l = c->port->loop;

	*out = (struct mm_http_req){
		.ref = mm_http_conn_ref(c),
		.method = r->head.named ? r->head.method : MM_HTTP_METHODS,
		.body = mm_buf_view(&r->body),
		.route = r->route,
		.head = r,
		.ssl = c->ssl,
		.peer = c->peer,
		.peer_port = c->peer_port,
		.conn_data = c->data,
		.loop = l,
		.listener = c->port->listener,
	};
	memcpy(out->id, r->id, sizeof(out->id));
	if (r->head.path.n > 0) {
		out->path = piece(r, r->head.path);
		out->query = piece(r, r->head.query);
	}
	if (r->route != NULL)
		(void)mm_http_route_match(
		    r->route->pattern, out->path, UINT_MAX, &out->rest);
}

struct mm_bytes
mm_http_header(const struct mm_http_req *req, const char *name, bool *more)
{
	const struct request *r = req->head;
	struct mm_bytes found = { 0 };
	size_t n = strlen(name);
	unsigned times = 0;

	for (unsigned i = 0; r != NULL && i < r->head.nfields; i++) {
		struct mm_bytes got = piece(r, r->head.fields[i].name);

		if (got.n != n || strncasecmp((const char *)got.p, name, n))
			continue;
		if (times++ == 0)
			found = piece(r, r->head.fields[i].value);
	}
	if (more != NULL)
		*more = times > 1;
	return found;
}

enum mm_err
mm_http_query(const struct mm_http_req *req, const char *name, char *out,
    size_t outn, struct mm_why *why)
{
	return mm_http_query_find(req->query, name, out, outn, why);
}
