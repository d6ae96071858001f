/*
 * Properties: where a request's bytes are cut changes nothing, and what is
 * accepted holds what parse.h promises, checked here by other means than the
 * parser's own.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "http/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 4096 };

struct outcome {
	struct mm_http_head head;
	uint8_t *buf;
	int body; /* the chunked reader's result */
	struct mm_buf data;
	size_t used; /* of all bytes */
};

static void
check(int holds)
{
	if (!holds)
		abort();
}

/* Reads in steps of that many bytes, as a connection would. */
static void
run(struct outcome *o, const uint8_t *data, size_t size, size_t step)
{
	struct mm_http_chunks chunks = { 0 };
	size_t n = 0, took;

	*o = (struct outcome){ .buf = malloc(size + 1),
		.data = MM_BUF_INIT(BODY_MAX) };
	check(o->buf != NULL);
	memcpy(o->buf, data, size);
	do {
		n = step < size - n ? n + step : size;
		(void)mm_http_head_feed(&o->head, o->buf, n);
	} while (o->head.result == MM_HTTP_MORE && n < size);
	o->used = o->head.at;
	while (o->head.result == MM_HTTP_DONE && o->head.chunked &&
	       o->body == MM_HTTP_MORE && o->used < size) {
		n = step < size - o->used ? step : size - o->used;
		o->body = mm_http_chunks_feed(&chunks,
		    (struct mm_bytes){ data + o->used, n }, &o->data, &took);
		check(took <= n && (took == n || o->body != MM_HTTP_MORE));
		o->used += took;
	}
}

static void
outcome_done(struct outcome *o)
{
	free(o->buf);
	mm_buf_done(&o->data);
}

static void
same(const struct outcome *a, const struct outcome *b, size_t size)
{
	check(a->head.result == b->head.result && a->body == b->body);
	if (a->head.result != MM_HTTP_DONE)
		return;
	check(a->head.at == b->head.at && a->head.length == b->head.length);
	check(memcmp(a->buf, b->buf, size) == 0);
	check(memcmp(a->head.fields, b->head.fields, sizeof(a->head.fields)) ==
	      0);
	if (a->body == MM_HTTP_DONE)
		check(a->used == b->used && mm_bytes_eq(mm_buf_view(&a->data),
						mm_buf_view(&b->data)));
}

/* Lines of the raw head that begin so. */
static unsigned
lines(const uint8_t *p, size_t n, const char *start)
{
	unsigned found = 0;
	size_t len = strlen(start);

	for (size_t i = 1; i + len <= n; i++)
		found += p[i - 1] == '\n' &&
			 strncasecmp((const char *)p + i, start, len) == 0;
	return found;
}

static void
head_check(const uint8_t *p, const struct mm_http_head *h)
{
	unsigned length = lines(p, h->at, "content-length");
	unsigned coding = lines(p, h->at, "transfer-encoding:");

	check(h->at >= 4 && memcmp(p + h->at - 4, "\r\n\r\n", 4) == 0);
	check(h->at <= MM_HTTP_HEAD_MAX && h->nfields <= MM_HTTP_FIELDS_MAX);
	for (size_t i = 0; i < h->at; i++) {
		check(p[i] != '\0');
		check(p[i] != '\n' || (i > 0 && p[i - 1] == '\r'));
		check(p[i] != '\r' || p[i + 1] == '\n');
		check(p[i] != '\n' || i + 1 == h->at ||
		      (p[i + 1] != ' ' && p[i + 1] != '\t'));
	}
	check(!h->has_length || length >= 1);
	check(lines(p, h->at, "content-length:") <= 1 && coding <= 1);
	check(h->chunked == (coding == 1));
	check(!(h->chunked && h->has_length));
	check(h->minor == 0 ? !h->chunked : lines(p, h->at, "host:") == 1);
}

static void
path_check(const struct outcome *o)
{
	struct mm_bytes path = { o->buf + o->head.path.at, o->head.path.n };
	char text[MM_HTTP_LINE_MAX + 2];

	check(path.n >= 1 && path.p[0] == '/' && mm_utf8_valid(path));
	check(memchr(path.p, '\0', path.n) == NULL);
	memcpy(text, path.p, path.n);
	memcpy(text + path.n, "/", 2);
	check(strstr(text, "/../") == NULL && strstr(text, "/./") == NULL);
}

static void
query_check(const struct outcome *o)
{
	struct mm_bytes query = { o->buf + o->head.query.at, o->head.query.n };
	char out[16] = "untouched";
	enum mm_err rc = mm_http_query_find(query, "a", out, sizeof(out), NULL);

	check(memchr(out, '\0', sizeof(out)) != NULL);
	/* what is no UTF-8 is taken out again */
	check(rc == MM_OK || strcmp(out, "untouched") == 0 || out[0] == '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 2, 7, 100, 1000 };
	struct outcome whole, parts;

	if (size > 3 * MM_HTTP_HEAD_MAX)
		return 0;
	check(mm_http_prefer_wait((struct mm_bytes){ data, size }) <= 999);
	run(&whole, data, size, SIZE_MAX);
	for (size_t i = size > 2048; i < sizeof(steps) / sizeof(*steps); i++) {
		run(&parts, data, size, steps[i]);
		same(&whole, &parts, size);
		outcome_done(&parts);
	}
	if (whole.head.result == MM_HTTP_DONE) {
		head_check(data, &whole.head);
		path_check(&whole);
		query_check(&whole);
	} else {
		check(whole.head.result == MM_HTTP_MORE ||
		      whole.head.reason != NULL);
	}
	outcome_done(&whole);
	return 0;
}
