#include "ledger/entry_table.h"

#include <string.h>

#include "base/text.h"
#include "base/time.h"

/*
 * A reader that follows what the writer writes and no other JSON.  It need
 * not be strict: what it read is written again and must be the same bytes.
 */
struct scan {
	struct mm_rd in;
	char *arena; /* where the next text goes */
	size_t left; /* of the arena */
};

static bool
put(struct scan *s, uint8_t c)
{
	if (s->left == 0)
		return false;
	*s->arena++ = (char)c;
	s->left--;
	return true;
}

/* RFC 8785 3.2.2.2 backwards; a NUL could not live in a C string. */
static bool
put_escaped(struct scan *s)
{
	static const char letters[] = "btnfr\"\\", values[] = "\b\t\n\f\r\"\\";
	uint8_t c = mm_rd_u8(&s->in), hex;
	const char *at = c == '\0' ? NULL : strchr(letters, c);
	struct mm_bytes digits;

	if (at != NULL)
		return put(s, (uint8_t)values[at - letters]);
	digits = mm_rd_take(&s->in, 4);
	return c == 'u' && digits.n == 4 && memcmp(digits.p, "00", 2) == 0 &&
	    mm_hex_parse((const char *)digits.p + 2, 2, &hex, 1, NULL) ==
	    MM_OK && hex != 0 && put(s, hex);
}

static size_t
upto(const uint8_t *p, uint8_t c, size_t n)
{
	const uint8_t *at = n == 0 ? NULL : memchr(p, c, n);

	return at == NULL ? n : (size_t)(at - p);
}

/* Copies up to the next quote, backslash or NUL. */
static bool
put_plain(struct scan *s)
{
	size_t n = upto(s->in.p, '"', s->in.left);

	n = upto(s->in.p, '\\', n);
	n = upto(s->in.p, '\0', n);
	if (n > s->left)
		return false;
	memcpy(s->arena, s->in.p, n);
	s->arena += n;
	s->left -= n;
	(void)mm_rd_take(&s->in, n);
	return true;
}

/* The text after its opening quote; NULL if it does not end. */
static const char *
get_text(struct scan *s)
{
	const char *text = s->arena;

	while (put_plain(s) && s->in.left > 0) {
		uint8_t c = mm_rd_u8(&s->in);
		if (c == '"')
			return put(s, '\0') ? text : NULL;
		if (c != '\\' || !put_escaped(s))
			return NULL;
	}
	return NULL;
}

static const char *
get_digits(struct scan *s)
{
	const char *text = s->arena;

	while (s->in.left > 0 && *s->in.p >= '0' && *s->in.p <= '9')
		if (!put(s, mm_rd_u8(&s->in)))
			return NULL;
	return put(s, '\0') ? text : NULL;
}

static bool
get_head(struct scan *s, struct mm_entry *e)
{
	const char *type, *at;

	if (!mm_rd_skip(&s->in, "{\"v\":1,\"type\":\"") || (type = get_text(s)) == NULL ||
	    !mm_rd_skip(&s->in, ",\"at\":\"") || (at = get_text(s)) == NULL ||
	    !mm_rd_skip(&s->in, ",\"time_source\":\"") ||
	    (e->time_source = get_text(s)) == NULL)
		return false;
	e->type = mm_entry_type_of(mm_bytes_of(type));
	return e->type < MM_ENTRY_TYPE_COUNT &&
	    mm_time_parse(at, &e->at_ms, NULL) == MM_OK;
}

/* Fields come in order, so each name is looked for behind the last. */
static bool
get_field(struct scan *s, struct mm_entry *e, unsigned *next)
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
		e->field[f] = get_digits(s);
	else if (mm_rd_skip(&s->in, "\""))
		e->field[f] = get_text(s);
	*next = f + 1;
	return e->field[f] != NULL;
}

static bool
get_entry(struct scan *s, struct mm_entry *e)
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
	struct scan s = { mm_rd_over(json), arena, arena_n };
	struct mm_entry e = { 0 };

	if (json.n > MM_ENTRY_MAX || !get_entry(&s, &e))
		return MM_FAIL(why, MM_EINPUT, "entry: malformed");
	MM_TRY(check_again(&e, json, why));
	*out = e;
	return MM_OK;
}
