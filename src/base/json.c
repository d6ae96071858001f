#include "base/json.h"

#include <string.h>

#include "base/eight.h"
#include "base/text.h"
#include "base/time.h"

/* see json.h */
struct mm_json
mm_json_over(struct mm_buf *out)
{
	return (struct mm_json){ .out = out };
}

/* RFC 8785 3.2.2.2: the two-character forms; every other control is \u. */
static const char short_escapes[] = {
	['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
	['"'] = '"', ['\\'] = '\\',
};

static void
put_escape(struct mm_buf *out, uint8_t c)
{
	if (short_escapes[c] == 0) {
		mm_buf_text(out, "\\u00");
		mm_hex_put(out, (struct mm_bytes){ &c, 1 });
		return;
	}
	mm_buf_u8(out, '\\');
	mm_buf_u8(out, (uint8_t)short_escapes[c]);
}

/* Printable ASCII without a quote or a backslash, eight bytes at a time: most
 * of what is ever written. */
static bool
is_plain(struct mm_bytes v)
{
	while (v.n > 0) {
		size_t n = v.n < 8 ? v.n : 8;
		uint64_t x = MM_EACH(' ');

		memcpy(&x, v.p, n);
		if (((x & MM_EACH(0x80)) | MM_LESS(x, 0x20) |
		    MM_LESS(x ^ MM_EACH('"'), 1) | MM_LESS(x ^ MM_EACH('\\'), 1)) != 0)
			return false;
		v.p += n;
		v.n -= n;
	}
	return true;
}

static void
put_plain(struct mm_buf *out, struct mm_bytes v)
{
	uint8_t *p = mm_buf_room(out, v.n + 2);

	if (p == NULL)
		return;
	p[0] = p[v.n + 1] = '"';
	if (v.n > 0)
		memcpy(p + 1, v.p, v.n);
}

static void
put_string(struct mm_buf *out, struct mm_bytes v)
{
	size_t done = 0;

	if (is_plain(v)) {
		put_plain(out, v);
		return;
	}
	if (!mm_utf8_valid(v) && out->err == MM_OK)
		out->err = MM_EINPUT;
	mm_buf_u8(out, '"');
	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = v.p[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		mm_buf_put(out, v.p + done, i - done);
		put_escape(out, c);
		done = i + 1;
	}
	if (v.n > done)
		mm_buf_put(out, v.p + done, v.n - done);
	mm_buf_u8(out, '"');
}

/*
 * The comma and the key that go before any value.  Keys are the program's
 * own words: nothing in them needs an escape.
 */
static void
lead(struct mm_json *j, const char *key)
{
	size_t n = key != NULL ? strlen(key) : 0, comma = j->comma;
	uint8_t *p = mm_buf_room(j->out, comma + (key != NULL ? n + 3 : 0));

	j->comma = true;
	if (p == NULL)
		return;
	if (comma)
		*p++ = ',';
	if (key == NULL)
		return;
	p[0] = p[n + 1] = '"';
	p[n + 2] = ':';
	memcpy(p + 1, key, n);
}

/* see json.h */
void
mm_json_open(struct mm_json *j, char bracket)
{
	mm_json_open_key(j, NULL, bracket);
}

/* see json.h */
void
mm_json_open_key(struct mm_json *j, const char *key, char bracket)
{
	lead(j, key);
	mm_buf_u8(j->out, (uint8_t)bracket);
	j->comma = false;
}

/* see json.h */
void
mm_json_close(struct mm_json *j, char bracket)
{
	mm_buf_u8(j->out, (uint8_t)bracket);
	j->comma = true;
}

/* see json.h */
void
mm_json_strn(struct mm_json *j, const char *key, struct mm_bytes v)
{
	lead(j, key);
	put_string(j->out, v);
}

/* see json.h */
void
mm_json_str(struct mm_json *j, const char *key, const char *v)
{
	mm_json_strn(j, key, mm_bytes_of(v));
}

/* see json.h */
void
mm_json_hex(struct mm_json *j, const char *key, struct mm_bytes v)
{
	lead(j, key);
	mm_buf_u8(j->out, '"');
	mm_hex_put(j->out, v);
	mm_buf_u8(j->out, '"');
}

/* see json.h */
void
mm_json_b64(struct mm_json *j, const char *key, struct mm_bytes v)
{
	lead(j, key);
	mm_buf_u8(j->out, '"');
	mm_base64_put(j->out, v, 0);
	mm_buf_u8(j->out, '"');
}

/* see json.h */
void
mm_json_int(struct mm_json *j, const char *key, int64_t v)
{
	lead(j, key);
	mm_buf_printf(j->out, "%lld", (long long)v);
}

/* see json.h */
void
mm_json_bool(struct mm_json *j, const char *key, bool v)
{
	lead(j, key);
	mm_buf_text(j->out, v ? "true" : "false");
}

/* see json.h */
void
mm_json_null(struct mm_json *j, const char *key)
{
	lead(j, key);
	mm_buf_text(j->out, "null");
}

/* see json.h */
void
mm_json_time(struct mm_json *j, const char *key, int64_t at_ms)
{
	char text[MM_TIME_TEXT];

	mm_time_text(at_ms, text);
	mm_json_str(j, key, text);
}

/* see json.h */
void
mm_json_raw(struct mm_json *j, const char *key, struct mm_bytes v)
{
	lead(j, key);
	mm_buf_bytes(j->out, v);
}
