#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "core/plain.h"
#include "core/property.h"

/*
 * Attributes in their plainest form against a schema, without a document of
 * them: it says "good" and writes what schema.c would write, or nothing at
 * all.  Whatever may be wrong is schema.c's to say.
 */
enum { DIGITS = 24 };

/* A member on its way from what a table has to what is kept. */
struct one {
	struct mm_bytes text;
	unsigned type; /* T_TEXT, T_INTEGER or T_TRUTH */
	int64_t number;
	char digits[DIGITS];
};

static const struct property *
property_of(const struct mm_schema *s, struct mm_bytes name)
{
	char text[MM_NAME_MAX + 1];

	return s != NULL && mm_text_copy(text, sizeof(text), name) ?
	    mm_property_find(s, text) : NULL;
}

static bool
number_of(struct one *v)
{
	return mm_text_copy(v->digits, sizeof(v->digits), v->text) &&
	    mm_int_parse(v->digits, &v->number, NULL) == MM_OK;
}

static bool
says(struct mm_bytes v, const char *text)
{
	return mm_bytes_eq(v, mm_bytes_of(text));
}

/* What a table's text is by its property, as schema.c converts it; a number
 * with a fraction is left to that. */
static bool
convert(const struct property *p, struct one *v)
{
	if (p == NULL || (p->types & T_TEXT) != 0)
		return true;
	if ((p->types & T_TRUTH) != 0 && (says(v->text, "true") ||
	    says(v->text, "false")))
		v->type = T_TRUTH;
	else if ((p->types & T_INTEGER) != 0 && number_of(v))
		v->type = T_INTEGER;
	return v->type != T_TEXT;
}

static bool
take(const struct mm_plain_member *m, const struct property *p, bool texts,
    struct one *out)
{
	out->text = m->value;
	switch (m->kind) {
	case MM_PLAIN_TEXT:
		out->type = T_TEXT;
		return !texts || convert(p, out);
	case MM_PLAIN_NUMBER:
		out->type = T_INTEGER;
		return number_of(out);
	case MM_PLAIN_TRUE:
	case MM_PLAIN_FALSE:
		out->type = T_TRUTH;
		return true;
	case MM_PLAIN_OBJECT:
		break;
	}
	return false;
}

static bool
equal(const json_t *choice, const struct one *v)
{
	if (v->type == T_INTEGER)
		return json_is_number(choice) &&
		    json_number_value(choice) == (double)v->number;
	if (v->type == T_TRUTH)
		return json_is_boolean(choice) &&
		    json_is_true(choice) == says(v->text, "true");
	return json_is_string(choice) && mm_bytes_eq(v->text,
	    (struct mm_bytes){ (const uint8_t *)json_string_value(choice),
		json_string_length(choice) });
}

static bool
is_choice(const struct property *p, const struct one *v)
{
	const json_t *choice;
	size_t i;

	json_array_foreach(p->choices, i, choice)
		if (equal(choice, v))
			return true;
	return p->choices == NULL;
}

static bool
fits(const struct property *p, const struct one *v)
{
	int64_t n = (int64_t)v->text.n;
	double number = (double)v->number;

	if ((v->type & p->types) == 0 || !is_choice(p, v))
		return false;
	if (v->type == T_TEXT)
		return n >= p->min_length && n <= p->max_length;
	return v->type != T_INTEGER ||
	    ((!p->has_minimum || number >= p->minimum) &&
	    (!p->has_maximum || number <= p->maximum));
}

static bool
has_required(const struct mm_schema *s, const struct mm_plain *o)
{
	size_t i = 0;

	while (s != NULL && i < s->n && (!s->property[i].required ||
	    mm_plain_find(o, s->property[i].name) != NULL))
		i++;
	return s == NULL || i == s->n;
}

/* What is written, and where. */
struct out {
	char *p;
	size_t left;
	bool full;
};

static void
put(struct out *o, struct mm_bytes v)
{
	o->full = o->full || v.n > o->left;
	if (o->full)
		return;
	memcpy(o->p, v.p, v.n);
	o->p += v.n;
	o->left -= v.n;
}

static void
put_member(struct out *o, const struct mm_plain_member *m,
    const struct one *v)
{
	struct mm_bytes quote = mm_bytes_of(v->type == T_TEXT ? "\"" : "");

	put(o, mm_bytes_of("\""));
	put(o, m->name);
	put(o, mm_bytes_of("\":"));
	put(o, quote);
	put(o, v->text);
	put(o, quote);
}

static bool
each(const struct mm_schema *s, bool texts, const struct mm_plain *o,
    struct out *to)
{
	put(to, mm_bytes_of("{"));
	for (size_t i = 0; i < o->n; i++) {
		const struct mm_plain_member *m = &o->member[i];
		const struct property *p = property_of(s, m->name);
		struct one v;

		if (!take(m, p, texts, &v) || (p != NULL ? !fits(p, &v) :
		    s != NULL && s->closed))
			return false;
		if (i > 0)
			put(to, mm_bytes_of(","));
		put_member(to, m, &v);
	}
	put(to, mm_bytes_of("}"));
	return true;
}

/* see schema.h */
bool
mm_schema_plain(const struct mm_schema *s, struct mm_bytes attributes,
    bool texts, char *out, size_t room)
{
	struct mm_rd in = mm_rd_over(attributes);
	struct out to = { .p = out, .left = room - 1 };
	struct mm_plain o;

	out[0] = '\0';
	if (!mm_plain_read(&in, false, &o) || in.left > 0 ||
	    !has_required(s, &o))
		return false;
	mm_plain_sort(&o);
	if (!each(s, texts && s != NULL, &o, &to) || to.full)
		return out[0] = '\0', false;
	*to.p = '\0';
	return true;
}
