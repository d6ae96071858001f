#include "line/fill.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "base/text.h"

enum { PIECES = 512 };

MM_FREE_FN(json_free, json_t, json_decref)

/* A run of text, then a field, unless it is the last. */
struct piece {
	size_t at, n; /* of the template */
	int field;    /* -1: none */
	bool quoted;  /* json: in a string */
};

struct mm_fill {
	enum mm_fill_form form;
	struct mm_buf text; /* its own copy */
	size_t npieces, nfields;
	struct piece piece[PIECES];
	char name[MM_FILL_FIELDS][MM_FILL_NAME + 1];
	bool secret[MM_FILL_FIELDS];
};

static const char *const forms[] = { "text", "json", "zpl" };

/* see fill.h */
const char *
mm_fill_form_name(enum mm_fill_form f)
{
	MM_INVARIANT((unsigned)f < MM_FILL_FORMS);
	return forms[f];
}

/* see fill.h */
enum mm_err
mm_fill_form_parse(const char *name, enum mm_fill_form *out,
    struct mm_why *why)
{
	for (int i = 0; i < MM_FILL_FORMS; i++)
		if (strcmp(forms[i], name) == 0) {
			*out = (enum mm_fill_form)i;
			return MM_OK;
		}
	return MM_FAIL(why, MM_EINPUT, "a template is text, json or zpl, not "
	    "\"%.16s\"", name);
}

/* see fill.h */
void
mm_fill_free(struct mm_fill **owner)
{
	if (*owner != NULL)
		mm_buf_done(&(*owner)->text);
	free(*owner);
	*owner = NULL;
}

/* see fill.h */
size_t
mm_fill_count(const struct mm_fill *f)
{
	return f->nfields;
}

/* see fill.h */
const char *
mm_fill_name(const struct mm_fill *f, size_t i)
{
	MM_INVARIANT(i < f->nfields);
	return f->name[i];
}

/* see fill.h */
bool
mm_fill_secret(const struct mm_fill *f, size_t i)
{
	MM_INVARIANT(i < f->nfields);
	return f->secret[i];
}

/* ---- parsing ---- */

struct reader {
	struct mm_fill *f;
	const char *text; /* NUL-terminated, without another NUL */
	size_t at;
	bool quoted; /* json: within a string */
	struct mm_why *why;
};

static enum mm_err
bad(const struct reader *r, enum mm_err code, const char *what)
{
	size_t line = 1, begin = 0;

	for (size_t i = 0; i < r->at; i++)
		if (r->text[i] == '\n') {
			line++;
			begin = i + 1;
		}
	return MM_FAIL(r->why, code, "template: line %zu, column %zu: %s",
	    line, r->at - begin + 1, what);
}

static bool
is_name(char c, bool first)
{
	return (c >= 'a' && c <= 'z') ||
	    (!first && ((c >= '0' && c <= '9') || c == '_'));
}

/* ZPL: what comes before a field is the beginning of escaped data. */
static bool
in_zpl_data(const struct reader *r)
{
	for (size_t i = r->at; i >= 3; i--) {
		const char *p = r->text + i - 3;

		if (strncmp(p, "^FS", 3) == 0)
			return false;
		if (strncmp(p, "^FD", 3) == 0)
			return i >= 6 && strncmp(p - 3, "^FH", 3) == 0;
	}
	return false;
}

static enum mm_err
field_of(struct reader *r, const char *name, size_t n, bool secret, int *out)
{
	struct mm_fill *f = r->f;
	size_t i;

	for (i = 0; i < f->nfields; i++)
		if (strlen(f->name[i]) == n && memcmp(f->name[i], name, n) ==
		    0)
			break;
	if (i == MM_FILL_FIELDS)
		return bad(r, MM_ELIMIT, "too many fields");
	if (i < f->nfields && f->secret[i] != secret)
		return bad(r, MM_EINPUT, "a field that is secret elsewhere, "
		    "or is not");
	if (i == f->nfields) {
		memcpy(f->name[i], name, n);
		f->name[i][n] = '\0';
		f->secret[i] = secret;
		f->nfields++;
	}
	*out = (int)i;
	return MM_OK;
}

