#ifndef MM_BASE_SORTED_H
#define MM_BASE_SORTED_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The name of the i-th of what is sorted by it (strcmp). */
typedef const char *mm_name_at_fn(const void *of, size_t i);

/* Where name stands among n of them, or would; *there: it does. */
static inline size_t
mm_sorted_place(const void *of, size_t n, mm_name_at_fn *name_at,
    const char *name, bool *there)
{
	size_t low = 0, high = n;

	*there = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(name_at(of, mid), name);

		if (c == 0) {
			*there = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

#endif
