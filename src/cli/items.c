#include "cli/items.h"


/* RFC 8259 2: space between the tokens of a text. */
static bool
is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int
next_byte(struct mm_items *it)
{
	int c = getc_unlocked(it->f);

	it->read += c != EOF;
	return c;
}

/* see items.h */
bool
mm_items_begin(FILE *f, size_t most, struct mm_items *out)
{
	int c;

	*out = (struct mm_items){ .f = f, .most = most };
	do
		c = next_byte(out);
	while (is_space(c));
	if (c == '[')
		return true;
	if (c != EOF)
		ungetc(c, f);
	return false;
}

struct scan {
	unsigned long long depth;
	bool text, escaped;
};

/* Whether this byte is behind the item. */
static bool
is_behind(struct scan *s, int c)
{
	if (s->text) {
		if (s->escaped)
			s->escaped = false;
		else if (c == '\\')
			s->escaped = true;
		else if (c == '"')
			s->text = false;
		return false;
	}
	if (c == '"')
		s->text = true;
	else if (c == '{' || c == '[')
		s->depth++;
	else if ((c == '}' || c == ']') && s->depth > 0)
		s->depth--;
	else
		return s->depth == 0 && (c == ',' || c == ']' || c == '}');
	return false;
}

static enum mm_err
broken(const struct mm_items *it, const char *what, struct mm_why *why)
{
	return MM_FAIL(why, MM_EINPUT, "row %llu: %s", it->number, what);
}

/* Behind the array there is nothing. */
static enum mm_err
finish(struct mm_items *it, struct mm_why *why)
{
	int c;

	it->over = true;
	do
		c = next_byte(it);
	while (is_space(c));
	return c == EOF && !ferror(it->f) ? MM_OK :
	    broken(it, "something follows the array", why);
}

/* see items.h */
enum mm_err
mm_items_next(struct mm_items *it, char *room, size_t *n, struct mm_why *why)
{
	struct scan s = { 0 };
	size_t at = 0;
	int c;

	if (it->over)
		return MM_ENOTFOUND;
	it->number++;
	while ((c = next_byte(it)) != EOF && !is_behind(&s, c)) {
		if (at == 0 && is_space(c))
			continue;
		if (at < it->most)
			room[at] = (char)c;
		at++;
	}
	if (c == EOF || c == '}')
		return broken(it, c == EOF ? "the array ends in its midst" :
		    "a bracket too many", why);
	if (at == 0 && (c == ',' || it->number > 1))
		return broken(it, "nothing between two commas", why);
	if (c == ']')
		MM_TRY(finish(it, why));
	if (at == 0)
		return MM_ENOTFOUND;
	if (at > it->most)
		return MM_ELIMIT;
	while (is_space(room[at - 1]))
		at--;
	*n = at;
	return MM_OK;
}
