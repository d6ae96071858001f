#ifndef MM_BASE_CANON_H
#define MM_BASE_CANON_H

#include "base/bytes.h"

/*
 * Reads what mm_json wrote, and no other JSON: canonical forms with their
 * keys in order, where no library is to be had or none is strict enough.  It
 * need not be strict itself: the caller writes what it read again, and that
 * must be the same bytes.
 */
struct mm_canon {
	struct mm_rd in;
	char *arena; /* where the next text goes */
	size_t left; /* of the arena */
};

struct mm_canon mm_canon_over(struct mm_bytes json, char *arena, size_t n);
/* Reads over it if it comes next. */
static inline bool
mm_canon_skip(struct mm_canon *c, const char *text)
{
	return mm_rd_skip(&c->in, text);
}

/* The text after its opening quote, and over the closing one; NULL if it does
 * not end, holds a NUL or has no room. */
const char *mm_canon_text(struct mm_canon *c);
/* The decimal digits that come next, as a text; "" if there are none. */
const char *mm_canon_digits(struct mm_canon *c);

#endif
