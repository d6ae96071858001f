#include "core/schema.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"

enum { T_TEXT = 1, T_INTEGER = 2, T_NUMBER = 4, T_TRUTH = 8 };
enum { ENUM_MAX = 64, LENGTH_MAX = 2048, INDEXED_LENGTH_MAX = 64 };

struct property {
	const char *name;
	unsigned types;
	const json_t *choices; /* NULL: any value */
	int64_t min_length, max_length;
	double minimum, maximum;
	bool has_minimum, has_maximum, required, indexed;
};
struct mm_schema {
	json_t *root; /* owns the texts */
	struct property property[MM_SCHEMA_PROPERTIES];
	size_t n;
	bool closed; /* no other members */
	char *indexed;
};

MM_FREE_FN(json_free, json_t, json_decref)

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

/* ---- reading one ---- */

typedef enum mm_err keyword_fn(struct property *p, const json_t *v,
    struct mm_why *why);
struct keyword {
	const char *name;
	keyword_fn *read; /* NULL: words for people, a text */
};

static enum mm_err
wrong(const struct property *p, const char *keyword, const char *want,
    struct mm_why *why)
{
	return MM_FAIL(why, MM_EINPUT, "schema: %.32s: %s: want %s", p->name,
	    keyword, want);
}

static unsigned
type_of_name(const json_t *v)
{
	static const struct {
		const char *name;
		unsigned types;
	} rows[] = { { "string", T_TEXT }, { "integer", T_INTEGER },
		{ "number", T_NUMBER | T_INTEGER }, { "boolean", T_TRUTH } };
	const char *name = json_string_value(v);

	for (size_t i = 0; name != NULL && i < 4; i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].types;
	return 0;
}

static enum mm_err
read_type(struct property *p, const json_t *v, struct mm_why *why)
{
	unsigned types = type_of_name(v);
	const json_t *one;
	size_t i;

	json_array_foreach(v, i, one) {
		if (type_of_name(one) == 0)
			types = 0;
		if (type_of_name(one) == 0)
			break;
		types |= type_of_name(one);
	}
	if (types == 0)
		return wrong(p, "type", "string, integer, number or boolean, "
		    "or a list of them", why);
	p->types = types;
	return MM_OK;
}

static enum mm_err
read_enum(struct property *p, const json_t *v, struct mm_why *why)
{
	const json_t *one;
	size_t i;

	if (!json_is_array(v) || json_array_size(v) < 1 ||
	    json_array_size(v) > ENUM_MAX)
		return wrong(p, "enum", "a list of 1 to 64 values", why);
	json_array_foreach(v, i, one)
		if (!json_is_string(one) && !json_is_number(one) &&
		    !json_is_boolean(one))
			return wrong(p, "enum", "texts, numbers or truths",
			    why);
	p->choices = v;
	return MM_OK;
}

static enum mm_err
read_length(const struct property *p, const json_t *v, const char *keyword,
    int64_t *out, struct mm_why *why)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    json_integer_value(v) > LENGTH_MAX)
		return wrong(p, keyword, "0 to 2048", why);
	*out = json_integer_value(v);
	return MM_OK;
}

static enum mm_err
read_min_length(struct property *p, const json_t *v, struct mm_why *why)
{
	return read_length(p, v, "minLength", &p->min_length, why);
}

static enum mm_err
read_max_length(struct property *p, const json_t *v, struct mm_why *why)
{
	return read_length(p, v, "maxLength", &p->max_length, why);
}

static enum mm_err
read_minimum(struct property *p, const json_t *v, struct mm_why *why)
{
	if (!json_is_number(v))
		return wrong(p, "minimum", "a number", why);
	p->minimum = json_number_value(v);
	p->has_minimum = true;
	return MM_OK;
}

static enum mm_err
read_maximum(struct property *p, const json_t *v, struct mm_why *why)
{
	if (!json_is_number(v))
		return wrong(p, "maximum", "a number", why);
	p->maximum = json_number_value(v);
	p->has_maximum = true;
	return MM_OK;
}

static enum mm_err
read_indexed(struct property *p, const json_t *v, struct mm_why *why)
{
	if (!json_is_boolean(v))
		return wrong(p, "x-indexed", "true or false", why);
	p->indexed = json_is_true(v);
	return MM_OK;
}

