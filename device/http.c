#include "mmd_codec.h"
#include "priv.h"

enum state { STATUS, HEADERS, CONTENT, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILERS,
	DONE, BROKEN };

#define INTERIM_MAX 4
#define RETRY_MAX 604800 /* a week; longer says nothing more */

/* see mmd_codec.h */
void
mmd_http_init(struct mmd_http *h)
{
	memset(h, 0, sizeof(*h));
	h->retry_s = -1;
	h->state = STATUS;
}

/*
 * Collects one line; MMD_OK when its CRLF is read, with the line in h->line
 * cut at MMD_HTTP_LINE.  RFC 9112 2.2: a bare CR or LF, or a NUL, is refused.
 */
static enum mmd_rc
read_line(struct mmd_http *h, struct mmd_bytes *in)
{
	while (in->n > 0) {
		uint8_t c = *in->p++;

		in->n--;
		if (++h->head > MMD_HTTP_HEAD_MAX)
			return MMD_ESPACE;
		if (h->cr && c == '\n') {
			h->cr = false;
			return MMD_OK;
		}
		if (h->cr || c == '\n' || c == '\0')
			return MMD_EINPUT;
		if (c == '\r')
			h->cr = true;
		else if (h->line_n < sizeof(h->line))
			h->line[h->line_n++] = (char)c;
		else
			h->cut = true;
	}
	return MMD_MORE;
}

/* 1 to 9 decimal digits and nothing else. */
static bool
decimal(struct mmd_bytes v, uint32_t *out)
{
	uint32_t x = 0;

	if (v.n == 0 || v.n > 9)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
		x = x * 10 + (uint32_t)(v.p[i] - '0');
	}
	*out = x;
	return true;
}

/* RFC 9112 4: status-line = HTTP-version SP status-code SP [ reason ]. */
static enum mmd_rc
status_line(struct mmd_http *h)
{
	struct mmd_bytes v = { (const uint8_t *)h->line, h->line_n };
	uint32_t status;

	if (v.n < 12 || memcmp(v.p, "HTTP/1.", 7) != 0 ||
	    (v.p[7] != '0' && v.p[7] != '1') || v.p[8] != ' ' ||
	    (v.n > 12 && v.p[12] != ' ') ||
	    !decimal((struct mmd_bytes){ v.p + 9, 3 }, &status) ||
	    status < 100 || status > 599 || status == 101)
		return MMD_EINPUT;
	h->status = (int)status;
	h->close = v.p[7] == '0';
	h->state = HEADERS;
	return MMD_OK;
}

static bool
has_word(struct mmd_bytes v, const char *word)
{
	struct mmd_bytes w = mmd_bytes_of(word);
	size_t i, k;

	for (i = 0; i + w.n <= v.n; i++) {
		for (k = 0; k < w.n && mmd_lower(v.p[i + k]) == w.p[k]; k++)
			;
		if (k == w.n)
			return true;
	}
	return false;
}

static enum mmd_rc
on_length(struct mmd_http *h, struct mmd_bytes v)
{
	uint32_t n;

	if (h->has_length || !decimal(v, &n))
		return MMD_EINPUT;
	if (n > MMD_HTTP_BODY_MAX)
		return MMD_ESPACE;
	h->has_length = true;
	h->left = n;
	return MMD_OK;
}

static enum mmd_rc
on_coding(struct mmd_http *h, struct mmd_bytes v)
{
	if (h->chunked || v.n != 7 || !has_word(v, "chunked"))
		return MMD_EINPUT;
	h->chunked = true;
	return MMD_OK;
}

static enum mmd_rc
on_type(struct mmd_http *h, struct mmd_bytes v)
{
	size_t n = 0;

	while (n < v.n && v.p[n] != ';' && v.p[n] != ' ' && v.p[n] != '\t')
		n++;
	if (h->type[0] != '\0' || n >= sizeof(h->type))
		return MMD_EINPUT;
	for (size_t i = 0; i < n; i++)
		h->type[i] = (char)mmd_lower(v.p[i]);
	return MMD_OK;
}

static enum mmd_rc
on_date(struct mmd_http *h, struct mmd_bytes v)
{
	return mmd_time_http(v, &h->date_s);
}

/* RFC 9110 10.2.3.  A date counts from the answer's own, which must be first:
 * every server seen sends Date early. */
static enum mmd_rc
on_retry(struct mmd_http *h, struct mmd_bytes v)
{
	int64_t at, s;
	uint32_t n;

	if (decimal(v, &n))
		s = n;
	else if (mmd_time_http(v, &at) == MMD_OK && h->date_s != 0)
		s = at > h->date_s ? at - h->date_s : 0;
	else
		return MMD_OK;
	h->retry_s = (int32_t)(s > RETRY_MAX ? RETRY_MAX : s);
	return MMD_OK;
}

static enum mmd_rc
on_connection(struct mmd_http *h, struct mmd_bytes v)
{
	if (has_word(v, "close"))
		h->close = true;
	return MMD_OK;
}

static const struct header {
	const char *name;
	enum mmd_rc (*take)(struct mmd_http *h, struct mmd_bytes value);
} headers[] = {
	{ "content-length", on_length },
	{ "transfer-encoding", on_coding },
	{ "content-type", on_type },
	{ "date", on_date },
	{ "retry-after", on_retry },
	{ "connection", on_connection },
};

