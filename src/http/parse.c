#include "http/parse.h"

#include <string.h>
#include <strings.h>

/* RFC 9110 5.6.2 tchar, as a bitmap of ASCII. */
static const uint64_t tchars[2] = { 0x03ff6cfa00000000, 0x57ffffffc7fffffe };

static const char *const methods[MM_HTTP_METHODS] = {
	[MM_HTTP_GET] = "GET",
	[MM_HTTP_HEAD] = "HEAD",
	[MM_HTTP_POST] = "POST",
	[MM_HTTP_PUT] = "PUT",
	[MM_HTTP_PATCH] = "PATCH",
	[MM_HTTP_DELETE] = "DELETE",
};

static int
refuse(struct mm_http_head *h, int status, const char *reason)
{
	h->reason = reason;
	return status;
}

static bool
is_tchar(uint8_t c)
{
	return c < 128 && (tchars[c >> 6] >> (c & 63) & 1) != 0;
}

bool
mm_http_token_valid(struct mm_bytes token)
{
	for (size_t i = 0; i < token.n; i++)
		if (!is_tchar(token.p[i]))
			return false;
	return token.n > 0;
}

const char *
mm_http_method_name(enum mm_http_method m)
{
	return m < MM_HTTP_METHODS ? methods[m] : "-";
}

/* Methods are case-sensitive (RFC 9110 9.1). */
static enum mm_http_method
method_of(struct mm_bytes token)
{
	unsigned m = 0;

	while (
	    m < MM_HTTP_METHODS && !mm_bytes_eq(token, mm_bytes_of(methods[m])))
		m++;
	return (enum mm_http_method)m;
}

static bool
same(struct mm_bytes a, const char *b)
{
	return a.n == strlen(b) && strncasecmp((const char *)a.p, b, a.n) == 0;
}

/* RFC 9110 5.6.3: OWS is spaces and tabs. */
static struct mm_bytes
trim(struct mm_bytes v)
{
	while (v.n > 0 && (v.p[0] == ' ' || v.p[0] == '\t'))
		v.p++, v.n--;
	while (v.n > 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
		v.n--;
	return v;
}

/* RFC 9110 5.5: no control but the tab; so no CR, no NUL. */
static bool
value_valid(struct mm_bytes v)
{
	for (size_t i = 0; i < v.n; i++)
		if ((v.p[i] < 0x20 && v.p[i] != '\t') || v.p[i] == 0x7f)
			return false;
	return true;
}

static int
on_host(struct mm_http_head *h, struct mm_bytes v)
{
	if (h->hosts++ > 0)
		return refuse(h, 400, "more than one Host");
	if (!mm_http_host_valid(v))
		return refuse(h, 400, "malformed Host");
	return 0;
}

/* RFC 9112 6.3: repeated lengths could be merged; we do not. */
static int
on_length(struct mm_http_head *h, struct mm_bytes v)
{
	uint64_t n = 0;

	if (h->has_length)
		return refuse(h, 400, "repeated Content-Length");
	if (v.n < 1 || v.n > 18)
		return refuse(h, 400, "malformed Content-Length");
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return refuse(h, 400, "malformed Content-Length");
		n = n * 10 + (v.p[i] - '0');
	}
	h->has_length = true;
	h->length = n;
	return 0;
}

static int
on_coding(struct mm_http_head *h, struct mm_bytes v)
{
	if (h->chunked)
		return refuse(h, 400, "repeated Transfer-Encoding");
	if (!same(v, "chunked"))
		return refuse(h, 400, "a transfer coding other than chunked");
	h->chunked = true;
	return 0;
}

static int
on_connection(struct mm_http_head *h, struct mm_bytes v)
{
	while (v.n > 0) {
		const uint8_t *comma = memchr(v.p, ',', v.n);
		size_t n = comma != NULL ? (size_t)(comma - v.p) : v.n;
		struct mm_bytes option = trim((struct mm_bytes){ v.p, n });

		if (option.n > 0 && !mm_http_token_valid(option))
			return refuse(h, 400, "malformed Connection");
		h->closes |= same(option, "close");
		h->keeps |= same(option, "keep-alive");
		n += comma != NULL;
		v = (struct mm_bytes){ v.p + n, v.n - n };
	}
	return 0;
}

/* RFC 9110 10.1.1: an HTTP/1.0 expectation is ignored. */
static int
on_expect(struct mm_http_head *h, struct mm_bytes v)
{
	if (h->minor == 0)
		return 0;
	if (!same(v, "100-continue"))
		return refuse(h, 417, "an expectation other than 100-continue");
	h->expects = true;
	return 0;
}

/* The fields that decide where a request ends; all others are kept only. */
static const struct {
	const char *name;
	int (*read)(struct mm_http_head *, struct mm_bytes);
} framing[] = {
	{ "Host", on_host },
	{ "Content-Length", on_length },
	{ "Transfer-Encoding", on_coding },
	{ "Connection", on_connection },
	{ "Expect", on_expect },
};

static int
field_framing(struct mm_http_head *h, struct mm_bytes name, struct mm_bytes v)
{
	for (size_t i = 0; i < sizeof(framing) / sizeof(framing[0]); i++)
		if (same(name, framing[i].name))
			return framing[i].read(h, v);
	return 0;
}

static struct mm_http_span
span(const uint8_t *buf, struct mm_bytes v)
{
	return (struct mm_http_span){ (uint16_t)(v.p - buf), (uint16_t)v.n };
}

