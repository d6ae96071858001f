#include "core/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "core/property.h"

/* see schema.h */
void
mm_schema_free(struct mm_schema **owner)
{
	struct mm_schema *s = *owner;

	if (s == NULL)
		return;
	json_decref(s->root);
	free(s->indexed);
	free(s);
	*owner = NULL;
}

/* 1.0 is an integer to JSON Schema. */
static bool
is_whole(double v)
{
	return v >= -9e15 && v <= 9e15 && v == (double)(int64_t)v;
}

static unsigned
type_of(const json_t *v)
{
	if (json_is_string(v))
		return T_TEXT;
	if (json_is_integer(v))
		return T_INTEGER;
	if (json_is_real(v))
		return is_whole(json_real_value(v)) ?
		    T_INTEGER | T_NUMBER : T_NUMBER;
	return json_is_boolean(v) ? T_TRUTH : 0;
}

static bool
equal(const json_t *a, const json_t *b)
{
	if (json_is_number(a) && json_is_number(b))
		return json_number_value(a) == json_number_value(b);
	return json_equal(a, b) != 0;
}

static bool
is_choice(const struct property *p, const json_t *v)
{
	const json_t *one;
	size_t i;

	json_array_foreach(p->choices, i, one)
		if (equal(one, v))
			return true;
	return p->choices == NULL;
}

