#include "base/line.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "base/time.h"

static bool
text_valid(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e || s[i] == '"' || s[i] == '\\')
			return false;
	return true;
}

/* see line.h */
bool
mm_line_text_valid(const char *s)
{
	return text_valid(s, strlen(s));
}

static bool
is_zero(const uint8_t *p, size_t n)
{
	uint8_t or = 0;

	for (size_t i = 0; i < n; i++)
		or |= p[i];
	return or == 0;
}

static const char *
name_at(const struct mm_line_column *c, const uint8_t *at)
{
	unsigned v;

	MM_INVARIANT(c->size == sizeof(v));
	memcpy(&v, at, sizeof(v));
	MM_INVARIANT(v < c->nnames);
	return c->names[v];
}

static bool
is_absent(const struct mm_line_column *c, const uint8_t *at)
{
	if (c->must)
		return false;
	if (c->type == MM_LINE_NAME)
		return name_at(c, at)[0] == '\0';
	return c->type == MM_LINE_TEXT ? *at == '\0' : is_zero(at, c->size);
}

static void
put_column(struct mm_json *j, const struct mm_line_column *c,
    const uint8_t *at)
{
	char text[MM_TIME_TEXT];
	int64_t v = 0;

	if (c->type <= MM_LINE_TIME_S)
		memcpy(&v, at, sizeof(v));
	switch (c->type) {
	case MM_LINE_NUMBER:
		mm_json_int(j, c->key, v);
		break;
	case MM_LINE_TIME_MS:
		mm_json_time(j, c->key, v);
		break;
	case MM_LINE_TIME_S:
		mm_time_text_s(v, text);
		mm_json_str(j, c->key, text);
		break;
	case MM_LINE_NAME:
		mm_json_str(j, c->key, name_at(c, at));
		break;
	case MM_LINE_TEXT:
		mm_json_str(j, c->key, (const char *)at);
		break;
	case MM_LINE_HEX:
		mm_json_hex(j, c->key, (struct mm_bytes){ at, c->size });
		break;
	}
}

/* see line.h */
void
mm_line_put(const struct mm_line_form *f, const void *record,
    struct mm_buf *out)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	for (size_t i = 0; i < f->n; i++) {
		const struct mm_line_column *c = &f->column[i];
		const uint8_t *at = (const uint8_t *)record + c->at;

		if (!is_absent(c, at))
			put_column(&j, c, at);
	}
	mm_json_close(&j, '}');
	mm_buf_u8(out, '\n');
}

static bool
get_number(struct mm_rd *r, uint8_t *at)
{
	uint64_t v = 0;
	unsigned n = 0;

	for (; r->left > 0 && *r->p >= '0' && *r->p <= '9'; n++) {
		unsigned digit = (unsigned)(mm_rd_u8(r) - '0');
		if (v > ((uint64_t)INT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	memcpy(at, &v, sizeof(v));
	return n > 0;
}

/* A quoted text up to its closing quote, which none holds. */
static bool
get_quoted(struct mm_rd *r, char *out, size_t outn)
{
	const uint8_t *end;
	struct mm_bytes v;

	if (!mm_rd_skip(r, "\"") || r->left == 0)
		return false;
	end = memchr(r->p, '"', r->left);
	if (end == NULL)
		return false;
	v = mm_rd_take(r, (size_t)(end - r->p));
	return mm_rd_skip(r, "\"") && text_valid((const char *)v.p, v.n) &&
	    mm_text_copy(out, outn, v);
}

static bool
get_time(struct mm_rd *r, int64_t unit, uint8_t *at)
{
	char text[40];
	int64_t ms;

	if (!get_quoted(r, text, sizeof(text)) ||
	    mm_time_parse(text, &ms, NULL) != MM_OK)
		return false;
	ms /= unit;
	memcpy(at, &ms, sizeof(ms));
	return true;
}

static bool
get_name(struct mm_rd *r, const struct mm_line_column *c, uint8_t *at)
{
	char text[32];

	if (!get_quoted(r, text, sizeof(text)))
		return false;
	for (unsigned k = 0; k < c->nnames; k++)
		if (strcmp(text, c->names[k]) == 0) {
			memcpy(at, &k, sizeof(k));
			return true;
		}
	return false;
}

static bool
get_column(struct mm_rd *r, const struct mm_line_column *c, uint8_t *at)
{
	char hex[129];

	switch (c->type) {
	case MM_LINE_NUMBER:
		return get_number(r, at);
	case MM_LINE_TIME_MS:
		return get_time(r, 1, at);
	case MM_LINE_TIME_S:
		return get_time(r, 1000, at);
	case MM_LINE_NAME:
		return get_name(r, c, at);
	case MM_LINE_TEXT:
		return get_quoted(r, (char *)at, c->size);
	case MM_LINE_HEX:
		return get_quoted(r, hex, sizeof(hex)) &&
		    mm_hex_parse(hex, strlen(hex), at, c->size, NULL) == MM_OK;
	}
	return false;
}

static bool
get_all(const struct mm_line_form *f, struct mm_rd *r, uint8_t *record)
{
	char key[24];

	for (size_t i = 0; i < f->n; i++) {
		const struct mm_line_column *c = &f->column[i];

		snprintf(key, sizeof(key), "%c\"%s\":", i == 0 ? '{' : ',',
		    c->key);
		if (!mm_rd_skip(r, key)) {
			if (c->must)
				return false;
			continue;
		}
		if (!get_column(r, c, record + c->at))
			return false;
	}
	return mm_rd_skip(r, "}") && mm_rd_end(r);
}

/* What was read is written again: only the same bytes are canonical. */
static bool
same_again(const struct mm_line_form *f, const void *record,
    struct mm_bytes line)
{
	struct mm_buf b = MM_BUF_INIT(f->max + 1);
	bool same;

	mm_line_put(f, record, &b);
	same = b.err == MM_OK && b.n == line.n + 1 &&
	    memcmp(b.p, line.p, line.n) == 0;
	mm_buf_done(&b);
	return same;
}

/* see line.h */
bool
mm_line_get(const struct mm_line_form *f, struct mm_bytes line, void *record)
{
	struct mm_rd r = mm_rd_over(line);

	return line.n <= f->max && get_all(f, &r, record) &&
	    same_again(f, record, line);
}
