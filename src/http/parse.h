#ifndef MM_HTTP_PARSE_H
#define MM_HTTP_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "http/http.h"

/*
 * The bytes of a request, strictly (RFC 9112): no socket, no clock, no
 * allocation of its own.  Whatever two recipients could read in two ways is
 * refused: a bare LF or CR, a folded line, white space before a colon, more
 * than one Content-Length, Content-Length beside Transfer-Encoding.
 *
 * Both readers resume: where the input is cut makes no difference.
 * Both answer MM_HTTP_MORE, MM_HTTP_DONE or the status to refuse with (400,
 * 413, 414, 417, 431, 503); what is not MORE stays.
 */
enum { MM_HTTP_MORE = 0, MM_HTTP_DONE = 200 };

enum {
	MM_HTTP_HEAD_MAX = 16384, /* request line, fields, empty line */
	MM_HTTP_LINE_MAX = 8192,  /* request line; above: 414 */
	MM_HTTP_FIELDS_MAX = 64,
	MM_HTTP_CHUNK_EXT_MAX = 4096, /* all extensions of one body */
	MM_HTTP_TRAILER_MAX = 4096,
};

/* A place in the head's buffer, which may move; hence no pointers. */
struct mm_http_span {
	uint16_t at, n;
};

/*
 * A request head.  All zero before the first feed; when DONE, every member
 * holds and `at` is the head's length.
 */
struct mm_http_head {
	int result;
	const char *reason; /* static; with a refusal */
	size_t at, seen;    /* next line's start; searched for its end so far */
	bool named;         /* the request line was read */
	bool blank;         /* one empty line came before it (9112 2.2) */

	enum mm_http_method method; /* MM_HTTP_METHODS: a token unknown here */
	uint8_t minor;              /* HTTP/1.minor: 0 or 1 */
	uint8_t hosts;
	bool slashed; /* a "/" of the path was escaped */
	bool has_length, chunked, expects, closes, keeps;
	uint64_t length;
	struct mm_http_span path; /* decoded, in place */
	struct mm_http_span query;
	uint16_t nfields;
	struct {
		struct mm_http_span name, value;
	} fields[MM_HTTP_FIELDS_MAX];
};

/* Reads buf[0..n): all that came since the head began.  May rewrite the
 * request line's path (percent-decoding) and touches nothing else. */
int mm_http_head_feed(struct mm_http_head *h, uint8_t *buf, size_t n);

/*
 * The request target at buf[t.at..+t.n) (RFC 9112 3.2.1, 3.2.2): 400 unless
 * it is in origin-form or absolute-form, all of RFC 3986's characters, with
 * no escape for NUL or a control, no "." or ".." segment, UTF-8.
 */
int mm_http_target_read(
    struct mm_http_head *h, uint8_t *buf, struct mm_http_span t);
/* Host or authority without user (RFC 9110 7.2); empty is valid. */
bool mm_http_host_valid(struct mm_bytes host);
/* method, field-name, ...: RFC 9110 5.6.2. */
bool mm_http_token_valid(struct mm_bytes token);
int mm_http_hex_digit(uint8_t c); /* -1 if it is none */

/* A parameter of an encoded query; see mm_http_query. */
MM_MUST enum mm_err mm_http_query_find(struct mm_bytes query, const char *name,
    char *out, size_t outn, struct mm_why *why);

/*
 * A chunked body (RFC 9112 7.1).  Extensions and trailers are checked,
 * counted and dropped.  All zero before the first feed.
 */
struct mm_http_chunks {
	int result;
	const char *reason;
	uint8_t state, digits;
	bool last; /* the chunk of size 0 was read */
	uint64_t left;
	uint32_t ext_n, trailer_n;
};

/* Takes what belongs to the body from in (*used bytes), appends its data to
 * out, whose max is the limit. */
int mm_http_chunks_feed(struct mm_http_chunks *c, struct mm_bytes in,
    struct mm_buf *out, size_t *used);

#endif
