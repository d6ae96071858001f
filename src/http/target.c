#include "http/parse.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

/* RFC 3986 3.3 pchar and "/", 3.4, and 3.2.2 without ":" and escapes; each a
 * bitmap of ASCII. */
static const uint64_t path_set[2] = { 0x2fffffd200000000, 0x47fffffe87ffffff };
static const uint64_t query_set[2] = { 0xafffffd200000000, 0x47fffffe87ffffff };
static const uint64_t name_set[2] = { 0x2bff7fd200000000, 0x47fffffe87fffffe };

static bool
in_set(const uint64_t set[2], uint8_t c)
{
	return c < 128 && (set[c >> 6] >> (c & 63) & 1) != 0;
}

int
mm_http_hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One character, decoded if it was escaped; -1 if the escape is bad. */
static int
next_char(struct mm_bytes *v)
{
	int c = v->p[0], hi, lo;
	size_t n = 1;

	if (c == '%') {
		hi = v->n > 2 ? mm_http_hex_digit(v->p[1]) : -1;
		lo = v->n > 2 ? mm_http_hex_digit(v->p[2]) : -1;
		if (hi < 0 || lo < 0)
			return -1;
		c = hi << 4 | lo;
		n = 3;
	}
	*v = (struct mm_bytes){ v->p + n, v->n - n };
	return c;
}

/* The length of "[" IPv6 "]"; 0 if that is not how it begins. */
static size_t
v6_span(struct mm_bytes host)
{
	const uint8_t *close = memchr(host.p, ']', host.n);
	char text[INET6_ADDRSTRLEN];
	struct in6_addr ignored;

	if (close == NULL ||
	    !mm_text_copy(text, sizeof(text),
		(struct mm_bytes){ host.p + 1, (size_t)(close - host.p) - 1 }))
		return 0;
	return inet_pton(AF_INET6, text, &ignored) == 1
		   ? (size_t)(close - host.p) + 1
		   : 0;
}

/* "[" IPv6 "]" or a name, then perhaps ":" digits. */
bool
mm_http_host_valid(struct mm_bytes host)
{
	size_t n = 0;

	if (host.n > 0 && host.p[0] == '[') {
		n = v6_span(host);
		if (n == 0)
			return false;
	} else {
		while (n < host.n && in_set(name_set, host.p[n]))
			n++;
	}
	if (n < host.n && host.p[n++] != ':')
		return false;
	while (n < host.n && host.p[n] >= '0' && host.p[n] <= '9')
		n++;
	return n == host.n;
}

/* "." and ".." are refused, not resolved: no client of ours sends them. */
static bool
dots_free(struct mm_bytes path)
{
	size_t at = 0;

	for (size_t i = 0; i <= path.n; i++) {
		if (i < path.n && path.p[i] != '/')
			continue;
		if (i - at <= 2 && i > at && path.p[i - 1] == '.' &&
		    path.p[at] == '.')
			return false;
		at = i + 1;
	}
	return true;
}

/* In place: what is decoded is never longer.  An escaped "/" is told: it is one
 * thing to who splits first and another to who decodes first. */
static const char *
path_decode(uint8_t *p, uint16_t *n, bool *slashed)
{
	struct mm_bytes raw = { p, *n };
	uint16_t out = 0;

	while (raw.n > 0) {
		bool escaped = raw.p[0] == '%';
		int c = next_char(&raw);

		if (c < 0 || (!escaped && !in_set(path_set, (uint8_t)c)))
			return "malformed path";
		if (c < 0x20 || c == 0x7f)
			return "escaped NUL or control in the path";
		*slashed = *slashed || (escaped && c == '/');
		p[out++] = (uint8_t)c;
	}
	*n = out;
	if (!dots_free((struct mm_bytes){ p, out }))
		return "dot segment in the path";
	return mm_utf8_valid((struct mm_bytes){ p, out }) ? NULL
							  : "path is not UTF-8";
}

static bool
query_valid(struct mm_bytes q)
{
	while (q.n > 0) {
		if (q.p[0] != '%' && !in_set(query_set, q.p[0]))
			return false;
		if (next_char(&q) < 0)
			return false;
	}
	return true;
}

/*
 * absolute-form: skips scheme and authority.  With no path behind them the
 * path is "/", and the second slash of "://" will do.
 */