/* At "{{", which is not doubled. */
static enum mm_err
read_field(struct reader *r, int *field)
{
	const char *name = r->text + r->at + 2, *end = name;
	bool secret;

	if (r->f->form == MM_FILL_ZPL && !in_zpl_data(r))
		return bad(r, MM_EINPUT, "a field of a label stands after "
		    "^FH^FD");
	while (is_name(*end, end == name))
		end++;
	if (end == name || end - name > MM_FILL_NAME)
		return bad(r, MM_EINPUT, "a field's name is 1 to 32 of "
		    "[a-z0-9_], a letter first");
	secret = strncmp(end, ":secret", 7) == 0;
	if (strncmp(end + (secret ? 7 : 0), "}}", 2) != 0)
		return bad(r, MM_EINPUT, "want }} or :secret}} after a "
		    "field's name");
	MM_TRY(field_of(r, name, (size_t)(end - name), secret, field));
	r->at = (size_t)(end - r->text) + (secret ? 9 : 2);
	return MM_OK;
}

static enum mm_err
add_piece(struct reader *r, size_t from, size_t to, int field)
{
	if (r->f->npieces == PIECES)
		return bad(r, MM_ELIMIT, "too many fields in it");
	r->f->piece[r->f->npieces++] = (struct piece){ from, to - from, field,
		r->quoted };
	return MM_OK;
}

/* One character of text; a JSON string's quotes are kept account of. */
static void
step(struct reader *r)
{
	char c = r->text[r->at];

	if (r->quoted && c == '\\' && r->text[r->at + 1] != '\0')
		r->at++;
	else if (c == '"')
		r->quoted = !r->quoted;
	r->at++;
}

static enum mm_err
read_all(struct reader *r)
{
	size_t from = 0;
	int field = -1;

	while (r->text[r->at] != '\0') {
		size_t to = r->at;

		if (strncmp(r->text + r->at, "{{", 2) != 0) {
			step(r);
		} else if (strncmp(r->text + r->at, "{{{{", 4) == 0) {
			MM_TRY(add_piece(r, from, to + 2, -1));
			from = r->at += 4;
		} else {
			MM_TRY(read_field(r, &field));
			MM_TRY(add_piece(r, from, to, field));
			from = r->at;
		}
	}
	return add_piece(r, from, r->at, -1);
}

/* see fill.h */
enum mm_err
mm_fill_parse(enum mm_fill_form form, struct mm_bytes text,
    struct mm_fill **out, struct mm_why *why)
{
	MM_OWN(mm_fill_free) struct mm_fill *f = NULL;
	struct reader r = { .why = why };

	if (text.n > MM_FILL_MAX)
		return MM_FAIL(why, MM_ELIMIT, "template: %zu bytes, at most "
		    "%d", text.n, MM_FILL_MAX);
	if (!mm_utf8_valid(text) || (text.n > 0 &&
	    memchr(text.p, '\0', text.n) != NULL))
		return MM_FAIL(why, MM_EINPUT, "template: not a text in "
		    "UTF-8");
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	f->form = form;
	mm_buf_init(&f->text, MM_FILL_MAX);
	mm_buf_bytes(&f->text, text);
	r.text = mm_buf_cstr(&f->text);
	MM_TRY(mm_buf_ok(&f->text, why));
	r.f = f;
	MM_TRY(read_all(&r));
	*out = MM_MOVE(f);
	return MM_OK;
}

/* ---- filling ---- */

/* RFC 8259 6, strictly, and the three words. */
static bool
is_bare(const char *v)
{
	MM_OWN(json_free) json_t *j = json_loads(v, JSON_DECODE_ANY, NULL);

	return j != NULL && !json_is_string(j) && !json_is_object(j) &&
	    !json_is_array(j) && strpbrk(v, " \t\r\n") == NULL;
}

