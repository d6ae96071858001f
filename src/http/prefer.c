#include "http/http.h"

#include <stdint.h>

enum { DIGITS_MOST = 3 };

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* RFC 7240 2: one preference up to its comma; what it has besides its value,
 * behind a semicolon, and quoted values are not read. */
static bool
wait_of(struct mm_rd *r, unsigned *s)
{
	unsigned digits = 0;

	while (r->left > 0 && is_blank(r->p[0]))
		(void)mm_rd_u8(r);
	if (!mm_rd_skip(r, "wait="))
		return false;
	for (*s = 0; r->left > 0 && r->p[0] >= '0' && r->p[0] <= '9' &&
	     digits < DIGITS_MOST; digits++)
		*s = 10 * *s + (mm_rd_u8(r) - (unsigned)'0');
	while (r->left > 0 && is_blank(r->p[0]))
		(void)mm_rd_u8(r);
	return digits > 0 &&
	    (r->left == 0 || r->p[0] == ',' || r->p[0] == ';');
}

/* see http.h */
unsigned
mm_http_prefer_wait(struct mm_bytes field)
{
	struct mm_rd r = mm_rd_over(field);

	while (r.left > 0) {
		unsigned s;

		if (wait_of(&r, &s))
			return s;
		while (r.left > 0 && mm_rd_u8(&r) != ',')
			continue;
	}
	return 0;
}
