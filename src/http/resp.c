#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "http/priv.h"

enum { LARGE = 4 * 1024 * 1024 };

static const struct {
	int status;
	const char *text;
} texts[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 417, "Expectation Failed" },
	{ 422, "Unprocessable Content" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 503, "Service Unavailable" },
};

const char *
mm_http_status_text(int status)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Status";
}

/* A value that could begin a line of its own is left out, not sent. */
void
mm_http_resp_header(
    struct mm_http_resp *resp, const char *name, const char *value)
{
	size_t at = strlen(resp->extra), n = strlen(name), v = strlen(value);

	if (strpbrk(value, "\r\n") != NULL ||
	    at + n + v + sizeof(": \r\n") > sizeof(resp->extra))
		return;
	memcpy(resp->extra + at, name, n);
	memcpy(resp->extra + at + n, ": ", 2);
	memcpy(resp->extra + at + n + 2, value, v);
	memcpy(resp->extra + at + n + 2 + v, "\r\n", sizeof("\r\n"));
}

static bool
extra_has(const char *extra, const char *name)
{
	size_t n = strlen(name);

	while (*extra != '\0') {
		if (strncasecmp(extra, name, n) == 0 && extra[n] == ':')
			return true;
		extra = strchr(extra, '\n');
		if (extra == NULL)
			return false;
		extra++;
	}
	return false;
}

/* snprintf costs more than all the rest of a small answer. */
static void
put_number(struct mm_buf *b, size_t v)
{
	char digits[24];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	mm_buf_put(b, digits + at, sizeof(digits) - at);
}

static void
put_line(struct mm_buf *b, const char *name, const char *value)
{
	mm_buf_text(b, name);
	mm_buf_text(b, value);
	mm_buf_put(b, "\r\n", 2);
}

/* RFC 9110 8.6: a 204 has no length; a 304's would be another answer's. */
static bool
bodiless(int status)
{
	return status == 204 || status == 304;
}

static void
head_put(
    const struct conn *c, const struct mm_http_resp *resp, struct mm_buf *out)
{
	const struct request *r = c->req;

	mm_buf_text(out, "HTTP/1.1 ");
	put_number(out, (size_t)resp->status);
	put_line(out, " ", mm_http_status_text(resp->status));
	put_line(out, "Date: ", c->port->loop->date);
	if (resp->content_type != NULL)
		put_line(out, "Content-Type: ", resp->content_type);
	if (!bodiless(resp->status)) {
		mm_buf_text(out, "Content-Length: ");
		put_number(
		    out, resp->give_back != NULL ? resp->lent.n : resp->body.n);
		mm_buf_put(out, "\r\n", 2);
	}
	put_line(out, "X-Request-Id: ", r->id);
	/* RFC 9110 10.2.3, RFC 6585 4: whatever is 503 or 429 may come again */
	if ((resp->status == 503 || resp->status == 429) &&
	    !extra_has(resp->extra, "Retry-After"))
		mm_buf_text(out, "Retry-After: 1\r\n");
	if (!extra_has(resp->extra, "Cache-Control"))
		mm_buf_text(out, "Cache-Control: no-store\r\n");
	if (r->close)
		mm_buf_text(out, "Connection: close\r\n");
	else if (r->head.minor == 0)
		mm_buf_text(out, "Connection: keep-alive\r\n");
	put_line(out, resp->extra, "");
}

void
mm_http_resp_drop(struct mm_http_resp *resp)
{
	mm_buf_wipe(&resp->body);
	if (resp->give_back != NULL)
		resp->give_back(resp->owner);
	resp->give_back = NULL;
}

/* The request keeps what is too long for its first record. */
static void
tail_put(struct request *r, struct mm_http_resp *resp)
{
	if (resp->give_back != NULL) {
		r->tail = resp->lent;
		r->give_back = resp->give_back;
		r->owner = resp->owner;
		r->stands = resp->stands;
		resp->give_back = NULL;
		return;
	}
	r->out_body = resp->body;
	r->tail = mm_buf_view(&r->out_body);
	resp->body = (struct mm_buf){ 0 };
}

/* Half a body is no answer: memory lacked for the rest of it. */
static void
whole_or_none(struct mm_http_resp *resp)
{
	if (resp->body.err == MM_OK)
		return;
	mm_http_resp_drop(resp);
	*resp = (struct mm_http_resp){ .status = 503 };
}

/* Of what is large little lies in the kernel unsent: else what a slow reader
 * takes would not be seen for minutes (write_least). */
static void
hold_back(const struct conn *c)
{
	const int unsent = ROUND_BYTES;

	if (c->req->tail.n > LARGE)
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
		    &unsent, sizeof(unsent));
}

/*
 * Lays the answer out in c->req, ready to be written: one buffer, so one TLS
 * record, when it is short.  Takes the body.
 */
bool
mm_http_resp_put(struct conn *c, struct mm_http_resp *resp)
{
	struct request *r = c->req;
	bool silent;

	whole_or_none(resp);
	silent = bodiless(resp->status) ||
		 (r->head.named && r->head.method == MM_HTTP_HEAD);
	r->status = resp->status;
	r->close |= resp->close || c->port->loop->drain_until != 0;
	r->close |= r->head.closes;
	mm_buf_init(&r->out, 2 * READ_MAX);
	head_put(c, resp, &r->out);
	if (!silent && resp->give_back == NULL &&
	    resp->body.n + r->out.n <= READ_MAX)
		mm_buf_bytes(&r->out, mm_buf_view(&resp->body));
	else if (!silent)
		tail_put(r, resp);
	hold_back(c);
	mm_http_resp_drop(resp);
	return mm_buf_ok(&r->out, NULL) == MM_OK;
}