/* RFC 9112 5: field-name ":" OWS field-value OWS. */
static int
field_read(struct mm_http_head *h, const uint8_t *buf, struct mm_bytes line)
{
	const uint8_t *colon = memchr(line.p, ':', line.n);
	struct mm_bytes name = { line.p, 0 }, value;

	if (line.p[0] == ' ' || line.p[0] == '\t')
		return refuse(h, 400, "folded field line");
	if (colon == NULL)
		return refuse(h, 400, "field line without a colon");
	name.n = (size_t)(colon - line.p);
	value = trim((struct mm_bytes){ colon + 1, line.n - name.n - 1 });
	if (!mm_http_token_valid(name))
		return refuse(h, 400, "malformed field name");
	if (!value_valid(value))
		return refuse(h, 400, "control character in a field value");
	if (h->nfields == MM_HTTP_FIELDS_MAX)
		return refuse(h, 431, "too many fields");
	h->fields[h->nfields].name = span(buf, name);
	h->fields[h->nfields++].value = span(buf, value);
	return field_framing(h, name, value);
}

/* RFC 9112 3: method SP request-target SP HTTP-version, and no more. */
static int
request_line(struct mm_http_head *h, uint8_t *buf, struct mm_bytes line)
{
	const uint8_t *sp = memchr(line.p, ' ', line.n), *sp2;
	struct mm_bytes method = { line.p, 0 }, target, version;

	if (sp == NULL)
		return refuse(h, 400, "malformed request line");
	method.n = (size_t)(sp - line.p);
	target.p = sp + 1;
	sp2 = memchr(target.p, ' ', line.n - method.n - 1);
	if (sp2 == NULL || !mm_http_token_valid(method))
		return refuse(h, 400, "malformed request line");
	target.n = (size_t)(sp2 - target.p);
	version =
	    (struct mm_bytes){ sp2 + 1, line.n - method.n - target.n - 2 };
	if (!mm_bytes_eq(version, mm_bytes_of("HTTP/1.1")) &&
	    !mm_bytes_eq(version, mm_bytes_of("HTTP/1.0")))
		return refuse(h, 400, "version is not HTTP/1.1 or HTTP/1.0");
	h->minor = version.p[7] == '1';
	h->method = method_of(method);
	h->named = true;
	return mm_http_target_read(h, buf, span(buf, target));
}

/* The empty line: what no single line could show. */
static int
head_end(struct mm_http_head *h)
{
	if (h->minor == 1 && h->hosts == 0)
		return refuse(h, 400, "Host is missing"); /* RFC 9112 3.2 */
	if (h->chunked && h->has_length)
		return refuse(h, 400, "Content-Length beside chunked");
	if (h->chunked && h->minor == 0)
		return refuse(h, 400, "Transfer-Encoding in HTTP/1.0");
	h->closes |= h->minor == 0 && !h->keeps;
	return MM_HTTP_DONE;
}

/* A line without its CRLF. */
static int
line_read(struct mm_http_head *h, uint8_t *buf, struct mm_bytes line)
{
	if (h->named)
		return line.n > 0 ? field_read(h, buf, line) : head_end(h);
	if (line.n > 0)
		return request_line(h, buf, line);
	/* RFC 9112 2.2: one, from clients that end a body with it. */
	if (h->blank)
		return refuse(h, 400, "empty lines before the request");
	h->blank = true;
	return 0;
}

/* What can be refused of a part is: a client that never sends the end should
 * not have to be waited for. */
static int
opening_check(struct mm_http_head *h, const uint8_t *buf, size_t n)
{
	if (!h->named && n > h->at && !is_tchar(buf[h->at]) &&
	    buf[h->at] != '\r')
		return refuse(h, 400, "malformed request line");
	return 0;
}

/* n: the line's length so far, with its CR. */
static int
length_check(struct mm_http_head *h, size_t n)
{
	if (!h->named && n > MM_HTTP_LINE_MAX + 1)
		return refuse(h, 414, "request line too long");
	return 0;
}

static int
line_next(struct mm_http_head *h, uint8_t *buf, size_t n)
{
	const uint8_t *lf =
	    n > h->seen ? memchr(buf + h->seen, '\n', n - h->seen) : NULL;
	size_t end = lf != NULL ? (size_t)(lf - buf) : n;
	struct mm_bytes line = { buf + h->at, end - h->at };
	int rc = opening_check(h, buf, n);

	h->seen = end;
	if (rc == 0)
		rc = length_check(h, line.n);
	if (rc == 0 && lf == NULL && n == MM_HTTP_HEAD_MAX)
		rc = refuse(h, 431, "request head too long");
	if (rc != 0 || lf == NULL)
		return rc;
	if (line.n == 0 || lf[-1] != '\r')
		return refuse(h, 400, "a line ends in a bare LF");
	h->at = h->seen = end + 1;
	line.n--;
	return line_read(h, buf, line);
}

int
mm_http_head_feed(struct mm_http_head *h, uint8_t *buf, size_t n)
{
	size_t limit = n < MM_HTTP_HEAD_MAX ? n : MM_HTTP_HEAD_MAX;
	size_t at;

	do {
		at = h->at;
		if (h->result == MM_HTTP_MORE)
			h->result = line_next(h, buf, limit);
	} while (h->result == MM_HTTP_MORE && h->at != at);
	return h->result;
}
