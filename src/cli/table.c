#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "cli/cmd.h"

enum { WIDTH_MAX = 64 };

/* A control character or a stray byte at s; n: how many bytes it is. */
static bool
foul(const char *s, size_t *n)
{
	const unsigned char *c = (const unsigned char *)s;
	size_t len = c[0] < 0x80 ? 1 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
	struct mm_bytes one = { c, strnlen(s, len) };

	*n = 1;
	if (c[0] < 0x80)
		return c[0] < ' ' || c[0] == 0x7f;
	if (one.n < len || !mm_utf8_valid(one))
		return true;
	*n = len;
	return c[0] == 0xc2 && c[1] < 0xa0;
}

/* see cmd.h */
void
mm_text_put(FILE *f, const char *text)
{
	size_t n;

	for (; *text != '\0'; text += n)
		if (!foul(text, &n) || *text == '\n' || *text == '\t')
			fwrite(text, 1, n, f);
		else
			for (size_t i = 0; i < n; i++)
				fprintf(f, "\\x%02x", (unsigned char)text[i]);
}

static void
put_escaped(FILE *f, const uint8_t *c, size_t n)
{
	unsigned v = n == 1 ? c[0] : 0x40U * (c[0] & 0x1f) + (c[1] & 0x3f);

	fprintf(f, "\\u%04x", n == 1 && c[0] >= 0x80 ? 0xfffd : v);
}

/* So many bytes from the first are printable ASCII. */
static size_t
printable(struct mm_bytes b)
{
	size_t n = 0;

	while (n < b.n && b.p[n] >= ' ' && b.p[n] < 0x7f)
		n++;
	return n;
}

/* see cmd.h */
void
mm_json_put(FILE *f, struct mm_bytes json)
{
	char four[5] = "";
	size_t n;

	for (size_t i = 0; i < json.n; i += n) {
		size_t left = json.n - i < 4 ? json.n - i : 4;

		n = printable((struct mm_bytes){ json.p + i, json.n - i });
		fwrite(json.p + i, 1, n, f);
		if (n != 0)
			continue;
		memcpy(four, json.p + i, left);
		four[left] = '\0';
		if (foul(four, &n) || four[0] == '\0')
			put_escaped(f, json.p + i, n);
		else
			fwrite(four, 1, n, f);
	}
}

/* see cmd.h */
void
mm_text_plain(char *text)
{
	size_t n;

	for (; *text != '\0'; text += n)
		if (foul(text, &n))
			memset(text, '?', n);
}

/* see cmd.h */
void
mm_json_plain(json_t *v, int depth)
{
	const char *text = json_string_value(v), *key;
	json_t *item;
	size_t i;

	if (text != NULL) {
		char *own = strdup(text);

		if (own != NULL)
			mm_text_plain(own);
		(void)json_string_set(v, own != NULL ? own : "");
		free(own);
	}
	if (depth == 0)
		return;
	json_object_foreach(v, key, item)
		mm_json_plain(item, depth - 1);
	json_array_foreach(v, i, item)
		mm_json_plain(item, depth - 1);
}

/* A JSON value as one short text; texts of more than a line are "...". */
static void
cell(json_t *v, char *out, size_t n)
{
	const char *text = json_string_value(v);
	size_t at = 0, i;
	json_t *item;

	out[0] = '\0';
	if (text != NULL)
		snprintf(out, n, "%s", strchr(text, '\n') ? "..." : text);
	else if (json_is_integer(v))
		snprintf(out, n, "%lld", (long long)json_integer_value(v));
	else if (json_is_boolean(v))
		snprintf(out, n, "%s", json_is_true(v) ? "yes" : "no");
	else if (json_is_array(v))
		json_array_foreach(v, i, item) {
			const char *s = json_string_value(item);

			if (s != NULL && at < n)
				at += (size_t)snprintf(out + at, n - at,
				    "%s%s", i ? ", " : "", s);
		}
	mm_text_plain(out);
}

/* Seconds as a configuration has them: 365d. */
static void
duration(long long s, char *out, size_t n)
{
	static const struct {
		char letter;
		long long seconds;
	} units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
	size_t i = 0;

	while (s % units[i].seconds != 0)
		i++;
	snprintf(out, n, "%lld%c", s / units[i].seconds, units[i].letter);
}

/* A member of that name. */
static void
named(const char *name, json_t *v, char *out, size_t n)
{
	static const char *const lengths[] = { "lifetime", "backdate",
		"grace" };

	cell(v, out, n);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		if (strcmp(name, lengths[i]) == 0 &&
		    json_integer_value(v) > 0)
			duration(json_integer_value(v), out, n);
}

/* A member, or "member.member" of an object in it. */
static json_t *
member_of(json_t *item, const char *name)
{
	char outer[32];
	const char *dot = strchr(name, '.');

	if (dot == NULL || (size_t)(dot - name) >= sizeof(outer))
		return json_object_get(item, name);
	memcpy(outer, name, (size_t)(dot - name));
	outer[dot - name] = '\0';
	return json_object_get(json_object_get(item, outer), dot + 1);
}

