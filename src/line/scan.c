#include "line/scan.h"

#include <string.h>

#include "base/own.h"

/* ---- rules ---- */

static enum mm_err
bad_rule(struct mm_why *why, const char *what)
{
	return MM_FAIL(why, MM_EINPUT, "scan rule: %s", what);
}

static bool
all_digits(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return true;
}

/* After "gs1": nothing, ":01=GTIN", ":01=GTIN:AI" or ":AI". */
static enum mm_err
parse_gs1(const char *s, size_t n, struct mm_scan_rule *r, struct mm_why *why)
{
	strcpy(r->ai, "21");
	if (n >= 4 && strncmp(s, ":01=", 4) == 0) {
		if (n < 18 || !all_digits(s + 4, 14))
			return bad_rule(why, "a GTIN has 14 digits");
		memcpy(r->gtin, s + 4, 14);
		if (!mm_gs1_checked(mm_bytes_of(r->gtin)))
			return bad_rule(why, "the GTIN's check digit is "
			    "wrong");
		s += 18;
		n -= 18;
	}
	if (n == 0)
		return MM_OK;
	if (s[0] != ':' || n < 3 || n > 5 || !all_digits(s + 1, n - 1))
		return bad_rule(why, "want gs1, gs1:01=GTIN, gs1:AI or "
		    "gs1:01=GTIN:AI");
	memset(r->ai, 0, sizeof(r->ai));
	memcpy(r->ai, s + 1, n - 1);
	return MM_OK;
}

static enum mm_err
add_part(struct mm_scan_rule *r, struct mm_scan_part part,
    struct mm_why *why)
{
	if (r->nparts == MM_SCAN_PARTS)
		return bad_rule(why, "it has too many parts");
	r->part[r->nparts++] = part;
	return MM_OK;
}

/* One more character of text; wild: what it stands for. */
static enum mm_err
add_text(struct mm_scan_rule *r, size_t *used, char c, char wild,
    struct mm_why *why)
{
	struct mm_scan_part *last = r->nparts == 0 ? NULL
	    : &r->part[r->nparts - 1];

	if (*used + 1 >= MM_SCAN_RULE_MAX)
		return bad_rule(why, "it is too long");
	r->text[*used] = c;
	r->wild[*used] = wild;
	++*used;
	if (last == NULL || last->kind != MM_SCAN_TEXT)
		return add_part(r, (struct mm_scan_part){ MM_SCAN_TEXT,
		    (uint8_t)(*used - 1), 1 }, why);
	last->n++;
	return MM_OK;
}

/* At "{serial"; *n: how long it is with its braces. */
static enum mm_err
add_serial(const char *s, size_t left, struct mm_scan_rule *r, size_t *n,
    struct mm_why *why)
{
	unsigned length = 0;
	size_t at = 7;

	for (uint8_t i = 0; i < r->nparts; i++)
		if (r->part[i].kind == MM_SCAN_SERIAL)
			return bad_rule(why, "{serial} stands in it twice");
	if (at < left && s[at] == ':') {
		for (at++; at < left && s[at] >= '0' && s[at] <= '9' &&
		    length <= MM_DEVICE_ID_MAX; at++)
			length = 10 * length + (unsigned)(s[at] - '0');
		if (length == 0 || length > MM_DEVICE_ID_MAX)
			return bad_rule(why, "{serial:N} is 1 to 64 long");
	}
	if (at >= left || s[at] != '}')
		return bad_rule(why, "want {serial} or {serial:N}");
	*n = at + 1;
	return add_part(r, (struct mm_scan_part){ MM_SCAN_SERIAL, 0,
	    (uint8_t)length }, why);
}

static enum mm_err
add_next(const char *s, size_t left, struct mm_scan_rule *r, size_t *used,
    size_t *n, struct mm_why *why)
{
	*n = 1;
	switch (s[0]) {
	case '*':
		return add_part(r, (struct mm_scan_part){ MM_SCAN_ANY, 0, 0 },
		    why);
	case '?':
	case '#':
		return add_text(r, used, s[0], s[0], why);
	case '\\':
		if (left < 2)
			return bad_rule(why, "nothing after \\");
		*n = 2;
		return add_text(r, used, s[1], ' ', why);
	case '{':
		if (left < 8 || strncmp(s, "{serial", 7) != 0)
			return bad_rule(why, "want {serial} or {serial:N}");
		return add_serial(s, left, r, n, why);
	default:
		return add_text(r, used, s[0], ' ', why);
	}
}

static bool
is_open(const struct mm_scan_part *p)
{
	return p->kind != MM_SCAN_TEXT && p->n == 0;
}

/* Where part i - 1 ends and i begins would be a guess. */
static bool
guesses(const struct mm_scan_rule *r, uint8_t i)
{
	const struct mm_scan_part *p = &r->part[i];

	return is_open(p - 1) && p->kind != MM_SCAN_TEXT &&
	    (is_open(p) || i + 1 != r->nparts);
}

static enum mm_err
parse_label(const char *s, size_t n, struct mm_scan_rule *r,
    struct mm_why *why)
{
	size_t used = 0, took;
	bool serial = false;

