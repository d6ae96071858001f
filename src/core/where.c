#include "core/where.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const struct {
	const char *text;
	enum mm_where_op op;
} operators[] = { /* the longer first */
	{ "^=", MM_WHERE_PREFIX }, { "<=", MM_WHERE_LE },
	{ ">=", MM_WHERE_GE }, { "<", MM_WHERE_LT }, { ">", MM_WHERE_GT },
	{ "=", MM_WHERE_EQ },
};

static enum mm_err
bad(const char *text, struct mm_why *why)
{
	return MM_FAIL(why, MM_EINPUT, "where: \"%.40s\": want NAME=VALUE, "
	    "with = ^= < <= > >=, and ; between several", text);
}

/* A number, or a truth as one. */
static bool
read_number(const char *text, double *out)
{
	char *end;

	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
		*out = text[0] == 't';
		return true;
	}
	*out = strtod(text, &end);
	return end != text && *end == '\0' &&
	    strspn(text, "0123456789+-.eE") == strlen(text);
}

/* A condition of n bytes. */
static enum mm_err
split(const char *text, size_t n, struct mm_where *w,
    char value[MM_WHERE_VALUE], struct mm_why *why)
{
	size_t name = strcspn(text, "^<>=");
	const struct mm_bytes v = { (const uint8_t *)text, name };

	if (name == 0 || name >= n || !mm_text_copy(w->name, sizeof(w->name),
	    v))
		return bad(text, why);
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		size_t len = strlen(operators[i].text);

		if (strncmp(text + name, operators[i].text, len) != 0)
			continue;
		w->op = operators[i].op;
		if (name + len > n || !mm_text_copy(value, MM_WHERE_VALUE,
		    (struct mm_bytes){ (const uint8_t *)text + name + len,
		    n - name - len }))
			break;
		return MM_OK;
	}
	return bad(text, why);
}

/* see where.h */
enum mm_err
mm_where_next(const char **text, struct mm_where *w,
    char value[MM_WHERE_VALUE], struct mm_why *why)
{
	size_t n = strcspn(*text, ";");

	if (**text == '\0')
		return MM_ENOTFOUND;
	*w = (struct mm_where){ .op = MM_WHERE_EQ };
	MM_TRY(split(*text, n, w, value, why));
	*text += n + ((*text)[n] == ';');
	return MM_OK;
}

/* see where.h */
enum mm_err
mm_where_value(struct mm_where *w, enum mm_schema_member is,
    const char *value, struct mm_why *why)
{
	bool text = is == MM_SCHEMA_TEXT || w->op == MM_WHERE_PREFIX;

	w->is_number = !text && read_number(value, &w->number);
	if (!w->is_number && w->op != MM_WHERE_EQ && w->op != MM_WHERE_PREFIX)
		return MM_FAIL(why, MM_EINPUT, "where: %s: want a number, and "
		    "a member that is one", w->name);
	if (!w->is_number)
		strcpy(w->text, value);
	return MM_OK;
}