static void
line(const struct mm_column *c, size_t nc, const size_t *width, json_t *item)
{
	char text[512];

	for (size_t i = 0; i < nc; i++) {
		if (item != NULL)
			named(c[i].member, member_of(item, c[i].member), text,
			    sizeof(text));
		else
			snprintf(text, sizeof(text), "%s", c[i].title);
		mm_text_plain(text);
		printf(i + 1 < nc ? "%-*s  " : "%.0d%s\n",
		    i + 1 < nc ? (int)width[i] : 0, text);
	}
}

/* The first rows say how wide the columns are. */
static void
begin(struct mm_table *t, json_t *items)
{
	char text[512];
	size_t row, n;
	json_t *item;

	for (size_t i = 0; i < t->nc; i++)
		t->width[i] = strlen(t->c[i].title);
	json_array_foreach(items, row, item)
		for (size_t i = 0; i < t->nc; i++) {
			named(t->c[i].member,
			    member_of(item, t->c[i].member), text,
			    sizeof(text));
			n = strlen(text);
			if (n > t->width[i])
				t->width[i] = n > WIDTH_MAX ? WIDTH_MAX : n;
		}
	line(t->c, t->nc, t->width, NULL);
	t->begun = true;
}

/* see cmd.h */
void
mm_table_rows(struct mm_table *t, json_t *items)
{
	size_t row;
	json_t *item;

	MM_INVARIANT(t->nc <= MM_COLUMNS_MAX);
	if (!t->begun)
		begin(t, items);
	json_array_foreach(items, row, item)
		line(t->c, t->nc, t->width, item);
}

/* see cmd.h */
void
mm_table_print(const struct mm_column *c, size_t nc, json_t *items)
{
	struct mm_table t = { .c = c, .nc = nc };

	mm_table_rows(&t, items);
}

/* The members of an object in one line; those of objects in it after. */
static void
flat(const char *name, json_t *object, int width)
{
	const char *key, *lead = "";
	char text[512];
	json_t *v;

	printf("%-*s  ", width, name);
	json_object_foreach(object, key, v) {
		if (json_is_object(v))
			continue;
		cell(v, text, sizeof(text));
		fputs(lead, stdout);
		mm_text_put(stdout, key);
		printf(" %s", text);
		lead = ", ";
	}
	putchar('\n');
}

static void
nested(const char *name, json_t *object, int width)
{
	bool scalars = false;
	const char *key;
	char path[64];
	json_t *v;

	json_object_foreach(object, key, v)
		scalars = scalars || !json_is_object(v);
	if (scalars)
		flat(name, object, width);
	json_object_foreach(object, key, v)
		if (json_is_object(v)) {
			snprintf(path, sizeof(path), "%s.%s", name, key);
			flat(path, v, width);
		}
}

/* An array of objects in an object: a small table of their short members. */
static void
rows(const char *name, json_t *items)
{
	struct mm_column c[MM_COLUMNS_MAX];
	char text[512];
	size_t n = 0;
	const char *key;
	json_t *v;

	json_object_foreach(json_array_get(items, 0), key, v) {
		cell(v, text, sizeof(text));
		if (n < MM_COLUMNS_MAX && !json_is_object(v) &&
		    strcmp(text, "...") != 0)
			c[n++] = (struct mm_column){ key, key };
	}
	printf("\n%s\n", name);
	mm_table_print(c, n, items);
}

/* see cmd.h */
void
mm_object_print(json_t *object)
{
	const char *key, *s;
	char text[1024];
	size_t width = 0;
	json_t *v;

	json_object_foreach(object, key, v)
		if (strlen(key) > width)
			width = strlen(key);
	json_object_foreach(object, key, v) {
		s = json_string_value(v);
		named(key, v, text, sizeof(text));
		if (json_is_object(v) || (s != NULL && strchr(s, '\n')) ||
		    json_is_object(json_array_get(v, 0)))
			continue;
		printf("%-*s  %s\n", (int)width, key, text);
	}
	json_object_foreach(object, key, v) {
		s = json_string_value(v);
		if (json_is_object(v))
			nested(key, v, (int)width);
		else if (json_is_object(json_array_get(v, 0)))
			rows(key, v);
		else if (s != NULL && strchr(s, '\n'))
			mm_text_put(stdout, s);
	}
}

/* see cmd.h; line ends are jansson's own, all others are escaped */
void
mm_json_dump(FILE *f, json_t *value, size_t flags)
{
	char *text = json_dumps(value, flags | JSON_ENCODE_ANY);

	if (text == NULL)
		return;
	for (const char *at = text;; at++) {
		size_t n = strcspn(at, "\n");

		mm_json_put(f, (struct mm_bytes){ (const uint8_t *)at, n });
		at += n;
		if (*at == '\0')
			break;
		putc('\n', f);
	}
	mm_wipe(text, strlen(text));
	free(text);
}

/* see cmd.h */
void
mm_json_print(json_t *value)
{
	mm_json_dump(stdout, value, JSON_INDENT(2));
	putchar('\n');
}