	for (size_t i = 0; i < n; i += took)
		MM_TRY(add_next(s + i, n - i, r, &used, &took, why));
	for (uint8_t i = 0; i < r->nparts; i++) {
		serial = serial || r->part[i].kind == MM_SCAN_SERIAL;
		if (i > 0 && guesses(r, i))
			return bad_rule(why, "* and {serial} want text "
			    "between them");
	}
	return serial ? MM_OK : bad_rule(why, "it has no {serial}");
}

static enum mm_err
parse_result(const char *s, struct mm_scan_rule *r, struct mm_why *why)
{
	const char *at = strstr(s, "{serial}");

	if (at == NULL)
		return bad_rule(why, "want {serial} after =>");
	if (!mm_text_copy(r->before, sizeof(r->before),
	    (struct mm_bytes){ (const uint8_t *)s, (size_t)(at - s) }) ||
	    !mm_text_copy(r->after, sizeof(r->after), mm_bytes_of(at + 8)))
		return bad_rule(why, "what follows => is too long");
	return MM_OK;
}

/* see scan.h */
enum mm_err
mm_scan_rule_parse(const char *text, struct mm_scan_rule *out,
    struct mm_why *why)
{
	const char *arrow = strstr(text, " => ");
	size_t n = arrow != NULL ? (size_t)(arrow - text) : strlen(text);
	struct mm_scan_rule r = { 0 };

	if (strlen(text) >= MM_SCAN_RULE_MAX)
		return bad_rule(why, "it is too long");
	if (arrow != NULL)
		MM_TRY(parse_result(arrow + 4, &r, why));
	if (n == 5 && strncmp(text, "plain", 5) == 0) {
		r.kind = MM_SCAN_PLAIN;
	} else if (n >= 3 && strncmp(text, "gs1", 3) == 0) {
		r.kind = MM_SCAN_GS1;
		MM_TRY(parse_gs1(text + 3, n - 3, &r, why));
	} else if (n > 6 && strncmp(text, "label:", 6) == 0) {
		r.kind = MM_SCAN_LABEL;
		MM_TRY(parse_label(text + 6, n - 6, &r, why));
	} else {
		return bad_rule(why, "want plain, gs1... or label:...");
	}
	*out = r;
	return MM_OK;
}

/* ---- vendors' labels ---- */

static bool
text_at(const struct mm_scan_rule *r, const struct mm_scan_part *p,
    struct mm_bytes label, size_t at)
{
	if (label.n - at < p->n)
		return false;
	for (size_t i = 0; i < p->n; i++) {
		uint8_t c = label.p[at + i];
		char wild = r->wild[p->at + i];

		if (wild == '#' ? c < '0' || c > '9' : wild != '?' &&
		    c != (uint8_t)r->text[p->at + i])
			return false;
	}
	return true;
}

/* How long part i is at this place: what is open goes up to where the text
 * after it is first found, or to the end.  False: nowhere. */
static bool
length_of(const struct mm_scan_rule *r, uint8_t i, struct mm_bytes label,
    size_t at, size_t *n)
{
	const struct mm_scan_part *p = &r->part[i], *next = p + 1;

	if (p->kind == MM_SCAN_TEXT || p->n > 0) {
		*n = p->n;
		return p->kind == MM_SCAN_TEXT ? text_at(r, p, label, at)
					       : label.n - at >= p->n;
	}
	if (i + 1 == r->nparts) {
		*n = label.n - at;
		return true;
	}
	if (next->kind != MM_SCAN_TEXT) { /* {serial:N}, the last */
		*n = label.n - at < next->n ? 0 : label.n - at - next->n;
		return true;
	}
	/* The last text must end where the label does. */
	*n = 0;
	if (i + 2 == r->nparts) {
		if (label.n - at < next->n)
			return false;
		*n = label.n - at - next->n;
	}
	while (at + *n + next->n <= label.n &&
	    !text_at(r, next, label, at + *n))
		++*n;
	return at + *n + next->n <= label.n;
}

static enum mm_err
by_label(const struct mm_scan_rule *r, struct mm_bytes label,
    struct mm_bytes *serial, struct mm_why *why)
{
	size_t at = 0, n;

	for (uint8_t i = 0; i < r->nparts; i++) {
		if (!length_of(r, i, label, at, &n))
			return MM_FAIL(why, MM_EINPUT, "the label is not of "
			    "the form that the batch says");
		if (r->part[i].kind == MM_SCAN_SERIAL)
			*serial = (struct mm_bytes){ label.p + at, n };
		at += n;
	}
	return at == label.n ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "the label is longer than the form that the batch says");
}

/* ---- GS1 ---- */

