#ifndef MM_BASE_GROW_H
#define MM_BASE_GROW_H

#include <stddef.h>

/*
 * Room for one more in a list of n things of that size, of which there is room
 * for *cap: the list, moved if need be, as the caller's from then on; NULL: no
 * memory, and the list is as it was.  at NULL: there is none yet.
 */
void *mm_grown(void *at, size_t n, size_t *cap, size_t size);

#endif
