#include "ledger/entry_table.h"

#include <string.h>

#include "base/canon.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"

/* Fields that are not known, in one entry. */
enum { LATER_MAX = 64 };

struct scan {
	struct mm_canon c;
	const char *at;
	struct mm_bytes later[LATER_MAX]; /* names of fields */
	unsigned nlater;
};

/* Names of types and fields, whoever gave them. */
static bool
is_name(struct mm_bytes name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == '\0' ||
		    strchr("abcdefghijklmnopqrstuvwxyz0123456789_.",
			name.p[i]) == NULL)
			return false;
	return name.n > 0 && name.n <= 40;
}

static bool
get_head(struct scan *s, struct mm_entry_read *r)
{
	if (!mm_canon_skip(&s->c, "{\"v\":1,\"type\":\"") ||
	    (r->type = mm_canon_text(&s->c)) == NULL ||
	    !mm_canon_skip(&s->c, ",\"at\":\"") ||
	    (s->at = mm_canon_text(&s->c)) == NULL ||
	    !mm_canon_skip(&s->c, ",\"time_source\":\"") ||
	    (r->e.time_source = mm_canon_text(&s->c)) == NULL)
		return false;
	r->e.type = mm_entry_type_of(mm_bytes_of(r->type));
	r->later = r->e.type == MM_ENTRY_TYPE_COUNT;
	return (!r->later || is_name(mm_bytes_of(r->type))) &&
	    mm_time_parse(s->at, &r->e.at_ms, NULL) == MM_OK;
}

/* Of a field that is none of the first four. */
static bool
is_later(const struct scan *s, struct mm_bytes name)
{
	static const char *const head[] = { "v", "type", "at", "time_source" };

	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		if (mm_bytes_eq(name, mm_bytes_of(head[i])))
			return false;
	return is_name(name) && s->nlater < LATER_MAX;
}

static bool
get_later(struct scan *s, struct mm_bytes name)
{
	if (!is_later(s, name))
		return false;
	for (unsigned i = 0; i < s->nlater; i++)
		if (mm_bytes_eq(s->later[i], name))
			return false;
	s->later[s->nlater++] = name;
	return (mm_canon_skip(&s->c, "\"") ? mm_canon_text(&s->c) : mm_canon_digits(&s->c)) != NULL;
}

/* Fields come in order, so each name is looked for behind the last. */
static bool
get_field(struct scan *s, struct mm_entry_read *r, unsigned *next)
{
	const uint8_t *quote = memchr(s->c.in.p, '"', s->c.in.left);
	struct mm_bytes name;
	unsigned f;

	if (quote == NULL)
		return false;
	name = mm_rd_take(&s->c.in, (size_t)(quote - s->c.in.p));
	f = mm_entry_field_named(name, *next);
	if (!mm_canon_skip(&s->c, "\":"))
		return false;
	if (f == MM_ENTRY_FIELD_COUNT) {
		r->later = true;
		return mm_entry_field_named(name, 0) == f && get_later(s, name);
	}
	if (mm_entry_field_form((enum mm_entry_field)f) == MM_FORM_NUMBER)
		r->e.field[f] = mm_canon_digits(&s->c);
	else if (mm_canon_skip(&s->c, "\""))
		r->e.field[f] = mm_canon_text(&s->c);
	if (!r->later &&
	    !mm_entry_field_of(r->e.type, (enum mm_entry_field)f))
		r->later = true;
	*next = f + 1;
	return r->e.field[f] != NULL;
}

static bool
get_entry(struct scan *s, struct mm_entry_read *r)
{
	unsigned next = 0;

	if (!get_head(s, r))
		return false;
	while (mm_canon_skip(&s->c, ",\""))
		if (!get_field(s, r, &next))
			return false;
	return mm_canon_skip(&s->c, "}") && mm_rd_end(&s->c.in);
}

/* ---- what was read is written again ---- */