static bool
absolute_skip(const uint8_t *buf, struct mm_http_span *path)
{
	const char *s = (const char *)buf + path->at;
	uint16_t n = 0, from;

	if (path->n > 7 && strncasecmp(s, "http://", 7) == 0)
		n = 7;
	else if (path->n > 8 && strncasecmp(s, "https://", 8) == 0)
		n = 8;
	from = n;
	while (n < path->n && s[n] != '/')
		n++;
	if (from == 0 || n == from || s[from] == ':' ||
	    !mm_http_host_valid(
		(struct mm_bytes){ buf + path->at + from, (size_t)(n - from) }))
		return false;
	*path =
	    n == path->n
		? (struct mm_http_span){ (uint16_t)(path->at + from - 1), 1 }
		: (struct mm_http_span){ (uint16_t)(path->at + n),
			  (uint16_t)(path->n - n) };
	return true;
}

int
mm_http_target_read(struct mm_http_head *h, uint8_t *buf, struct mm_http_span t)
{
	struct mm_http_span path = t, query = { t.at, 0 };
	const uint8_t *mark = memchr(buf + t.at, '?', t.n);

	if (mark != NULL) {
		path.n = (uint16_t)(mark - buf - t.at);
		query.at = (uint16_t)(mark - buf + 1);
		query.n = (uint16_t)(t.n - path.n - 1);
	}
	h->reason = "target is not in origin-form or absolute-form";
	if (path.n == 0 || (buf[t.at] != '/' && !absolute_skip(buf, &path)))
		return 400;
	h->reason = "malformed query";
	if (!query_valid((struct mm_bytes){ buf + query.at, query.n }))
		return 400;
	h->reason = path_decode(buf + path.at, &path.n, &h->slashed);
	if (h->reason != NULL)
		return 400;
	h->path = path;
	h->query = query;
	return 0;
}

/* name: plain letters, so only its unescaped spelling is it. */
static bool
pair_named(struct mm_bytes pair, const char *name, struct mm_bytes *value)
{
	size_t n = strlen(name);

	if (pair.n < n || memcmp(pair.p, name, n) != 0 ||
	    (pair.n > n && pair.p[n] != '='))
		return false;
	n += pair.n > n;
	*value = (struct mm_bytes){ pair.p + n, pair.n - n };
	return true;
}

/* The one pair of that name. */
static enum mm_err
pair_find(struct mm_bytes query, const char *name, struct mm_bytes *value,
    struct mm_why *why)
{
	unsigned found = 0;

	while (query.n > 0) {
		const uint8_t *amp = memchr(query.p, '&', query.n);
		size_t n = amp != NULL ? (size_t)(amp - query.p) : query.n;

		found +=
		    pair_named((struct mm_bytes){ query.p, n }, name, value);
		n += amp != NULL;
		query = (struct mm_bytes){ query.p + n, query.n - n };
	}
	if (found == 0)
		return MM_FAIL(why, MM_ENOTFOUND, "no parameter %s", name);
	if (found > 1)
		return MM_FAIL(
		    why, MM_EINPUT, "parameter %s is repeated", name);
	return MM_OK;
}

enum mm_err
mm_http_query_find(struct mm_bytes query, const char *name, char *out,
    size_t outn, struct mm_why *why)
{
	struct mm_bytes value = { 0 };
	struct mm_bytes measure;
	size_t n = 0;

	MM_TRY(pair_find(query, name, &value, why));
	for (measure = value; measure.n > 0; n++)
		if (next_char(&measure) <= 0)
			return MM_FAIL(
			    why, MM_EINPUT, "parameter %s: bad escape", name);
	if (n >= outn)
		return MM_FAIL(why, MM_ELIMIT,
		    "parameter %s is %zu characters, at most %zu", name, n,
		    outn - 1);
	for (n = 0; value.n > 0; n++) {
		bool plus = value.p[0] == '+';

		out[n] = (char)next_char(&value);
		if (plus)
			out[n] = ' ';
	}
	out[n] = '\0';
	if (mm_utf8_valid((struct mm_bytes){ (uint8_t *)out, n }))
		return MM_OK;
	out[0] = '\0';
	return MM_FAIL(
	    why, MM_EINPUT, "parameter %s: not valid UTF-8", name);
}
