#include "http/parse.h"

enum {
	SIZE,
	EXT,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF, /* a chunk */
	TRAILER,
	NAME,
	VALUE,
	VALUE_LF,
	END_LF, /* behind the last one */
};

static int
refuse(struct mm_http_chunks *c, const char *reason)
{
	c->reason = reason;
	return 400;
}

static int
go(struct mm_http_chunks *c, uint8_t state)
{
	c->state = state;
	return MM_HTTP_MORE;
}

static bool
is_text(uint8_t ch)
{
	return ch == '\t' || (ch >= 0x20 && ch != 0x7f);
}

/* chunk-size: at most eight digits, no white space (RFC 9112 7.1). */
static int
on_size(struct mm_http_chunks *c, uint8_t ch)
{
	int d = mm_http_hex_digit(ch);

	if (d >= 0 && c->digits < 8) {
		c->left = c->left << 4 | (unsigned)d;
		c->digits++;
		return MM_HTTP_MORE;
	}
	if (c->digits > 0 && ch == '\r')
		return go(c, SIZE_LF);
	if (c->digits > 0 && ch == ';')
		return go(c, EXT);
	return refuse(c, "malformed chunk size");
}

static int
on_ext(struct mm_http_chunks *c, uint8_t ch)
{
	if (ch == '\r')
		return go(c, SIZE_LF);
	if (!is_text(ch))
		return refuse(c, "malformed chunk extension");
	if (++c->ext_n > MM_HTTP_CHUNK_EXT_MAX)
		return refuse(c, "chunk extensions too long");
	return MM_HTTP_MORE;
}

static int
on_size_lf(struct mm_http_chunks *c, uint8_t ch)
{
	if (ch != '\n')
		return refuse(c, "bare CR in a chunk's line");
	c->digits = 0;
	c->last = c->left == 0;
	return go(c, c->last ? TRAILER : DATA);
}

static int
on_data_cr(struct mm_http_chunks *c, uint8_t ch)
{
	return ch == '\r' ? go(c, DATA_LF) : refuse(c, "chunk overruns");
}

static int
on_data_lf(struct mm_http_chunks *c, uint8_t ch)
{
	return ch == '\n' ? go(c, SIZE) : refuse(c, "chunk overruns");
}

static int
on_trailer(struct mm_http_chunks *c, uint8_t ch)
{
	if (ch == '\r')
		return go(c, END_LF);
	if (!mm_http_token_valid((struct mm_bytes){ &ch, 1 }))
		return refuse(c, "malformed trailer");
	return go(c, NAME);
}

static int
on_name(struct mm_http_chunks *c, uint8_t ch)
{
	if (ch == ':')
		return go(c, VALUE);
	if (!mm_http_token_valid((struct mm_bytes){ &ch, 1 }))
		return refuse(c, "malformed trailer");
	return MM_HTTP_MORE;
}

static int
on_value(struct mm_http_chunks *c, uint8_t ch)
{
	if (ch == '\r')
		return go(c, VALUE_LF);
	return is_text(ch) ? MM_HTTP_MORE : refuse(c, "malformed trailer");
}

static int
on_value_lf(struct mm_http_chunks *c, uint8_t ch)
{
	return ch == '\n' ? go(c, TRAILER) : refuse(c, "malformed trailer");
}

static int
on_end_lf(struct mm_http_chunks *c, uint8_t ch)
{
	return ch == '\n' ? MM_HTTP_DONE : refuse(c, "malformed trailer");
}

static int (*const states[])(struct mm_http_chunks *, uint8_t) = {
	[SIZE] = on_size,
	[EXT] = on_ext,
	[SIZE_LF] = on_size_lf,
	[DATA_CR] = on_data_cr,
	[DATA_LF] = on_data_lf,
	[TRAILER] = on_trailer,
	[NAME] = on_name,
	[VALUE] = on_value,
	[VALUE_LF] = on_value_lf,
	[END_LF] = on_end_lf,
};

/* A whole chunk is asked for before its first byte, so that a size over the
 * limit is refused at once and not when the limit is reached. */
static int
data_take(struct mm_http_chunks *c, struct mm_bytes in, struct mm_buf *out,
    size_t *used)
{
	size_t n = c->left < in.n ? (size_t)c->left : in.n;

	if (c->left > out->max - out->n) {
		c->reason = "body too large";
		return 413;
	}
	mm_buf_put(out, in.p, n);
	if (mm_buf_ok(out, NULL) != MM_OK) {
		c->reason = "out of memory";
		return 503;
	}
	c->left -= n;
	*used += n;
	return go(c, c->left == 0 ? DATA_CR : DATA);
}

static int
byte_take(struct mm_http_chunks *c, uint8_t ch, size_t *used)
{
	if (c->last && ++c->trailer_n > MM_HTTP_TRAILER_MAX)
		return refuse(c, "trailers too long");
	++*used;
	return states[c->state](c, ch);
}

int
mm_http_chunks_feed(struct mm_http_chunks *c, struct mm_bytes in,
    struct mm_buf *out, size_t *used)
{
	*used = 0;
	while (c->result == MM_HTTP_MORE && *used < in.n) {
		struct mm_bytes rest = { in.p + *used, in.n - *used };

		c->result = c->state == DATA ? data_take(c, rest, out, used)
					     : byte_take(c, *rest.p, used);
	}
	return c->result;
}