/* By no table, as it stands there. */
static bool
put_member(struct mm_canon *c, struct mm_json *j)
{
	const char *name, *value;

	if (!mm_canon_skip(c, "\"") ||
	    (name = mm_canon_text(c)) == NULL || !mm_canon_skip(c, ":"))
		return false;
	if (mm_canon_skip(c, "\"")) {
		if ((value = mm_canon_text(c)) == NULL)
			return false;
		mm_json_str(j, name, value);
		return true;
	}
	if ((value = mm_canon_digits(c)) == NULL ||
	    !mm_entry_form_holds(MM_FORM_NUMBER, value))
		return false;
	mm_json_raw(j, name, mm_bytes_of(value));
	return true;
}

static bool
put_again(struct mm_canon *c, struct mm_json *j)
{
	if (!mm_canon_skip(c, "{"))
		return false;
	mm_json_open(j, '{');
	do {
		if (!put_member(c, j))
			return false;
	} while (mm_canon_skip(c, ","));
	mm_json_close(j, '}');
	return mm_canon_skip(c, "}") && mm_rd_end(&c->in);
}

/* What encode checks of what it knows, for what it does not. */
static enum mm_err
check_later(const struct mm_entry_read *r, const char *at,
    struct mm_bytes json, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf again = MM_BUF_INIT(MM_ENTRY_MAX);
	MM_OWN(mm_buf_done) struct mm_buf room = MM_BUF_INIT(MM_ENTRY_MAX + 64);
	struct mm_canon c;
	struct mm_json j = mm_json_over(&again);
	struct mm_why inner = { 0 };
	char text[MM_TIME_TEXT];

	if (mm_entry_check_known(&r->e, &inner) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "%s", inner.text);
	c = mm_canon_over(json, (char *)mm_buf_room(&room, json.n + 64),
	    json.n + 64);
	if (c.arena == NULL)
		return mm_buf_ok(&room, why);
	mm_time_text(r->e.at_ms, text);
	if (strcmp(text, at) == 0 && mm_utf8_valid(json) &&
	    put_again(&c, &j) && mm_bytes_eq(mm_buf_view(&again), json))
		return MM_OK;
	if (again.err == MM_ENOMEM)
		return mm_buf_ok(&again, why);
	return MM_FAIL(why, MM_EINPUT, "entry: not in the canonical form");
}

/* Also the check of the fields: encode refuses what parse must not give. */
static enum mm_err
check_again(const struct mm_entry *e, struct mm_bytes json,
    struct mm_why *why)
{
	struct mm_buf again = MM_BUF_INIT(MM_ENTRY_MAX);
	struct mm_why inner = { 0 };
	bool same = false;

	(void)mm_buf_room(&again, json.n);
	mm_buf_reset(&again);
	if (mm_entry_encode(e, &again, &inner) == MM_OK)
		same = mm_bytes_eq(mm_buf_view(&again), json);
	mm_buf_done(&again);
	if (inner.code == MM_ENOMEM)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	if (inner.code != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "%s", inner.text);
	if (!same)
		return MM_FAIL(why, MM_EINPUT,
		    "entry: not in the canonical form");
	return MM_OK;
}

/* see entry.h */
enum mm_err
mm_entry_read(struct mm_bytes json, char *arena, size_t arena_n,
    struct mm_entry_read *out, struct mm_why *why)
{
	struct scan s;
	struct mm_entry_read r = { 0 };

	s.c = mm_canon_over(json, arena, arena_n);
	s.nlater = 0;
	if (json.n > MM_ENTRY_MAX || !get_entry(&s, &r))
		return MM_FAIL(why, MM_EINPUT, "entry: malformed");
	MM_TRY(r.later ? check_later(&r, s.at, json, why)
		       : check_again(&r.e, json, why));
	*out = r;
	return MM_OK;
}

/* see entry.h */
enum mm_err
mm_entry_parse(struct mm_bytes json, char *arena, size_t arena_n,
    struct mm_entry *out, struct mm_why *why)
{
	struct mm_entry_read r;

	MM_TRY(mm_entry_read(json, arena, arena_n, &r, why));
	if (r.e.type == MM_ENTRY_TYPE_COUNT)
		return MM_FAIL(why, MM_EINPUT,
		    "entry: of a type that is not known: %s", r.type);
	if (r.later)
		return MM_FAIL(why, MM_EINPUT,
		    "entry: %s with fields that are not known", r.type);
	*out = r.e;
	return MM_OK;
}
