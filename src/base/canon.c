#include "base/canon.h"

#include <string.h>

#include "base/text.h"

/* see canon.h */
struct mm_canon
mm_canon_over(struct mm_bytes json, char *arena, size_t n)
{
	return (struct mm_canon){ mm_rd_over(json), arena, n };
}

/* see canon.h */
bool
mm_canon_skip(struct mm_canon *c, const char *text)
{
	return mm_rd_skip(&c->in, text);
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

static size_t
upto(const uint8_t *p, uint8_t c, size_t n)
{
	const uint8_t *at = n == 0 ? NULL : memchr(p, c, n);

	return at == NULL ? n : (size_t)(at - p);
}

/* Copies up to the next quote, backslash or NUL. */
static bool
put_plain(struct mm_canon *s)
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

/* see canon.h */
const char *
mm_canon_text(struct mm_canon *s)
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