/* RFC 8259 8.2: characters, not bytes. */
static int64_t
characters(const json_t *v)
{
	const char *s = json_string_value(v);
	int64_t n = 0;

	for (size_t i = 0; i < json_string_length(v); i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

static enum mm_err
check_value(const struct property *p, const json_t *v, struct mm_why *why)
{
	double number = json_number_value(v);

	if ((type_of(v) & p->types) == 0)
		return MM_FAIL(why, MM_EINPUT, "%s: not of its type", p->name);
	if (!is_choice(p, v))
		return MM_FAIL(why, MM_EINPUT, "%s: not one of its values",
		    p->name);
	if (json_is_string(v) && (characters(v) < p->min_length ||
	    characters(v) > p->max_length))
		return MM_FAIL(why, MM_EINPUT, "%s: want %lld to %lld "
		    "characters", p->name, (long long)p->min_length,
		    (long long)p->max_length);
	if (json_is_number(v) && ((p->has_minimum && number < p->minimum) ||
	    (p->has_maximum && number > p->maximum)))
		return MM_FAIL(why, MM_EINPUT, "%s: out of range", p->name);
	return MM_OK;
}

static void
name_column(char column[MM_SCHEMA_COLUMN], const char *name)
{
	snprintf(column, MM_SCHEMA_COLUMN, "attributes.%.32s", name);
}

static enum mm_err
load(const char *attributes, json_t **out, struct mm_why *why)
{
	*out = attributes[0] == '\0' ? json_object() :
	    json_loads(attributes, JSON_REJECT_DUPLICATES, NULL);
	return json_is_object(*out) ? MM_OK :
	    MM_FAIL(why, MM_EINPUT, "attributes: want an object");
}

static enum mm_err
check_member(const struct mm_schema *s, const char *name, const json_t *v,
    struct mm_why *why)
{
	const struct property *p = mm_property_find(s, name);

	if (p != NULL)
		return check_value(p, v, why);
	return !s->closed ? MM_OK : MM_FAIL(why, MM_EINPUT, "%.40s: the "
	    "product's schema has no such member", name);
}

static enum mm_err
check_object(const struct mm_schema *s, json_t *o,
    char column[MM_SCHEMA_COLUMN], struct mm_why *why)
{
	const char *name;
	json_t *v;

	json_object_foreach(o, name, v) {
		enum mm_err rc = check_member(s, name, v, why);

		if (rc != MM_OK)
			name_column(column, name);
		MM_TRY(rc);
	}
	for (size_t i = 0; i < s->n; i++) {
		if (!s->property[i].required ||
		    json_object_get(o, s->property[i].name) != NULL)
			continue;
		name_column(column, s->property[i].name);
		return MM_FAIL(why, MM_EINPUT, "%s: missing",
		    s->property[i].name);
	}
	return MM_OK;
}

/* see schema.h */
enum mm_err
mm_schema_check(const struct mm_schema *s, const char *attributes,
    char column[MM_SCHEMA_COLUMN], struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = NULL;

	strcpy(column, "attributes");
	MM_TRY(load(attributes, &o, why));
	return check_object(s, o, column, why);
}

static json_t *
converted(const struct property *p, const char *text)
{
	char *end;
	double number = strtod(text, &end);
	int64_t whole;

	if (p == NULL || (p->types & T_TEXT) != 0)
		return NULL;
	if ((p->types & T_TRUTH) != 0 && (strcmp(text, "true") == 0 ||
	    strcmp(text, "false") == 0))
		return json_boolean(text[0] == 't');
	if ((p->types & T_INTEGER) != 0 &&
	    mm_int_parse(text, &whole, NULL) == MM_OK)
		return json_integer(whole);
	if ((p->types & T_NUMBER) != 0 && end != text && *end == '\0' &&
	    strspn(text, "0123456789+-.eE") == strlen(text))
		return json_real(number);
	return NULL;
}

static void
convert_object(const struct mm_schema *s, json_t *o)
{
	const char *name;
	json_t *v;
	void *next;

	json_object_foreach_safe(o, next, name, v) {
		json_t *other = json_is_string(v) ?
		    converted(mm_property_find(s, name),
			json_string_value(v)) : NULL;

		if (other != NULL)
			json_object_set_new(o, name, other);
	}
}

/* see schema.h */
enum mm_err
mm_attributes_text(const json_t *o, char *out, size_t room,
    struct mm_why *why)
{
	size_t n = o != NULL ? json_dumpb(o, out, room - 1,
	    JSON_COMPACT | JSON_SORT_KEYS) : 0;

	if (n >= room)
		return MM_FAIL(why, MM_ELIMIT, "attributes: at most %zu bytes",
		    room - 1);
	out[n] = '\0';
	return MM_OK;
}

/* see schema.h */
enum mm_err
mm_schema_convert(const struct mm_schema *s, char *attributes, size_t room,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = NULL;

	MM_TRY(load(attributes, &o, why));
	convert_object(s, o);
	return json_object_size(o) == 0 ? MM_OK :
	    mm_attributes_text(o, attributes, room, why);
}

/* see schema.h */
enum mm_err
mm_schema_read(const struct mm_schema *s, json_t *attributes, bool texts,
    char column[MM_SCHEMA_COLUMN], struct mm_why *why)
{
	strcpy(column, "attributes");
	if (s == NULL)
		return MM_OK;
	if (attributes != NULL && texts)
		convert_object(s, attributes);
	return check_object(s, attributes, column, why);
}

/* see schema.h */
const char *
mm_schema_indexed(const struct mm_schema *s)
{
	return s != NULL ? s->indexed : NULL;
}

/* see schema.h */
enum mm_schema_member
mm_schema_member(const struct mm_schema *s, const char *name, bool *indexed)
{
	const struct property *p = s != NULL ? mm_property_find(s, name) : NULL;

	*indexed = p != NULL && p->indexed;
	if (p == NULL)
		return s != NULL && s->closed ? MM_SCHEMA_FORBIDDEN :
						MM_SCHEMA_UNKNOWN;
	if (p->types == T_TEXT)
		return MM_SCHEMA_TEXT;
	if (p->types == T_TRUTH)
		return MM_SCHEMA_TRUTH;
	return (p->types & ~(unsigned)(T_INTEGER | T_NUMBER)) == 0 ?
	    MM_SCHEMA_NUMBER : MM_SCHEMA_MIXED;
}
