#ifndef MMD_CODEC_H
#define MMD_CODEC_H

#include "mmd.h"

/* Encodings.  Readers fail stickily: read all fields, then ask once. */

/*
 * Base64, RFC 4648 4, as a stream: any split of the input gives the same
 * bytes.  White space (space, tab, CR, LF) is skipped anywhere, since EST
 * answers come wrapped or not (RFC 8951 3.1); all else is strict: alphabet,
 * padding, zero leftover bits.
 */
struct mmd_base64 {
	uint32_t acc;
	uint8_t digits, pads; /* of the group of four at hand */
	bool ended, bad;
};

/*
 * Decodes all of in, appending to out, whose *n of cap bytes are in use.
 * MMD_EINPUT, MMD_ESPACE.  A zeroed state begins.
 */
enum mmd_rc mmd_base64_decode(struct mmd_base64 *s, struct mmd_bytes in,
    uint8_t *out, size_t cap, size_t *n) MMD_MUST;
/* MMD_EINPUT if the text ended within a group. */
enum mmd_rc mmd_base64_end(const struct mmd_base64 *s) MMD_MUST;
/* The characters that n bytes take, without line ends. */
#define MMD_BASE64_LEN(n) (((n) + 2) / 3 * 4)
/* Writes MMD_BASE64_LEN(in.n) characters, no NUL; MMD_ESPACE. */
enum mmd_rc mmd_base64_encode(struct mmd_bytes in, uint8_t *out, size_t cap,
    size_t *n) MMD_MUST;

/* DER (X.690), definite lengths in their shortest form, low tags only. */
enum mmd_der_tag {
	MMD_DER_INTEGER = 0x02,
	MMD_DER_BITS = 0x03,
	MMD_DER_OCTETS = 0x04,
	MMD_DER_OID = 0x06,
	MMD_DER_UTF8 = 0x0c,
	MMD_DER_PRINTABLE = 0x13,
	MMD_DER_UTCTIME = 0x17,
	MMD_DER_GENTIME = 0x18,
	MMD_DER_SEQ = 0x30,
	MMD_DER_SET = 0x31,
	MMD_DER_CTX0 = 0xa0,
	MMD_DER_CTX3 = 0xa3
};

struct mmd_der {
	const uint8_t *p;
	size_t left;
	bool bad;
};

struct mmd_der mmd_der_over(struct mmd_bytes b);
int mmd_der_peek(const struct mmd_der *r); /* the next tag, or -1 */
/* The next element, which must have this tag: its contents. */
struct mmd_bytes mmd_der_take(struct mmd_der *r, uint8_t tag);
/* The same with tag and length. */
struct mmd_bytes mmd_der_whole(struct mmd_der *r, uint8_t tag);
/* A reader over the contents of the next element. */
struct mmd_der mmd_der_into(struct mmd_der *r, uint8_t tag);
void mmd_der_skip(struct mmd_der *r); /* the next element, whatever it is */
bool mmd_der_end(const struct mmd_der *r); /* all read, none missing */

/*
 * Writes from the end of buf towards its start, so that a length is known
 * when its header is written: put the last field first.  What is written is
 * buf[at..cap).
 */
struct mmd_derw {
	uint8_t *buf;
	size_t at, cap;
	unsigned bad; /* not 0: it is */
};

struct mmd_derw mmd_derw_over(uint8_t *buf, size_t cap);
/* p may overlap. */
void mmd_derw_put(struct mmd_derw *w, const void *p, size_t n);
/* Wraps all written since at was `from` in a tag and a length. */
void mmd_derw_wrap(struct mmd_derw *w, uint8_t tag, size_t from);

/*
 * One HTTP/1.1 answer (RFC 9112), as a stream.  Strict: CRLF, no folded
 * lines, one framing, Content-Length or chunked (or a status without body).
 * An answer that ends with the connection is refused, since a cut would look
 * the same.
 */
#define MMD_HTTP_LINE 160        /* longer lines only where unread */
#define MMD_HTTP_HEAD_MAX 8192   /* status line and headers, trailers too */
#define MMD_HTTP_BODY_MAX 131072 /* content */

struct mmd_http {
	/* Once headed: */
	int status;            /* 200..599; interim answers are skipped */
	bool headed;           /* the headers are read */
	bool close;            /* the peer will close */
	int64_t date_s;        /* Date, Unix seconds; 0: none */
	int32_t retry_s;       /* Retry-After in seconds; -1: none */
	char type[48];         /* Content-Type, lower case, no parameters */
	/* The machine's own: */
	uint8_t state;
	bool has_length, chunked, cr, cut;
	uint8_t interim;
	uint32_t left, total, head;
	size_t line_n;
	char line[MMD_HTTP_LINE];
};

void mmd_http_init(struct mmd_http *h);
/*
 * Takes what it can from the front of *in.  MMD_MORE with *body set: a piece
 * of content, borrowed from the input (n may be 0: then all of *in is used
 * up).  MMD_OK: the answer is complete; what is left in *in is beyond it.
 * MMD_EINPUT, MMD_ESPACE (a cap).
 */
enum mmd_rc mmd_http_read(struct mmd_http *h, struct mmd_bytes *in,
    struct mmd_bytes *body) MMD_MUST;

/* Seconds since 1970, UTC. */
#define MMD_TIME_FOREVER INT64_C(253402300799) /* 99991231235959Z */
/* Contents of a UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 allows it. */
enum mmd_rc mmd_time_asn1(uint8_t tag, struct mmd_bytes v, int64_t *at_s)
    MMD_MUST;
/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7). */
enum mmd_rc mmd_time_http(struct mmd_bytes v, int64_t *at_s) MMD_MUST;

#endif