static void
put_json(struct mm_buf *out, const char *v)
{
	MM_OWN(mm_buf_wipe) struct mm_buf b = MM_BUF_INIT(8 * MM_FILL_VALUE);
	struct mm_json j = mm_json_over(&b);

	mm_json_str(&j, NULL, v);
	if (b.err == MM_OK) /* without its quotes */
		mm_buf_put(out, b.p + 1, b.n - 2);
	else if (out->err == MM_OK)
		out->err = b.err;
}

/* The default indicator of ^FH is an underscore. */
static void
put_zpl(struct mm_buf *out, const char *v)
{
	for (; *v != '\0'; v++) {
		unsigned char c = (unsigned char)*v;

		if ((c >= '0' && c <= '9') || strchr(" -.", c) != NULL ||
		    ((c | 32) >= 'a' && (c | 32) <= 'z'))
			mm_buf_u8(out, c);
		else
			mm_buf_printf(out, "_%02X", c);
	}
}

static bool
has_control(const char *v)
{
	for (; *v != '\0'; v++)
		if ((unsigned char)*v < ' ' || *v == 0x7f)
			return true;
	return false;
}

static enum mm_err
check_value(const struct mm_fill *f, const char *v, bool quoted,
    struct mm_why *why)
{
	if (v == NULL)
		return MM_FAIL(why, MM_EINPUT, "there is no value");
	if (strlen(v) > MM_FILL_VALUE)
		return MM_FAIL(why, MM_ELIMIT, "more than %d bytes",
		    MM_FILL_VALUE);
	if (!mm_utf8_valid(mm_bytes_of(v)))
		return MM_FAIL(why, MM_EINPUT, "not UTF-8");
	if (f->form != MM_FILL_JSON && has_control(v))
		return MM_FAIL(why, MM_EINPUT, "a control character in it");
	if (f->form == MM_FILL_JSON && !quoted && !is_bare(v))
		return MM_FAIL(why, MM_EINPUT, "not a number, true, false or "
		    "null, and the field is not in quotes");
	return MM_OK;
}

static void
put_value(const struct mm_fill *f, const char *v, struct mm_buf *out)
{
	if (f->form == MM_FILL_JSON)
		put_json(out, v);
	else if (f->form == MM_FILL_ZPL)
		put_zpl(out, v);
	else
		mm_buf_text(out, v);
}

static enum mm_err
whole(const struct mm_fill *f, const struct mm_buf *out, size_t from,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *j = NULL;
	json_error_t where;

	MM_TRY(mm_buf_ok(out, why));
	if (f->form != MM_FILL_JSON)
		return MM_OK;
	j = json_loadb((const char *)out->p + from, out->n - from,
	    JSON_REJECT_DUPLICATES, &where);
	/* Its own words may cite a value. */
	return j != NULL ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "what comes out is not JSON: line %d, column %d", where.line,
	    where.column);
}

/* see fill.h */
enum mm_err
mm_fill_render(const struct mm_fill *f, const char *const *value,
    struct mm_buf *out, struct mm_buf *shown, size_t *field,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf nobody = MM_BUF_INIT(0);
	struct mm_buf *show = shown != NULL ? shown : &nobody;
	size_t from = out->n;

	for (size_t i = 0; i < f->npieces; i++) {
		const struct piece *p = &f->piece[i];

		mm_buf_put(out, f->text.p + p->at, p->n);
		mm_buf_put(show, f->text.p + p->at, p->n);
		if (p->field < 0)
			continue;
		*field = (size_t)p->field;
		MM_TRY(check_value(f, value[p->field], p->quoted, why));
		put_value(f, value[p->field], out);
		if (f->secret[p->field])
			mm_buf_text(show, "(secret)");
		else
			put_value(f, value[p->field], show);
	}
	*field = f->nfields;
	MM_TRY(whole(f, out, from, why));
	return shown != NULL ? mm_buf_ok(shown, why) : MM_OK;
}
