#include "core/plain.h"

/* see plain.h */
void
mm_plain_space(struct mm_rd *in)
{
	while (in->left > 0 && (*in->p == ' ' || *in->p == '\n' ||
	    *in->p == '\r' || *in->p == '\t')) {
		in->p++;
		in->left--;
	}
}

/* One byte, if it comes next after space. */
static bool
over(struct mm_rd *in, uint8_t c)
{
	mm_plain_space(in);
	if (in->left == 0 || *in->p != c)
		return false;
	in->p++;
	in->left--;
	return true;
}

/* The rest of a text whose opening quote was read. */
static bool
text(struct mm_rd *in, struct mm_bytes *out)
{
	size_t n = 0;

	while (n < in->left && in->p[n] >= 0x20 && in->p[n] < 0x7f &&
	    in->p[n] != '"' && in->p[n] != '\\')
		n++;
	if (n == in->left || in->p[n] != '"')
		return false;
	*out = (struct mm_bytes){ in->p, n };
	in->p += n + 1;
	in->left -= n + 1;
	return true;
}

/* Without a fraction and an exponent; "-0" would be written "0" again. */
static bool
number(struct mm_rd *in, struct mm_bytes *out)
{
	size_t minus = in->left > 0 && *in->p == '-', n = minus;

	while (n < in->left && in->p[n] >= '0' && in->p[n] <= '9')
		n++;
	if (n == minus || n - minus > MM_PLAIN_DIGITS ||
	    (in->p[minus] == '0' && n > 1) ||
	    (n < in->left && strchr(".eE", in->p[n]) != NULL))
		return false;
	*out = mm_rd_take(in, n);
	return true;
}

static bool
object(struct mm_rd *in, struct mm_bytes *out)
{
	const uint8_t *first = in->p;
	struct mm_plain inside;

	if (!mm_plain_read(in, false, &inside))
		return false;
	*out = (struct mm_bytes){ first, (size_t)(in->p - first) };
	return true;
}

static bool
value(struct mm_rd *in, bool deep, struct mm_plain_member *m)
{
	if (over(in, '"')) {
		m->kind = MM_PLAIN_TEXT;
		return text(in, &m->value);
	}
	if (mm_rd_skip(in, "true") || mm_rd_skip(in, "false")) {
		m->kind = in->p[-4] == 't' ? MM_PLAIN_TRUE : MM_PLAIN_FALSE;
		m->value = mm_bytes_of(m->kind == MM_PLAIN_TRUE ? "true" :
		    "false");
		return true;
	}
	m->kind = in->left > 0 && *in->p == '{' ? MM_PLAIN_OBJECT :
	    MM_PLAIN_NUMBER;
	if (m->kind == MM_PLAIN_NUMBER)
		return number(in, &m->value);
	return deep && object(in, &m->value);
}

/* jansson refuses a name that stands twice; an empty one it reads. */
static bool
is_new(const struct mm_plain *o, struct mm_bytes name)
{
	size_t i = 0;

	while (i < o->n && !mm_bytes_eq(o->member[i].name, name))
		i++;
	return i == o->n;
}

static bool
member(struct mm_rd *in, bool deep, struct mm_plain *o)
{
	struct mm_plain_member *m = &o->member[o->n];

	if (o->n == MM_PLAIN_MOST || !over(in, '"') || !text(in, &m->name) ||
	    !is_new(o, m->name) || !over(in, ':') || !value(in, deep, m))
		return false;
	o->n++;
	return true;
}

/* see plain.h */
bool
mm_plain_read(struct mm_rd *in, bool deep, struct mm_plain *out)
{
	out->n = 0;
	if (!over(in, '{'))
		return false;
	if (over(in, '}'))
		return true;
	do {
		if (!member(in, deep, out))
			return false;
	} while (over(in, ','));
	return over(in, '}');
}

/* see plain.h */
const struct mm_plain_member *
mm_plain_find(const struct mm_plain *o, const char *name)
{
	struct mm_bytes want = mm_bytes_of(name);

	for (size_t i = 0; i < o->n; i++)
		if (mm_bytes_eq(o->member[i].name, want))
			return &o->member[i];
	return NULL;
}

static bool
before(struct mm_bytes a, struct mm_bytes b)
{
	int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return order < 0 || (order == 0 && a.n < b.n);
}

/* see plain.h; few, and mostly in order */
void
mm_plain_sort(struct mm_plain *o)
{
	for (size_t i = 1; i < o->n; i++) {
		struct mm_plain_member m = o->member[i];
		size_t at = i;

		for (; at > 0 && before(m.name, o->member[at - 1].name); at--)
			o->member[at] = o->member[at - 1];
		o->member[at] = m;
	}
}
