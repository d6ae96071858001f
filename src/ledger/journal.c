#include "ledger/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/time.h"
#include "pki/key.h"

static const char *const kinds[MM_J_KINDS] = {
	[MM_J_CERTIFICATE] = "certificate",
	[MM_J_CA] = "ca",
	[MM_J_SERVER] = "server",
	[MM_J_REQUEST] = "request",
	[MM_J_CRL] = "crl",
	[MM_J_CHECKPOINT] = "checkpoint",
	[MM_J_TOKEN] = "token",
	[MM_J_RECOVERED] = "recovered",
	[MM_J_CLOCK] = "clock",
	[MM_J_RECOVERY] = "recovery",
};

enum type { NUMBER, TIME_MS, TIME_S, KIND, TEXT, HEX };

/* The keys in their order. */
static const struct {
	const char *key;
	enum type type;
	size_t at, size;
	bool must;
} columns[] = {
#define COL(key, type, f, must)                                        \
	{ key, type, offsetof(struct mm_journal_line, f),              \
		sizeof(((struct mm_journal_line *)0)->f), must }
	COL("n", NUMBER, n, true),
	COL("at", TIME_MS, at_ms, true),
	COL("kind", KIND, kind, true),
	COL("issuer", TEXT, issuer, false),
	COL("serial", HEX, serial, false),
	COL("token", TEXT, token, false),
	COL("number", NUMBER, number, false),
	COL("device", TEXT, device, false),
	COL("authority", TEXT, authority, false),
	COL("profile", TEXT, profile, false),
	COL("not_after", TIME_S, not_after_s, false),
	COL("spki_sha256", HEX, spki_sha256, false),
	COL("tbs_sha256", HEX, tbs_sha256, false),
	COL("prev", HEX, prev, true),
#undef COL
};
#define NCOLUMNS (sizeof(columns) / sizeof(columns[0]))

/* see journal.h */
const char *
mm_journal_kind_name(enum mm_journal_kind k)
{
	return kinds[k];
}

static bool
text_valid(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e || s[i] == '"' || s[i] == '\\')
			return false;
	return true;
}

/* see journal.h */
bool
mm_journal_text_valid(const char *s)
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

static void
put_column(struct mm_json *j, const struct mm_journal_line *l, size_t i)
{
	const uint8_t *at = (const uint8_t *)l + columns[i].at;
	const char *key = columns[i].key;
	char text[MM_TIME_TEXT];
	int64_t v = 0;

	if (columns[i].type <= TIME_S)
		memcpy(&v, at, sizeof(v));
	switch (columns[i].type) {
	case NUMBER:
		mm_json_int(j, key, v);
		break;
	case TIME_MS:
		mm_json_time(j, key, v);
		break;
	case TIME_S:
		mm_time_text_s(v, text);
		mm_json_str(j, key, text);
		break;
	case KIND:
		mm_json_str(j, key, kinds[l->kind]);
		break;
	case TEXT:
		mm_json_str(j, key, (const char *)at);
		break;
	case HEX:
		mm_json_hex(j, key, (struct mm_bytes){ at, columns[i].size });
		break;
	}
}