/* A Digital Link URI as elements: ".../01/GTIN/21/SERIAL?..." */
static enum mm_err
link_next(struct mm_bytes *rest, struct mm_gs1 *out, struct mm_why *why)
{
	const uint8_t *end = rest->n > 0 ? memchr(rest->p, '/', rest->n)
					 : NULL;
	struct mm_gs1 e = { 0 };
	size_t ai_n = end != NULL ? (size_t)(end - rest->p) : 0;

	if (rest->n == 0)
		return MM_ENOTFOUND;
	if (ai_n < 2 || ai_n > 4 || !all_digits((const char *)rest->p, ai_n))
		return MM_FAIL(why, MM_EINPUT,
		    "the label's link has no AI where one is due");
	memcpy(e.ai, rest->p, ai_n);
	rest->p += ai_n + 1;
	rest->n -= ai_n + 1;
	end = rest->n > 0 ? memchr(rest->p, '/', rest->n) : NULL;
	e.value.p = rest->p;
	e.value.n = end != NULL ? (size_t)(end - rest->p) : rest->n;
	rest->p += e.value.n + (end != NULL);
	rest->n -= e.value.n + (end != NULL);
	*out = e;
	return MM_OK;
}

/* The part of a Digital Link that has elements: from "/01/" on. */
static bool
link_of(struct mm_bytes label, struct mm_bytes *elements)
{
	const uint8_t *at, *end = label.p + label.n, *stop;

	if (label.n < 8 || (memcmp(label.p, "https://", 8) != 0 &&
	    memcmp(label.p, "http://", 7) != 0))
		return false;
	at = memmem(label.p, label.n, "/01/", 4);
	if (at == NULL)
		return false;
	for (stop = ++at; stop < end && *stop != '?' && *stop != '#'; stop++)
		continue;
	*elements = (struct mm_bytes){ at, (size_t)(stop - at) };
	return true;
}

enum form { ELEMENTS, PRINTED, LINK };

static enum form
form_of(struct mm_bytes *label)
{
	static const char *const ids[] = { "]C1", "]d2", "]Q3", "]e0", "]J1" };

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (label->n >= 3 && memcmp(label->p, ids[i], 3) == 0) {
			label->p += 3;
			label->n -= 3;
			break;
		}
	if (label->n > 0 && label->p[0] == '(')
		return PRINTED;
	return link_of(*label, label) ? LINK : ELEMENTS;
}

static enum mm_err
take(const struct mm_scan_rule *r, const struct mm_gs1 *e,
    struct mm_bytes *serial, bool *article, struct mm_why *why)
{
	if (strcmp(e->ai, "01") == 0 && r->gtin[0] != '\0') {
		if (!mm_bytes_eq(e->value, mm_bytes_of(r->gtin)))
			return MM_FAIL(why, MM_EPOLICY, "the label is of "
			    "another article than %s", r->gtin);
		*article = true;
	}
	if (strcmp(e->ai, r->ai) != 0)
		return MM_OK;
	if (serial->p != NULL)
		return MM_FAIL(why, MM_EINPUT, "the label has AI %s twice",
		    r->ai);
	*serial = e->value;
	return MM_OK;
}

static enum mm_err
by_gs1(const struct mm_scan_rule *r, struct mm_bytes label,
    struct mm_bytes *serial, struct mm_why *why)
{
	enum form form = form_of(&label);
	bool article = r->gtin[0] == '\0';
	struct mm_gs1 e;
	enum mm_err rc;

	for (;;) {
		rc = form == LINK ? link_next(&label, &e, why)
				  : mm_gs1_next(&label, form == PRINTED, &e,
					why);
		if (rc == MM_ENOTFOUND)
			break;
		MM_TRY(rc);
		MM_TRY(take(r, &e, serial, &article, why));
	}
	if (serial->p == NULL)
		return MM_FAIL(why, MM_EINPUT, "the label has no AI %s",
		    r->ai);
	return article ? MM_OK : MM_FAIL(why, MM_EPOLICY,
	    "the label does not say which article it is of");
}

/* ---- all ---- */

/* see scan.h */
enum mm_err
mm_scan(const struct mm_scan_rule *rule, struct mm_bytes label,
    char serial[MM_DEVICE_ID_MAX + 1], struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_DEVICE_ID_MAX);
	struct mm_bytes cut = { NULL, 0 };
	const char *text;

	/* What a scanner ends a label with. */
	while (label.n > 0 && (label.p[label.n - 1] == '\r' ||
	    label.p[label.n - 1] == '\n'))
		label.n--;
	if (label.n == 0 || label.n > MM_SCAN_MAX)
		return MM_FAIL(why, MM_EINPUT, "a label of %zu characters",
		    label.n);
	if (rule->kind == MM_SCAN_PLAIN)
		cut = label;
	else if (rule->kind == MM_SCAN_GS1)
		MM_TRY(by_gs1(rule, label, &cut, why));
	else
		MM_TRY(by_label(rule, label, &cut, why));
	mm_buf_text(&b, rule->before);
	mm_buf_bytes(&b, cut);
	mm_buf_text(&b, rule->after);
	text = b.n < MM_DEVICE_ID_MAX + 1 && (cut.n == 0 ||
	    memchr(cut.p, '\0', cut.n) == NULL) ? mm_buf_cstr(&b) : NULL;
	if (text == NULL || cut.n == 0 || !mm_device_id_valid(text))
		return MM_FAIL(why, MM_EINPUT, "what the label gives is no "
		    "serial: 1 to 64 of [A-Za-z0-9._-]");
	strcpy(serial, text);
	return MM_OK;
}
