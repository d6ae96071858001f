#include "base/canon.h"

#include <string.h>

#include "base/eight.h"
#include "base/text.h"

/* see canon.h */
struct mm_canon
mm_canon_over(struct mm_bytes json, char *arena, size_t n)
{
	return (struct mm_canon){ mm_rd_over(json), arena, n };
}

static bool
put(struct mm_canon *s, uint8_t c)
{
	if (s->left == 0)
		return false;
	*s->arena++ = (char)c;
	s->left--;
	return true;
}

/* RFC 8785 3.2.2.2 backwards; a NUL could not live in a C string. */
static bool
put_escaped(struct mm_canon *s)
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

static bool
is_plain(uint8_t c)
{
	return c != '"' && c != '\\' && c != '\0';
}

static bool
are_plain(uint64_t x)
{
	return (MM_LESS(x, 1) | MM_LESS(x ^ MM_EACH('"'), 1) |
	    MM_LESS(x ^ MM_EACH('\\'), 1)) == 0;
}

/* Copies up to the next quote, backslash or NUL, or the arena's end, in one
 * look: texts are short, and a memchr for each takes longer than that. */
static void
put_plain(struct mm_canon *s)
{
	size_t most = s->in.left < s->left ? s->in.left : s->left, n = 0;
	uint64_t x;

	for (; most - n >= sizeof(x); n += sizeof(x)) {
		memcpy(&x, s->in.p + n, sizeof(x));
		if (!are_plain(x))
			break;
		memcpy(s->arena + n, &x, sizeof(x));
	}
	for (; n < most && is_plain(s->in.p[n]); n++)
		s->arena[n] = (char)s->in.p[n];
	s->arena += n;
	s->left -= n;
	(void)mm_rd_take(&s->in, n);
}

/* see canon.h */
const char *
mm_canon_text(struct mm_canon *s)
{
	const char *text = s->arena;

	for (;;) {
		uint8_t c;

		put_plain(s);
		if (s->in.left == 0)
			return NULL;
		c = mm_rd_u8(&s->in);
		if (c == '"')
			return put(s, '\0') ? text : NULL;
		if (c != '\\' || !put_escaped(s))
			return NULL;
	}
}

/* see canon.h */
const char *
mm_canon_digits(struct mm_canon *s)
{
	const char *text = s->arena;

	while (s->in.left > 0 && *s->in.p >= '0' && *s->in.p <= '9')
		if (!put(s, mm_rd_u8(&s->in)))
			return NULL;
	return put(s, '\0') ? text : NULL;
}
