#include "http/http.h"

/* RFC 9110 5.6.1: between a list's elements, of which some may be empty. */
static void
pass(struct mm_rd *r)
{
	while (mm_rd_skip(r, ",") || mm_rd_skip(r, " ") || mm_rd_skip(r, "\t"))
		continue;
}

/* The quoted part of the next tag, with its quotes; none: no tag. */
static struct mm_bytes
next_tag(struct mm_rd *r)
{
	struct mm_bytes tag = { 0 };
	const uint8_t *end;

	(void)mm_rd_skip(r, "W/");
	if (r->left == 0 || r->p[0] != '"')
		return tag;
	end = memchr(r->p + 1, '"', r->left - 1);
	if (end == NULL)
		return tag;
	return mm_rd_take(r, (size_t)(end - r->p) + 1);
}

/* see http.h */
bool
mm_http_tag_listed(struct mm_bytes field, const char *etag)
{
	struct mm_bytes want = mm_bytes_of(etag), tag;
	struct mm_rd r = mm_rd_over(field);

	if (mm_bytes_eq(field, mm_bytes_of("*")))
		return true;
	for (pass(&r); r.left > 0; pass(&r)) {
		tag = next_tag(&r);
		if (tag.n == 0)
			return false;
		if (mm_bytes_eq(tag, want))
			return true;
	}
	return false;
}