/* RFC 9110 5.6.2; only what can stand in a field name. */
static bool
is_token(uint8_t c)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	if ((c >= '0' && c <= '9') || (mmd_lower(c) >= 'a' &&
	    mmd_lower(c) <= 'z'))
		return true;
	for (size_t i = 0; i < sizeof(others) - 1; i++)
		if ((uint8_t)others[i] == c)
			return true;
	return false;
}

static enum mmd_rc
header_line(struct mmd_http *h)
{
	struct mmd_bytes v = { (const uint8_t *)h->line, h->line_n };
	struct mmd_bytes name = v;

	for (name.n = 0; name.n < v.n && is_token(v.p[name.n]); name.n++)
		h->line[name.n] = (char)mmd_lower(v.p[name.n]);
	if (name.n == 0 || name.n == v.n || v.p[name.n] != ':')
		return MMD_EINPUT;
	v.p += name.n + 1;
	v.n -= name.n + 1;
	for (; v.n > 0 && (*v.p == ' ' || *v.p == '\t'); v.n--)
		v.p++;
	while (v.n > 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
		v.n--;
	for (size_t i = 0; i < MMD_COUNT(headers); i++)
		if (mmd_bytes_eq(name, mmd_bytes_of(headers[i].name)))
			return h->cut ? MMD_ESPACE : headers[i].take(h, v);
	return MMD_OK;
}

static enum mmd_rc
interim(struct mmd_http *h)
{
	uint8_t seen = h->interim;
	uint32_t head = h->head;

	if (seen == INTERIM_MAX || h->has_length || h->chunked)
		return MMD_EINPUT;
	mmd_http_init(h);
	h->interim = (uint8_t)(seen + 1);
	h->head = head;
	return MMD_OK;
}

/* The empty line: RFC 9112 6.3 says how long the content is. */
static enum mmd_rc
head_end(struct mmd_http *h)
{
	if (h->status < 200)
		return interim(h);
	if (h->has_length && h->chunked)
		return MMD_EINPUT;
	h->headed = true;
	if (h->status == 204 || h->status == 304) {
		if (h->chunked || h->left != 0)
			return MMD_EINPUT;
		h->state = DONE;
	} else if (h->chunked)
		h->state = CHUNK_SIZE;
	else if (h->has_length)
		h->state = h->left > 0 ? CONTENT : DONE;
	else
		return MMD_EINPUT;
	return MMD_OK;
}

static enum mmd_rc
on_header(struct mmd_http *h)
{
	return h->line_n == 0 ? head_end(h) : header_line(h);
}

/* RFC 9112 7.1: extensions are read over. */
static enum mmd_rc
chunk_size(struct mmd_http *h)
{
	uint32_t n = 0;
	size_t i;

	for (i = 0; i < h->line_n; i++) {
		uint8_t c = mmd_lower((uint8_t)h->line[i]);
		bool letter = c >= 'a' && c <= 'f';

		if (!letter && (c < '0' || c > '9'))
			break;
		n = n << 4 | (uint32_t)(letter ? c - 'a' + 10 : c - '0');
		if (n > MMD_HTTP_BODY_MAX)
			return MMD_ESPACE;
	}
	if (i == 0 || i > 8 || (i < h->line_n && h->line[i] != ';' &&
	    h->line[i] != ' '))
		return MMD_EINPUT;
	h->total += n;
	if (h->total > MMD_HTTP_BODY_MAX)
		return MMD_ESPACE;
	h->left = n;
	h->state = n > 0 ? CHUNK : TRAILERS;
	return MMD_OK;
}

static enum mmd_rc
chunk_end(struct mmd_http *h)
{
	h->state = CHUNK_SIZE;
	return h->line_n == 0 ? MMD_OK : MMD_EINPUT;
}

static enum mmd_rc
trailer(struct mmd_http *h)
{
	if (h->line_n == 0)
		h->state = DONE;
	return MMD_OK;
}

static enum mmd_rc (*const on_line[])(struct mmd_http *h) = {
	[STATUS] = status_line,
	[HEADERS] = on_header,
	[CHUNK_SIZE] = chunk_size,
	[CHUNK_END] = chunk_end,
	[TRAILERS] = trailer,
};

static void
content(struct mmd_http *h, struct mmd_bytes *in, struct mmd_bytes *body)
{
	size_t n = in->n < h->left ? in->n : h->left;

	*body = (struct mmd_bytes){ in->p, n };
	in->p += n;
	in->n -= n;
	h->left -= (uint32_t)n;
	if (h->left == 0)
		h->state = h->state == CHUNK ? CHUNK_END : DONE;
}

/* see mmd_codec.h */
enum mmd_rc
mmd_http_read(struct mmd_http *h, struct mmd_bytes *in,
    struct mmd_bytes *body)
{
	enum mmd_rc rc = MMD_OK;

	*body = (struct mmd_bytes){ NULL, 0 };
	while (rc == MMD_OK && h->state != DONE && h->state != BROKEN) {
		if (h->state == CONTENT || h->state == CHUNK) {
			if (in->n > 0)
				content(h, in, body);
			return MMD_MORE;
		}
		rc = read_line(h, in);
		if (rc == MMD_OK) {
			rc = on_line[h->state](h);
			h->line_n = 0;
			h->cut = false;
		}
	}
	if (h->state == BROKEN)
		rc = MMD_EINPUT;
	else if (rc != MMD_OK && rc != MMD_MORE)
		h->state = BROKEN;
	return rc;
}