static const struct keyword keywords[] = {
	{ "type", read_type }, { "enum", read_enum },
	{ "minLength", read_min_length }, { "maxLength", read_max_length },
	{ "minimum", read_minimum }, { "maximum", read_maximum },
	{ "x-indexed", read_indexed }, { "title", NULL },
	{ "description", NULL },
};

static enum mm_err
read_keyword(struct property *p, const char *name, const json_t *v,
    struct mm_why *why)
{
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (strcmp(keywords[i].name, name) != 0)
			continue;
		if (keywords[i].read != NULL)
			return keywords[i].read(p, v, why);
		return json_is_string(v) ? MM_OK :
		    wrong(p, name, "a text", why);
	}
	return MM_FAIL(why, MM_EINPUT, "schema: %.32s: \"%.32s\" is not a "
	    "keyword that is checked here", p->name, name);
}

/* Names that stand in a query and in a table's head as they are. */
static bool
name_ok(const char *name)
{
	size_t n = strlen(name);

	return n >= 1 && n <= MM_NAME_MAX && strspn(name,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789_.-") == n;
}

static enum mm_err
read_property(struct mm_schema *s, const char *name, json_t *v,
    struct mm_why *why)
{
	struct property *p = &s->property[s->n];
	const char *key;
	json_t *value;

	*p = (struct property){ .name = name, .max_length = LENGTH_MAX,
		.types = T_TEXT | T_INTEGER | T_NUMBER | T_TRUTH };
	if (!name_ok(name))
		return MM_FAIL(why, MM_EINPUT, "schema: \"%.40s\": want a "
		    "name of 1 to 32 of A-Z a-z 0-9 _ . -", name);
	if (!json_is_object(v))
		return MM_FAIL(why, MM_EINPUT, "schema: %s: want an object",
		    name);
	json_object_foreach(v, key, value)
		MM_TRY(read_keyword(p, key, value, why));
	if (p->indexed && (p->types & T_TEXT) != 0 && p->choices == NULL &&
	    p->max_length > INDEXED_LENGTH_MAX)
		return wrong(p, "x-indexed", "maxLength of at most 64 "
		    "where it can be a text", why);
	s->n++;
	return MM_OK;
}

static enum mm_err
read_properties(struct mm_schema *s, json_t *v, struct mm_why *why)
{
	const char *name;
	json_t *one;

	if (v == NULL)
		return MM_OK;
	if (!json_is_object(v) ||
	    json_object_size(v) > MM_SCHEMA_PROPERTIES)
		return MM_FAIL(why, MM_EINPUT, "schema: properties: want an "
		    "object of at most %d", MM_SCHEMA_PROPERTIES);
	json_object_foreach(v, name, one)
		MM_TRY(read_property(s, name, one, why));
	return MM_OK;
}

/* Its place, or n. */
static size_t
place(const struct mm_schema *s, const char *name)
{
	size_t i = 0;

	while (i < s->n && strcmp(s->property[i].name, name) != 0)
		i++;
	return i;
}

static const struct property *
find(const struct mm_schema *s, const char *name)
{
	size_t i = place(s, name);

	return i < s->n ? &s->property[i] : NULL;
}

static enum mm_err
read_required(struct mm_schema *s, const json_t *v, struct mm_why *why)
{
	const json_t *one;
	size_t i;

	if (v != NULL && !json_is_array(v))
		return MM_FAIL(why, MM_EINPUT, "schema: required: want a list");
	json_array_foreach(v, i, one) {
		const char *name = json_string_value(one);
		size_t at = name != NULL ? place(s, name) : s->n;

		if (at == s->n)
			return MM_FAIL(why, MM_EINPUT, "schema: required: "
			    "\"%.32s\" is not one of its properties",
			    name != NULL ? name : "?");
		s->property[at].required = true;
	}
	return MM_OK;
}

static enum mm_err
check_top(json_t *root, struct mm_why *why)
{
	static const char *const known[] = { "$schema", "$id", "title",
		"description", "type", "properties", "required",
		"additionalProperties" };
	const json_t *type = json_object_get(root, "type");
	const char *key;
	json_t *v;

	json_object_foreach(root, key, v) {
		size_t i = 0, n = sizeof(known) / sizeof(known[0]);

		while (i < n && strcmp(known[i], key) != 0)
			i++;
		if (i == n)
			return MM_FAIL(why, MM_EINPUT, "schema: \"%.32s\" is "
			    "not a keyword that is checked here", key);
	}
	if (type != NULL && (!json_is_string(type) ||
	    strcmp(json_string_value(type), "object") != 0))
		return MM_FAIL(why, MM_EINPUT, "schema: type: want \"object\"");
	v = json_object_get(root, "additionalProperties");
	if (v != NULL && !json_is_boolean(v))
		return MM_FAIL(why, MM_EINPUT,
		    "schema: additionalProperties: want true or false");
	return MM_OK;
}

static enum mm_err
note_indexed(struct mm_schema *s, struct mm_why *why)
{
	MM_OWN(json_free) json_t *names = json_array();

	for (size_t i = 0; i < s->n; i++)
		if (s->property[i].indexed)
			json_array_append_new(names,
			    json_string(s->property[i].name));
	if (json_array_size(names) == 0)
		return MM_OK;
	s->indexed = json_dumps(names, JSON_COMPACT);
	return s->indexed != NULL ? MM_OK :
	    MM_FAIL(why, MM_ENOMEM, "schema: no memory");
}

/* see schema.h */
enum mm_err
mm_schema_parse(struct mm_bytes text, struct mm_schema **out,
    struct mm_why *why)
{
	MM_OWN(mm_schema_free) struct mm_schema *s = calloc(1, sizeof(*s));
	json_error_t error;

	if (s == NULL)
		return MM_FAIL(why, MM_ENOMEM, "schema: no memory");
	if (text.n > MM_SCHEMA_MAX)
		return MM_FAIL(why, MM_ELIMIT, "schema: at most %d bytes",
		    MM_SCHEMA_MAX);
	s->root = json_loadb((const char *)text.p, text.n,
	    JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(s->root))
		return MM_FAIL(why, MM_EINPUT, "schema: want a JSON object");
	MM_TRY(check_top(s->root, why));
	MM_TRY(read_properties(s, json_object_get(s->root, "properties"),
	    why));
	MM_TRY(read_required(s, json_object_get(s->root, "required"), why));
	s->closed = json_is_false(json_object_get(s->root,
	    "additionalProperties"));
	MM_TRY(note_indexed(s, why));
	*out = MM_MOVE(s);
	return MM_OK;
}

/* ---- checking with one ---- */

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
check_object(const struct mm_schema *s, json_t *o,
    char column[MM_SCHEMA_COLUMN], struct mm_why *why)
{
	const char *name;
	json_t *v;

	json_object_foreach(o, name, v) {
		const struct property *p = find(s, name);

		name_column(column, name);
		if (p != NULL)
			MM_TRY(check_value(p, v, why));
		else if (s->closed)
			return MM_FAIL(why, MM_EINPUT, "%.40s: the product's "
			    "schema has no such member", name);
	}
	for (size_t i = 0; i < s->n; i++) {
		name_column(column, s->property[i].name);
		if (s->property[i].required &&
		    json_object_get(o, s->property[i].name) == NULL)
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

static enum mm_err
convert_object(const struct mm_schema *s, json_t *o, char *attributes,
    size_t room, struct mm_why *why)
{
	const char *name;
	json_t *v;
	void *next;
	size_t n;

	json_object_foreach_safe(o, next, name, v) {
		json_t *other = json_is_string(v) ?
		    converted(find(s, name), json_string_value(v)) : NULL;

		if (other != NULL)
			json_object_set_new(o, name, other);
	}
	if (json_object_size(o) == 0)
		return MM_OK;
	n = json_dumpb(o, attributes, room - 1, JSON_COMPACT | JSON_SORT_KEYS);
	if (n >= room)
		return MM_FAIL(why, MM_ELIMIT, "attributes: at most %zu bytes",
		    room - 1);
	attributes[n] = '\0';
	return MM_OK;
}

/* see schema.h */
enum mm_err
mm_schema_convert(const struct mm_schema *s, char *attributes, size_t room,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = NULL;

	MM_TRY(load(attributes, &o, why));
	return convert_object(s, o, attributes, room, why);
}

/* see schema.h */
enum mm_err
mm_schema_read(const struct mm_schema *s, char *attributes, size_t room,
    char column[MM_SCHEMA_COLUMN], struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = NULL;

	strcpy(column, "attributes");
	MM_TRY(load(attributes, &o, why));
	MM_TRY(convert_object(s, o, attributes, room, why));
	return check_object(s, o, column, why);
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
	const struct property *p = s != NULL ? find(s, name) : NULL;

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
