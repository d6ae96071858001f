#include "server/rest_rows.h"

#include <stddef.h>
#include <string.h>

#include "base/own.h"
#include "core/plain.h"
#include "server/rest.h"

enum { DEPTH_MAX = 6 };

/* ---- one row, of its document ---- */

#define M(name, type, must, field)                                  \
	{ name, type, must, offsetof(struct mm_import_row, field),  \
	    sizeof(((struct mm_import_row *)0)->field) }
static const struct mm_member members[] = {
	M("id", MM_M_DEVICE, true, dev.id),
	M("product", MM_M_NAME, true, dev.product),
	M("attributes", MM_M_KEPT, false, attributes),
	M("bound_spki_sha256", MM_M_SHA256, false, dev.bound_spki),
};
#undef M

/* The member that a refusal begins with: `name: ...` or `"name": ...`. */
static void
column_of(struct mm_import_row *row)
{
	const char *text = row->why.text;
	size_t n;

	text += text[0] == '"';
	n = strcspn(text, "\":");
	if (n >= sizeof(row->column))
		n = sizeof(row->column) - 1;
	memcpy(row->column, text, n);
	row->column[n] = '\0';
}

static void
read_row(json_t *in, struct mm_import_row *row)
{
	json_t *attributes = json_object_get(in, "attributes");

	row->attributes = json_is_object(attributes) ? attributes : NULL;
	row->result = !json_is_object(in) ? MM_FAIL(&row->why, MM_EINPUT,
	    "row: want an object") : mm_rest_members(in, members,
	    sizeof(members) / sizeof(members[0]), row, &row->why);
	if (row->result != MM_OK)
		column_of(row);
}

/* see rest_rows.h */
void
mm_rest_rows_take(const json_t *list, struct mm_import_row *row)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		read_row(json_array_get(list, i), &row[i]);
}

/* ---- one row, where it stands ---- */

static bool
text_of(const struct mm_plain_member *m, char *out, size_t n)
{
	return m != NULL && m->kind == MM_PLAIN_TEXT &&
	    mm_text_copy(out, n, m->value);
}

static bool
hash_of(const struct mm_plain_member *m, uint8_t out[32])
{
	return m == NULL || (m->kind == MM_PLAIN_TEXT &&
	    mm_hex_parse((const char *)m->value.p, m->value.n, out, 32,
		NULL) == MM_OK);
}

struct good {
	char id[MM_DEVICE_ID_MAX + 1], product[MM_NAME_MAX + 1];
	uint8_t bound[32]; /* zero: none */
	struct mm_bytes attributes;
};

/* The row that comes next, and over it, if it is plain and good by itself. */
static bool
read_good(struct mm_rd *in, struct good *out)
{
	const struct mm_plain_member *attributes, *bound;
	struct mm_rd at = *in;
	struct mm_plain o;

	if (!mm_plain_read(&at, true, &o))
		return false;
	attributes = mm_plain_find(&o, "attributes");
	bound = mm_plain_find(&o, "bound_spki_sha256");
	memset(out->bound, 0, sizeof(out->bound));
	out->attributes = (struct mm_bytes){ NULL, 0 };
	if (o.n != 2 + (attributes != NULL) + (size_t)(bound != NULL) ||
	    (attributes != NULL && attributes->kind != MM_PLAIN_OBJECT) ||
	    !text_of(mm_plain_find(&o, "id"), out->id, sizeof(out->id)) ||
	    !text_of(mm_plain_find(&o, "product"), out->product,
		sizeof(out->product)) ||
	    !mm_device_id_valid(out->id) || !mm_name_valid(out->product) ||
	    !hash_of(bound, out->bound))
		return false;
	if (attributes != NULL)
		out->attributes = attributes->value;
	*in = at;
	return true;
}

/* ---- brackets ---- */

/* What is open in a text that may be anything: jansson says what it is. */
struct scan {
	struct mm_rd in;
	int depth;
};

/* Over a text whose opening quote was read. */
static void
skip_text(struct mm_rd *in)
{
	while (in->left > 0) {
		uint8_t c = mm_rd_u8(in);

		if (c == '"')
			return;
		if (c == '\\')
			(void)mm_rd_u8(in);
	}
}

/* Over one byte, or a text; which it was, 0 at the end or too deep. */
static uint8_t
step(struct scan *s)
{
	uint8_t c;

	if (s->in.left == 0)
		return 0;
	c = mm_rd_u8(&s->in);
	if (c == '"')
		skip_text(&s->in);
	s->depth += (c == '{' || c == '[') - (c == '}' || c == ']');
	return s->depth > DEPTH_MAX || s->depth < 0 || s->in.bad ? 0 : c;
}

/* The object that comes next, whole. */
static bool
span(struct mm_rd *in, struct mm_bytes *out)
{
	struct scan s = { .in = *in };
	uint8_t c = step(&s);

	if (c != '{')
		return false;
	while (s.depth > 0 && c != 0)
		c = step(&s);
	if (c == 0)
		return false;
	*out = (struct mm_bytes){ in->p, (size_t)(s.in.p - in->p) };
	*in = s.in;
	return true;
}

/* ---- all of them ---- */

/* Where one is plain and good: g; any other: its document; the other NULL. */
typedef bool one_fn(void *ctx, size_t i, const struct good *g, json_t *o);