/* see journal.h */
void
mm_journal_encode(const struct mm_journal_line *l, struct mm_buf *out)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	for (size_t i = 0; i < NCOLUMNS; i++) {
		const uint8_t *at = (const uint8_t *)l + columns[i].at;
		bool absent = columns[i].type == TEXT ? *at == '\0' :
		    is_zero(at, columns[i].size);
		if (columns[i].must || !absent)
			put_column(&j, l, i);
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
get_kind(struct mm_rd *r, uint8_t *at)
{
	char text[16];

	if (!get_quoted(r, text, sizeof(text)))
		return false;
	for (unsigned k = 0; k < MM_J_KINDS; k++) {
		enum mm_journal_kind kind = (enum mm_journal_kind)k;
		if (strcmp(text, kinds[k]) == 0) {
			memcpy(at, &kind, sizeof(kind));
			return true;
		}
	}
	return false;
}

static bool
get_column(struct mm_rd *r, struct mm_journal_line *l, size_t i)
{
	uint8_t *at = (uint8_t *)l + columns[i].at;
	char hex[65];

	switch (columns[i].type) {
	case NUMBER:
		return get_number(r, at);
	case TIME_MS:
		return get_time(r, 1, at);
	case TIME_S:
		return get_time(r, 1000, at);
	case KIND:
		return get_kind(r, at);
	case TEXT:
		return get_quoted(r, (char *)at, columns[i].size);
	case HEX:
		return get_quoted(r, hex, sizeof(hex)) &&
		    mm_hex_parse(hex, strlen(hex), at, columns[i].size, NULL) ==
		    MM_OK;
	}
	return false;
}

static bool
get_line(struct mm_rd *r, struct mm_journal_line *l)
{
	char key[24];

	for (size_t i = 0; i < NCOLUMNS; i++) {
		snprintf(key, sizeof(key), "%c\"%s\":", i == 0 ? '{' : ',',
		    columns[i].key);
		if (!mm_rd_skip(r, key)) {
			if (columns[i].must)
				return false;
			continue;
		}
		if (!get_column(r, l, i))
			return false;
	}
	return mm_rd_skip(r, "}") && mm_rd_end(r);
}

/* What was read is written again: only the same bytes are canonical. */
static bool
same_again(const struct mm_journal_line *l, struct mm_bytes line)
{
	struct mm_buf b = MM_BUF_INIT(MM_JOURNAL_LINE_MAX + 1);
	bool same;

	mm_journal_encode(l, &b);
	same = b.err == MM_OK && b.n == line.n + 1 &&
	    memcmp(b.p, line.p, line.n) == 0;
	mm_buf_done(&b);
	return same;
}

/* see journal.h */
enum mm_err
mm_journal_parse(struct mm_bytes line, struct mm_journal_line *out,
    struct mm_why *why)
{
	struct mm_journal_line l = { 0 };
	struct mm_rd r = mm_rd_over(line);

	if (line.n > MM_JOURNAL_LINE_MAX || !get_line(&r, &l) ||
	    !same_again(&l, line))
		return MM_FAIL(why, MM_EINPUT, "journal: malformed line");
	*out = l;
	return MM_OK;
}

static void
step(struct mm_journal_chain *c, const struct mm_journal_line *l,
    const uint8_t *line, size_t n)
{
	c->n = l->n;
	c->at_ms = l->at_ms;
	mm_sha256((struct mm_bytes){ line, n }, c->hash);
}

/* see journal.h */
void
mm_journal_link(struct mm_journal_chain *c, struct mm_journal_line *l,
    int64_t now_ms, struct mm_buf *out)
{
	size_t start = out->n;

	l->n = c->n + 1;
	l->at_ms = now_ms > c->at_ms ? now_ms : c->at_ms;
	if (l->kind == MM_J_CLOCK) {
		l->at_ms = now_ms;
		l->number = (uint64_t)c->at_ms;
	}
	memcpy(l->prev, c->hash, sizeof(l->prev));
	mm_journal_encode(l, out);
	if (out->err == MM_OK)
		step(c, l, out->p + start, out->n - start);
}

/* A clock's line goes back, and from nowhere but where the chain stands. */
static bool
time_follows(const struct mm_journal_chain *c, const struct mm_journal_line *l)
{
	if (l->kind == MM_J_CLOCK)
		return l->number == (uint64_t)c->at_ms;
	return l->at_ms >= c->at_ms;
}

/* see journal.h */
enum mm_err
mm_journal_next(struct mm_bytes *rest, struct mm_journal_chain *c,
    struct mm_journal_line *out, struct mm_why *why)
{
	struct mm_journal_line l;
	const uint8_t *lf;
	size_t n;

	if (rest->n == 0)
		return MM_ENOTFOUND;
	lf = memchr(rest->p, '\n', rest->n);
	if (lf == NULL)
		return MM_EAGAIN;
	n = (size_t)(lf - rest->p);
	if (mm_journal_parse((struct mm_bytes){ rest->p, n }, &l, NULL) !=
	    MM_OK)
		return MM_FAIL(why, MM_EPOLICY, "journal: the line after "
		    "number %" PRIu64 " is malformed", c->n);
	if (l.n != c->n + 1 || !time_follows(c, &l) ||
	    memcmp(l.prev, c->hash, sizeof(l.prev)) != 0)
		return MM_FAIL(why, MM_EPOLICY, "journal: the line after "
		    "number %" PRIu64 " does not follow it", c->n);
	step(c, &l, rest->p, n + 1);
	rest->p += n + 1;
	rest->n -= n + 1;
	*out = l;
	return MM_OK;
}
