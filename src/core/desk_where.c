#include "core/desk_schema.h"

#include <stdlib.h>
#include <string.h>

/* Conditions of a recall: what an attribute's text means under the schemas of
 * the products that are asked for. */

enum { PRODUCTS_MOST = 200 };

static const struct {
	const char *text;
	enum mm_where_op op;
} operators[] = { /* the longer first */
	{ "^=", MM_WHERE_PREFIX }, { "<=", MM_WHERE_LE },
	{ ">=", MM_WHERE_GE }, { "<", MM_WHERE_LT }, { ">", MM_WHERE_GT },
	{ "=", MM_WHERE_EQ },
};

static enum mm_err
bad_where(const char *text, struct mm_why *why)
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

static enum mm_err
split_where(const char *text, size_t n, struct mm_where *w, char value[129],
    struct mm_why *why)
{
	size_t name = strcspn(text, "^<>=");
	const struct mm_bytes v = { (const uint8_t *)text, name };

	if (name == 0 || name >= n || !mm_text_copy(w->name, sizeof(w->name),
	    v))
		return bad_where(text, why);
	for (size_t i = 0; i < 6; i++) {
		size_t len = strlen(operators[i].text);

		if (strncmp(text + name, operators[i].text, len) != 0)
			continue;
		w->op = operators[i].op;
		if (name + len > n || !mm_text_copy(value, 129,
		    (struct mm_bytes){ (const uint8_t *)text + name + len,
		    n - name - len }))
			break;
		return MM_OK;
	}
	return bad_where(text, why);
}

/* What the schemas that count say of a member, taken together. */
struct meaning {
	struct mm_desk *d;
	const char *name;
	enum mm_schema_member is;
	bool indexed;
	unsigned products;
};

static enum mm_err
ask_schema(struct meaning *m, const char *product, struct mm_why *why)
{
	MM_OWN(mm_desk_schema_done) struct mm_desk_schema s = { .version = 0 };
	enum mm_schema_member is;
	bool indexed;

	MM_TRY(mm_desk_schema_load(m->d, product, &s, why));
	is = mm_schema_member(s.schema, m->name, &indexed);
	m->products++;
	if (is == MM_SCHEMA_FORBIDDEN && !s.forced)
		return MM_OK;
	if (!indexed || !s.whole)
		m->indexed = false;
	if (m->is == MM_SCHEMA_UNKNOWN)
		m->is = is;
	else if (is != MM_SCHEMA_UNKNOWN && is != m->is)
		m->is = MM_SCHEMA_MIXED;
	return MM_OK;
}

static enum mm_err
ask_product(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	(void)next;
	return ask_schema(ctx, ((const struct mm_product *)row)->name, why);
}

static enum mm_err
ask_all(struct meaning *m, const char *product, struct mm_why *why)
{
	struct mm_list l = { .most = PRODUCTS_MOST, .state = -1 };

	m->indexed = true;
	if (product != NULL)
		return ask_schema(m, product, why);
	MM_TRY(mm_list_products(m->d->r, &l, ask_product, m, why));
	if (m->products == PRODUCTS_MOST) /* there may be more */
		m->indexed = false;
	return MM_OK;
}

static enum mm_err
read_value(struct mm_where *w, enum mm_schema_member is, const char *value,
    struct mm_why *why)
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

/* see core.h */
enum mm_err
mm_desk_where(struct mm_desk *d, const char *text, struct mm_recall *q,
    struct mm_why *why)
{
	for (size_t n; *text != '\0'; text += n + (text[n] == ';')) {
		struct mm_where *w = &q->where[q->nwhere];
		struct meaning m = { .d = d, .name = w->name };
		char value[129];

		n = strcspn(text, ";");
		if (q->nwhere == MM_WHERE_MOST)
			return MM_FAIL(why, MM_EINPUT, "where: at most %d "
			    "conditions", MM_WHERE_MOST);
		*w = (struct mm_where){ .op = MM_WHERE_EQ };
		MM_TRY(split_where(text, n, w, value, why));
		MM_TRY(ask_all(&m, q->product, why));
		MM_TRY(read_value(w, m.is, value, why));
		w->indexed = m.indexed;
		q->nwhere++;
	}
	return MM_OK;
}