static bool
read_one(struct mm_rd *in, size_t i, one_fn *one, void *ctx)
{
	MM_OWN(mm_rest_json_free) json_t *o = NULL;
	struct mm_bytes text;
	struct good g;

	if (read_good(in, &g))
		return one(ctx, i, &g, NULL);
	mm_plain_space(in);
	return span(in, &text) && mm_rest_parse(text, &o, NULL) == MM_OK &&
	    one(ctx, i, NULL, o);
}

static bool
each(const struct mm_rest_rows *rows, one_fn *one, void *ctx)
{
	struct mm_rd in = mm_rd_over(rows->text);

	for (size_t i = 0; i < rows->n; i++) {
		if (!read_one(&in, i, one, ctx))
			return false;
		mm_plain_space(&in);
		if (!mm_rd_skip(&in, i + 1 < rows->n ? "," : "]"))
			return false;
	}
	return mm_rd_end(&in);
}

struct filling {
	struct mm_import_row *row;
	json_t *kept;
};

static bool
fill(void *ctx, size_t i, const struct good *g, json_t *o)
{
	const struct filling *f = ctx;
	struct mm_import_row *row = &f->row[i];

	if (g == NULL) {
		read_row(o, row);
		return json_array_append(f->kept, o) == 0;
	}
	strcpy(row->dev.id, g->id);
	strcpy(row->dev.product, g->product);
	memcpy(row->dev.bound_spki, g->bound, sizeof(g->bound));
	row->plain = g->attributes;
	return true;
}

/* see rest_rows.h */
bool
mm_rest_rows_read(const struct mm_rest_rows *rows, struct mm_import_row *row,
    json_t **kept)
{
	struct filling f = { .row = row, .kept = json_array() };

	*kept = f.kept;
	return f.kept != NULL && each(rows, fill, &f);
}

struct naming {
	mm_rest_row_fn *fn;
	void *ctx;
	enum mm_err rc;
	struct mm_why *why;
};

static bool
name(void *ctx, size_t i, const struct good *g, json_t *o)
{
	struct naming *n = ctx;

	(void)i;
	if (n->rc != MM_OK) /* the others are read all the same */
		return true;
	n->rc = g != NULL ? n->fn(n->ctx, g->id, g->product, n->why) :
	    n->fn(n->ctx, json_string_value(json_object_get(o, "id")),
		json_string_value(json_object_get(o, "product")), n->why);
	return true;
}

/* see rest_rows.h */
bool
mm_rest_rows_names(const struct mm_rest_rows *rows, mm_rest_row_fn *fn,
    void *ctx, enum mm_err *rc, struct mm_why *why)
{
	struct naming n = { .fn = fn, .ctx = ctx, .why = why };
	bool whole = each(rows, name, &n);

	*rc = n.rc;
	return whole;
}

/* ---- cutting ---- */

/* Over the member's name, which was read up to its quote, and the bracket. */
static bool
is_rows(const struct mm_rd *after, const uint8_t *quote, struct mm_rd *list)
{
	static const char name[] = "\"rows\"";

	if (after->p - quote != sizeof(name) - 1 ||
	    memcmp(quote, name, sizeof(name) - 1) != 0)
		return false;
	*list = *after;
	mm_plain_space(list);
	if (!mm_rd_skip(list, ":"))
		return false;
	mm_plain_space(list);
	return mm_rd_skip(list, "[");
}

static bool
find_rows(struct scan *s)
{
	struct mm_rd list;

	for (;;) {
		const uint8_t *at = s->in.p;
		uint8_t c = step(s);

		if (c == 0)
			return false;
		if (c == '"' && s->depth == 1 && is_rows(&s->in, at, &list))
			break;
	}
	s->in = list;
	s->depth = 2;
	return true;
}

/* Objects in the list, and over its end. */
static bool
count_rows(struct scan *s, size_t *n)
{
	uint8_t c;

	*n = 0;
	do {
		c = step(s);
		*n += c == '{' && s->depth == 3;
	} while (c != 0 && s->depth > 1);
	return c == ']' && *n >= 1 && *n <= MM_REST_ROWS_MAX;
}

/* What follows is seen too: too deep is too deep. */
static bool
ends(struct scan *s)
{
	while (s->in.left > 0)
		if (step(s) == 0)
			return false;
	return s->depth == 0;
}

/* see rest_rows.h */
bool
mm_rest_rows_cut(struct mm_bytes body, struct mm_rest_rows *rows,
    json_t **rest)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(body.n);
	struct scan s = { .in = mm_rd_over(body) };
	const uint8_t *first, *last;
	size_t n;

	if (!find_rows(&s))
		return false;
	first = s.in.p;
	if (!count_rows(&s, &n))
		return false;
	last = s.in.p;
	mm_buf_put(&text, body.p, (size_t)(first - body.p));
	mm_buf_put(&text, last - 1, s.in.left + 1);
	if (!ends(&s) || mm_buf_ok(&text, NULL) != MM_OK ||
	    mm_rest_parse(mm_buf_view(&text), rest, NULL) != MM_OK)
		return false;
	*rows = (struct mm_rest_rows){ { first, (size_t)(last - first) }, n };
	return true;
}
