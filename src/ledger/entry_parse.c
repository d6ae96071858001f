#include "ledger/entry_table.h"

#include <string.h>

#include "base/canon.h"
#include "base/text.h"
#include "base/time.h"

static bool
get_head(struct mm_canon *s, struct mm_entry *e)
{
	const char *type, *at;

	if (!mm_rd_skip(&s->in, "{\"v\":1,\"type\":\"") ||
	    (type = mm_canon_text(s)) == NULL ||
	    !mm_rd_skip(&s->in, ",\"at\":\"") || (at = mm_canon_text(s)) == NULL ||
	    !mm_rd_skip(&s->in, ",\"time_source\":\"") ||
	    (e->time_source = mm_canon_text(s)) == NULL)
		return false;
	e->type = mm_entry_type_of(mm_bytes_of(type));
	return e->type < MM_ENTRY_TYPE_COUNT &&
	    mm_time_parse(at, &e->at_ms, NULL) == MM_OK;
}

/* Fields come in order, so each name is looked for behind the last. */
static bool
get_field(struct mm_canon *s, struct mm_entry *e, unsigned *next)
{
	const uint8_t *quote = memchr(s->in.p, '"', s->in.left);
	struct mm_bytes name;
	unsigned f = *next;

	if (quote == NULL)
		return false;
	name = mm_rd_take(&s->in, (size_t)(quote - s->in.p));
	while (f < MM_ENTRY_FIELD_COUNT &&
	    !mm_bytes_eq(name, mm_bytes_of(mm_entry_field_names[f])))
		f++;
	if (f == MM_ENTRY_FIELD_COUNT || !mm_rd_skip(&s->in, "\":"))
		return false;
	if (mm_entry_field_form((enum mm_entry_field)f) == MM_FORM_NUMBER)
		e->field[f] = mm_canon_digits(s);
	else if (mm_rd_skip(&s->in, "\""))
		e->field[f] = mm_canon_text(s);
	*next = f + 1;
	return e->field[f] != NULL;
}

static bool
get_entry(struct mm_canon *s, struct mm_entry *e)
{
	unsigned next = 0;

	if (!get_head(s, e))
		return false;
	while (mm_rd_skip(&s->in, ",\""))
		if (!get_field(s, e, &next))
			return false;
	return mm_rd_skip(&s->in, "}") && mm_rd_end(&s->in);
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
mm_entry_parse(struct mm_bytes json, char *arena, size_t arena_n,
    struct mm_entry *out, struct mm_why *why)
{
	struct mm_canon s = mm_canon_over(json, arena, arena_n);
	struct mm_entry e = { 0 };

	if (json.n > MM_ENTRY_MAX || !get_entry(&s, &e))
		return MM_FAIL(why, MM_EINPUT, "entry: malformed");
	MM_TRY(check_again(&e, json, why));
	*out = e;
	return MM_OK;
}
