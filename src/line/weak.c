#include "line/weak.h"

#include <stdlib.h>
#include <string.h>

/* see weak.h */
bool
mm_weak_short(const char *value, const char *device)
{
	size_t n = strlen(value), id = strlen(device);
	const char *at = id > 0 ? strcasestr(value, device) : NULL;

	for (; at != NULL; at = strcasestr(at + id, device))
		n -= id;
	return n < MM_WEAK_LEAST;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* see weak.h */
size_t
mm_weak_repeated(const char **value, size_t n)
{
	size_t found = 0;

	if (n > 0)
		qsort(value, n, sizeof(value[0]), by_text);
	for (size_t i = 0; i < n; i++)
		found += (i > 0 && strcmp(value[i], value[i - 1]) == 0) ||
		    (i + 1 < n && strcmp(value[i], value[i + 1]) == 0);
	return found;
}
