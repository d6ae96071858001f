#include "base/grow.h"

#include <stdlib.h>

enum { FIRST = 64 };

/* see grow.h */
void *
mm_grown(void *at, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap != 0 ? 2 * *cap : FIRST;

	if (n < *cap)
		return at;
	at = reallocarray(at, more, size);
	if (at != NULL)
		*cap = more;
	return at;
}
