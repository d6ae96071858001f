#include "base/conf_value.h"

#include <string.h>

#define COMMENT_COLUMNS 76

/* Words of text, broken into comment lines. */
static void
put_comment(struct mm_buf *out, const char *text, const char *indent)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t n = strcspn(text, " ");
		if (column > 0 && column + 1 + n > COMMENT_COLUMNS) {
			mm_buf_text(out, "\n");
			column = 0;
		}
		if (column == 0) {
			mm_buf_text(out, indent);
			mm_buf_text(out, "#");
			column = strlen(indent) + 1;
		}
		mm_buf_text(out, " ");
		mm_buf_put(out, text, n);
		column += n + 1;
		text += n + strspn(text + n, " ");
	}
	mm_buf_text(out, "\n");
}

static void
put_quoted(struct mm_buf *out, const char *text, size_t n)
{
	mm_buf_u8(out, '"');
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"' || text[i] == '\\')
			mm_buf_u8(out, '\\');
		mm_buf_u8(out, (uint8_t)text[i]);
	}
	mm_buf_u8(out, '"');
}

/* Items stand one a line, or with commas where none holds one. */
static void
put_list(struct mm_buf *out, const char *items)
{
	const char *end = strchr(items, '\n') != NULL ? "\n" : ",";
	const char *lead = "{ ";

	if (*items == '\0') {
		mm_buf_text(out, "{}");
		return;
	}
	while (*items != '\0') {
		size_t n = strcspn(items, end);
		mm_buf_text(out, lead);
		put_quoted(out, items, n);
		items += n + (items[n] != '\0');
		lead = ", ";
	}
	mm_buf_text(out, " }");
}

static void
put_value(struct mm_buf *out, const struct mm_conf_key *key,
    const char *value)
{
	if (key->type == MM_CONF_LIST)
		put_list(out, value);
	else if (key->type == MM_CONF_INT || key->type == MM_CONF_BOOL)
		mm_buf_text(out, value);
	else
		put_quoted(out, value, strlen(value));
}

/* see conf.h */
void
mm_conf_print_key(struct mm_buf *out, const struct mm_conf_key *key,
    const char *value, const char *indent)
{
	if (value == NULL)
		value = key->preset;
	put_comment(out, key->help, indent);
	mm_buf_text(out, indent);
	if (value == NULL)
		mm_buf_text(out, "# ");
	mm_buf_text(out, key->name);
	mm_buf_text(out, " = ");
	put_value(out, key, value == NULL ? "" : value);
	mm_buf_text(out, "\n");
}

static void
put_choices(struct mm_buf *out, const struct mm_conf_key *key)
{
	for (size_t i = 0; key->choices[i] != NULL; i++)
		mm_buf_printf(out, "%s`%s`", i > 0 ? ", " : "",
		    key->choices[i]);
}

/* Which values are allowed, where the type alone does not say it. */
static void
put_range(struct mm_buf *out, const struct mm_conf_key *key)
{
	const char *unit = " characters";

	if (key->type == MM_CONF_BOOL)
		return;
	if (key->type == MM_CONF_CHOICE) {
		put_choices(out, key);
		return;
	}
	if (key->type == MM_CONF_INT)
		unit = "";
	if (key->type == MM_CONF_DURATION)
		unit = " s";
	mm_buf_printf(out, "%lld to %lld%s", (long long)key->min,
	    (long long)key->max, unit);
}

/* A table's row: what would end a cell is escaped. */
static void
put_row(struct mm_buf *out, const struct mm_conf_key *key)
{
	mm_buf_printf(out, "| `%s` | %s | ", key->name,
	    mm_conf_value_type(key));
	put_range(out, key);
	mm_buf_text(out, " | ");
	if (key->preset == NULL) {
		mm_buf_text(out, "required");
	} else {
		mm_buf_text(out, "`");
		put_value(out, key, key->preset);
		mm_buf_text(out, "`");
	}
	mm_buf_text(out, " | ");
	for (const char *s = key->help; *s != '\0'; s++) {
		if (*s == '|')
			mm_buf_u8(out, '\\');
		mm_buf_u8(out, (uint8_t)*s);
	}
	mm_buf_text(out, " |\n");
}

static void
put_table(struct mm_buf *out, const struct mm_conf_key *keys, size_t n)
{
	mm_buf_text(out, "| Key | Type | Allowed | Default | Meaning |\n"
			 "|---|---|---|---|---|\n");
	for (size_t i = 0; i < n; i++)
		put_row(out, &keys[i]);
}

/* see conf.h */
void
mm_conf_print_reference(struct mm_buf *out, const struct mm_conf_spec *spec)
{
	mm_buf_text(out, "## Top level\n\n");
	put_table(out, spec->keys, spec->nkeys);
	for (size_t i = 0; i < spec->nblocks; i++) {
		const struct mm_conf_block *b = &spec->blocks[i];
		mm_buf_printf(out, "\n## `%s \"name\" { ... }`\n\n%s\n\n",
		    b->name, b->help);
		put_table(out, b->keys, b->nkeys);
	}
}
