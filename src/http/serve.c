#include <string.h>

#include "base/time.h"
#include "http/priv.h"

static void
spend(struct conn *c, size_t n)
{
	c->budget -= c->budget < n ? c->budget : n;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Reads behind what is there; r->in grows to cap at most. */
static enum step
fill(struct conn *c, size_t cap)
{
	struct request *r = c->req;
	enum step step;
	size_t got = 0;

	if (c->budget == 0)
		return STEP_YIELD;
	if (r->in_n == r->in_cap &&
	    !mm_http_request_room(r, least(cap, 2 * r->in_cap)))
		return STEP_END;
	step = mm_http_io_read(c, r->in + r->in_n, r->in_cap - r->in_n, &got);
	r->in_n += got;
	spend(c, got);
	return step;
}

static void
begin(struct conn *c)
{
	struct request *r = c->req;

	r->began_us = mm_mono_us();
	mm_http_loop_id(c->port->loop, r->id);
	spend(c, REQUEST_COST);
}

/* The words of an error, in resp's body. */
static void
put_words(struct conn *c, struct mm_http_resp *resp, const char *reason)
{
	const struct mm_http_listener_conf *conf = &c->port->listener->conf;
	struct mm_http_req view;

	mm_http_request_view(c, &view);
	if (conf->on_error != NULL) {
		conf->on_error(conf->ctx, &view, resp->status, reason, resp);
		return;
	}
	resp->content_type = "text/plain";
	mm_buf_text(&resp->body, reason);
	mm_buf_text(&resp->body, "\n");
}

/* Whoever reads slowly holds what is read; all of them together have a
 * ceiling. */
static void
hold_answer(struct conn *c, struct mm_http_resp *resp)
{
	if (mm_http_request_hold_answer(c, resp))
		return;
	mm_http_resp_drop(resp);
	*resp = (struct mm_http_resp){ .status = 503,
		.body = MM_BUF_INIT(READ_MAX) };
	put_words(c, resp, "too many long answers at a time");
	mm_http_resp_header(resp, "Retry-After", "5");
}

bool
mm_http_serve_answer(struct conn *c, struct mm_http_resp *resp)
{
	hold_answer(c, resp);
	if (!mm_http_resp_put(c, resp))
		return false;
	/* From here on a second or late answer finds nobody. */
	c->port->loop->slots[c->slot].generation++;
	mm_http_conn_go(c, CONN_WRITE);
	return true;
}

static enum step
error_answer(struct conn *c, int status, const char *reason, const char *allow)
{
	struct mm_http_resp resp = { .status = status,
		.body = MM_BUF_INIT(READ_MAX) };

	COUNT(c->port, bad_requests);
	mm_http_request_drop_body(c->req);
	if (c->req->id[0] == '\0')
		begin(c);
	/* What follows an unread body is not a request (RFC 9112 9.3). */
	c->req->close |= !c->req->whole;
	put_words(c, &resp, reason);
	if (allow != NULL)
		mm_http_resp_header(&resp, "Allow", allow);
	return mm_http_serve_answer(c, &resp) ? STEP_GO : STEP_END;
}

enum step
mm_http_serve_refuse(struct conn *c, int status, const char *reason)
{
	return error_answer(c, status, reason, NULL);
}

/* The request is whole: no other way leads to a handler. */
static enum step
dispatch(struct conn *c)
{
	struct request *r = c->req;
	struct mm_http_req view;

	r->whole = true;
	mm_http_conn_go(c, CONN_WAIT);
	mm_http_request_view(c, &view);
	r->route->run(&view, c->port->listener->conf.ctx);
	mm_buf_wipe(&r->body);
	return c->state == CONN_WAIT ? STEP_PARK : STEP_GO;
}

/* RFC 9110 10.1.1: asked for, wanted, and not already on its way. */
static bool
go_ahead(struct conn *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	size_t put = 0;

	if (!c->req->head.expects || c->req->in_n > c->req->used)
		return true;
	return mm_http_io_write(c, text, sizeof(text) - 1, &put) == STEP_GO &&
	       put == sizeof(text) - 1;
}

/* The listener's own refusal, before a body costs memory. */
static bool
head_refused(struct conn *c, enum step *step)
{
	const struct mm_http_listener_conf *conf = &c->port->listener->conf;
	struct mm_http_resp resp = { 0 };
	struct mm_http_req view;

	mm_http_request_view(c, &view);
	if (conf->on_head == NULL ||
	    conf->on_head(conf->ctx, &view, &resp) == 0)
		return false;
	c->req->close |= !c->req->whole;
	*step = mm_http_serve_answer(c, &resp) ? STEP_GO : STEP_END;
	return true;
}

static enum step
head_accept(struct conn *c)
{
	const struct mm_http_listener_conf *conf = &c->port->listener->conf;
	struct request *r = c->req;
	char allow[ALLOW_TEXT];
	enum step step;

	COUNT(c->port, requests);
	begin(c);
	r->whole = !r->head.chunked && r->head.length == 0;
	r->route = mm_http_route_find(conf, r->head.method,
	    (struct mm_bytes){ r->in + r->head.path.at, r->head.path.n },
	    allow);
	if (r->head.slashed &&
	    (r->route == NULL || !mm_http_route_opaque(r->route)))
		return mm_http_serve_refuse(c, 400,
		    "escaped slash in the path");
	if (r->route == NULL && allow[0] == '\0')
		return mm_http_serve_refuse(c, 404, "no such resource");
	if (r->route == NULL)
		return error_answer(c, 405, "method not allowed", allow);
	if (head_refused(c, &step))
		return step;
	if (r->head.length > r->route->body_max)
		return mm_http_serve_refuse(c, 413, "body too large");
	if (r->whole)
		return dispatch(c);
	mm_buf_init(&r->body, r->route->body_max);
	if (!go_ahead(c))
		return STEP_END;
	mm_http_conn_go(c, CONN_BODY);
	return STEP_GO;
}

enum step
mm_http_serve_head(struct conn *c)
{
	struct request *r = c->req;
	int rc = mm_http_head_feed(&r->head, r->in, r->in_n);

	if (rc == MM_HTTP_MORE)
		return fill(c, MM_HTTP_HEAD_MAX);
	r->used = r->head.at;
	if (rc != MM_HTTP_DONE)
		return mm_http_serve_refuse(c, rc, r->head.reason);
	return head_accept(c);
}

/* What came with the head first, then straight from the socket and not one
 * byte more than the body has. */
static enum step
body_length(struct conn *c)
{
	struct request *r = c->req;
	size_t left = (size_t)r->head.length - r->body.n;
	size_t here = least(left, r->in_n - r->used), got = 0;
	enum step step = STEP_GO;
	uint8_t *p;

	if (left == 0)
		return dispatch(c);
	p = mm_buf_room(&r->body, here > 0 ? here : least(left, READ_MAX));
	if (p == NULL)
		return mm_http_serve_refuse(c, 503, "out of memory");
	if (here > 0) {
		memcpy(p, r->in + r->used, here);
		r->used += here;
		got = here;
	} else {
		step = mm_http_io_read(c, p, least(left, READ_MAX), &got);
		r->body.n -= least(left, READ_MAX) - got;
	}
	r->body_in += got;
	spend(c, got);
	return step;
}

static enum step
body_chunked(struct conn *c)
{
	struct request *r = c->req;
	size_t used = 0;
	int rc = mm_http_chunks_feed(&r->chunks,
	    (struct mm_bytes){ r->in + r->used, r->in_n - r->used }, &r->body,
	    &used);

	r->used += used;
	r->body_in += used;
	if (rc == MM_HTTP_DONE)
		return dispatch(c);
	if (rc != MM_HTTP_MORE)
		return mm_http_serve_refuse(c, rc, r->chunks.reason);
	r->used = r->in_n = r->head.at;
	if (!mm_http_request_room(r, r->head.at + READ_MAX / 2))
		return STEP_END;
	return fill(c, r->in_cap);
}

/*
 * The ceiling on the memory of bodies, as that on handshakes: honest bodies
 * come at once, so who only begins them pushes out its own.
 */
static bool
body_held(struct conn *c)
{
	struct mm_http_listener *l = c->port->listener;
	struct conn *oldest = c->port->phase[CONN_BODY].first;
	int64_t most = l->conf.limits.body_ms;

	if (mm_http_request_hold(c->req, l))
		return true;
	if (oldest == c || oldest->until - c->port->loop->now_ms >
			       most - most / 4)
		return false;
	mm_http_conn_expire(oldest);
	return atomic_load(&l->bodies) <= l->conf.limits.bodies;
}

enum step
mm_http_serve_body(struct conn *c)
{
	enum step step;

	if (c->budget == 0)
		return STEP_YIELD;
	step = c->req->head.chunked ? body_chunked(c) : body_length(c);
	if (c->state != CONN_BODY || body_held(c))
		return step;
	return mm_http_serve_refuse(c, 503, "too many bodies at a time");
}

void
mm_http_serve_log(struct conn *c)
{
	const struct mm_http_conf *conf = &c->port->loop->http->conf;
	struct request *r = c->req;
	struct mm_http_req view;

	if (conf->on_access == NULL || r->status == 0)
		return;
	mm_http_request_view(c, &view);
	conf->on_access(conf->ctx, &(struct mm_http_access){
				       .listener = c->port->listener->conf.name,
				       .id = r->id,
				       .loop = c->port->loop->number,
				       .route = r->route,
				       .peer = c->peer,
				       .method = view.method,
				       .path = view.path,
				       .status = r->status,
				       .took_us = mm_mono_us() - r->began_us,
				       .in_n = r->head.at + r->body_in,
				       .out_n = r->out_at,
				   });
	r->status = 0; /* once */
}

/* Answered: close, serve what was pipelined, or rest. */
static enum step
finish(struct conn *c)
{
	struct request *r = c->req;
	bool linger = !r->whole || r->in_n > r->used;

	mm_http_serve_log(c);
	if (r->close && !linger)
		return STEP_END;
	if (r->close) {
		mm_http_request_free(&c->req);
		mm_http_conn_go(c, CONN_LINGER);
		return STEP_GO;
	}
	if (mm_http_request_next(r)) {
		mm_http_conn_go(c, CONN_HEAD);
		return c->budget > 0 ? STEP_GO : STEP_YIELD;
	}
	mm_http_request_free(&c->req);
	mm_http_conn_go(c, CONN_IDLE);
	if (c->port->loop->drain_until != 0)
		return STEP_END;
	return mm_http_io_pending(c) ? STEP_GO : STEP_READ;
}

enum step
mm_http_serve_write(struct conn *c)
{
	struct request *r = c->req;
	bool first = r->out_at < r->out.n;
	struct mm_bytes v = first ? mm_buf_view(&r->out) : r->tail;
	size_t at = first ? r->out_at : r->out_at - r->out.n, put = 0;
	enum step step;

	if (r->out_at == r->out.n + r->tail.n)
		return finish(c);
	if (c->budget == 0)
		return STEP_YIELD;
	if (r->stands != NULL && !r->stands(r->owner)) {
		c->broken = true;
		return STEP_END;
	}
	step = mm_http_io_write(c, v.p + at, least(v.n - at, READ_MAX), &put);
	r->out_at += put;
	spend(c, put);
	return step;
}
